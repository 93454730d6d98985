"""How alike queries and a gallery are, in blocks: so that a gallery of a million pictures fits in memory.

The gallery's grids are never held: a block of its pictures is embedded at every turn, compared with all queries, and
let go. What is kept of all queries (their features) and of queries times gallery (three scores of four bytes each) lies
on disk where it is much, in the folder that `tempfile` finds (``$TMPDIR``).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedding.embedder import Embedder, Features
from models.evaluation.measures import blocks
from models.matching.grid import cells_on_coin, turn_crop, turnless_share

_BLOCK = 256  # pictures embedded and compared at a time
_IN_MEMORY = 1 << 28  # bytes of an array above which it lies on disk

Scores = npt.NDArray[np.float32]


def embedded(embedder: Embedder, pictures: Sequence[Image]) -> Features:
    """Features of many pictures, each read when its turn comes."""
    nothing = embedder.embed([])
    pooled = _room((len(pictures), *nothing.pooled.shape[1:]), np.float32)
    grid = _room((len(pictures), *nothing.grid.shape[1:]), np.float16)
    for block in blocks(len(pictures), _BLOCK):
        part = embedder.embed(pictures[block])
        pooled[block], grid[block] = part.pooled, part.grid
    return Features(pooled, grid)


def best_over_turns(
    embedder: Embedder,
    queries: Features,
    gallery: Sequence[Image],
    turns: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[Scores, Scores, Scores]:
    """Scores (queries, gallery) by grid, by pooled features and by the gallery's turnless part.

    The first is what `models.matching.grid.match` gives; the second is the best over all turns of the gallery.
    """
    best, rough, turnless = (_room((len(queries.grid), len(gallery)), np.float32) for _ in range(3))
    for row in blocks(len(queries.grid), _BLOCK):
        best[row] = rough[row] = -np.inf
    share = turnless_share(embedder)
    columns = list(blocks(len(gallery), _BLOCK))
    for number, column in enumerate(columns):
        crops = [gallery[place] for place in range(column.start, column.stop)]
        total: Scores | None = None
        for step in range(turns):
            turned = embedder.embed([turn_crop(crop, 360.0 * step / turns) for crop in crops])
            against = cells_on_coin(turned.grid).T
            total = against if total is None else total + against
            for row in blocks(len(queries.grid), _BLOCK):
                np.maximum(best[row, column], cells_on_coin(queries.grid[row]) @ against, out=best[row, column])
                np.maximum(rough[row, column], queries.pooled[row] @ turned.pooled.T, out=rough[row, column])
            if on_progress is not None:
                on_progress(number * turns + step + 1, len(columns) * turns)
        assert total is not None
        total = total / np.linalg.norm(total, axis=0)
        for row in blocks(len(queries.grid), _BLOCK):
            turnless[row, column] = cells_on_coin(queries.grid[row]) @ total
            best[row, column] = (1.0 - share) * best[row, column] + share * turnless[row, column]
    return best, rough, turnless


def _room(shape: tuple[int, ...], number: type[np.floating[Any]]) -> npt.NDArray[Any]:
    """Room for so many numbers, on disk where it is much."""
    if math.prod(shape) * np.dtype(number).itemsize <= _IN_MEMORY:
        return np.empty(shape, number)
    with tempfile.TemporaryFile() as file:  # stays until the map is let go
        return np.memmap(file, number, "w+", shape=shape)
