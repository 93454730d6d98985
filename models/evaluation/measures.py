"""Figures of merit, from scores alone: verification, open-set identification, calibration, and intervals over coins.

Terms are NIST's (Grother et al., "Ongoing Face Recognition Vendor Test, part 2: identification", NISTIR 8271): a search
is mated if the coin is in the gallery. FPIR(T) is the share of non-mated searches that return anything at threshold T
or above, FNIR(T) that of mated searches whose right coin is not returned first, at T or above.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]
_BINS = 1 << 16
_RESAMPLES = 1000


class Tally:
    """How many scores lie where between -1 and 1: what is left of a billion of them."""

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
class Searches:
    """Open-set searches: what the best candidate came to, and for mated ones whether it was the right coin.

    ``coins`` and ``stranger_coins`` name whom each search was for, ``values`` are scores or probabilities.
    """

    coins: tuple[str, ...]
    values: Values
    right: npt.NDArray[np.bool_]
    stranger_coins: tuple[str, ...]
    stranger_values: Values


def fnir_at_fpir(searches: Searches, fpir: float) -> float:
    """FNIR at the lowest threshold whose FPIR is at most ``fpir``."""
    return _fnir(searches.values, searches.right, searches.stranger_values, fpir)


def _fnir(values: Values, right: npt.NDArray[np.bool_], strangers: Values, fpir: float) -> float:
    allowed = int(np.floor(fpir * len(strangers)))
    highest = np.sort(strangers)[::-1]
    # Anything above the first stranger that must not be returned: ties count against.
    returned = values > highest[allowed] if allowed < len(highest) else np.ones(len(values), bool)
    return float(1.0 - np.mean(returned & right))


def fnir_interval(searches: Searches, fpir: float, seed: int = 0) -> tuple[float, float]:
    """95 % interval of `fnir_at_fpir`, resampling coins with all their searches, mated and not."""
    mated, strangers = _by_coin(searches.coins), _by_coin(searches.stranger_coins)
    names = sorted(set(mated) | set(strangers))
    rng, found = np.random.default_rng(seed), []
    nothing = np.zeros(0, np.int64)
    for _ in range(_RESAMPLES // 2):
        drawn = [names[number] for number in rng.integers(0, len(names), len(names))]
        one = np.concatenate([mated.get(name, nothing) for name in drawn])
        other = np.concatenate([strangers.get(name, nothing) for name in drawn])
        if len(one) and len(other):
            found.append(_fnir(searches.values[one], searches.right[one], searches.stranger_values[other], fpir))
    low, high = np.percentile(found, [2.5, 97.5]) if found else (0.0, 1.0)
    return float(low), float(high)


def _by_coin(coins: Sequence[str]) -> dict[str, npt.NDArray[np.int64]]:
    rows: dict[str, list[int]] = {}
    for row, coin in enumerate(coins):
        rows.setdefault(coin, []).append(row)
    return {coin: np.array(each, np.int64) for coin, each in rows.items()}


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
    values: npt.NDArray[np.generic], coins: Sequence[str], seed: int = 0, resamples: int = 2 * _RESAMPLES
) -> tuple[float, float]:
    """95 % interval of a mean over pictures, resampling coins with all their pictures.

    Of the difference of two models on the same pictures it is the paired bootstrap.
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
