"""The calibration that a scan works with, and what a good frame is by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

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
        Why frames are marked as uncalibrated, though `--allow-uncalibrated` lets them be taken; None for good ones.
    """

    bundle: Bundle | None
    flaw: str | None = None


@dataclass(frozen=True)
class FoundCalibration:
    """The lab's latest bundle, and what is wrong with it: missing, unreadable, or expired."""

    bundle: Bundle | None
    flaw: str | None


def find_calibration(lab: Lab) -> FoundCalibration:
    """Look for the lab's latest calibration; a twin that has none will be calibrated, which is no flaw."""
    command = lab.command("rig calibrate")
    try:
        bundle = latest(lab.calibrations)
    except CalibrationError as error:
        return FoundCalibration(None, str(error))
    if bundle is None:
        if lab.rig.twin is not None:
            return FoundCalibration(None, None)
        return FoundCalibration(
            None, f"{lab.folder} was never calibrated. Run `{command}` first: it takes about ten minutes."
        )
    days = lab.rig.calibration.valid_days
    ends_at = bundle.created_at + timedelta(days=min(days, bundle.valid_days))
    if datetime.now(UTC) > ends_at:
        return FoundCalibration(
            bundle,
            f"Calibration {bundle.id} expired on {ends_at:%Y-%m-%d} (`calibration: valid_days` in rig.yaml is {days}). "
            f"Run `{command}` to renew it.",
        )
    return FoundCalibration(bundle, None)


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
    bundle, flaw, applies = found.bundle, found.flaw, found.bundle
    if bundle is None and flaw is None:
        reporter.report("This twin lab was never calibrated: calibrating now (at the bench: `rig calibrate`).")
        rig.station.home()
        applies = bundle = calibrate_rig(lab, rig, SilentReporter())
        reporter.report(
            f"Calibrated: {bundle.id}, {1000 * bundle.mm_per_pixel:.2f} µm per pixel, "
            f"lens to {bundle.lens.rms_px:.2f} px."
        )
    elif bundle is not None:
        camera = camera_name(rig.camera.identity)
        missing = [light for light in lights if light not in bundle.flats]
        # A replayed folder does not say which camera took it.
        if camera != bundle.camera and rig.camera.identity.kind != "replay":
            applies, flaw = (
                None,
                (
                    f"Calibration {bundle.id} is of another camera ({bundle.camera}) than this rig's ({camera}). Run "
                    f"`{lab.command('rig calibrate')}` to calibrate this one."
                ),
            )
        elif missing:
            applies, flaw = (
                None,
                (
                    f"Light {', '.join(missing)} is not in calibration {bundle.id}. Run "
                    f"`{lab.command('rig calibrate')}` again."
                ),
            )
    if flaw is not None and not allow_uncalibrated:
        raise LabError(f"{flaw} Or scan with --allow-uncalibrated, which marks every frame. Nothing has moved.")
    if flaw is not None:
        reporter.warn(f"{flaw} Frames are taken all the same, and marked as uncalibrated (--allow-uncalibrated).")
    if applies is not None:
        folder = f"{applies.created_at:%Y%m%dT%H%M%SZ}_{applies.id}"
        store.calibrations.add(applies.id, applies.created_at.isoformat(), folder)
    return FrameCalibration(applies, flaw)


def frame_limits(lab: Lab, bundle: Bundle | None) -> Limits:
    """What a good frame is: `quality:` of rig.yaml, the ring's zero as it was measured unless rig.yaml gives one."""
    limits = lab.rig.quality
    if bundle is None or bundle.ring_zero_deg is None or "ring_zero_deg" in limits.model_fields_set:
        return limits
    return limits.model_copy(update={"ring_zero_deg": bundle.ring_zero_deg})
