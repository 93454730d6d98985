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

Map = npt.NDArray[np.float32]


def overlay(image: npt.NDArray[Any], heat: npt.NDArray[np.float32], *, against: bool = False) -> Image:
    """An image with a map of 0 to 1 over it: yellow, then red, the higher the more of it; `against`, in blue."""
    blue, green = (255.0 * np.ones_like(heat), 160.0 * (1.0 - heat)) if against else (0.0 * heat, 220.0 * (1.0 - heat))
    colour = np.stack([0.0 * heat if against else np.full_like(heat, 255.0), green, blue], axis=2)
    share = (0.8 * heat)[:, :, None]
    return np.asarray(np.rint(image * (1.0 - share) + colour * share), np.uint8)


def overlay_pair(pair: tuple[Image, Image], maps: tuple[Map, Map], size_px: int, *, against: bool = False) -> Image:
    """Two crops beside each other, enlarged, under their maps: what speaks for one coin (red), or against it (blue).

    The same shade is equally strong in both, and `against` as strong as for.
    """
    strongest = max(*(float(np.abs(each).max()) for each in maps), 1e-12)
    drawn = []
    for crop, found in zip(pair, maps, strict=True):
        share = np.clip((-found if against else found) / strongest, 0.0, 1.0)
        heat = cv2.resize(share, (size_px, size_px), interpolation=cv2.INTER_LINEAR)
        drawn.append(overlay(enlarge(crop, size_px), np.asarray(heat, np.float32), against=against))
    return np.ascontiguousarray(np.hstack(drawn))


def draw_points(pair: tuple[Image, Image], points: npt.NDArray[np.float32], size_px: int) -> Image:
    """Two crops in register beside each other, enlarged, with the points (N, 2) of both, in shares of the width."""
    drawn = [enlarge(crop, size_px) for crop in pair]
    for crop in drawn:
        for x, y in np.rint(points * size_px).astype(int).tolist():
            cv2.circle(crop, (x, y), 3, (0, 210, 60), 1, cv2.LINE_AA)
    return np.ascontiguousarray(np.hstack(drawn))


def enlarge(crop: Image, size_px: int) -> Image:
    """A crop so many pixels wide."""
    return np.asarray(cv2.resize(crop, (size_px, size_px), interpolation=cv2.INTER_CUBIC), np.uint8)


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
