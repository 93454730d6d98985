"""How similar two coins are by their grids: the mean cosine of the cells that lie in the same place."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.embedding.embedder import disc

_CHUNK = 128

Scores = npt.NDArray[np.float32]


def compare(queries: npt.NDArray[np.float16], gallery: npt.NDArray[np.float16]) -> Scores:
    """Mean cosine over the coin's cells: (Q, C, h, w) against (G, C, h, w) gives (Q, G)."""
    left = cells_on_coin(queries)
    scores = np.empty((len(queries), len(gallery)), np.float32)
    for start in range(0, len(gallery), _CHUNK):
        scores[:, start : start + _CHUNK] = left @ cells_on_coin(gallery[start : start + _CHUNK]).T
    return scores


def cells_on_coin(grids: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Grids (N, C, h, w) as vectors (N, C * cells on the coin) whose inner product is the mean cosine of the cells."""
    inside = disc(grids.shape[-1]).ravel()
    cells = grids.reshape(len(grids), grids.shape[1], -1)[:, :, inside]
    return cells.reshape(len(grids), -1).astype(np.float32) / np.float32(np.sqrt(inside.sum()))
