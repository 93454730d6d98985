"""Reading and writing images. In memory an image is RGB, (height, width, 3), uint8, always."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".jxl"})


class ImageError(Exception):
    """A file that should hold an image does not, or an image does not show what it should."""


def read_image(path: Path) -> Image:
    """Read an image file as RGB.

    Raises
    ------
    ImageError
        If the file is missing, empty or not an image OpenCV or libjxl can decode.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    return decode_image(data, str(path))


def decode_image(data: bytes, name: str) -> Image:
    """Decode image bytes (JPEG XL, or whatever OpenCV knows) to RGB; `name` is for the message.

    Raises
    ------
    ImageError
        If the bytes are not an image.
    """
    if data[:2] == b"\xff\x0a" or data[:8] == b"\x00\x00\x00\x0cJXL ":
        import imagecodecs  # 0.2 s to import, and hand-held photographs never need it

        try:
            decoded = imagecodecs.jpegxl_decode(data)
        except imagecodecs.JpegxlError as error:
            raise ImageError(f"{name} is a damaged JPEG XL file ({error}).") from error
        return np.ascontiguousarray(decoded)
    if not data:
        raise ImageError(f"{name} is an empty file.")
    bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ImageError(f"{name} is not an image that can be read. Give a JPEG, PNG, TIFF, WebP or JPEG XL file.")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def encode_lossless(image: Image) -> bytes:
    """Encode as lossless JPEG XL, effort 1 (45 ms for 12 MP where PNG takes 300 to 900 ms)."""
    import imagecodecs

    return bytes(imagecodecs.jpegxl_encode(image, lossless=True, effort=1))


def encode_jpeg(image: Image, quality: int = 88) -> bytes:
    """Encode as JPEG, for reports and thumbnails, never for keeping."""
    ok, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ImageError("the image could not be encoded as JPEG.")
    return data.tobytes()
