"""The control frame of a batch: the empty plate before each tray, compared with how it was when calibrated."""

from __future__ import annotations

from collections.abc import Callable

from calibration.apply import apply
from calibration.bundle import folder_of
from calibration.control import EXPOSURE_US, appearance_of, find_drift
from calibration.outline import find_coins
from calibration.quality import read_quality
from capture.store.journal_lines import ControlFrame
from capture.store.records import Session
from pipeline.bench.calibrate import calibration_light
from pipeline.scanning.scan import ScanJob


def with_control_frame(
    job: ScanJob, session: Session, find_reason_to_end: Callable[[], str | None]
) -> Callable[[], str | None]:
    """The same question, asked before each coin; before the first one, when the plate is empty, a frame is taken."""
    is_due = True

    def ask() -> str | None:
        nonlocal is_due
        reason = find_reason_to_end()
        if is_due and reason is None:
            is_due = False
            _control(job, session)
        return reason

    return ask


def _control(job: ScanJob, session: Session) -> None:
    """Take it, keep what it shows in the journal, and warn of what has changed since the calibration."""
    bundle, light = job.calibration.bundle, calibration_light(job.rig)
    folder = None if bundle is None else folder_of(job.lab.calibrations, bundle.id)
    reference = {} if folder is None else read_quality(folder)
    if bundle is None or EXPOSURE_US not in reference or light not in bundle.flats:
        return
    job.rig.station.show(light)
    job.rig.camera.configure(round(reference[EXPOSURE_US]), 1.0)
    image = apply(job.rig.camera.grab().image, bundle, light)
    now = {} if find_coins(image) else appearance_of(image, job.lab.rig.quality.ring)
    if not now:
        return
    drift = find_drift(reference, now)
    job.store.journal.log(ControlFrame(calibration=bundle.id, values=now, drift=tuple(drift)), session.id)
    if drift:
        command = job.lab.command("rig calibrate")
        job.reporter.warn(
            f"The plate's ring no longer looks as it did at calibration {bundle.id}. {' '.join(drift)} Then run "
            f"`{command}`."
        )
