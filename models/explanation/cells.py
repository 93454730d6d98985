"""The exact explanation: parts of the score that pairs of cells contribute, less what coins in general have there.

The score is a sum over pairs of cells: of a truncated network, each cell of one coin with the cell in the same place on
the other; of a base network, whose score is the cosine of two means, every cell with every cell. With a the cell of one
coin, b of the other, and m and n the mean cells in those places over some other coins (the reference):

    a·b = (a - m)·(b - n)  +  (a·n + m·b - m·n)
          evidence            common

How strong an argument a part is, its size alone does not say. Of a truncated network the deviations are whitened (W:
the inverse of their covariance over the reference), as the likelihood ratio of two Gaussians that share a mean would
have it; divided by how much two coins of the reference differ from each other there; and averaged over the cells
around, since a cell sees well beyond its own edge and what is new on a coin is seen by several:

    strength = blur((a - m)·W·(b - n) / usual)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from calibration.image import Image
from models.embedding.embedder import Embedder, Features, disc
from models.explanation.last_map import is_base, last_map, network_of, no_place_error
from models.matching.entries import embed_entries
from models.matching.grid import compare

Cells = npt.NDArray[np.float64]
Grids = npt.NDArray[np.float16]
_Embed = Callable[[Sequence[Image]], Features]
_RIDGE = 0.1  # of the mean variance: the reference is of few coins
_FLAT = 0.3  # of the mean over the coin: where the reference hardly differs, little would be much
_SEEN_CELLS = 0.85  # how far around itself a cell sees: standard deviation


@dataclass(frozen=True)
class CellParts:
    """The score as parts of pairs of cells.

    Attributes
    ----------
    parts
        (cells, cells): what each cell of the first contributes with each cell of the second, in units of the score.
    strengths
        (cells, cells): how strong an argument each part is for one coin; below 0 against it. Of a base network the
        parts themselves.
    paired
        Cells of the first, and of the second, that are paired at all.
    common
        What coins in general have in common in the same places; with all parts it sums to ``score``.
    """

    score: float
    parts: Cells
    strengths: Cells
    paired: tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]
    common: float


@dataclass(frozen=True)
class UsualCells:
    """Cells of other coins. What these have too is no evidence.

    Attributes
    ----------
    first, second
        (cells, C): their mean, of what is searched for and of entries.
    whiten
        (C, C): the inverse covariance of the cells on the coin about these means; the identity of a base network.
    differs
        (cells,): how much two of the coins differ in each place, whitened; 1 of a base network.
    """

    first: Cells
    second: Cells
    whiten: Cells
    differs: Cells

    @classmethod
    def of(cls, embedder: Embedder, reference: Sequence[Image], grids: Grids | None = None) -> UsualCells | None:
        """The mean cells of some crops; None without any.

        Parameters
        ----------
        grids
            Of these crops as entries of a catalogue, from its index, which saves embedding them.
        """
        if not reference:
            return None
        as_first, as_entries = _embeds(embedder)
        first = _cells(embedder, reference, as_first)
        if grids is None or is_base(embedder):
            second = _cells(embedder, reference, as_entries)
        else:
            second = _cells_of_grids(embedder, grids)
        whiten, differs = (
            (np.eye(first.shape[2]), np.ones(first.shape[1])) if is_base(embedder) else _usual(first, second)
        )
        return cls(first.mean(axis=0), second.mean(axis=0), whiten, differs)


def split_score(embedder: Embedder, upright: Image, second: Image, usual: UsualCells | None) -> CellParts:
    """Split the score of two crops, the first turned to fit the second, into parts of cells."""
    embed_first, embed_second = _embeds(embedder)
    a, b = _cells(embedder, [upright], embed_first)[0], _cells(embedder, [second], embed_second)[0]
    usual = usual or UsualCells(np.zeros_like(a), np.zeros_like(b), np.eye(a.shape[1]), np.ones(len(a)))
    usual_a, usual_b = usual.first, usual.second
    if is_base(embedder):
        scale = 1.0 / (np.linalg.norm(a.sum(axis=0)) * np.linalg.norm(b.sum(axis=0)))
        score = float(a.mean(axis=0) @ b.mean(axis=0))
        score /= float(np.linalg.norm(a.mean(axis=0)) * np.linalg.norm(b.mean(axis=0)))
        parts = (a - usual_a) @ (b - usual_b).T * scale
        whole_a, whole_b = usual_a.sum(axis=0), usual_b.sum(axis=0)
        common = float((a.sum(axis=0) @ whole_b + whole_a @ b.sum(axis=0) - whole_a @ whole_b) * scale)
        rows, columns = (index.ravel() for index in np.indices(parts.shape))
        return CellParts(score, parts, parts, (rows, columns), common)
    side = round(len(a) ** 0.5)
    inside = disc(side).ravel()
    score = float(compare(_as_grid(a, side), _as_grid(b, side))[0, 0])
    parts = np.diag(np.where(inside, np.sum((a - usual_a) * (b - usual_b), axis=1), 0.0) / inside.sum())
    common = float(np.sum((a * usual_b + usual_a * b - usual_a * usual_b)[inside]) / inside.sum())
    cells = np.flatnonzero(inside)
    strengths = np.diag(_strengths(a, b, usual).reshape(-1))
    return CellParts(score, parts, strengths, (cells, cells), common)


def _usual(first: Cells, second: Cells) -> tuple[Cells, Cells]:
    """What whitens the cells of some coins (N, cells, C), and how much two of them differ in each place."""
    inside = disc(round(first.shape[1] ** 0.5)).ravel()
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    on_coin = np.concatenate([first[:, inside], second[:, inside]]).reshape(-1, first.shape[2])
    covariance = on_coin.T @ on_coin / len(on_coin)
    width = len(covariance)
    whiten = np.linalg.inv(covariance + (_RIDGE * np.trace(covariance) / width + 1e-9) * np.eye(width))
    products = (first @ whiten).transpose(1, 0, 2) @ second.transpose(1, 2, 0)
    of_two = products[:, ~np.eye(len(first), dtype=bool)]
    differs = of_two.std(axis=1) if of_two.size else np.ones(len(products))
    return whiten, differs + _FLAT * float(differs[inside].mean()) + 1e-9


def _strengths(a: Cells, b: Cells, usual: UsualCells) -> Cells:
    """(h, w): how strong an argument each cell is, given the cells (cells, C) of two coins; 0 beside the coin."""
    side = round(len(a) ** 0.5)
    inside = disc(side).astype(np.float64)
    each = np.sum((a - usual.first) @ usual.whiten * (b - usual.second), axis=1) / usual.differs
    around = cv2.GaussianBlur(each.reshape(side, side) * inside, (0, 0), _SEEN_CELLS, borderType=cv2.BORDER_CONSTANT)
    return np.asarray(around * inside, np.float64)


def _embeds(embedder: Embedder) -> tuple[_Embed, _Embed]:
    """How the first crop is embedded, and how entries are."""
    return embedder.embed, lambda crops: embed_entries(embedder, crops)


def _cells(embedder: Embedder, crops: Sequence[Image], embed: _Embed) -> Cells:
    """The very cells the score is made of, (N, cells, C); of a base network those of its last map."""
    if not is_base(embedder):
        return _cells_of_grids(embedder, embed(crops).grid)
    with torch.inference_mode():
        maps = [last_map(embedder, crop)[1] for crop in crops]
        projected = torch.cat([network_of(embedder).projection(each) for each in maps])
    return projected.flatten(2).permute(0, 2, 1).double().numpy()


def _cells_of_grids(embedder: Embedder, grids: Grids) -> Cells:
    if grids.shape[-1] == 1:
        raise no_place_error(embedder)
    return grids.reshape(len(grids), grids.shape[1], -1).transpose(0, 2, 1).astype(np.float64)


def _as_grid(cells: Cells, side: int) -> Grids:
    return cells.T.reshape(1, -1, side, side).astype(np.float16)
