"""From a raw frame to a calibrated one: free of hot pixels and dark level, straight, evenly lit, in true colours.

All of it is one pass over strips of rows that stay in the processor's cache: what lies between stored values and stored
values is never written to memory as a whole. Strips, threads and parts change no bit of the result.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from calibration.bundle import Bundle
from calibration.errors import CalibrationError
from calibration.flat import gain_at_size
from calibration.hot_pixels import without_hot
from calibration.response import Raw, encode, table_of

_Map = npt.NDArray[np.integer]

STRIP_ROWS = 96

Box = tuple[int, int, int, int]
"""A part of an image: left, top, right, bottom (px), the last two not included."""


def apply(raw: Raw, bundle: Bundle, light: str, box: Box | None = None) -> Raw:
    """Calibrate a frame (H, W, 3) of 8 or 16 bits, taken under a light.

    The result has as many bits, the bundle's camera matrix, no distortion, and a scale of `bundle.mm_per_pixel`. It has
    the frame's size; with a `box`, it is that part of it, for that part's cost.

    Raises
    ------
    CalibrationError
        If the frame is no such image, its size is not the bundle's, or the bundle has no flat field for the light.
    """
    _check_frame(raw, bundle, light)
    height_px, width_px = raw.shape[:2]
    left, top, right, bottom = box or (0, 0, width_px, height_px)
    coarse, fine = _straightening(bundle)
    gain, table = _straight_gain(bundle, light), _table(bundle, raw.dtype.str)
    colour = bundle.colours.get(light)
    straight = np.empty((bottom - top, right - left, 3), raw.dtype)
    for first in range(top, bottom, STRIP_ROWS):
        part = (slice(first, min(first + STRIP_ROWS, bottom)), slice(left, right))
        source = _source(coarse[part], width_px, height_px)
        origin = np.array([source[1].start, source[0].start, 0, 0], float)
        within = cv2.subtract(coarse[part], origin)  # four times as fast as numpy
        seen = without_hot(raw, bundle.hot, source)
        strip = cv2.remap(cv2.LUT(seen, table), within, fine[part], cv2.INTER_CUBIC, borderMode=cv2.BORDER_CONSTANT)
        cv2.multiply(strip, gain[part], dst=strip)
        even = np.asarray(strip, np.float32) if colour is None else colour.apply(np.asarray(strip, np.float32))
        straight[first - top : part[0].stop - top] = encode(even, raw)
    return straight


def _check_frame(raw: npt.NDArray[np.generic], bundle: Bundle, light: str) -> None:
    if raw.ndim != 3 or raw.shape[2] != 3 or raw.dtype not in (np.uint8, np.uint16):
        raise CalibrationError(
            f"The frame has shape {raw.shape} and values of {raw.dtype}. Give a colour image of 8 or 16 bits a channel."
        )
    height_px, width_px = raw.shape[:2]
    lens = bundle.lens
    if (width_px, height_px) != (lens.width_px, lens.height_px):
        turned = (height_px, width_px) == (lens.width_px, lens.height_px)
        raise CalibrationError(
            f"The frame is {width_px}x{height_px} pixels, calibration {bundle.id} is for "
            f"{lens.width_px}x{lens.height_px}."
            + (
                " It seems to be turned by 90 degrees: give it as the camera took it."
                if turned
                else " Set the camera back, or run `rig calibrate` again."
            )
        )
    if light not in bundle.flats:
        raise CalibrationError(
            f"Calibration {bundle.id} has no flat field for {light}, only for "
            f"{', '.join(sorted(bundle.flats)) or 'no light'}. Run `rig calibrate` again."
        )


def _source(coarse: _Map, width_px: int, height_px: int) -> tuple[slice, slice]:
    """Rows and columns of the raw frame that a part of the straight one is made of: its border comes from theirs."""
    border = np.concatenate([coarse[0], coarse[-1], coarse[:, 0], coarse[:, -1]]).astype(int)
    (left, top), (right, bottom) = border.min(axis=0), border.max(axis=0)
    reach = 2  # of the cubic interpolation
    return (
        slice(min(max(0, top - reach), height_px - 1), max(1, min(height_px, bottom + reach + 1))),
        slice(min(max(0, left - reach), width_px - 1), max(1, min(width_px, right + reach + 1))),
    )


@lru_cache(maxsize=4)
def _table(bundle: Bundle, dtype: str) -> npt.NDArray[np.float32]:
    """Light of each stored value, what the camera reports in the dark taken off; for each channel where they differ."""
    light = table_of(np.dtype(dtype))
    if bundle.dark is None:
        return light
    # Never below 0: at the frame's edge the cubic interpolation would turn less than nothing into light.
    return np.ascontiguousarray(np.maximum(light[:, None, None] - bundle.dark[None, None, :], 0), np.float32)


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
