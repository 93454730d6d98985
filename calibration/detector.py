"""What camera and light add to photographs: bias and dark level, hot pixels, and the uneven light of a flat.

The flat may show objects, such as a board that stays where it lies: only how the light changes from place to place is
taken from it, and what changes too fast to be light is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.flat import CELL_PX, MAX_CLIPPED, MAX_GAIN, MIN_LEVEL, cell_means, gain_at_size
from calibration.hot_pixels import find_hot, without_hot
from calibration.image import Image
from calibration.response import Deep, to_linear

Light = npt.NDArray[np.float32]

DEGREE = 4  # of the polynomial that the light follows: vignetting and fall-off have nothing finer
STEPS = (1, 3)  # cells between those that are compared
ROUNDS = 8
LEAST_PX = 6 * CELL_PX  # sides of a flat
MIN_EVEN = 0.3  # share of the flat that has to be free of objects
MAX_DARK = 24  # of 255: a dark frame is no darker than that only if light got in


@dataclass(frozen=True, eq=False)
class Correction:
    """Takes out of a photograph what camera and light add.

    Attributes
    ----------
    dark
        (3,) light that the camera reports in the dark, 0 to 1.
    gain
        (ceil(H / CELL_PX), ceil(W / CELL_PX), 3) factor on light, its mean 1 in the middle of the image; it makes
        grey what was grey in the middle of the flat.
    hot
        (N, 2) rows and columns of hot pixels.
    masked
        Share of the flat that was taken for objects.
    width_px, height_px
        Size of the photographs it holds for.
    """

    dark: npt.NDArray[np.float32]
    gain: npt.NDArray[np.float32]
    hot: npt.NDArray[np.int64]
    masked: float
    width_px: int
    height_px: int


def make_correction(biases: Sequence[Image], darks: Sequence[Image], flats: Sequence[Image]) -> Correction:
    """Make a correction of bias, dark and flat frames, each (H, W, 3); the first two may be missing.

    Raises
    ------
    CalibrationError
        If sizes differ, a dark frame is light, a flat is clipped or too dark, or shows hardly anything but objects.
    """
    if not flats:
        raise CalibrationError("There is no flat frame. Photograph a white or grey card under the light, and give it.")
    shapes = {image.shape for image in (*biases, *darks, *flats)}
    if len(shapes) > 1:
        named = ", ".join(f"{width}x{height}" for height, width, _ in sorted(shapes))
        raise CalibrationError(
            f"Bias, dark and flat frames have different sizes ({named}). Take all with one camera, at one setting."
        )
    for kind, images in (("bias", biases), ("dark", darks)):
        _check_dark(images, kind)
    in_the_dark = darks or biases  # a dark frame of the same exposure contains the bias
    dark = np.zeros(3, np.float32)
    hot = np.zeros((0, 2), np.int64)
    if in_the_dark:
        dark = dark_level(in_the_dark)
        hot = find_hot(in_the_dark)
    for image in flats:
        _check_exposure(image)
    if min(flats[0].shape[:2]) < LEAST_PX:
        raise CalibrationError(
            f"The flat is {flats[0].shape[1]}x{flats[0].shape[0]} pixels, too small to show how light falls. Give the "
            "camera's whole image."
        )
    mean = sum((to_linear(image) for image in flats[1:]), to_linear(flats[0])) / np.float32(len(flats))
    cells = cell_means(np.maximum(mean - dark, 0.0).astype(np.float32))
    light, even = light_of(cells)
    if even < MIN_EVEN:
        raise CalibrationError(
            f"Only {even:.0%} of the flat is even; the rest are objects, marks or noise. Cover more of the field with "
            "a plain card, and take it again."
        )
    middle = light[light.shape[0] // 2, light.shape[1] // 2]
    gain = middle / np.maximum(light, 1e-4)
    if float(gain.max()) > MAX_GAIN:
        raise CalibrationError(
            f"The light of the flat falls to 1/{gain.max():.0f} at the edges; more than 1/{MAX_GAIN:.0f} would make "
            "noise of them. Check the lamp and the lens, and take it again."
        )
    height, width = flats[0].shape[:2]
    return Correction(dark, gain.astype(np.float32), hot, 1.0 - even, width, height)


def dark_level(frames: Sequence[Image]) -> npt.NDArray[np.float32]:
    """(3,) light that the camera reports in dark frames, 0 to 1.

    Raises
    ------
    CalibrationError
        If one is light.
    """
    _check_dark(frames, "dark")
    return np.asarray(np.mean([_trimmed_mean(to_linear(image)) for image in frames], axis=0), np.float32)


def _check_dark(frames: Sequence[Image], kind: str) -> None:
    lightest = max((float(np.median(image)) for image in frames), default=0.0)
    if lightest > MAX_DARK:
        raise CalibrationError(
            f"A {kind} frame is light (median {lightest:.0f} of 255). Cover the lens and take it again."
        )


def corrected_light(image: Image | Deep, correction: Correction, name: str) -> Light:
    """Light (H, W, 3) of a photograph of 8 or 16 bits, without dark level, hot pixels and unevenness; not clipped.

    Raises
    ------
    CalibrationError
        If it has another size than the frames that the correction was made of.
    """
    if image.shape[:2] != (correction.height_px, correction.width_px):
        raise CalibrationError(
            f"{name} is {image.shape[1]}x{image.shape[0]} pixels, the flat {correction.width_px}x"
            f"{correction.height_px}. Give photographs taken with the same camera and setting, not turned or reduced."
        )
    light = to_linear(without_hot(image, correction.hot)) - correction.dark
    light *= gain_at_size(correction.gain, correction.width_px, correction.height_px)
    return light


def light_of(cells: Light) -> tuple[npt.NDArray[np.float64], float]:
    """How light falls on a surface that things lie on, and the share of it that shows no edge of a thing.

    A polynomial is fitted to the differences between neighbouring cells of (rows, columns, 3) light, on a logarithmic
    scale, with Tukey's weights: a thing adds a step at its edge, and nothing within.
    """
    level = np.log(np.maximum(cells, 1e-4)).astype(np.float64)
    y, x = (2 * grid / max(1.0, grid.max()) - 1 for grid in np.indices(level.shape[:2], np.float64))
    powers = [(i, j) for i in range(DEGREE + 1) for j in range(DEGREE + 1 - i) if i + j > 0]
    terms = np.stack([x**i * y**j for i, j in powers], axis=-1)
    rows, steps = [], []
    for step in STEPS:
        for axis in (0, 1):
            if level.shape[axis] > step:
                rows.append(_differences(terms, step, axis).reshape(-1, len(powers)))
                steps.append(_differences(level, step, axis).reshape(-1, 3))
    slopes, found = np.concatenate(rows), np.concatenate(steps)
    weight = np.ones(len(slopes))
    solution = np.zeros((len(powers), 3))
    for _ in range(ROUNDS):
        weighted = (slopes * weight[:, None]).T
        ridge = 1e-9 * len(slopes) * np.eye(len(powers))
        solution[:] = np.linalg.solve(weighted @ slopes + ridge, weighted @ found)
        miss = np.abs(found - slopes @ solution).max(axis=1)
        spread = 1.4826 * float(np.median(miss)) + 1e-4
        weight = np.clip(1 - (miss / (4 * min(spread, 0.1))) ** 2, 0, None) ** 2
    return np.exp(terms @ solution), float((weight > 0).mean())


def _differences(values: npt.NDArray[np.float64], step: int, axis: int) -> npt.NDArray[np.float64]:
    later, earlier = np.arange(step, values.shape[axis]), np.arange(values.shape[axis] - step)
    return np.asarray(np.take(values, later, axis) - np.take(values, earlier, axis), np.float64)


def _trimmed_mean(light: Light) -> npt.NDArray[np.float64]:
    limit = np.percentile(light, 99, axis=(0, 1))
    return np.asarray(np.minimum(light, limit).mean(axis=(0, 1)), np.float64)


def _check_exposure(image: Image) -> None:
    clipped = float((image >= 254).any(axis=2).mean())
    if clipped > MAX_CLIPPED:
        raise CalibrationError(f"A flat is over-exposed ({clipped:.1%} of the pixels). Expose it less; take it again.")
    middle = float(np.median(image))
    if middle < MIN_LEVEL:
        raise CalibrationError(f"A flat is too dark (median {middle:.0f} of 255). Expose it longer and take it again.")
