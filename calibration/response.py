"""From stored pixel values to light and back: the sRGB curve (IEC 61966-2-1) that cameras store 8-bit images in."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image

_CODES = np.arange(256, dtype=np.float64) / 255
_TO_LINEAR = np.where(_CODES <= 0.04045, _CODES / 12.92, ((_CODES + 0.055) / 1.055) ** 2.4).astype(np.float32)
_LEVELS = 8192
_TO_LEVEL = np.full(4, _LEVELS - 1.0)  # for each channel
_LIGHT = np.arange(_LEVELS, dtype=np.float64) / (_LEVELS - 1)
_TO_CODE = np.where(_LIGHT <= 0.0031308, 12.92 * _LIGHT, 1.055 * _LIGHT ** (1 / 2.4) - 0.055)
_TO_CODE_8 = np.full(1 << 16, 255, np.uint8)  # more light than 1 is clipped
_TO_CODE_8[:_LEVELS] = np.round(255 * _TO_CODE)


def to_linear(image: Image) -> npt.NDArray[np.float32]:
    """Light, 0 to 1, of an 8-bit image; same shape."""
    return np.asarray(cv2.LUT(image, _TO_LINEAR), np.float32)


def to_image(light: npt.NDArray[np.float32]) -> Image:
    """The 8-bit image of light, clipped to 0 to 1; same shape."""
    level = cv2.multiply(light, _TO_LEVEL, dtype=cv2.CV_16U)
    return np.asarray(cv2.LUT(level, _TO_CODE_8), np.uint8)
