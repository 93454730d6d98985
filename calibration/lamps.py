"""Which lamp is lit, from how the light falls off across the plate.

A lamp at the side lights the near half of the plate more brightly than the far one. The flat field of a light, taken
of a white card, says how its light falls off; a frame's background, which is the same plate everywhere, has to fall off
alike. A dead LED or another lamp leaves a slope. Colour and brightness of plate and lamp cancel out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.flat import CELL_PX, Flat
from calibration.image import Image
from calibration.outline import Outline
from calibration.response import to_linear

CLEAR_OF_COIN = 0.35  # of the coin's radius: as far as its shadow and its glow reach
MIN_CELLS = 150
MIN_LIGHT = 0.0012  # below, the sensor's noise and the rounding to 8 bits would pass for a slope
ROUNDS = 6

Cells = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Slope:
    """How the logarithm of the light grows across the image.

    Attributes
    ----------
    azimuth_deg
        Where it comes from, counter-clockwise from the image's right, 0 to 360.
    strength
        Growth over half the image's height; 0.4 on the twin for one sector at an elevation of 35 degrees.
    """

    azimuth_deg: float
    strength: float


def lit_from(image: Image, outline: Outline | None, flat: Flat | None = None) -> Slope | None:
    """Where the light comes from, as the plate around the coin shows it.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8, raw.
    outline
        The coin; None for a bare plate.
    flat
        The flat field of the light that is thought to be lit: the slope is then what that light leaves unexplained,
        and a strength near 0 says that it is the right one. None for the whole slope; a lens that is darker at its
        edges does not change it much, since it is so all around.

    Returns
    -------
    Slope or None
        None where too little of the plate is seen, or it is too dark to measure.
    """
    cells, plate = _background(image, outline)
    if plate.sum() < MIN_CELLS:
        return None
    level = np.log(cells[plate])
    if flat is not None:
        gain = flat.astype(np.float32).mean(axis=2)
        if gain.shape != cells.shape:
            raise ValueError(f"the flat field is of another size than the image ({gain.shape} and {cells.shape}).")
        level = level + np.log(gain[plate])
    right, up = _slope(level, plate)
    return Slope(float(np.degrees(np.arctan2(up, right)) % 360.0), float(np.hypot(right, up)))


def likely_light(image: Image, outline: Outline | None, flats: Mapping[str, Flat]) -> tuple[str, float] | None:
    """The light whose flat field explains a frame best, and the slope that it leaves; None if it is too dark to say."""
    left: dict[str, float] = {}
    for light, flat in flats.items():
        slope = lit_from(image, outline, flat)
        if slope is None:
            return None
        left[light] = slope.strength
    best = min(left, key=lambda light: left[light], default=None)
    return (best, left[best]) if best is not None else None


def _background(image: Image, outline: Outline | None) -> tuple[Cells, npt.NDArray[np.bool_]]:
    """Light in each cell of the flat field's grid, and which cells show nothing but the plate."""
    height, width = image.shape[:2]
    below, right = -height % CELL_PX, -width % CELL_PX
    whole = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE) if below or right else image
    size = (whole.shape[1] // CELL_PX, whole.shape[0] // CELL_PX)
    light = to_linear(np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8))
    cells = np.asarray(light.mean(axis=2), np.float32)
    plate = cells > MIN_LIGHT
    if outline is not None:
        x, y = ((value + 0.5) / CELL_PX - 0.5 for value in outline.centre_px)
        columns, rows = np.meshgrid(np.arange(size[0]) - x, np.arange(size[1]) - y)
        covered = cv2.resize(outline.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        reach = float(np.hypot(columns, rows)[covered].max(initial=0.0)) + CLEAR_OF_COIN * outline.radius_px / CELL_PX
        plate &= np.hypot(columns, rows) > reach
    return cells, plate


def _slope(level: npt.NDArray[np.float32], plate: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope to the right and upwards over half the image's height: a plane fitted with Tukey's weights.

    What is printed or lies on the plate is an outlier to it.
    """
    rows, columns = np.nonzero(plate)
    half = plate.shape[0] / 2
    terms = np.stack([np.ones(len(rows)), columns / half, -rows / half], axis=1)
    weight = np.ones(len(rows))
    solution = np.zeros(3)
    for _ in range(ROUNDS):
        weighted = terms * weight[:, None]
        solution = np.linalg.lstsq(weighted.T @ terms, weighted.T @ level, rcond=None)[0]
        miss = level - terms @ solution
        spread = 1.4826 * float(np.median(np.abs(miss - np.median(miss)))) + 1e-3
        weight = np.clip(1 - ((miss - np.median(miss)) / (4.7 * spread)) ** 2, 0, None) ** 2
    return float(solution[1]), float(solution[2])
