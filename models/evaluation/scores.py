"""Similarity of queries and a gallery, in blocks: so that a gallery of a million images fits in memory.

The gallery's grids are never held: a block of its images is embedded at every turn, compared with all queries, and let
go. It is turned instead of each query: the same rotation search, and much cheaper when queries outnumber coins. What is
kept of all queries (their features) and of queries times gallery (three scores of four bytes each) lies on disk where
it is much, in the folder that `tempfile` finds (``$TMPDIR``).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedding.embedder import Embedder, Features, rotation_invariant_share
from models.evaluation.measures import blocks
from models.matching.grid import Scores, cells_on_coin
from models.matching.rotation import TURNS, embed_turned
from models.progress import Progress

_BLOCK = 256  # images embedded and compared at a time
_IN_MEMORY = 1 << 28  # bytes of an array above which it lies on disk


@dataclass(frozen=True)
class ScoreMatrices:
    """Similarities of Q queries and a gallery of G images, each (Q, G) float32.

    Attributes
    ----------
    grid
        Cell by cell at the best turn, with the rotation-invariant part: what `models.matching.matcher` gives.
    pooled
        By pooled features, the best over all turns of the gallery.
    rotation_invariant
        By the gallery's mean over all turns alone.
    """

    grid: Scores
    pooled: Scores
    rotation_invariant: Scores


def embed_in_blocks(embedder: Embedder, crops: Sequence[Image]) -> Features:
    """Features of many crops, each read when its turn comes."""
    nothing = embedder.embed([])
    pooled = _room((len(crops), *nothing.pooled.shape[1:]), np.float32)
    grid = _room((len(crops), *nothing.grid.shape[1:]), np.float16)
    for block in blocks(len(crops), _BLOCK):
        part = embedder.embed(crops[block])
        pooled[block], grid[block] = part.pooled, part.grid
    return Features(pooled, grid)


def score_all(
    embedder: Embedder,
    queries: Features,
    gallery: Sequence[Image],
    turns: int = TURNS,
    on_progress: Progress | None = None,
) -> ScoreMatrices:
    """Compare every query with every image of the gallery, at the best of so many turns."""
    best, rough, invariant = (_room((len(queries.grid), len(gallery)), np.float32) for _ in range(3))
    rows = list(blocks(len(queries.grid), _BLOCK))
    for row in rows:
        best[row] = rough[row] = -np.inf
    share = rotation_invariant_share(embedder.card)
    columns = list(blocks(len(gallery), _BLOCK))
    for number, column in enumerate(columns):
        crops = [gallery[place] for place in range(column.start, column.stop)]
        total: npt.NDArray[np.float32] = np.zeros(1, np.float32)
        for step, turned in enumerate(embed_turned(embedder, crops, turns)):
            against = cells_on_coin(turned.grid).T
            total = total + against
            for row in rows:
                np.maximum(best[row, column], cells_on_coin(queries.grid[row]) @ against, out=best[row, column])
                np.maximum(rough[row, column], queries.pooled[row] @ turned.pooled.T, out=rough[row, column])
            if on_progress is not None:
                on_progress(number * turns + step + 1, len(columns) * turns)
        total = total / np.linalg.norm(total, axis=0)
        for row in rows:
            invariant[row, column] = cells_on_coin(queries.grid[row]) @ total
            best[row, column] = (1.0 - share) * best[row, column] + share * invariant[row, column]
    return ScoreMatrices(best, rough, invariant)


def _room(shape: tuple[int, ...], number: type[np.floating[Any]]) -> npt.NDArray[Any]:
    """Room for so many numbers, on disk where it is much."""
    if math.prod(shape) * np.dtype(number).itemsize <= _IN_MEMORY:
        return np.empty(shape, number)
    with tempfile.TemporaryFile() as file:  # stays until the map is let go
        return np.memmap(file, number, "w+", shape=shape)
