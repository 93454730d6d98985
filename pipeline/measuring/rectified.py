"""`rig calibrate apply --rectify`: frames of the store as if seen from straight above, in one plane."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from itertools import groupby
from pathlib import Path

from calibration.apply import apply
from calibration.bundle import Bundle
from calibration.durable_files import make_folder
from calibration.errors import CalibrationError
from calibration.plate import RingView, ring_corners, ring_of
from calibration.rectify import rectify
from calibration.view_poses import ViewPose, poses_at_one_tilt
from capture.store import Store
from capture.store.records import Frame
from pipeline.lab import Lab
from pipeline.measuring.apply import Corrected, Format, bundle_named, require_frames, write_frame


def rectify_frames(
    lab: Lab,
    store: Store,
    frames: Sequence[Frame],
    bundle: Bundle | None,
    height_mm: float,
    out: Path,
    format_: Format,
) -> Corrected:
    """Calibrate whole frames, bring a plane at a height above the plate (mm) straight, and write them into a folder.

    Where the camera stood is known by the plate's ring, in all frames of a coin's side at one tilt together.

    Parameters
    ----------
    bundle
        Calibrate by this one; None for each frame's own.

    Raises
    ------
    LabError
        If there are no frames.
    """
    require_frames(frames)
    make_folder(out)
    named = cache(partial(bundle_named, lab))
    written: list[Path] = []
    failed: list[str] = []
    for _, same in groupby(sorted(frames, key=_pose_of), key=_pose_of):
        group = list(same)
        try:
            used = bundle or named(group[0].calibration_id)
            posed, unseen = posed_frames(lab, store, group, used)
        except CalibrationError as error:
            failed += [f"Frame {frame.id}: {error}" for frame in group]
            continue
        failed += [f"Frame {frame.id}: too little of the plate's ring is seen in it." for frame in unseen]
        for frame, pose in posed:
            straight = apply(store.image(frame.sha256), used, str(frame.light))
            made = rectify(straight, pose, used.lens, height_mm, used.mm_per_pixel)
            written.append(write_frame(out, frame, made, used, format_))
    return Corrected(tuple(written), tuple(failed), of="frame")


def _pose_of(frame: Frame) -> tuple[str, str, str, float]:
    """Frames that agree in it were taken from one place."""
    return frame.session_id, str(frame.placement), str(frame.calibration_id), frame.tilt_deg or 0.0


def posed_frames(
    lab: Lab, store: Store, frames: Sequence[Frame], bundle: Bundle
) -> tuple[list[tuple[Frame, ViewPose]], list[Frame]]:
    """Frames taken at one tilt, each with its camera's pose, and those that show too little of the ring."""
    ring = lab.rig.quality.ring
    seen: list[tuple[Frame, RingView]] = []
    unseen = []
    for frame in frames:
        view = ring_of(ring_corners(store.image(frame.sha256), ring), ring)
        if view is None:
            unseen.append(frame)
        else:
            seen.append((frame, view))
    if not seen:
        return [], unseen
    turns_deg = [float(frame.turntable_read_deg or frame.turntable_deg or 0.0) for frame, _ in seen]
    poses = poses_at_one_tilt([view for _, view in seen], turns_deg, bundle.lens).poses
    return [(frame, pose) for (frame, _), pose in zip(seen, poses, strict=True)], unseen
