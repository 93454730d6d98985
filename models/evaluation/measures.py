"""Figures of merit, from scores alone: verification, calibration, and intervals over coins."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
_BINS = 1 << 16
RESAMPLES = 1000


class Tally:
    """A histogram of scores between -1 and 1: it counts a billion of them without holding them."""

    def __init__(self) -> None:
        self.counts = np.zeros(_BINS, np.int64)

    def add(self, scores: npt.NDArray[np.float32]) -> None:
        """Count some scores."""
        places = np.clip((scores.ravel() + 1.0) * (_BINS / 2.0), 0, _BINS - 1).astype(np.int64)
        self.counts += np.bincount(places, minlength=_BINS)

    def threshold(self, share: float) -> float:
        """The lowest threshold which at most this share of the scores reaches."""
        above = np.cumsum(self.counts[::-1])[::-1]
        allowed = np.flatnonzero(above <= share * max(1, above[0]))
        return float((allowed[0] if len(allowed) else _BINS) / (_BINS / 2.0) - 1.0)

    def share_above(self, thresholds: Values) -> Values:
        """The share of the scores that reaches each threshold."""
        above = np.append(np.cumsum(self.counts[::-1])[::-1], 0)
        places = np.clip(np.ceil((thresholds + 1.0) * (_BINS / 2.0)), 0, _BINS).astype(np.int64)
        return np.asarray(above[places] / max(1, above[0]), np.float64)


def tar_at_far(genuine: Values, impostors: Tally, far: float) -> float | None:
    """Share of genuine pairs accepted where at most ``far`` of the impostors are; None with too few impostors."""
    if far * impostors.counts.sum() < 1.0:
        return None
    return float(np.mean(genuine >= impostors.threshold(far)))


@dataclass(frozen=True)
class Reliability:
    """Predictions in bins of equal width: mean probability, share that was right, how many. ``ece`` of them all."""

    probability: tuple[float, ...]
    right: tuple[float, ...]
    count: tuple[int, ...]
    ece: float


def reliability(probabilities: Values, right: npt.NDArray[np.bool_], bins: int = 15) -> Reliability:
    """Expected calibration error (Guo et al., "On calibration of modern neural networks", ICML 2017), and its bins."""
    places = np.clip((probabilities * bins).astype(np.int64), 0, bins - 1)
    count = np.bincount(places, minlength=bins)
    filled = count > 0
    mean = np.bincount(places, probabilities, bins)[filled] / count[filled]
    share = np.bincount(places, right.astype(np.float64), bins)[filled] / count[filled]
    ece = float(np.sum(count[filled] * np.abs(mean - share)) / max(1, count.sum()))
    return Reliability(tuple(mean.tolist()), tuple(share.tolist()), tuple(count[filled].tolist()), ece)


def interval_over_coins(
    values: npt.NDArray[np.generic], coins: Sequence[str], seed: int = 0, resamples: int = 2 * RESAMPLES
) -> tuple[float, float]:
    """95 % interval of a mean over images, resampling coins with all their images.

    Of the difference of two models on the same images it is the paired bootstrap.
    """
    names, where = np.unique(np.asarray(coins), return_inverse=True)
    total = np.bincount(where, weights=np.asarray(values, np.float64), minlength=len(names))
    seen = np.bincount(where, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(0, len(names), (resamples, len(names)))
    shares = total[drawn].sum(axis=1) / seen[drawn].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)


def blocks(rows: int, size: int) -> Iterable[slice]:
    """Slices that cover so many rows."""
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))
