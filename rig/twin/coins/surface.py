"""The surface of one coin side and how light leaves it.

Shading happens on the coin's own texture, so that relief, self-shadowing and metal are worked out once per lamp, before
perspective. Textures follow images: x (columns) to the right, y (rows) down; directions are the bench's: x right, y up,
z to the camera.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def as_array(values: npt.ArrayLike) -> Array:
    """The same numbers as float32 (without a copy where they are); OpenCV's type hints leave the type open."""
    return np.asarray(values, np.float32)


TEXTURE_PX = 480
SILVER_G_MM3 = 0.0105
MARGIN = 1.06  # texture side over the coin's largest diameter: room for the soft edge of the mask


@dataclass(frozen=True)
class Surface:
    """One side of a coin, as the renderer needs it. All arrays are float32 of the same height and width n.

    Attributes
    ----------
    albedo
        (n, n, 3) linear diffuse reflectance, RGB, 0 to 1.
    normals
        (n, n, 3) unit normals in bench axes.
    height_mm
        (n, n) relief above the field, for the shadows it throws on itself.
    coverage
        (n, n) 1 on the coin, 0 beside it, soft between.
    specular
        (n, n) strength of the metallic reflection, 0 to 1: low in dirt, high on worn points.
    shininess
        Blinn-Phong exponent of that reflection.
    diameter_mm
        Largest diameter of the flan.
    thickness_mm
        Height of the upper side above the plate.
    side_mm
        Length of the texture's side.
    """

    albedo: Array
    normals: Array
    height_mm: Array
    coverage: Array
    specular: Array
    shininess: float
    diameter_mm: float
    thickness_mm: float
    side_mm: float

    @property
    def mass_g(self) -> float:
        """Mass of the coin, taken for silver."""
        area_mm2 = float(self.coverage.sum()) * (self.side_mm / self.coverage.shape[0]) ** 2
        return area_mm2 * self.thickness_mm * SILVER_G_MM3


@dataclass(frozen=True)
class Beam:
    """Parallel light in the coin's own axes: where it comes from (unit vector) and its RGB irradiance, face on."""

    direction: tuple[float, float, float]
    irradiance: tuple[float, float, float]


def beam_from(azimuth_deg: float, elevation_deg: float, irradiance: Sequence[float]) -> Beam:
    """A beam out of an azimuth (counter-clockwise from x) and an elevation above the plate."""
    azimuth, elevation = np.radians(azimuth_deg), np.radians(elevation_deg)
    direction = (
        float(np.cos(elevation) * np.cos(azimuth)),
        float(np.cos(elevation) * np.sin(azimuth)),
        float(np.sin(elevation)),
    )
    red, green, blue = (float(v) for v in irradiance)
    return Beam(direction, (red, green, blue))


def lit_fraction(height_mm: Array, pitch_mm: float, direction: tuple[float, float, float]) -> Array:
    """How much of each point the relief leaves in the light, 0 (shadow) to 1.

    The surface is marched towards the lamp in growing steps; a point is in shadow by as much as the horizon rises over
    the ray. The soft edge stands for the width of a lightbox sector.
    """
    x, y, z = direction
    flat = float(np.hypot(x, y))
    if flat < 1e-3:
        return np.ones_like(height_mm)
    rise = pitch_mm * max(z, 0.05) / flat
    step_x, step_y = x / flat, -y / flat
    rows, columns = height_mm.shape
    horizon = height_mm.copy()
    for steps in (2, 4, 7, 11, 16, 23, 32):
        shift = np.array([[1, 0, step_x * steps], [0, 1, step_y * steps]], np.float32)
        towards = cv2.warpAffine(
            height_mm,
            shift,
            (columns, rows),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_CONSTANT,
            borderValue=-10.0,
        )
        np.maximum(horizon, as_array(towards) - np.float32(steps * rise), out=horizon)
    left = as_array((height_mm - horizon) * np.float32(1 / PENUMBRA_MM) + np.float32(1))
    return np.maximum(left, np.float32(0), out=left)


PENUMBRA_MM = 0.12  # rise of the horizon over the ray at which a point is fully in the dark


def shade(
    surface: Surface,
    beams: Sequence[Beam],
    ambient: Sequence[float] = (0.0, 0.0, 0.0),
    view: tuple[float, float, float] = (0.0, 0.0, 1.0),
) -> Array:
    """Light leaving the surface towards the camera, (n, n, 3), linear RGB; 1 is white lit face on by irradiance 1.

    Lambert's diffuse part and Blinn and Phong's specular one ("Models of light reflection for computer synthesized
    images", SIGGRAPH 1977), the latter tinted by the metal, as metals do.
    """
    pitch_mm = surface.side_mm / surface.height_mm.shape[0]
    rows, columns = surface.height_mm.shape
    diffuse = np.zeros((rows, columns, 3), np.float32)
    diffuse[:] = np.asarray(ambient, np.float32)
    gloss = np.zeros((rows, columns, 3), np.float32)
    gloss[:] = np.asarray(ambient, np.float32) * np.float32(0.5)
    for beam in beams:
        towards = np.asarray(beam.direction, np.float32)
        half = towards + np.asarray(view, np.float32)
        half /= np.linalg.norm(half)
        both = as_array(cv2.transform(surface.normals, np.stack([towards, half])))
        np.maximum(both, np.float32(0), out=both)
        cosine, highlight = cv2.split(both)
        lit = lit_fraction(surface.height_mm, pitch_mm, beam.direction)
        # Energy-normalised Blinn-Phong: the sharper the highlight, the brighter.
        strength = np.float32((surface.shininess + 8) / 8 * float(towards[2]))
        cosine = as_array(cosine) * lit
        highlight = as_array(cv2.pow(highlight, surface.shininess)) * lit * strength
        diffuse += cv2.merge([cosine * np.float32(v) for v in beam.irradiance])
        gloss += cv2.merge([highlight * np.float32(v) for v in beam.irradiance])
    diffuse *= surface.albedo
    gloss *= surface.albedo + np.float32(0.1)
    cv2.accumulateProduct(gloss, cv2.merge([surface.specular] * 3), diffuse)
    return diffuse
