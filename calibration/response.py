"""From stored pixel values to light and back: the sRGB curve (IEC 61966-2-1) that cameras store images in."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image

Deep = npt.NDArray[np.uint16]
"""An image of 16 bits a channel, (H, W, 3)."""
Raw = TypeVar("Raw", Image, Deep)
LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def light_of_codes(codes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Light, 0 to 1, of stored values of 0 to 1; in the precision of what is given."""
    one = codes.dtype.type
    return np.asarray(
        np.where(codes <= one(0.04045), codes / one(12.92), ((codes + one(0.055)) / one(1.055)) ** one(2.4))
    )


def codes_of_light(light: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Stored values, 0 to 1, of light of 0 to 1; in the precision of what is given."""
    one = light.dtype.type
    return np.asarray(
        np.where(
            light <= one(0.0031308), one(12.92) * light, one(1.055) * np.maximum(light, 0) ** one(1 / 2.4) - one(0.055)
        )
    )


_TO_LINEAR = light_of_codes(np.arange(256, dtype=np.float64) / 255).astype(np.float32)
_LEVELS = 8192
_TO_LEVEL = np.full(4, _LEVELS - 1.0)  # for each channel
_LIGHT = np.arange(_LEVELS, dtype=np.float64) / (_LEVELS - 1)
_TO_CODE_8 = np.full(1 << 16, 255, np.uint8)  # more light than 1 is clipped
_TO_CODE_8[:_LEVELS] = np.round(255 * codes_of_light(_LIGHT))
_DEEP = 65535


def codes_of(image: Image | Deep) -> npt.NDArray[np.float32]:
    """Stored values of 0 to 1, (H, W, 3), of an image of 8 or 16 bits."""
    return np.asarray(image / np.float32(255 if image.dtype == np.uint8 else _DEEP), np.float32)


def to_linear(image: Image | Deep) -> npt.NDArray[np.float32]:
    """Light, 0 to 1, of an image of 8 or 16 bits; same shape."""
    return np.asarray(cv2.LUT(image, table_of(image.dtype)), np.float32)


def table_of(dtype: npt.DTypeLike) -> npt.NDArray[np.float32]:
    """Light, 0 to 1, of each stored value: 256 of them, or 65536."""
    return _TO_LINEAR if dtype == np.uint8 else _deep_table()


def to_image(light: npt.NDArray[np.float32]) -> Image:
    """The 8-bit image of light, clipped to 0 to 1; same shape."""
    level = cv2.multiply(light, _TO_LEVEL, dtype=cv2.CV_16U)
    return np.asarray(cv2.LUT(level, _TO_CODE_8), np.uint8)


def to_deep_image(light: npt.NDArray[np.float32]) -> Deep:
    """The 16-bit image of light, clipped to 0 to 1; same shape."""
    return np.rint(codes_of_light(np.clip(light, 0, 1)) * np.float32(_DEEP)).astype(np.uint16)


def encode(light: npt.NDArray[np.float32], like: Raw) -> Raw:
    """The image of light, clipped to 0 to 1, of as many bits as another."""
    return to_image(light) if like.dtype == np.uint8 else to_deep_image(light)  # type: ignore[return-value]


@lru_cache(maxsize=1)
def _deep_table() -> npt.NDArray[np.float32]:
    return light_of_codes(np.arange(_DEEP + 1, dtype=np.float64) / _DEEP).astype(np.float32)
