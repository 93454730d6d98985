"""How well coins are found again, on photographs of coins seen in several sessions.

The protocol `PROTOCOL`: the gallery is one picture per coin, from its first session (sessions are ordered by name, as
text); queries are all pictures of its other sessions; candidates are coins of the query's type only. Pictures of the
first session itself are reported apart (``within_session_rank1``): they share its light. Intervals are bootstrapped
over coins, never over pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedder import Embedder, Features
from models.matching import TURNS, cells_on_coin, turn_crop

PROTOCOL = "cross-session, one gallery picture per coin, candidates of the same type"
_RESAMPLES = 2000


class EvaluationError(Exception):
    """The pictures given cannot be evaluated."""


@dataclass(frozen=True)
class Sample:
    """One labelled picture: ``crop`` is normalised, ``name`` its file or hash, which orders them."""

    name: str
    crop: Image
    coin: str
    session: str
    type: str = ""


@dataclass(frozen=True)
class Evaluation:
    """What came out. Shares are 0 to 1; ``within_session_rank1`` is None without such pictures.

    ``pooled_rank1`` is the same by the shortlist's pooled features instead of the grid.
    """

    protocol: str
    model: str
    rank1: float
    rank5: float
    rank10: float
    map: float
    queries: int
    labels: int
    rank1_interval95: tuple[float, float]
    pooled_rank1: float
    within_session_rank1: float | None

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        return asdict(self)


def evaluate(
    embedder: Embedder,
    samples: Sequence[Sample],
    *,
    turns: int = TURNS,
    seed: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Evaluate by the protocol of this module.

    The gallery is turned instead of each query: the same search, and much cheaper when queries outnumber coins.

    Parameters
    ----------
    on_progress
        Called with (turns done, turns).

    Raises
    ------
    EvaluationError
        If no coin was seen in two sessions, or there is only one coin.
    """
    gallery, queries, within = split(samples)
    if not queries or len(gallery) < 2:
        raise EvaluationError(
            "evaluating takes at least two coins, and one of them seen in two sessions (placements). "
            "Import pictures with a label file that names coin and session."
        )
    asked = [*queries, *within]
    features = embedder.embed([sample.crop for sample in asked])
    scores, rough = best_over_turns(embedder, features, [sample.crop for sample in gallery], turns, on_progress)
    across, inside = slice(0, len(queries)), slice(len(queries), None)
    ranks = ranks_of_truth(scores[across], queries, gallery)
    pooled = ranks_of_truth(rough[across], queries, gallery)
    own = ranks_of_truth(scores[inside], within, gallery) if within else None
    hits = ranks == 1
    return Evaluation(
        protocol=PROTOCOL,
        model=f"{embedder.name} {embedder.id}",
        rank1=float(np.mean(hits)),
        rank5=float(np.mean(ranks <= 5)),
        rank10=float(np.mean(ranks <= 10)),
        map=float(np.mean(1.0 / ranks)),  # one right entry per query: average precision is one over its rank
        queries=len(queries),
        labels=len(gallery),
        rank1_interval95=interval_over_coins(hits, [sample.coin for sample in queries], seed),
        pooled_rank1=float(np.mean(pooled == 1)),
        within_session_rank1=None if own is None else float(np.mean(own == 1)),
    )


def split(samples: Sequence[Sample]) -> tuple[list[Sample], list[Sample], list[Sample]]:
    """Gallery, queries of other sessions, and the remaining pictures of the first session."""
    by_coin: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: (sample.session, sample.name)):
        by_coin.setdefault(sample.coin, []).append(sample)
    gallery: list[Sample] = []
    queries: list[Sample] = []
    within: list[Sample] = []
    for coin in sorted(by_coin):
        first, *others = by_coin[coin]
        gallery.append(first)
        for sample in others:
            (within if sample.session == first.session else queries).append(sample)
    return gallery, queries, within


def best_over_turns(
    embedder: Embedder,
    queries: Features,
    gallery: Sequence[Image],
    turns: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Best score over all turns of the gallery by grid and by pooled features, (queries, gallery) each."""
    best = np.full((len(queries.grid), len(gallery)), -np.inf, np.float32)
    rough = best.copy()
    asked = cells_on_coin(queries.grid)
    for step in range(turns):
        turned = embedder.embed([turn_crop(crop, 360.0 * step / turns) for crop in gallery])
        np.maximum(best, asked @ cells_on_coin(turned.grid).T, out=best)
        np.maximum(rough, queries.pooled @ turned.pooled.T, out=rough)
        if on_progress is not None:
            on_progress(step + 1, turns)
    return best, rough


def ranks_of_truth(
    scores: npt.NDArray[np.float32], queries: Sequence[Sample], gallery: Sequence[Sample]
) -> npt.NDArray[np.int64]:
    """Rank of the right coin among the candidates of its type, 1 the best; ties count against it."""
    columns: Mapping[str, int] = {sample.coin: column for column, sample in enumerate(gallery)}
    types = np.array([sample.type for sample in gallery])
    ranks = np.empty(len(queries), np.int64)
    for row, query in enumerate(queries):
        candidates = scores[row, types == query.type]
        ranks[row] = np.count_nonzero(candidates >= scores[row, columns[query.coin]])
    return ranks


def interval_over_coins(hits: npt.NDArray[np.bool_], coins: Sequence[str], seed: int = 0) -> tuple[float, float]:
    """95 % interval of the share of hits, resampling coins with all their pictures."""
    names, where = np.unique(np.asarray(coins), return_inverse=True)
    right = np.bincount(where, weights=hits, minlength=len(names))
    seen = np.bincount(where, minlength=len(names))
    drawn = np.random.default_rng(seed).integers(0, len(names), (_RESAMPLES, len(names)))
    shares = right[drawn].sum(axis=1) / seen[drawn].sum(axis=1)
    low, high = np.percentile(shares, [2.5, 97.5])
    return float(low), float(high)
