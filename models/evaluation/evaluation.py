"""How well coins are found again, on photographs of coins seen in several sessions.

The protocol `PROTOCOL`: the gallery is one image per coin, from its first session (sessions are ordered by name, as
text); queries are all images of its other sessions; candidates are coins of the query's type only, which are the hard
ones. Images of the first session itself are reported apart (``within_session_rank1``): they share its light.
Intervals are bootstrapped over coins, never over images.

The open-set figures are those of `models.evaluation.open_set`. Everything is done in blocks
(`models.evaluation.scores`): memory does not grow with the gallery's images.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from models.embedding.embedder import Embedder
from models.evaluation.measures import Reliability, Tally, interval_over_coins, tar_at_far
from models.evaluation.open_set import Searches, fnir_at_fpir, fnir_interval, search_open_set
from models.evaluation.samples import Sample, SampleCrops, split
from models.evaluation.scores import embed_in_blocks, score_all
from models.matching.grid import Scores
from models.matching.rotation import TURNS
from models.progress import Progress

PROTOCOL = "cross-session, one gallery image per coin, candidates of the same type"
FARS = (0.1, 0.01, 0.001)
FPIRS = (0.1, 0.01)


class EvaluationError(Exception):
    """The images given cannot be evaluated."""


@dataclass(frozen=True)
class Outcome:
    """The result of one query: the rank of its coin, the score of that, and the best other coin with its score."""

    name: str
    coin: str
    rank: int
    score: float
    rival: str
    rival_score: float


@dataclass(frozen=True)
class Curves:
    """What is drawn: shares found up to each rank; false and true accepts; FPIR and FNIR; reliability if fitted."""

    cmc: tuple[float, ...]
    far: tuple[float, ...]
    frr: tuple[float, ...]
    fpir: tuple[float, ...]
    fnir: tuple[float, ...]
    reliability: Reliability | None


@dataclass(frozen=True)
class Evaluation:
    """The figures. Shares are 0 to 1; None where the images do not admit the figure.

    ``pooled_rank1`` is the same by the shortlist's pooled features instead of the grid, ``rotation_invariant_rank1`` by
    one vector an image without any rotation search (the gallery's are means over turns); ``any_type_rank1`` with all
    coins for candidates; ``same_die_rank1`` with those of the same die only. TAR at FAR is over pairs of any type, and
    apart over pairs of one type.
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
    rotation_invariant_rank1: float
    rotation_invariant_rank1_interval95: tuple[float, float]
    within_session_rank1: float | None
    any_type_rank1: float
    same_die_rank1: float | None
    tar_at_far: Mapping[str, float | None]
    tar_at_far_same_type: Mapping[str, float | None]
    fnir_at_fpir: Mapping[str, float]
    fnir_at_fpir1_interval95: tuple[float, float]
    ece: float | None
    outcomes: tuple[Outcome, ...]
    curves: Curves

    def as_dict(self) -> dict[str, Any]:
        """The figures as plain data, for JSON; without the single outcomes and curves."""
        names = [field.name for field in fields(self) if field.name not in ("outcomes", "curves")]
        return {name: getattr(self, name) for name in names}


def evaluate(
    embedder: Embedder,
    samples: Sequence[Sample],
    *,
    turns: int = TURNS,
    seed: int = 0,
    on_progress: Progress | None = None,
) -> Evaluation:
    """Evaluate by the protocol of this module.

    Raises
    ------
    EvaluationError
        If no coin was seen in two sessions, or there is only one coin.
    """
    gallery, queries, within = split(samples)
    if not queries or len(gallery) < 2:
        raise EvaluationError(
            "evaluating takes at least two coins, and one of them seen in two sessions (placements). "
            "Import images with a label file that names coin and session."
        )
    features = embed_in_blocks(embedder, SampleCrops([*queries, *within]))
    matrices = score_all(embedder, features, SampleCrops(gallery), turns, on_progress)
    across, inside = slice(0, len(queries)), slice(len(queries), None)
    scores = matrices.grid[across]
    ranks = ranks_of_truth(scores, queries, gallery)
    own = ranks_of_truth(matrices.grid[inside], within, gallery) if within else None
    dies = Counter(sample.die for sample in gallery)
    hard = [row for row, query in enumerate(queries) if query.die and dies[query.die] > 1]
    hits = ranks == 1
    invariant_hits = ranks_of_truth(matrices.rotation_invariant[across], queries, gallery) == 1
    coins = [query.specimen or query.coin for query in queries]
    genuine, same, all_ = _pairs(scores, queries, gallery)
    searches, predicted = search_open_set(embedder, scores, queries, gallery, seed)
    return Evaluation(
        protocol=PROTOCOL,
        model=f"{embedder.name} {embedder.id}",
        rank1=float(np.mean(hits)),
        rank5=float(np.mean(ranks <= 5)),
        rank10=float(np.mean(ranks <= 10)),
        map=float(np.mean(1.0 / ranks)),  # one right entry per query: average precision is one over its rank
        queries=len(queries),
        labels=len(gallery),
        rank1_interval95=interval_over_coins(hits, coins, seed),
        pooled_rank1=float(np.mean(ranks_of_truth(matrices.pooled[across], queries, gallery) == 1)),
        rotation_invariant_rank1=float(np.mean(invariant_hits)),
        rotation_invariant_rank1_interval95=interval_over_coins(invariant_hits, coins, seed),
        within_session_rank1=None if own is None else float(np.mean(own == 1)),
        any_type_rank1=float(np.mean(ranks_of_truth(scores, queries, gallery, "any") == 1)),
        same_die_rank1=float(np.mean(ranks_of_truth(scores, queries, gallery, "die")[hard] == 1)) if hard else None,
        tar_at_far={f"{far:g}": tar_at_far(genuine, all_, far) for far in FARS},
        tar_at_far_same_type={f"{far:g}": tar_at_far(genuine, same, far) for far in FARS},
        fnir_at_fpir={f"{fpir:g}": fnir_at_fpir(searches, fpir) for fpir in FPIRS},
        fnir_at_fpir1_interval95=fnir_interval(searches, FPIRS[-1], seed),
        ece=predicted.ece if predicted else None,
        outcomes=_outcomes(scores, ranks, queries, gallery),
        curves=_curves(ranks, genuine, same, searches, predicted),
    )


def ranks_of_truth(
    scores: Scores, queries: Sequence[Sample], gallery: Sequence[Sample], candidates: str = "type"
) -> npt.NDArray[np.int64]:
    """Rank of the right coin among the candidates of its type (or ``die``, or ``any``), 1 the best; ties count against
    it."""
    columns: Mapping[str, int] = {sample.coin: column for column, sample in enumerate(gallery)}
    kinds = np.array([getattr(sample, candidates, "") for sample in gallery])
    ranks = np.empty(len(queries), np.int64)
    for row, query in enumerate(queries):
        among = scores[row, kinds == getattr(query, candidates, "")]
        ranks[row] = np.count_nonzero(among >= scores[row, columns[query.coin]])
    return ranks


def _pairs(
    scores: Scores, queries: Sequence[Sample], gallery: Sequence[Sample]
) -> tuple[npt.NDArray[np.float64], Tally, Tally]:
    """Scores of genuine pairs, and tallies of impostors of the same and of any type."""
    columns = {sample.coin: column for column, sample in enumerate(gallery)}
    types = np.array([sample.type for sample in gallery])
    genuine, same, all_ = np.empty(len(queries)), Tally(), Tally()
    for row, query in enumerate(queries):
        impostor = np.ones(len(gallery), bool)
        impostor[columns[query.coin]] = False
        genuine[row] = scores[row, columns[query.coin]]
        all_.add(scores[row, impostor])
        same.add(scores[row, impostor & (types == query.type)])
    return genuine, same, all_


def _outcomes(
    scores: Scores, ranks: npt.NDArray[np.int64], queries: Sequence[Sample], gallery: Sequence[Sample]
) -> tuple[Outcome, ...]:
    columns = {sample.coin: column for column, sample in enumerate(gallery)}
    types = np.array([sample.type for sample in gallery])
    outcomes = []
    for row, query in enumerate(queries):
        others = np.where(types == query.type, scores[row], -np.inf)
        own = columns[query.coin]
        others[own] = -np.inf
        rival = int(np.argmax(others))
        has_rival = bool(np.isfinite(others[rival]))
        outcomes.append(
            Outcome(
                query.name,
                query.coin,
                int(ranks[row]),
                float(scores[row, own]),
                gallery[rival].coin if has_rival else "",
                float(others[rival]) if has_rival else -1.0,
            )
        )
    return tuple(outcomes)


def _curves(
    ranks: npt.NDArray[np.int64],
    genuine: npt.NDArray[np.float64],
    impostors: Tally,
    searches: Searches,
    predicted: Reliability | None,
) -> Curves:
    thresholds = np.unique(np.quantile(genuine, np.linspace(0.0, 1.0, 101)))
    fpirs = np.unique(np.concatenate([np.geomspace(1.0 / len(searches.impostor_values), 1.0, 40), FPIRS]))
    return Curves(
        cmc=tuple(float(np.mean(ranks <= rank)) for rank in range(1, 21)),
        far=tuple(impostors.share_above(thresholds).tolist()),
        frr=tuple(float(np.mean(genuine < threshold)) for threshold in thresholds),
        fpir=tuple(fpirs.tolist()),
        fnir=tuple(fnir_at_fpir(searches, float(fpir)) for fpir in fpirs),
        reliability=predicted,
    )
