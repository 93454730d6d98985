"""The exact explanation: parts of the score that pairs of cells contribute, less what coins in general have there.

The score is a sum over pairs of cells: of a truncated network, each cell of one coin with the cell in the same place on
the other; of a base network, whose score is the cosine of two means, every cell with every cell. With a the cell of one
coin, b of the other, and m and n the mean cells in those places over some other coins (the reference):

    a·b = (a - m)·(b - n)  +  (a·n + m·b - m·n)
          evidence            common
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from calibration.image import Image
from models.embedding.embedder import Embedder, Features, disc
from models.explanation.last_map import is_base, last_map, network_of, no_place_error
from models.matching.entries import embed_entries
from models.matching.grid import compare

Cells = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellParts:
    """The score as parts of pairs of cells.

    Attributes
    ----------
    parts
        (cells, cells): what each cell of the first contributes with each cell of the second, in units of the score.
    paired
        Cells of the first, and of the second, that are paired at all.
    common
        What coins in general have in common in the same places; with all parts it sums to ``score``.
    """

    score: float
    parts: Cells
    paired: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
    common: float


def split_score(embedder: Embedder, upright: Image, second: Image, reference: Sequence[Image]) -> CellParts:
    """Split the score of two crops, the first turned to fit the second, into parts of cells."""
    a, usual_a = _cells(embedder, [upright, *reference], embedder.embed)
    b, usual_b = _cells(embedder, [second, *reference], lambda crops: embed_entries(embedder, crops))
    if is_base(embedder):
        scale = 1.0 / (np.linalg.norm(a.sum(axis=0)) * np.linalg.norm(b.sum(axis=0)))
        score = float(a.mean(axis=0) @ b.mean(axis=0))
        score /= float(np.linalg.norm(a.mean(axis=0)) * np.linalg.norm(b.mean(axis=0)))
        parts = (a - usual_a) @ (b - usual_b).T * scale
        whole_a, whole_b = usual_a.sum(axis=0), usual_b.sum(axis=0)
        common = float((a.sum(axis=0) @ whole_b + whole_a @ b.sum(axis=0) - whole_a @ whole_b) * scale)
        rows, columns = (index.ravel() for index in np.indices(parts.shape))
        return CellParts(score, parts, (rows, columns), common)
    side = round(len(a) ** 0.5)
    inside = disc(side).ravel()
    score = float(compare(_as_grid(a, side), _as_grid(b, side))[0, 0])
    parts = np.diag(np.where(inside, np.sum((a - usual_a) * (b - usual_b), axis=1), 0.0) / inside.sum())
    common = float(np.sum((a * usual_b + usual_a * b - usual_a * usual_b)[inside]) / inside.sum())
    cells = np.flatnonzero(inside)
    return CellParts(score, parts, (cells, cells), common)


def _cells(
    embedder: Embedder, crops: Sequence[Image], embed: Callable[[Sequence[Image]], Features]
) -> tuple[Cells, Cells]:
    """The very cells the score is made of, (cells, C): of the first crop, and the mean of the others (0 without any).

    Of a base network they are those of its last map.
    """
    cells = _cells_of_all(embedder, crops, embed)
    return cells[0], cells[1:].mean(axis=0) if len(cells) > 1 else np.zeros_like(cells[0])


def _cells_of_all(embedder: Embedder, crops: Sequence[Image], embed: Callable[[Sequence[Image]], Features]) -> Cells:
    if not is_base(embedder):
        grid = embed(crops).grid
        if grid.shape[-1] == 1:
            raise no_place_error(embedder)
        return grid.reshape(len(grid), grid.shape[1], -1).transpose(0, 2, 1).astype(np.float64)
    with torch.inference_mode():
        maps = [last_map(embedder, crop)[1] for crop in crops]
        projected = torch.cat([network_of(embedder).projection(each) for each in maps])
    return projected.flatten(2).permute(0, 2, 1).double().numpy()


def _as_grid(cells: Cells, side: int) -> npt.NDArray[np.float16]:
    return cells.T.reshape(1, -1, side, side).astype(np.float16)
