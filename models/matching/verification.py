"""The fine surface of the first candidates, compared with the design removed.

Coins struck from one design are similar wherever the design is, and that says nothing about identity. What the next
candidates have in common, each turned as the query lies, is taken for that design and subtracted from the query and
from each of the first candidates; directions in which coins of the design differ most anyway count less (whitening).
What is left is the coin's own surface: its wear, its edge, how it was struck. The cosine of what is left is a
candidate's `surface` score; unlike the lead of its grid, it means the same whoever its rivals are.

A turn that is found in steps of 10 degrees is refined here: the best of a few finer turns counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedding.embedder import Embedder, disc
from models.matching.rotation import turn_crop

VERIFIED = 6  # first candidates whose surface is compared
OTHERS, LEAST_OTHERS = 16, 8  # next candidates that the design is estimated from
FINE_TURNS_DEG = (-5.0, -2.5, 0.0, 2.5, 5.0)
_SHRINKAGE = 1.0  # of the covariance towards a multiple of the identity, in mean variances

Grid = npt.NDArray[np.float16]
_Cells = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Turned:
    """An entry's crop, and how far it is turned (counter-clockwise, in degrees) to lie as the query does."""

    crop: Image
    turn_deg: float


def compare_surfaces(
    embedder: Embedder, query: Grid, candidates: Sequence[Turned], others: Sequence[Turned]
) -> list[float]:
    """The surface score of each candidate, -1 to 1.

    Parameters
    ----------
    query
        (C, h, w): grid of the query as it lies.
    others
        At least `LEAST_OTHERS` entries of other coins, which the candidates share their design with.
    """
    turned = [(each.crop, each.turn_deg + fine_deg) for each in candidates for fine_deg in FINE_TURNS_DEG]
    turned += [(each.crop, each.turn_deg) for each in others]
    grids = embedder.embed([turn_crop(crop, turn_deg) for crop, turn_deg in turned]).grid
    fine = grids[: len(candidates) * len(FINE_TURNS_DEG)]
    return surface_scores(
        query, fine.reshape(len(candidates), len(FINE_TURNS_DEG), *grids.shape[1:]), grids[len(fine) :]
    )


def surface_scores(query: Grid, candidates: Grid, others: Grid) -> list[float]:
    """Surface scores by grids: query (C, h, w), candidates at some turns each (N, T, C, h, w), others (M, C, h, w)."""
    background = _cells(others)
    design = background.mean(axis=0)
    whiten = _whitening(background - design)
    own = whiten @ (_cells(query[None])[0] - design)
    scores = []
    for turns in candidates:
        surfaces = [whiten @ (cells - design) for cells in _cells(turns)]
        scores.append(max(_cosine(own, surface) for surface in surfaces))
    return scores


def _cells(grids: Grid) -> _Cells:
    """Grids (N, C, h, w) as (N, C, cells on the coin)."""
    inside = disc(grids.shape[-1]).ravel()
    return grids.reshape(*grids.shape[:2], -1)[:, :, inside].astype(np.float32)


def _whitening(deviations: _Cells) -> _Cells:
    """(C, C): by how other coins (N, C, cells) deviate from the design, every direction to the same scale."""
    every = deviations.transpose(1, 0, 2).reshape(deviations.shape[1], -1)
    variances, directions = np.linalg.eigh(every @ every.T / every.shape[1])
    scaled = directions / np.sqrt(variances + _SHRINKAGE * variances.mean() + 1e-12)
    return np.asarray(scaled @ directions.T, np.float32)


def _cosine(one: _Cells, other: _Cells) -> float:
    return float((one * other).sum() / np.sqrt((one * one).sum() * (other * other).sum() + 1e-12))
