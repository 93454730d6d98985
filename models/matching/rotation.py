"""The rotation search: at which turn are two coins most similar, and how similar are they then?

The turn of a coin in an image is unknown, and a network's grid does not turn with it: one of the two images is turned
step by step, and at every turn its grid is compared with the other's, cell by cell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from calibration.outline import GREY_MEAN
from models.embedding.embedder import Embedder, Features
from models.matching.grid import Scores, compare

TURNS = 36


@dataclass(frozen=True)
class BestTurns:
    """For each of N images that stood still: its similarity at the best turn, and how far the other was turned then.

    Attributes
    ----------
    scores
        (N,) float32.
    turns_deg
        (N,) float64, counter-clockwise.
    """

    scores: Scores
    turns_deg: npt.NDArray[np.float64]


def search_rotation(turned: npt.NDArray[np.float16], still: npt.NDArray[np.float16]) -> BestTurns:
    """Find the best turn of one image for each of some others.

    Parameters
    ----------
    turned
        (turns, C, h, w): grids of the one image at `turn_angles_deg`.
    still
        (N, C, h, w): grids of the others.
    """
    scores = compare(turned, still)
    best = scores.argmax(axis=0)
    return BestTurns(scores.max(axis=0), np.array(turn_angles_deg(len(turned)))[best])


def turn_angles_deg(turns: int = TURNS) -> list[float]:
    """The turns that are tried, counter-clockwise."""
    return [360.0 * step / turns for step in range(turns)]


def turn_crop(crop: Image, turn_deg: float) -> Image:
    """Turn a crop counter-clockwise about its centre."""
    size = crop.shape[0]
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2.0, (size - 1) / 2.0), turn_deg, 1.0)
    grey = (round(GREY_MEAN),) * 3
    turned = cv2.warpAffine(crop, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=grey)
    return np.asarray(turned, np.uint8)


def turned_crops(crop: Image, turns: int = TURNS) -> list[Image]:
    """A crop at each of so many turns."""
    return [turn_crop(crop, turn_deg) for turn_deg in turn_angles_deg(turns)]


def embed_turned(embedder: Embedder, crops: Sequence[Image], turns: int = TURNS) -> Iterator[Features]:
    """Features of all crops, at one turn after the other."""
    for turn_deg in turn_angles_deg(turns):
        yield embedder.embed([turn_crop(crop, turn_deg) for crop in crops])
