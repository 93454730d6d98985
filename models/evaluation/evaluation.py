"""How well coins are found again, on photographs of coins seen in several sessions.

The protocol `PROTOCOL`: the gallery is one picture per coin, from its first session (sessions are ordered by name, as
text); queries are all pictures of its other sessions; candidates are coins of the query's type only, which are the hard
ones. Pictures of the first session itself are reported apart (``within_session_rank1``): they share its light.
Intervals are bootstrapped over coins, never over pictures.

For the open-set figures the coins are dealt into two halves; every query is once searched for with its own half in the
gallery (mated) and once with the other (non-mated). A search is judged by its calibrated probability where the model
has one, else by its score.

Everything is done in blocks (`models.evaluation.scores`): memory does not grow with the gallery's pictures.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedding.embedder import Embedder
from models.evaluation.measures import (
    Reliability,
    Searches,
    Tally,
    fnir_at_fpir,
    fnir_interval,
    interval_over_coins,
    reliability,
    tar_at_far,
)
from models.evaluation.scores import Scores, best_over_turns, embedded
from models.matching.grid import TURNS, Candidate
from models.matching.probability import Probability

PROTOCOL = "cross-session, one gallery picture per coin, candidates of the same type"
FARS = (0.1, 0.01, 0.001)
FPIRS = (0.1, 0.01)
MOST_CANDIDATES = 300  # of a search, as many as matching's shortlist has


class EvaluationError(Exception):
    """The pictures given cannot be evaluated."""


@dataclass(frozen=True)
class Sample:
    """One labelled picture: ``crop`` is normalised, or reads it when asked; ``name`` (file or hash) orders them.

    ``type`` and ``die`` are empty where unknown. Where ``coin`` names one side of a coin, ``specimen`` names the coin:
    intervals are over these.
    """

    name: str
    crop: Image | Callable[[], Image]
    coin: str
    session: str
    type: str = ""
    die: str = ""
    specimen: str = ""

    def picture(self) -> Image:
        """The crop itself."""
        return self.crop() if callable(self.crop) else self.crop


class Pictures(Sequence[Image]):
    """The crops of some samples, each read when it is asked for."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return [sample.picture() for sample in self._samples[place]]
        return self._samples[place].picture()


@dataclass(frozen=True)
class Outcome:
    """What came of one query: the rank of its coin, the score of that, and the best other coin with its score."""

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
    """What came out. Shares are 0 to 1; None where the pictures do not admit the figure.

    ``pooled_rank1`` is the same by the shortlist's pooled features instead of the grid, ``turnless_rank1`` by one
    vector a picture without any search over turns (the gallery's are means over turns); ``any_type_rank1`` with all
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
    turnless_rank1: float
    turnless_rank1_interval95: tuple[float, float]
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
        told = [field.name for field in fields(self) if field.name not in ("outcomes", "curves")]
        return {name: getattr(self, name) for name in told}


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
        Called with (steps done, steps).

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
    features = embedded(embedder, Pictures([*queries, *within]))
    scores, rough, turnless = best_over_turns(embedder, features, Pictures(gallery), turns, on_progress)
    across, inside = slice(0, len(queries)), slice(len(queries), None)
    ranks = ranks_of_truth(scores[across], queries, gallery)
    own = ranks_of_truth(scores[inside], within, gallery) if within else None
    dies = Counter(sample.die for sample in gallery)
    hard = [row for row, query in enumerate(queries) if query.die and dies[query.die] > 1]
    hits = ranks == 1
    hits_turnless = ranks_of_truth(turnless[across], queries, gallery) == 1
    coins = [query.specimen or query.coin for query in queries]
    genuine, same, all_ = _pairs(scores[across], queries, gallery)
    searches, predicted = _searches(embedder, scores[across], queries, gallery, seed)
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
        pooled_rank1=float(np.mean(ranks_of_truth(rough[across], queries, gallery) == 1)),
        turnless_rank1=float(np.mean(hits_turnless)),
        turnless_rank1_interval95=interval_over_coins(hits_turnless, coins, seed),
        within_session_rank1=None if own is None else float(np.mean(own == 1)),
        any_type_rank1=float(np.mean(ranks_of_truth(scores[across], queries, gallery, "any") == 1)),
        same_die_rank1=float(np.mean(ranks_of_truth(scores[across], queries, gallery, "die")[hard] == 1))
        if hard
        else None,
        tar_at_far={f"{far:g}": tar_at_far(genuine, all_, far) for far in FARS},
        tar_at_far_same_type={f"{far:g}": tar_at_far(genuine, same, far) for far in FARS},
        fnir_at_fpir={f"{fpir:g}": fnir_at_fpir(searches, fpir) for fpir in FPIRS},
        fnir_at_fpir1_interval95=fnir_interval(searches, FPIRS[-1], seed),
        ece=predicted.ece if predicted else None,
        outcomes=_outcomes(scores[across], ranks, queries, gallery),
        curves=_curves(ranks, genuine, same, searches, predicted),
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


def _searches(
    embedder: Embedder, scores: Scores, queries: Sequence[Sample], gallery: Sequence[Sample], seed: int
) -> tuple[Searches, Reliability | None]:
    """Every query against the half of the gallery that has its coin, and against the other half."""
    probability = Probability.from_card(embedder.card) if "probability" in embedder.card else None
    half = np.random.default_rng(seed).permutation(len(gallery)) % 2 == 0
    of_coin = {sample.coin: half[column] for column, sample in enumerate(gallery)}
    types = np.array([sample.type for sample in gallery])
    found: dict[bool, list[tuple[str, float, bool]]] = {True: [], False: []}
    for row, query in enumerate(queries):
        for mated in (True, False):
            among = np.flatnonzero((types == query.type) & (half == (of_coin[query.coin] == mated)))
            if len(among) == 0:
                continue
            order = among[np.argsort(-scores[row, among], kind="stable")][:MOST_CANDIDATES]
            value = float(scores[row, order[0]])
            if probability is not None:
                value = probability.of([Candidate(gallery[n].coin, float(scores[row, n])) for n in order])[0]
            found[mated].append((query.specimen or query.coin, value, gallery[order[0]].coin == query.coin))
    coins, values, right = zip(*found[True], strict=True)
    strangers = found[False] or [("", -math.inf, False)]  # every type has one coin: nothing to be mistaken for
    searches = Searches(
        coins,
        np.array(values),
        np.array(right),
        tuple(coin for coin, _, _ in strangers),
        np.array([value for _, value, _ in strangers]),
    )
    if probability is None:
        return searches, None
    told = np.array([value for _, value, _ in [*found[True], *found[False]]])
    truth = np.array([hit for _, _, hit in [*found[True], *found[False]]])
    return searches, reliability(told, truth)


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
    fpirs = np.unique(np.concatenate([np.geomspace(1.0 / len(searches.stranger_values), 1.0, 40), FPIRS]))
    return Curves(
        cmc=tuple(float(np.mean(ranks <= rank)) for rank in range(1, 21)),
        far=tuple(impostors.share_above(thresholds).tolist()),
        frr=tuple(float(np.mean(genuine < threshold)) for threshold in thresholds),
        fpir=tuple(fpirs.tolist()),
        fnir=tuple(fnir_at_fpir(searches, float(fpir)) for fpir in fpirs),
        reliability=predicted,
    )
