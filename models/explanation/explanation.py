"""Why are two coins similar? Which places on them make the score, drawn as a map of each.

``cells`` is exact (`models.explanation.cells`): the parts of all pairs of cells and what is common to coins in general
sum to the score. ``gradcam``, ``attention`` and ``occlusion`` (`models.explanation.maps`) are for comparison.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from calibration.image import Image
from models.embedding.embedder import Embedder
from models.explanation.cells import CellParts, UsualCells, split_score
from models.explanation.maps import explain_by_attention, explain_by_gradient, explain_by_occlusion
from models.explanation.places import Map, cell_centres_px, paint_map, turn_map_back, turn_points_back
from models.matching.entries import embed_entries
from models.matching.rotation import TURNS, search_rotation, turn_crop, turned_crops

Method = Literal["cells", "gradcam", "attention", "occlusion"]


@dataclass(frozen=True)
class CellPair:
    """A place on each coin, (x, y) in px of its crop, what the two contribute to the score, and how strong an argument
    that is."""

    first_px: tuple[float, float]
    second_px: tuple[float, float]
    part: float
    strength: float


@dataclass(frozen=True)
class Explanation:
    """Where the similarity of two coins lies.

    Attributes
    ----------
    score
        What is explained: the similarity at the best turn.
    turn_deg
        How far the first crop was turned (counter-clockwise) to fit the second.
    first, second
        (224, 224) float32 for each crop as it was given: by ``cells`` how strong an argument each place is, for one
        coin or (below 0) against it; otherwise in the method's own units. Nothing lies outside the coin.
    common
        By ``cells``: what coins in general have in common in the same places. None otherwise.
    pairs
        By ``cells``: all pairs, strongest first; their parts and ``common`` sum to ``score``.
    """

    method: Method
    score: float
    turn_deg: float
    first: Map
    second: Map
    common: float | None = None
    pairs: tuple[CellPair, ...] = ()


def explain(
    embedder: Embedder,
    first: Image,
    second: Image,
    method: Method = "cells",
    *,
    reference: Sequence[Image] = (),
    turns: int = TURNS,
) -> Explanation:
    """Explain the similarity of two normalised crops.

    Parameters
    ----------
    reference
        Crops of other coins, for ``cells``: what these have too is no evidence. Without any, nothing is taken away.
    turns
        How many turns of the first crop are tried, as matching does.

    Raises
    ------
    ExplanationError
        If the network has no such explanation.
    """
    found = search_rotation(embedder.embed(turned_crops(first, turns)).grid, embed_entries(embedder, [second]).grid)
    score, turn_deg = float(found.scores[0]), float(found.turns_deg[0])
    upright = turn_crop(first, turn_deg)
    if method == "cells":
        return _explain_by_cells(split_score(embedder, upright, second, UsualCells.of(embedder, reference)), turn_deg)
    maps = {
        "gradcam": explain_by_gradient,
        "attention": explain_by_attention,
        "occlusion": explain_by_occlusion,
    }[method]
    one, other = maps(embedder, upright, second)
    return Explanation(method, score, turn_deg, turn_map_back(paint_map(one), turn_deg), paint_map(other))


def explain_upright(embedder: Embedder, upright: Image, second: Image, usual: UsualCells | None) -> Explanation:
    """Explain by ``cells`` two crops of which the first is turned to fit the second already."""
    return _explain_by_cells(split_score(embedder, upright, second, usual), 0.0)


def _explain_by_cells(split: CellParts, turn_deg: float) -> Explanation:
    parts, strengths, (rows, columns) = split.parts, split.strengths, split.paired
    side = round(len(parts) ** 0.5)
    order = np.argsort(-strengths[rows, columns], kind="stable")
    second_px = cell_centres_px(side)
    first_px = turn_points_back(second_px, turn_deg)
    pairs = tuple(
        CellPair(
            _point(first_px[row]),
            _point(second_px[column]),
            float(parts[row, column]),
            float(strengths[row, column]),
        )
        for row, column in zip(rows[order], columns[order], strict=True)
    )
    on_first, on_second = (strengths.sum(axis=axis).reshape(side, side) for axis in (1, 0))
    first = turn_map_back(paint_map(on_first), turn_deg)
    return Explanation("cells", split.score, turn_deg, first, paint_map(on_second), split.common, pairs)


def _point(point: npt.NDArray[np.float64]) -> tuple[float, float]:
    return round(float(point[0]), 1), round(float(point[1]), 1)
