"""Rankings of one query as the matcher gives them, with the first candidates verified, from matrices of scores.

What `models.matching.matcher` does for one query and one catalogue is done here for one query and several catalogues:
all candidates of its type, and each half of an open-set search. An entry is embedded once for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedding.embedder import Embedder, Features
from models.evaluation.samples import Sample
from models.evaluation.scores import ScoreMatrices
from models.matching.fusion import ScoredCoin, rank_key
from models.matching.grid import Scores
from models.matching.rotation import turn_crop
from models.matching.verification import FINE_TURNS_DEG, LEAST_OTHERS, OTHERS, VERIFIED, Grid, surface_scores
from models.progress import Progress

MOST_CANDIDATES = 300  # of a search, as many as matching's shortlist has
_CROPS_HELD = 2048


@dataclass(frozen=True)
class Rankings:
    """Candidates of each query, the best first: all of its type; those in the half of the gallery that has its coin,
    and those in the other. Empty where there are none."""

    of_type: tuple[tuple[ScoredCoin, ...], ...]
    mated: tuple[tuple[ScoredCoin, ...], ...]
    unmated: tuple[tuple[ScoredCoin, ...], ...]


def rank_all(
    embedder: Embedder,
    features: Features,
    matrices: ScoreMatrices,
    queries: Sequence[Sample],
    gallery: Sequence[Sample],
    half: npt.NDArray[np.bool_],
    *,
    verify: bool,
    on_progress: Progress | None = None,
) -> Rankings:
    """Rank the gallery for every query.

    Parameters
    ----------
    features, matrices
        Whose first rows are of the queries.
    half
        In which of two halves each image of the gallery is.
    """

    @lru_cache(maxsize=_CROPS_HELD)
    def read_crop(column: int) -> Image:
        return gallery[column].read()

    types = np.array([sample.type for sample in gallery])
    columns = {sample.coin: column for column, sample in enumerate(gallery)}
    ranked: list[list[tuple[ScoredCoin, ...]]] = [[], [], []]
    for row, query in enumerate(queries):
        ranker = QueryRanker(
            embedder,
            features.grid[row],
            gallery,
            matrices.grid[row],
            matrices.turns_deg[row],
            read_crop if verify else None,
        )
        of_type, own = types == query.type, half == half[columns[query.coin]]
        for found, among in zip(ranked, (of_type, of_type & own, of_type & ~own), strict=True):
            found.append(tuple(ranker.rank(np.flatnonzero(among))))
        if on_progress is not None:
            on_progress(row + 1, len(queries))
    return Rankings(*(tuple(each) for each in ranked))


class QueryRanker:
    """Ranks the gallery for one query.

    Parameters
    ----------
    query
        Its grid (C, h, w).
    scores, turns_deg
        Of the query with each gallery image (`models.evaluation.scores.ScoreMatrices`).
    read_crop
        Gives the crop of a column of the gallery; None to rank by score alone.
    """

    def __init__(
        self,
        embedder: Embedder,
        query: Grid,
        gallery: Sequence[Sample],
        scores: Scores,
        turns_deg: Scores,
        read_crop: Callable[[int], Image] | None,
    ) -> None:
        self._embedder = embedder
        self._query = query
        self._gallery = gallery
        self._scores = scores
        self._turns_deg = turns_deg
        self._read_crop = read_crop
        self._embedded: dict[tuple[int, float], Grid] = {}

    def rank(self, among: npt.NDArray[np.int64]) -> list[ScoredCoin]:
        """The coins of some columns of the gallery, the best first."""
        order = among[np.argsort(-self._scores[among], kind="stable")][:MOST_CANDIDATES]
        first, rest = order[:VERIFIED], order[VERIFIED : VERIFIED + OTHERS]
        surfaces: dict[int, float] = {}
        if self._read_crop is not None and len(rest) >= LEAST_OTHERS:
            surfaces = dict(zip(first.tolist(), self._surfaces(first, rest), strict=True))
        found = []
        for column in order.tolist():
            score = float(self._scores[column])
            surface = (surfaces[column],) if column in surfaces else ()
            found.append(ScoredCoin(self._gallery[column].coin, score, side_scores=(score,), surfaces=surface))
        return sorted(found, key=rank_key)

    def _surfaces(self, first: npt.NDArray[np.int64], rest: npt.NDArray[np.int64]) -> list[float]:
        fine = [(column, fine_deg) for column in first.tolist() for fine_deg in FINE_TURNS_DEG]
        others = [(column, 0.0) for column in rest.tolist()]
        self._embed([each for each in (*fine, *others) if each not in self._embedded])
        candidates = np.stack([self._embedded[each] for each in fine])
        return surface_scores(
            self._query,
            candidates.reshape(len(first), len(FINE_TURNS_DEG), *self._query.shape),
            np.stack([self._embedded[each] for each in others]),
        )

    def _embed(self, wanted: Sequence[tuple[int, float]]) -> None:
        assert self._read_crop is not None
        crops = [turn_crop(self._read_crop(column), self._turns_deg[column] + fine_deg) for column, fine_deg in wanted]
        if crops:
            self._embedded |= dict(zip(wanted, self._embedder.embed(crops).grid, strict=True))
