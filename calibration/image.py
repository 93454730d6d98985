"""Reading and writing images. In memory an image is RGB, (height, width, 3), uint8, always."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.decoding import Undecodable, decode, max_megapixels
from calibration.durable_files import near_path, read_file

Image = npt.NDArray[np.uint8]

BYTES_PER_PIXEL = 8  # of a file, at most: 16 bits of red, green, blue and alpha, not compressed

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jxl", ".heic", ".heif", ".avif"}
    | {".dng", ".nef", ".cr2", ".cr3", ".arw", ".orf", ".rw2", ".raf"}
)


class ImageError(Exception):
    """A file that should hold an image does not, or an image does not show what it should."""


def read_image(path: Path) -> Image:
    """Read an image file as RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty or not one whole image that can be read.
    """
    return decode_image(read_image_bytes(path), str(path))


def aspect_ratio(path: Path) -> float:
    """How many times as wide as high an image is, without reading all of it.

    Raises
    ------
    ImageError
        If the file is missing, empty or not an image.
    """
    data = np.frombuffer(read_image_bytes(path), np.uint8)
    small = cv2.imdecode(data, cv2.IMREAD_REDUCED_GRAYSCALE_8) if data.size else None
    height, width = (decode_image(data.tobytes(), str(path)) if small is None else small).shape[:2]
    return width / height


def read_image_bytes(path: Path) -> bytes:
    """Read an image file as it is, not decoded.

    Raises
    ------
    ImageError
        If it cannot be read, is no file (a pipe would never end), or is larger than any image may be.
    """
    try:
        return read_file(path, int(BYTES_PER_PIXEL * 1e6 * max_megapixels()))
    except FileNotFoundError as error:
        near = near_path(path)
        remedy = f"Did you mean {near}?" if near is not None else "Check the path."
        raise ImageError(f"{path} does not exist. {remedy}") from error
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error


def decode_image(data: bytes, name: str, page: int = 0) -> Image:
    """Decode the bytes of an image file to RGB, as `calibration.decoding.decode` does; `name` is for the message.

    Raises
    ------
    ImageError
        If the bytes are not one whole image that can be read.
    """
    try:
        return decode(data, page)
    except Undecodable as reason:
        raise ImageError(f"{name} {reason}") from reason


def encode_lossless(image: Image) -> bytes:
    """Encode as lossless JPEG XL, effort 1 (45 ms for 12 MP where PNG takes 300 to 900 ms)."""
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(image, lossless=True, effort=1))


def encode_png(image: Image) -> bytes:
    """Encode as PNG, lossless, for people whose programs do not read JPEG XL."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def encode_for_exchange(image: Image, kind: Literal["tiff", "jpeg"], mm_per_pixel: float | None) -> bytes:
    """Encode for other programs: TIFF without loss, or JPEG of high quality; with the scale as dots per inch."""
    from PIL import Image as Pillow

    data = io.BytesIO()
    scale = {} if mm_per_pixel is None else {"dpi": (25.4 / mm_per_pixel,) * 2}
    how: dict[str, Any] = {"compression": "tiff_lzw"} if kind == "tiff" else {"quality": 95, "subsampling": 0}
    Pillow.fromarray(image).save(data, kind.upper(), icc_profile=srgb_profile(), **how, **scale)
    return data.getvalue()


@lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """The ICC profile of sRGB, the same on every day."""
    from PIL import ImageCms

    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = np.array([2026, 1, 1, 0, 0, 0], ">u2").tobytes()  # littleCMS writes the time that it is
    return bytes(profile)


def encode_jpeg(image: Image, quality: int = 88) -> bytes:
    """Encode as JPEG, for reports and thumbnails, never for keeping."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ImageError("the image could not be encoded as JPEG.")
    return data.tobytes()
