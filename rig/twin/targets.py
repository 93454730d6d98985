"""The plate with the marker ring printed on it, and what calibration puts there: a ChArUco board and a white card."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rig.twin.coins.relief import fractal_noise
from rig.twin.coins.surface import Array

PLATE_RADIUS_MM = 45.0
PAPER = 0.66  # reflectance of the white card and of the board's paper
INK = 0.035


class PrintedBoard(BaseModel):
    """The ChArUco board that lies in the twin's drawer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    squares_x: int = Field(default=11, ge=3)
    squares_y: int = Field(default=8, ge=3)
    square_mm: float = Field(default=5.0, gt=0)
    marker_mm: float = Field(default=3.7, gt=0)
    dictionary: str = "DICT_4X4_50"

    @property
    def size_mm(self) -> tuple[float, float]:
        """Width and height of the printed squares."""
        return self.squares_x * self.square_mm, self.squares_y * self.square_mm


BORDER_MM = 3.0
BOARD_PX_PER_MM = 24


@lru_cache(maxsize=2)
def board_reflectance(board: PrintedBoard) -> Array:
    """The board as printed, (H, W), `BOARD_PX_PER_MM`, with a white border of `BORDER_MM`; first row at its top."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, board.dictionary))
    printed = cv2.aruco.CharucoBoard((board.squares_x, board.squares_y), board.square_mm, board.marker_mm, dictionary)
    width_mm, height_mm = board.size_mm
    size = (round(width_mm * BOARD_PX_PER_MM), round(height_mm * BOARD_PX_PER_MM))
    image = printed.generateImage(size)
    border = round(BORDER_MM * BOARD_PX_PER_MM)
    image = cv2.copyMakeBorder(image, border, border, border, border, cv2.BORDER_CONSTANT, value=255)
    soft = cv2.GaussianBlur(image.astype(np.float32) / 255, (0, 0), 0.7)
    return np.asarray(soft * np.float32(PAPER - INK) + np.float32(INK), np.float32)


class PrintedRing(BaseModel):
    """The ring of ArUco markers on the twin's plate: black on the plate's own dark grey, tops outwards."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    markers: int = Field(default=24, ge=4)
    radius_mm: float = Field(default=19.4, gt=0, description="of the circle that the markers' centres lie on")
    marker_mm: float = Field(default=3.4, gt=0)
    dictionary: str = "DICT_4X4_100"
    first_id: int = Field(default=50, ge=0, description="of the marker at 0 degrees; they count counter-clockwise")


RING_INK = 0.010
_MARKER_PX = 120


def _ring_ink(ring: PrintedRing, size: int) -> Array:
    """Where the ring is black, 0 to 1, on the plate's texture (size, size)."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, ring.dictionary))
    scale = size / (2 * PLATE_RADIUS_MM)
    cell_mm = ring.marker_mm / _MARKER_PX
    ink = np.zeros((size, size), np.float32)
    for number in range(ring.markers):
        marker = cv2.aruco.generateImageMarker(dictionary, ring.first_id + number, _MARKER_PX)
        soft = cv2.GaussianBlur(255 - cv2.copyMakeBorder(marker, 9, 9, 9, 9, cv2.BORDER_CONSTANT, value=255), (0, 0), 1)
        turn = 2 * np.pi * number / ring.markers
        out, along = np.array([np.cos(turn), -np.sin(turn)]), np.array([np.sin(turn), np.cos(turn)])  # column, row
        right, down = along * cell_mm * scale, -out * cell_mm * scale
        middle = np.array([size / 2, size / 2]) + out * ring.radius_mm * scale
        corner = middle - (right + down) * ((_MARKER_PX + 18) / 2 - 0.5)
        to_plate = np.stack([right, down, corner], axis=1)
        ink += cv2.warpAffine(soft.astype(np.float32) / 255, to_plate, (size, size), flags=cv2.INTER_LINEAR)
    return np.asarray(np.clip(ink, 0, 1), np.float32)


@lru_cache(maxsize=1)
def plate_reflectance() -> Array:
    """The plate: matte black anodised metal, faintly turned on the lathe, the ring printed on it, with some dust.

    (1400, 1400) reflectance.
    """
    rng = np.random.default_rng(7)
    size = 1400
    axis = np.arange(size, dtype=np.float32) - size / 2
    away = np.hypot(axis[None, :], axis[:, None])
    grooves = rng.standard_normal(size).astype(np.float32)
    turned = cv2.remap(grooves[None, :], away, np.zeros_like(away), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    texture = 0.030 + 0.0025 * turned + 0.0014 * fractal_noise(rng, size, 12, 6)
    dust = np.zeros((size, size), np.float32)
    for x, y in rng.integers(0, size, (260, 2)):
        cv2.circle(dust, (int(x), int(y)), int(rng.integers(1, 3)), float(rng.uniform(0.02, 0.14)), -1, cv2.LINE_AA)
    ink = _ring_ink(PrintedRing(), size)
    texture = texture * (1 - ink) + np.float32(RING_INK) * ink + cv2.GaussianBlur(dust, (0, 0), 0.8)
    return np.asarray(np.where(away < size / 2 - 2, np.maximum(texture, 0.008), 0.01), np.float32)
