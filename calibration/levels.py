"""Stored values of an image with as many bits as it has, for what 8 bits would be too coarse for."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import decode_image, read_image_bytes

Levels = npt.NDArray[np.float32]

_DEEP = (b"\x89PNG", b"II*\x00", b"MM\x00*")


def read_levels(path: Path) -> tuple[Levels, bool]:
    """Stored values (H, W, 3) from 0 to 1, and whether they have more than 8 bits.

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
            return np.asarray(rgb / np.float32(65535), np.float32), True
    return np.asarray(shallow / np.float32(255), np.float32), False
