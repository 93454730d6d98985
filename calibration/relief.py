"""Normals, albedo and height from images under many lights, shadows and highlights left out.

R. J. Woodham, "Photometric method for determining surface orientation from multiple images", Optical Engineering 19
(1980); the lights that contradict the rest at a pixel lose their weight, as in robust regression (Tukey).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError

Light = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LEAST_LIGHTS = 4  # three determine a normal, and a fourth shows which of them is in shadow
LEAST_SPREAD = 0.02  # of the smallest singular value of the directions over the greatest: else they lie in one plane
DARK, CLIPPED = 0.02, 0.985  # of the range: below and above, a value says nothing
ROUNDS = 6
TUKEY = 4.0
NOISE = 0.004  # of the range
CHUNK = 1 << 17
STEEPEST = 0.08  # z of a normal, as far as height is concerned


@dataclass(frozen=True)
class MeasuredRelief:
    """A surface measured under many lights.

    Attributes
    ----------
    normals
        (H, W, 3) unit vectors, x to the right, y up, z towards the camera; 0, 0, 1 outside of the mask.
    albedo
        (H, W) how light the surface is, in units of the lights; 0 outside.
    lights_used
        (H, W) how many lights counted, by weight.
    residual
        Mean absolute difference from Lambert's law, over the mean light.
    """

    normals: Light
    albedo: Light
    lights_used: Light
    residual: float


def check_lights(directions: npt.NDArray[np.float64]) -> None:
    """Refuse lights that cannot determine normals.

    Raises
    ------
    CalibrationError
        If there are fewer than four, or their directions (N, 3) lie in one plane.
    """
    if len(directions) < LEAST_LIGHTS:
        raise CalibrationError(
            f"{len(directions)} lights are too few for a relief: at least {LEAST_LIGHTS} are needed, from all around."
        )
    spread = np.linalg.svd(directions, compute_uv=False)
    if spread[2] < LEAST_SPREAD * spread[0]:
        raise CalibrationError(
            "All lights lie in one plane with the surface, or in one direction, which cannot tell how it is inclined. "
            "Light it from other sides."
        )


def measure_relief(levels: Light, directions: npt.NDArray[np.float64], mask: Mask | None = None) -> MeasuredRelief:
    """Fit normals and albedo to linear light.

    Parameters
    ----------
    levels
        (N, H, W) light under each lamp, 0 to 1 at the sensor's limit, divided by nothing.
    directions
        (N, 3) unit vectors towards the lamps, times their relative intensities.
    mask
        (H, W) where there is a surface; None for everywhere.

    Raises
    ------
    CalibrationError
        If the lights do not determine normals.
    """
    check_lights(directions)
    count, height, width = levels.shape
    where = np.flatnonzero(np.ones(height * width, bool) if mask is None else mask.ravel())
    flat = levels.reshape(count, -1)
    normals = np.zeros((height * width, 3), np.float32)
    normals[:, 2] = 1
    albedo, used = np.zeros(height * width, np.float32), np.zeros(height * width, np.float32)
    missed, total = 0.0, 1e-9
    lamps = directions.astype(np.float32)
    for start in range(0, len(where), CHUNK):
        places = where[start : start + CHUNK]
        values = np.ascontiguousarray(flat[:, places].T)
        surface, weight = _fit(values, lamps)
        length = np.linalg.norm(surface, axis=1)
        known = length > 1e-6
        normals[places[known]] = surface[known] / length[known, None]
        albedo[places], used[places] = length, weight.sum(axis=1)
        missed += float((weight * np.abs(values - surface @ lamps.T)).sum())
        total += float((weight * values).sum())
    shape = (height, width)
    return MeasuredRelief(normals.reshape(*shape, 3), albedo.reshape(shape), used.reshape(shape), missed / total)


def _fit(values: Light, lamps: Light) -> tuple[Light, Light]:
    """Normal times albedo (P, 3) for values (P, N), and the weights (P, N) of the lights."""
    dark = np.minimum(DARK, 0.25 * np.median(values, axis=1, keepdims=True))
    believed = ((values > dark) & (values < CLIPPED)).astype(np.float32) + np.float32(1e-4)
    products = np.stack(
        [lamps[:, i] * lamps[:, j] for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))], axis=1
    )
    weight = believed
    for number in range(ROUNDS):
        surface = _solve(weight @ products, (weight * values) @ lamps)
        if number == ROUNDS - 1:
            break
        miss = np.abs(values - surface @ lamps.T)
        spread = np.float32(TUKEY) * (np.float32(1.4826) * np.median(miss, axis=1, keepdims=True) + np.float32(NOISE))
        weight = believed * (np.clip(1 - (miss / spread) ** 2, 0, None) ** 2 + np.float32(1e-3))
    return surface, weight


def _solve(sums: Light, right: Light) -> Light:
    """Solve symmetric 3 x 3 equations, (P, 6) upper triangles and (P, 3) right sides, by cofactors."""
    a, b, c, d, e, f = (column.astype(np.float64) for column in sums.T)
    ridge = 1e-5 * (a + d + f) + 1e-12
    a, d, f = a + ridge, d + ridge, f + ridge
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    fourth, fifth, sixth = a * f - c * c, b * c - a * e, a * d - b * b
    determinant = a * first + b * second + c * third
    x, y, z = (column.astype(np.float64) for column in right.T)
    solution = np.stack(
        [first * x + second * y + third * z, second * x + fourth * y + fifth * z, third * x + fifth * y + sixth * z],
        axis=1,
    )
    return np.asarray(solution / np.maximum(determinant, 1e-30)[:, None], np.float32)


def height_of(normals: Light, mask: Mask | None = None) -> Light:
    """Height (H, W) in pixels, towards the camera, whose slopes are those of the normals in the least squares.

    R. T. Frankot, R. Chellappa, "A method for enforcing integrability in shape from shading algorithms", IEEE TPAMI 10
    (1988), by the cosine transform, which asks nothing of the image's border. Its mean over the mask is 0.
    """
    z = np.maximum(normals[..., 2], STEEPEST).astype(np.float64)
    right, down = -normals[..., 0] / z, normals[..., 1] / z
    if mask is not None:
        right, down = np.where(mask, right, 0), np.where(mask, down, 0)
    height, width = z.shape
    even = ((0, height % 2), (0, width % 2))  # the transform takes even sizes alone
    right, down = np.pad(right, even), np.pad(down, even)
    # The slope between two pixels is the mean of theirs; none leads over the border.
    across = np.zeros_like(right)
    across[:, :-1] = (right[:, :-1] + right[:, 1:]) / 2
    along = np.zeros_like(down)
    along[:-1] = (down[:-1] + down[1:]) / 2
    divergence = across.copy()
    divergence[:, 1:] -= across[:, :-1]
    divergence += along
    divergence[1:] -= along[:-1]
    waves = np.asarray(cv2.dct(divergence), np.float64)
    rows, columns = (np.cos(np.pi * np.arange(size) / size) for size in waves.shape)
    curvature = 2 * (rows[:, None] + columns[None, :]) - 4
    curvature[0, 0] = 1
    waves /= curvature
    waves[0, 0] = 0
    surface = cv2.idct(waves)[:height, :width]
    inside = np.ones(surface.shape, bool) if mask is None else mask
    return np.asarray(surface - (surface[inside].mean() if inside.any() else 0), np.float32)
