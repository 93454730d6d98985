"""From a raw frame to a calibrated one: evenly lit, neutral, straight."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from calibration.bundle import Bundle
from calibration.errors import CalibrationError
from calibration.flat import gain_at_size
from calibration.image import Image
from calibration.response import to_image, to_linear

_Map = npt.NDArray[np.integer]


Box = tuple[int, int, int, int]
"""A part of an image: left, top, right, bottom (px), the last two not included."""


def apply(raw: Image, bundle: Bundle, light: str, box: Box | None = None) -> Image:
    """Calibrate a frame (H, W, 3): apply its light's flat field in linear light, and take the distortion out.

    The result has the bundle's camera matrix, no distortion, and a scale of `bundle.mm_per_pixel`. It has the frame's
    size; with a `box`, it is that part of it, for that part's cost.

    Raises
    ------
    CalibrationError
        If the frame's size is not the bundle's, or the bundle has no flat field for the light.
    """
    height_px, width_px = raw.shape[:2]
    if (width_px, height_px) != (bundle.lens.width_px, bundle.lens.height_px):
        raise CalibrationError(
            f"The frame is {width_px}x{height_px} pixels, calibration {bundle.id} is for "
            f"{bundle.lens.width_px}x{bundle.lens.height_px}. Set the camera back, or run `rig calibrate` again."
        )
    if light not in bundle.flats:
        raise CalibrationError(
            f"Calibration {bundle.id} has no flat field for {light}, only for "
            f"{', '.join(sorted(bundle.flats)) or 'no light'}. Run `rig calibrate` again."
        )
    left, top, right, bottom = box or (0, 0, width_px, height_px)
    part = (slice(top, bottom), slice(left, right))
    coarse, fine = (each[part] for each in _straightening(bundle))
    source = _source(coarse, width_px, height_px)
    origin = np.array([source[1].start, source[0].start, 0, 0], float)
    within = cv2.subtract(coarse, origin)  # four times as fast as numpy
    straight = cv2.remap(to_linear(raw[source]), within, fine, cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
    cv2.multiply(straight, _straight_gain(bundle, light)[part], dst=straight)
    return to_image(np.asarray(straight, np.float32))


def _source(coarse: _Map, width_px: int, height_px: int) -> tuple[slice, slice]:
    """Rows and columns of the raw frame that a part of the straight one is made of: its border comes from theirs."""
    border = np.concatenate([coarse[0], coarse[-1], coarse[:, 0], coarse[:, -1]]).astype(int)
    (left, top), (right, bottom) = border.min(axis=0), border.max(axis=0)
    reach = 2  # of the cubic interpolation
    return (
        slice(min(max(0, top - reach), height_px - 1), max(1, min(height_px, bottom + reach + 1))),
        slice(min(max(0, left - reach), width_px - 1), max(1, min(width_px, right + reach + 1))),
    )


@lru_cache(maxsize=2)
def _straightening(bundle: Bundle) -> tuple[_Map, _Map]:
    lens = bundle.lens
    size = (lens.width_px, lens.height_px)
    coarse, fine = cv2.initUndistortRectifyMap(lens.matrix, lens.distortion, np.eye(3), lens.matrix, size, cv2.CV_16SC2)
    return np.asarray(coarse), np.asarray(fine)


@lru_cache(maxsize=8)
def _straight_gain(bundle: Bundle, light: str) -> npt.NDArray[np.float32]:
    gain = gain_at_size(bundle.flats[light], bundle.lens.width_px, bundle.lens.height_px)
    coarse, fine = _straightening(bundle)
    return np.asarray(cv2.remap(gain, coarse, fine, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
