"""`rig colmap`: the frames of a coin's side, at every tilt and turn, as a folder for COLMAP, its cameras known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.apply import apply
from calibration.bundle import Bundle, find
from calibration.colmap import PosedImage, encode_colmap
from calibration.durable_files import make_folder, write_atomically
from calibration.errors import CalibrationError
from calibration.image import encode_png
from calibration.plate import RingSpec, RingView, crossing, ring_corners, ring_of
from calibration.view_poses import poses_at_one_tilt
from capture.store import Store
from capture.store.records import Frame
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.reporter import Reporter
from pipeline.wording import count
from rig.sides import Side

LEAST_IMAGES = 2


@dataclass(frozen=True)
class ColmapFolder:
    """What was written.

    Attributes
    ----------
    images
        Names in the folder's `images`.
    light
        That they were taken under.
    tilts_deg
        Of the camera.
    rms_px
        How well the ring agrees with the poses.
    left_out
        Frames that do not show enough of the ring.
    """

    out: Path
    images: tuple[str, ...]
    light: str
    tilts_deg: tuple[float, ...]
    rms_px: float
    left_out: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "out": str(self.out),
            "images": list(self.images),
            "light": self.light,
            "tilts_deg": list(self.tilts_deg),
            "rms_px": round(self.rms_px, 3),
            "left_out": list(self.left_out),
        }


@dataclass(frozen=True, eq=False)
class _Shown:
    """A frame in which the ring is seen."""

    frame: Frame
    name: str
    ring: RingView


def write_colmap(
    lab: Lab, store: Store, coin: str, side: Side, light: str | None, out: Path, reporter: Reporter
) -> ColmapFolder:
    """Write the frames of a side's latest session under one light; the most used one, if none is named.

    Raises
    ------
    UsageError
        If the folder is not empty.
    LabError
        If there are no such frames, or their calibration is gone.
    CalibrationError
        If the ring is not seen in at least two of them, or does not agree with the turntable.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UsageError(f"--out: {out} is there already. Name a new folder.")
    frames = _frames(store, coin, side, light)
    bundle = find(lab.calibrations, str(frames[0].calibration_id))
    if bundle is None:
        raise LabError(
            f"Calibration {frames[0].calibration_id} of these frames is not in {lab.calibrations}. Bring it back "
            "from a backup."
        )
    shown, left_out = [], []
    for number, frame in enumerate(frames, 1):
        ring = ring_of(ring_corners(store.image(frame.sha256), lab.rig.quality.ring), lab.rig.quality.ring)
        name = f"{number:03}_tilt{_tilt_deg(frame):02.0f}_turn{_turn_deg(frame):03.0f}.png"
        if ring is None:
            left_out.append(frame.id)
            reporter.warn(f"Frame {frame.id} is left out: too little of the plate's ring is seen in it.")
            continue
        shown.append(_Shown(frame, name, ring))
    if len(shown) < LEAST_IMAGES:
        raise CalibrationError(
            f"The plate's ring is seen in {len(shown)} of {count(len(frames), 'frame')} of {coin} under "
            f"{frames[0].light}; where the camera stood is known by it, and at least {LEAST_IMAGES} are needed. Lay "
            "the printed ring on the plate (`rig print ring`), and scan with a plan of several turns or tilts."
        )
    images, points_mm, rms_px = _posed(shown, bundle, lab.rig.quality.ring)
    make_folder(out / "images")
    for each in shown:
        whole = apply(store.image(each.frame.sha256), bundle, str(each.frame.light))
        write_atomically(out / "images" / each.name, encode_png(whole))
    for name, text in encode_colmap(images, points_mm, bundle.lens).items():
        write_atomically(out / name, text)
    tilts = sorted({round(_tilt_deg(each.frame), 1) for each in shown})
    return ColmapFolder(
        out, tuple(image.name for image in images), str(frames[0].light), tuple(tilts), rms_px, tuple(left_out)
    )


def _frames(store: Store, coin: str, side: Side, light: str | None) -> list[Frame]:
    """One frame of each pose, of the latest session, under one light."""
    good = [
        frame
        for frame in store.frames.select((), (), (coin,), ())
        if frame.is_good and frame.calibrated_sha256 is not None and frame.side == side
    ]
    if not good:
        raise LabError(f"There is no calibrated frame of the {side} of {coin}. `rig scan` takes some.")
    latest = max(good, key=lambda each: each.number)
    placement = Counter(frame.placement for frame in good if frame.session_id == latest.session_id).most_common(1)
    placed = [frame for frame in good if frame.placement == placement[0][0]]
    lights = Counter(str(frame.light) for frame in placed)
    chosen = lights.most_common(1)[0][0] if light is None else light
    if chosen not in lights:
        raise LabError(f"No frame of {coin} was taken under {chosen}. There are: {', '.join(sorted(lights))}.")
    lit = [frame for frame in placed if frame.light == chosen]
    by_pose = {(frame.tilt_deg or 0.0, frame.turntable_deg or 0.0): frame for frame in lit}
    return [by_pose[pose] for pose in sorted(by_pose)]


def _posed(
    shown: Sequence[_Shown], bundle: Bundle, ring: RingSpec
) -> tuple[list[PosedImage], dict[int, npt.NDArray[np.float64]], float]:
    """Each image with its pose and the ring's markers in it; those on the plate; how well the ring agrees (px).

    A marker counts by its centre: blur draws each corner inwards, and all four alike.
    """
    centres_mm = ring.corners_mm.mean(axis=1)
    images, shifts, misses = [], [], []
    for tilt_deg in sorted({each.frame.tilt_deg or 0.0 for each in shown}):
        at_tilt = [each for each in shown if (each.frame.tilt_deg or 0.0) == tilt_deg]
        turns_deg = [_turn_deg(each.frame) for each in at_tilt]
        posed = poses_at_one_tilt([each.ring for each in at_tilt], turns_deg, bundle.lens)
        shifts += [posed.shift_mm] * len(at_tilt)
        misses.append(posed.rms_px)
        for each, pose in zip(at_tilt, posed.poses, strict=True):
            centres = each.ring.corners_mm.reshape(-1, 4, 2).mean(axis=1)
            numbers = np.linalg.norm(centres[:, None] - centres_mm[None], axis=2).argmin(axis=1) + 1
            straight = bundle.lens.straightened(each.ring.corners_px).reshape(-1, 4, 2)
            seen = {int(number): crossing(quad) for number, quad in zip(numbers, straight, strict=True)}
            images.append(PosedImage(each.name, pose, seen))
    shift = np.mean(shifts, axis=0)
    points = {number: np.array([*(centre + shift), 0.0]) for number, centre in enumerate(centres_mm, 1)}
    return images, points, float(np.max(misses))


def _tilt_deg(frame: Frame) -> float:
    return (frame.tilt_deg if frame.tilt_read_deg is None else frame.tilt_read_deg) or 0.0


def _turn_deg(frame: Frame) -> float:
    return (frame.turntable_deg if frame.turntable_read_deg is None else frame.turntable_read_deg) or 0.0
