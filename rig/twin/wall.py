"""The edge of a coin, between its two sides: an upright wall along its outline, as a camera that is tilted sees it.

It is drawn in layers, from the plate up, each as high as a pixel; the upper side covers the last.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from rig.twin.coins.surface import Array, Beam, Surface, as_array

RIM = 0.03  # share of the texture over which the outline's direction is found, and the rim's metal is averaged
LAYER_PX = 1.0
LEAST_PX = 0.2  # of wall in sight, to be drawn at all
DULL = 0.8  # an edge is never polished by being turned over and rubbed


@dataclass(frozen=True, eq=False)
class LightOn:
    """The light on a coin: its lamps and what comes from everywhere, in its own axes, and that on the plate (RGB)."""

    beams: tuple[Beam, ...]
    ambient: tuple[float, float, float]
    on_plate: Array


def wall_heights(thickness_mm: float, tilt_deg: float, px_per_mm: float) -> list[float]:
    """Heights above the plate (mm) of the layers, lowest first; none where the wall is hidden below the upper side."""
    seen_px = thickness_mm * math.sin(math.radians(tilt_deg)) * px_per_mm
    if seen_px < LEAST_PX:
        return []
    layers = math.ceil(seen_px / LAYER_PX)
    return [thickness_mm * layer / layers for layer in range(layers)]


def shade_wall(surface: Surface, light_on: LightOn) -> Array:
    """Light leaving the wall below each point of the outline per light on the plate, and coverage, (n, n, 4).

    Lambert's law, with the metal of the rim beside it; premultiplied with the coverage, as the upper side is.
    """
    size = 2 * round(RIM * surface.coverage.shape[0] / 2) + 1
    smooth = as_array(cv2.GaussianBlur(surface.coverage, (0, 0), size / 3))
    outwards_x = -as_array(cv2.Sobel(smooth, cv2.CV_32F, 1, 0))
    outwards_y = as_array(cv2.Sobel(smooth, cv2.CV_32F, 0, 1))  # rows count downwards
    length = np.maximum(np.hypot(outwards_x, outwards_y), np.float32(1e-9))
    metal = as_array(cv2.blur(surface.albedo * surface.coverage[..., None], (size, size)))
    metal /= np.maximum(as_array(cv2.blur(surface.coverage, (size, size))), np.float32(1e-3))[..., None]
    lit = np.zeros_like(surface.albedo)
    lit[:] = np.asarray(light_on.ambient, np.float32)
    for beam in light_on.beams:
        facing = (outwards_x * np.float32(beam.direction[0]) + outwards_y * np.float32(beam.direction[1])) / length
        lit += np.maximum(facing, np.float32(0))[..., None] * np.asarray(beam.irradiance, np.float32)
    lit *= metal * np.float32(DULL) / light_on.on_plate
    return as_array(cv2.merge([*(channel * surface.coverage for channel in cv2.split(lit)), surface.coverage]))
