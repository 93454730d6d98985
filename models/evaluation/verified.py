"""How well coins are found with everything that identification does: the search, and the first few verified.

That takes a second or two a query, so that some are drawn. Each is searched for among the gallery's images of its type,
as `rig identify` searches a catalogue, with its coin there and without.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from models.embedding.embedder import Embedder
from models.evaluation.measures import interval_over_coins, reliability
from models.evaluation.open_set import Searches, fnir_at_fpir, fnir_interval
from models.evaluation.samples import Sample, split
from models.matching.entries import embed_entries
from models.matching.faiss_index import FaissIndex
from models.matching.fusion import Hit, fuse
from models.matching.gallery import GalleryEntry, Where
from models.matching.matcher import CoinMatcher, Match
from models.matching.probability import MATCH_PROBABILITY, Probability
from models.matching.views import View
from models.progress import Progress

STAGES = ("search", "verified")
_FPIRS = (0.1, 0.01)


@dataclass(frozen=True)
class StageFigures:
    """The figures after one stage. Shares are 0 to 1; intervals are 95 %, over coins.

    ``matched`` are queries that end in a match with their coin, ``misnamed`` those that end in one with another though
    their coin is not in the gallery.
    """

    rank1: float
    rank1_interval95: tuple[float, float]
    matched: float
    misnamed: float
    fnir_at_fpir: Mapping[str, float]
    fnir_at_fpir1_interval95: tuple[float, float]
    ece: float


@dataclass(frozen=True)
class VerifiedEvaluation:
    """How many queries of how many coins were drawn, and the figures after each of `STAGES`."""

    queries: int
    coins: int
    stages: Mapping[str, StageFigures]

    def as_dict(self) -> dict[str, Any]:
        """As plain data, for JSON."""
        stages = {name: asdict(figures) for name, figures in self.stages.items()}
        return {"queries": self.queries, "coins": self.coins, **stages}


@dataclass(frozen=True)
class _Answer:
    """The best candidate's probability, and whether it is the coin."""

    probability: float
    is_right: bool


def evaluate_verified(
    embedder: Embedder, samples: Sequence[Sample], count: int, seed: int = 0, on_progress: Progress | None = None
) -> VerifiedEvaluation:
    """Identify so many queries, drawn at random, of samples of coins seen in several sessions.

    Raises
    ------
    KeyError
        If the embedder has no fitted probability.
    """
    gallery, queries, _ = split(samples)
    probability = Probability.from_card(embedder.card)
    index = FaissIndex(embedder.id)
    entries = [GalleryEntry(str(place), each.coin, sale=_of_type(each)) for place, each in enumerate(gallery)]
    index.add(entries, embed_entries(embedder, [each.read() for each in gallery]))
    matcher = CoinMatcher(embedder, index, read_crop=lambda entry: gallery[int(entry)].read())
    chosen = [queries[place] for place in np.random.default_rng(seed).permutation(len(queries))[:count]]
    answers: dict[tuple[str, bool], list[_Answer]] = {(stage, there): [] for stage in STAGES for there in (True, False)}
    for number, query in enumerate(chosen):
        if on_progress is not None:
            on_progress(number, len(chosen))
        views = [View(query.read())]
        (found,) = matcher.search(views, Where(sales=(_of_type(query),)))
        for is_there in (True, False):
            hits = {coin: hit for coin, hit in found.items() if is_there or coin != query.coin}
            for stage, match in zip(STAGES, _identify(matcher, views, hits, probability), strict=True):
                answer = _Answer(match.probability, match.scored.coin == query.coin) if match else _Answer(0.0, False)
                answers[stage, is_there].append(answer)
    if on_progress is not None:
        on_progress(len(chosen), len(chosen))
    coins = [query.specimen or query.coin for query in chosen]
    stages = {stage: _figures(coins, answers[stage, True], answers[stage, False], seed) for stage in STAGES}
    return VerifiedEvaluation(len(chosen), len(set(coins)), stages)


def _of_type(sample: Sample) -> str:
    """What the index filters by in the place of a sale: candidates are of the query's type."""
    return f"type {sample.type}"


def _identify(
    matcher: CoinMatcher, views: Sequence[View], hits: Mapping[str, Hit], probability: Probability
) -> tuple[Match | None, Match | None]:
    """The best candidate by the search, and once the first few were verified; None where nothing is found."""
    ranked = fuse([hits])
    if not ranked:
        return None, None
    chances = probability.of(ranked)
    matches = [Match(each, each.entries[0], chance) for each, chance in zip(ranked, chances, strict=True)]
    return matches[0], matcher.verify(views, [hits], matches)[0]


def _figures(coins: Sequence[str], mated: Sequence[_Answer], unmated: Sequence[_Answer], seed: int) -> StageFigures:
    right = np.array([each.is_right for each in mated])
    chances, others = (np.array([each.probability for each in answers]) for answers in (mated, unmated))
    searches = Searches(tuple(coins), chances, right, tuple(coins), others)
    return StageFigures(
        rank1=float(right.mean()),
        rank1_interval95=interval_over_coins(right, coins, seed),
        matched=float((right & (chances >= MATCH_PROBABILITY)).mean()),
        misnamed=float((others >= MATCH_PROBABILITY).mean()),
        fnir_at_fpir={f"{fpir:g}": fnir_at_fpir(searches, fpir) for fpir in _FPIRS},
        fnir_at_fpir1_interval95=fnir_interval(searches, _FPIRS[-1], seed),
        ece=reliability(np.append(chances, others), np.append(right, np.zeros(len(others), bool))).ece,
    )
