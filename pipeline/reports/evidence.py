"""Drawn evidence: where two coins agree, laid over their images; kept for the reports, which need no model.

The drawings are no records: any may be deleted, and is drawn again when the coin is identified again.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.durable_files import write_atomically
from calibration.image import Image, ImageError, encode_jpeg, read_image
from pipeline.lab import Lab

QUALITY = 84


def overlay(image: npt.NDArray[Any], heat: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """An image with a map of 0 to 1 over it: yellow, then red, the higher the more of it."""
    colour = np.stack([np.full_like(heat, 255.0), 220.0 * (1.0 - heat), np.zeros_like(heat)], axis=2)
    share = (0.8 * heat)[:, :, None]
    return np.asarray(np.rint(image * (1.0 - share) + colour * share), np.uint8)


def overlay_pair(
    first: Image, second: Image, maps: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]], size_px: int
) -> tuple[Image, Image]:
    """Two crops under their maps, enlarged; red is the strongest evidence of both that they show one coin."""
    strongest = max(*(float(each.max()) for each in maps), 1e-12)
    drawn = []
    for crop, found in zip((first, second), maps, strict=True):
        large = cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
        heat = cv2.resize(np.clip(found / strongest, 0.0, 1.0), (size_px, size_px), interpolation=cv2.INTER_LINEAR)
        drawn.append(overlay(large, np.asarray(heat, np.float32)))
    return drawn[0], drawn[1]


def keep_evidence(lab: Lab, session: str, coin: str, side: str, drawing: Image) -> None:
    """Keep the drawing for a coin side of a session. A disk that is full is no reason to fail."""
    path = _path(lab, session, coin, side)
    with suppress(OSError):
        write_atomically(path, encode_jpeg(drawing, QUALITY), durable=False)


def find_evidence(lab: Lab, session: str, coin: str, side: str) -> Image | None:
    """The drawing for a coin side of a session; None if there is none."""
    try:
        return read_image(_path(lab, session, coin, side))
    except ImageError:
        return None


def _path(lab: Lab, session: str, coin: str, side: str) -> Path:
    name = hashlib.sha256(f"{session} {coin} {side}".encode()).hexdigest()[:24]
    return lab.reports / "evidence" / f"{name}.jpg"
