"""The calibration that a scan works with, and what a good frame is by it."""

from __future__ import annotations

from calibration.bundle import Bundle, latest
from capture.quality import Limits
from capture.store import Store
from pipeline.assembly import Rig
from pipeline.bench.calibrate import calibrate_rig
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reporter import Reporter, SilentReporter


def require_calibration(lab: Lab, store: Store, rig: Rig, reporter: Reporter) -> Bundle:
    """Return the latest calibration, made known to the store; a twin that has none is calibrated.

    Raises
    ------
    LabError
        If a real rig was never calibrated.
    """
    bundle = latest(lab.calibrations)
    if bundle is None:
        if rig.world is None:
            command = lab.command("rig calibrate")
            raise LabError(f"{lab.folder} was never calibrated. Run `{command}` first: it takes about ten minutes.")
        reporter.report("This twin lab was never calibrated: calibrating now (at the bench: `rig calibrate`).")
        rig.station.home()
        bundle = calibrate_rig(lab, rig, SilentReporter())
        reporter.report(
            f"Calibrated: {bundle.id}, {1000 * bundle.mm_per_pixel:.2f} µm per pixel, "
            f"lens to {bundle.lens.rms_px:.2f} px."
        )
    store.calibrations.add(bundle.id, bundle.created_at.isoformat(), f"{bundle.created_at:%Y%m%dT%H%M%SZ}_{bundle.id}")
    return bundle


def frame_limits(lab: Lab, bundle: Bundle) -> Limits:
    """What a good frame is: `quality:` of rig.yaml, the ring's zero as it was measured unless rig.yaml gives one."""
    limits = lab.rig.quality
    if bundle.ring_zero_deg is None or "ring_zero_deg" in limits.model_fields_set:
        return limits
    return limits.model_copy(update={"ring_zero_deg": bundle.ring_zero_deg})
