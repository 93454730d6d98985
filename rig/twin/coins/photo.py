"""A coin side out of a photograph: colour as photographed, relief guessed from the shading."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from rig.twin.coins.relief import normals_of, relief_from_photo
from rig.twin.coins.surface import MARGIN, TEXTURE_PX, Array, Surface, as_array

RgbImage = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

PHOTO_RELIEF_MM = 0.125  # standard deviation of the guessed relief: that of a follis


def surface_from_photo(image: RgbImage, mask: Mask, diameter_mm: float, size_px: int = TEXTURE_PX) -> Surface:
    """Make a coin side out of a photograph of it.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    mask
        Where the coin is on it, (H, W) bool.
    """
    outline = np.argwhere(mask)[:, ::-1].astype(np.int32)
    (centre_x, centre_y), radius = cv2.minEnclosingCircle(cv2.convexHull(outline))
    scale = size_px / (2 * MARGIN * radius)
    crop = np.array([[scale, 0, size_px / 2 - scale * centre_x], [0, scale, size_px / 2 - scale * centre_y]])
    how = cv2.INTER_AREA if scale < 0.7 else cv2.INTER_CUBIC
    flat = cv2.warpAffine(image, crop, (size_px, size_px), flags=how, borderMode=cv2.BORDER_REPLICATE)
    coverage = cv2.warpAffine(mask.astype(np.float32), crop, (size_px, size_px), flags=cv2.INTER_LINEAR)
    coverage = as_array(cv2.GaussianBlur(cv2.erode(coverage, np.ones((5, 5), np.uint8)), (0, 0), 1.0))
    linear = as_array((flat.astype(np.float32) / 255) ** np.float32(2.2))
    inside = coverage > 0.5
    linear *= np.float32(np.clip(0.24 / linear[inside].mean(), 0.5, 2.0))
    luminance = as_array(linear @ np.array([0.2126, 0.7152, 0.0722], np.float32))

    pitch_mm = diameter_mm * MARGIN / size_px
    depth = cv2.distanceTransform((coverage > 0.5).astype(np.uint8), cv2.DIST_L2, 3) * np.float32(pitch_mm)
    shoulder = np.clip(depth / np.float32(0.6), 0, 1)
    relief_mm = relief_from_photo(luminance, coverage) * np.float32(PHOTO_RELIEF_MM)
    relief_mm = np.clip(relief_mm, -0.8, 0.8) - (1 - np.sqrt(shoulder * (2 - shoulder))) * np.float32(0.5)
    normals = normals_of(relief_mm, pitch_mm)
    albedo = _unlit(linear, normals)
    return Surface(
        albedo=albedo,
        normals=normals,
        height_mm=relief_mm,
        coverage=coverage,
        specular=np.clip(luminance * np.float32(0.8), 0.02, 0.35),
        shininess=12.0,
        diameter_mm=diameter_mm,
        thickness_mm=2.0,
        side_mm=diameter_mm * MARGIN,
    )


def _unlit(linear: Array, normals: Array) -> Array:
    """Take part of the photograph's own light (upper left) out of its colours; the rest passes for toning."""
    lamp = np.array([[-0.5, 0.5, 0.707]], np.float32)
    shading = np.clip(cv2.transform(normals, lamp), 0.2, None) / np.float32(0.707)
    colour = linear / (shading ** np.float32(0.6))[..., None]
    return np.asarray(np.clip(colour, 0.015, 0.9), np.float32)
