"""A coin of a batch in images: both its sides side by side, and a contact sheet of all its shots, of thumbnails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.image import Image
from capture.store.records import Candidate, Entry
from pipeline.reports.images import Thumbnails, as_data_url, resize, rotate
from pipeline.reports.night import CoinNight
from pipeline.reports.report import choose_best_frames, rotations_deg
from rig.sides import SHOT_SIDES, SIDES

CELL_PX = 56
_MISSING = (240, 241, 243)
_REJECTED = (213, 94, 0)

Sized = Callable[[int], Image]
"""Gives an image in which each coin side is so many px wide."""


@dataclass(frozen=True)
class Sheet:
    """An image of all shots of a coin: a row for each side and pose, a column for each light, `CELL_PX` each.

    Shots without a frame are left blank; those without a good frame are framed and struck through.
    """

    data: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]


def pair_frames(coin: CoinNight, thumbnails: Thumbnails, entries: dict[str, Entry]) -> Sized | None:
    """The sharpest frame of each side, rotated as the best candidate is; None if there is no good frame."""
    rotations = rotations_deg(coin.result.candidates, entries)
    images = [
        rotate(thumbnail, rotations.get(frame.side, 0.0) - (frame.turntable_read_deg or 0.0))
        for frame in choose_best_frames(coin.frames)
        for thumbnail in [thumbnails.frame(frame)]
        if thumbnail is not None
    ]
    return _side_by_side(images)


def pair_entries(candidate: Candidate, thumbnails: Thumbnails, entries: dict[str, Entry]) -> Sized | None:
    """The catalogue's images of a candidate, obverse first; None if they were removed from the catalogue since."""
    found = [entries[name] for name in candidate.evidence.get("entries", ()) if name in entries]
    found.sort(key=lambda entry: SIDES.index(entry.side) if entry.side in SIDES else len(SIDES))
    images = [thumbnail for entry in found for thumbnail in [thumbnails.entry(entry)] if thumbnail is not None]
    return _side_by_side(images[:2])


def make_contact_sheet(coin: CoinNight, thumbnails: Thumbnails) -> Sheet | None:
    """Every shot of a coin in one image; None if no frame was taken."""
    if not coin.frames:
        return None
    poses = sorted({(SHOT_SIDES.index(shot.side), shot.tilt_deg, shot.turntable_deg) for shot in coin.shots})
    lights = list(dict.fromkeys(shot.light for shot in coin.shots))
    shown = {frame.shot_id: frame for frame in coin.frames}
    shown |= {frame.shot_id: frame for frame in coin.frames if frame.is_good}
    sheet = np.full((len(poses) * CELL_PX, len(lights) * CELL_PX, 3), _MISSING, np.uint8)
    for shot in coin.shots:
        frame = shown.get(shot.id)
        thumbnail = thumbnails.frame(frame) if frame is not None else None
        if frame is None or thumbnail is None:
            continue
        top = poses.index((SHOT_SIDES.index(shot.side), shot.tilt_deg, shot.turntable_deg)) * CELL_PX
        left = lights.index(shot.light) * CELL_PX
        cell = resize(thumbnail, CELL_PX)
        if not frame.is_good:
            last = CELL_PX - 1
            cv2.line(cell, (0, last), (last, 0), _REJECTED, 2, cv2.LINE_AA)
            cv2.rectangle(cell, (1, 1), (last - 1, last - 1), _REJECTED, 3)
        sheet[top : top + CELL_PX, left : left + CELL_PX] = cell
    tilted = len({tilt_deg for _, tilt_deg, _ in poses}) > 1
    return Sheet(
        as_data_url(sheet, 62),
        tuple(f"{SHOT_SIDES[side]} {turn:g}°{f', tilt {tilt:g}°' if tilted else ''}" for side, tilt, turn in poses),
        tuple(lights),
    )


def _side_by_side(images: list[Image]) -> Sized | None:
    if not images:
        return None
    return lambda size_px: np.hstack([resize(image, size_px) for image in images])
