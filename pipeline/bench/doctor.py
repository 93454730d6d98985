"""`rig doctor`: is everything fit for a scan? Each check is a line: ok, warn, fail or not tried, what was found, what
to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.filesize import decimal

from calibration.bundle import latest, usable
from calibration.errors import CalibrationError
from calibration.lens import Lens
from capture.store import Store, StoreError
from pipeline.assembly import assemble, sole_driver
from pipeline.bench.device_checks import Check, check_devices, tried
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.ports import require_devices
from pipeline.wording import count

LITTLE_DISK_BYTES = 20e9
OLD_CALIBRATION = timedelta(days=30)


@dataclass(frozen=True)
class Diagnosis:
    """Every check of `rig doctor`."""

    checks: tuple[Check, ...]

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(check.status == "fail" for check in self.checks)

    @property
    def untried(self) -> list[str]:
        """Names of what was not tried; there is always something that only a coin shows."""
        return [check.name for check in self.checks if check.status == "not tried"]

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [{"name": check.name, "status": check.status, "found": check.found} for check in self.checks]


def diagnose(lab: Lab, *, realtime: bool) -> Iterator[Check]:
    """Make each check that needs no coin, one at a time; one that fails does not keep the others from being made."""
    with sole_driver(lab):
        require_devices(lab)
        rig = assemble(lab, realtime=realtime)
        try:
            yield from _folder(lab)
            yield from check_devices(rig, lab.rig.quality.ring, _lens(lab))
        finally:
            rig.station.make_safe()
            rig.station.close()
            rig.camera.close()


def _lens(lab: Lab) -> Lens | None:
    bundle = usable(lab.calibrations)  # an unreadable one is reported as a check of its own
    return None if bundle is None else bundle.lens


def _folder(lab: Lab) -> Iterator[Check]:
    trays = sorted(path.stem for path in (lab.folder / "trays").glob("*.yaml"))
    plans = sorted(path.stem for path in (lab.folder / "plans").glob("*.yaml"))
    for read, name in [(lab.tray, tray) for tray in trays] + [(lab.plan, plan) for plan in plans]:
        try:
            read(name)
        except LabError as error:
            yield Check("files", "fail", str(error))
    found = f"{count(len(trays), 'tray')} and {count(len(plans), 'plan')}"
    if not trays or not plans:
        yield Check("files", "warn", f"{found}: write some, see docs/lab.md.")
    else:
        yield Check("files", "ok", f"{found} were read.")
    free = shutil.disk_usage(lab.folder).free
    enough = free > LITTLE_DISK_BYTES
    yield Check(
        "disk",
        "ok" if enough else "warn",
        f"{decimal(free)} free."
        + ("" if enough else " Free some before a long scan: `rig scan --dry-run` prints how much it needs."),
    )
    yield tried("store", lambda: _store(lab))
    yield _calibration(lab)


def _store(lab: Lab) -> str:
    try:
        with Store.open(lab.store) as store:
            sessions = store.sessions.find()
    except StoreError as error:
        raise LabError(str(error)) from error
    newest = max((session.started_at for session in sessions), default="")
    if newest > datetime.now(UTC).isoformat():
        raise LabError(f"the clock stands before the newest session ({newest[:16]}). Set the computer's clock.")
    return f"{count(len(sessions), 'session')}; the clock agrees with them."


def _calibration(lab: Lab) -> Check:
    try:
        bundle = latest(lab.calibrations)
    except CalibrationError as error:
        return Check("calibration", "fail", str(error))
    if bundle is None:
        return Check("calibration", "warn", "there is none yet. Run `rig calibrate`.")
    now = datetime.now(UTC)
    age = now - bundle.created_at
    if age < -timedelta(hours=1):
        when = f"{bundle.created_at:%Y-%m-%d}"
        return Check("calibration", "warn", f"{bundle.id} is dated {when}, in the future. Check the computer's clock.")
    left = bundle.expires_at(lab.rig.calibration.valid_days) - now
    if left < timedelta(0):
        return Check("calibration", "fail", f"{bundle.id} expired {-left.days} days ago. Run `rig calibrate`.")
    if age > OLD_CALIBRATION:
        return Check("calibration", "warn", f"{bundle.id} is {age.days} days old. Run `rig calibrate`.")
    return Check("calibration", "ok", f"{bundle.id} of {bundle.created_at:%Y-%m-%d %H:%M} UTC.")
