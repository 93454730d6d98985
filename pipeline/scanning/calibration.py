"""The calibration that a scan works with, and what a good frame is by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from calibration.bundle import Bundle, latest
from calibration.errors import CalibrationError
from capture.quality import Limits
from capture.store import Store
from pipeline.assembly import Rig
from pipeline.bench.calibrate import calibrate_rig, camera_name
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reporter import Reporter, SilentReporter


@dataclass(frozen=True)
class FrameCalibration:
    """What frames are calibrated by.

    Attributes
    ----------
    bundle
        None where nothing can be applied.
    flaw
        What is wrong with it: missing, unreadable, expired, or another rig's. Frames are marked as uncalibrated for it,
        where `--allow-uncalibrated` lets them be taken; None for good ones.
    """

    bundle: Bundle | None
    flaw: str | None = None


def find_calibration(lab: Lab) -> FrameCalibration:
    """Look for the lab's latest calibration; a twin that has none will be calibrated, which is no flaw."""
    command = lab.command("rig calibrate")
    try:
        bundle = latest(lab.calibrations)
    except CalibrationError as error:
        return FrameCalibration(None, str(error))
    if bundle is None:
        if lab.rig.twin is not None:
            return FrameCalibration(None)
        return FrameCalibration(
            None, f"{lab.folder} was never calibrated. Run `{command}` first: it takes about ten minutes."
        )
    days = lab.rig.calibration.valid_days
    ends_at = bundle.expires_at(days)
    if datetime.now(UTC) > ends_at:
        return FrameCalibration(
            bundle,
            f"Calibration {bundle.id} expired on {ends_at:%Y-%m-%d} (`calibration: valid_days` in rig.yaml is {days}). "
            f"Run `{command}` to renew it.",
        )
    return FrameCalibration(bundle)


def require_calibration(
    lab: Lab, store: Store, rig: Rig, lights: Sequence[str], reporter: Reporter, *, allow_uncalibrated: bool = False
) -> FrameCalibration:
    """Return what frames are calibrated by, made known to the store; a twin that has none is calibrated.

    Parameters
    ----------
    lights
        Those of the plan.
    allow_uncalibrated
        Take frames though the calibration is missing, expired, or another camera's: an expired one is applied, and
        every frame is marked.

    Raises
    ------
    LabError
        If the calibration is missing, expired, or another camera's, and that is not allowed.
    """
    found = find_calibration(lab)
    if found.bundle is None and found.flaw is None:
        reporter.report("This twin lab was never calibrated: calibrating now (at the bench: `rig calibrate`).")
        rig.station.home()
        bundle = calibrate_rig(lab, rig, SilentReporter()).bundle
        reporter.report(
            f"Calibrated: {bundle.id}, {1000 * bundle.mm_per_pixel:.2f} µm per pixel, "
            f"lens to {bundle.lens.rms_px:.2f} px."
        )
        applied = FrameCalibration(bundle)
    else:
        applied = _for_this_rig(lab, rig, found, lights)
    if applied.flaw is not None and not allow_uncalibrated:
        raise LabError(f"{applied.flaw} Or scan with --allow-uncalibrated, which marks every frame. Nothing has moved.")
    if applied.flaw is not None:
        reporter.warn(
            f"{applied.flaw} Frames are taken all the same, and marked as uncalibrated (--allow-uncalibrated)."
        )
    if applied.bundle is not None:
        folder = f"{applied.bundle.created_at:%Y%m%dT%H%M%SZ}_{applied.bundle.id}"
        store.calibrations.add(applied.bundle.id, applied.bundle.created_at.isoformat(), folder)
    return applied


def _for_this_rig(lab: Lab, rig: Rig, found: FrameCalibration, lights: Sequence[str]) -> FrameCalibration:
    """Return what was found, or why it is not applied: it is of another camera, or lacks a light of the plan."""
    bundle = found.bundle
    if bundle is None:
        return found
    command, camera = lab.command("rig calibrate"), camera_name(rig.camera.identity)
    # A replayed folder does not say which camera took it.
    if camera != bundle.camera and rig.camera.identity.kind != "replay":
        return FrameCalibration(
            None,
            f"Calibration {bundle.id} is of another camera ({bundle.camera}) than this rig's ({camera}). Run "
            f"`{command}` to calibrate this one.",
        )
    missing = [light for light in lights if light not in bundle.flats]
    if missing:
        return FrameCalibration(
            None, f"Light {', '.join(missing)} is not in calibration {bundle.id}. Run `{command}` again."
        )
    return found


def frame_limits(lab: Lab, bundle: Bundle | None) -> Limits:
    """What a good frame is: `quality:` of rig.yaml, the ring's zero as it was measured unless rig.yaml gives one."""
    limits = lab.rig.quality
    if bundle is None or bundle.ring_zero_deg is None or "ring_zero_deg" in limits.model_fields_set:
        return limits
    return limits.model_copy(update={"ring_zero_deg": bundle.ring_zero_deg})
