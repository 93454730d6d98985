"""Stored values of an image with as many bits as it has, for what 8 bits would be too coarse for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image, decode_image, read_image_bytes, srgb_profile
from calibration.response import Deep, codes_of

Levels = npt.NDArray[np.float32]

_DEEP = (b"\x89PNG", b"II*\x00", b"MM\x00*")


def read_deep(path: Path) -> Image | Deep:
    """An image (H, W, 3) with the 8 or 16 bits that it is stored with.

    Raises
    ------
    ImageError
        If the file is missing, empty or not one whole image that can be read.
    """
    data = read_image_bytes(path)
    shallow = decode_image(data, str(path))  # refuses what is damaged, too large, or holds floating-point numbers
    if data[:4] in _DEEP:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        if stored is not None and stored.dtype == np.uint16 and stored.shape[:2] == shallow.shape[:2]:
            grey = stored[..., None] if stored.ndim == 2 else stored[..., :3]
            rgb = np.repeat(grey, 3, axis=2) if grey.shape[2] == 1 else grey[..., ::-1]
            return np.ascontiguousarray(rgb, np.uint16)
    return shallow


def read_levels(path: Path) -> tuple[Levels, bool]:
    """Stored values (H, W, 3) from 0 to 1, and whether they have more than 8 bits.

    Raises
    ------
    ImageError
        See `read_deep`.
    """
    stored = read_deep(path)
    return codes_of(stored), stored.dtype == np.uint16


def encode_exact(image: Image | Deep, kind: Literal["tiff", "png"], mm_per_pixel: float | None = None) -> bytes:
    """Encode without loss, with the 8 or 16 bits that it has, tagged as sRGB; with the scale, in TIFF, as dots a cm."""
    if kind == "png":
        bgr = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        profile = np.frombuffer(srgb_profile(), np.uint8)
        done, data = cv2.imencodeWithMetadata(".png", bgr, [cv2.IMAGE_METADATA_ICCP], [profile])
        assert done
        return data.tobytes()
    import tifffile

    written = io.BytesIO()
    scale: dict[str, Any] = {}
    if mm_per_pixel is not None:
        scale = {"resolution": (10 / mm_per_pixel, 10 / mm_per_pixel), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(
        written,
        image,
        photometric="rgb",
        compression="zlib",
        predictor=True,
        metadata=None,
        software=False,
        iccprofile=srgb_profile(),
        **scale,
    )
    return written.getvalue()
