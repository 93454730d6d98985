"""Places on a crop: values of cells drawn as a map over it, and points turned back with it."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from models.embedding.backbones import CROP_PX
from models.embedding.embedder import disc

Map = npt.NDArray[np.float32]
_MIDDLE_PX = (CROP_PX - 1) / 2.0


def paint_map(cells: npt.NDArray[Any]) -> Map:
    """Values of cells (h, w) as a map over the crop, (224, 224); nothing outside the coin."""
    smooth = cv2.resize(cells.astype(np.float32), (CROP_PX, CROP_PX), interpolation=cv2.INTER_CUBIC)
    return np.where(disc(CROP_PX), smooth, 0.0).astype(np.float32)


def turn_map_back(turned: Map, turn_deg: float) -> Map:
    """A map of the turned crop, as a map of the crop as it was given."""
    matrix = cv2.getRotationMatrix2D((_MIDDLE_PX, _MIDDLE_PX), -turn_deg, 1.0)
    return np.asarray(cv2.warpAffine(turned, matrix, (CROP_PX, CROP_PX), flags=cv2.INTER_LINEAR), np.float32)


def cell_centres_px(side: int) -> npt.NDArray[np.float64]:
    """Centres (side², 2) of a grid's cells in the crop, (x, y), row by row."""
    places = np.stack([np.tile(np.arange(side), side), np.repeat(np.arange(side), side)], axis=1)
    return (places + 0.5) * (CROP_PX / side) - 0.5


def turn_points_back(points_px: npt.NDArray[np.float64], turn_deg: float) -> npt.NDArray[np.float64]:
    """Where points (N, 2) of the turned crop lie in the crop as it was given."""
    matrix = cv2.getRotationMatrix2D((_MIDDLE_PX, _MIDDLE_PX), -turn_deg, 1.0)
    return np.asarray(points_px @ matrix[:, :2].T + matrix[:, 2], np.float64)
