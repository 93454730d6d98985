"""`rig doctor`: is everything fit for a scan? Each check is a line: ok, warn or fail, what was found, what to do."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import cv2
from rich.filesize import decimal

from calibration.bundle import latest
from calibration.errors import CalibrationError
from capture.store import Store, StoreError
from pipeline.assembly import Rig, assemble, sole_driver
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.wording import count
from rig.errors import DeviceError

Status = Literal["ok", "warn", "fail"]

EXPOSURE_US = 4_000  # dim enough that the double is not clipped
LITTLE_DISK_BYTES = 20e9
OLD_CALIBRATION = timedelta(days=30)
ANGLE_DEG = 0.2  # what the turntable may be off, as it says itself
BRIGHTER = 3.0  # grey levels by which a lit plate must differ from a dark one


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis."""

    name: str
    status: Status
    found: str


@dataclass(frozen=True)
class Diagnosis:
    """Every check of `rig doctor`."""

    checks: tuple[Check, ...]

    @property
    def failed(self) -> int:
        """How many failed."""
        return sum(check.status == "fail" for check in self.checks)

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [{"name": check.name, "status": check.status, "found": check.found} for check in self.checks]


def diagnose(lab: Lab, *, realtime: bool) -> Iterator[Check]:
    """Make each check that needs no coin, one at a time; one that fails does not keep the others from being made."""
    with sole_driver(lab):
        rig = assemble(lab, realtime=realtime)
        try:
            yield from _folder(lab)
            yield from _devices(lab, rig)
        finally:
            rig.station.make_safe()
            rig.station.close()
            rig.camera.close()


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
    yield _tried("store", lambda: _store(lab))
    yield _calibration(lab)


def _store(lab: Lab) -> str:
    with Store.open(lab.store) as store:
        sessions = store.sessions.find()
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
    age = datetime.now(UTC) - bundle.created_at
    if age < -timedelta(hours=1):
        when = f"{bundle.created_at:%Y-%m-%d}"
        return Check("calibration", "warn", f"{bundle.id} is dated {when}, in the future. Check the computer's clock.")
    if age > OLD_CALIBRATION:
        return Check("calibration", "warn", f"{bundle.id} is {age.days} days old. Run `rig calibrate`.")
    return Check("calibration", "ok", f"{bundle.id} of {bundle.created_at:%Y-%m-%d %H:%M} UTC.")


def _devices(lab: Lab, rig: Rig) -> Iterator[Check]:
    station = rig.station
    connects = {
        "lightbox": station.lightbox.connect,
        "turntable": station.turntable.connect,
        "arm": station.arm.connect,
        "camera": rig.camera.connect,
    }
    failed = set()
    for name, connect in connects.items():
        check = _tried(name, lambda connect=connect: "{0.kind} on {0.port}: {0.firmware}.".format(connect()))  # type: ignore[misc]
        failed |= {name} if check.status == "fail" else set()
        yield check
    if failed - {"camera"}:
        yield Check("motion and light", "warn", "not tried. Fix the devices above first.")
        return
    home = _tried("home", lambda: _home(rig))
    yield home
    if home.status == "ok":
        yield _tried("round trip", lambda: _round_trip(rig))
    if failed:
        yield Check("lights and exposure", "warn", "not tried: the camera is needed for it. Fix the camera first.")
        return
    yield _tried("lights", lambda: _lights(rig))
    yield _tried("exposure", lambda: _exposure(rig))


def _home(rig: Rig) -> str:
    rig.station.home()
    return "arm and turntable found their reference positions."


def _round_trip(rig: Rig) -> str:
    off_deg = 0.0
    for angle_deg in (90.0, 0.0):
        read_deg = rig.station.rotate_to(angle_deg)
        off_deg = max(off_deg, abs(math.remainder(read_deg - angle_deg, 360.0)))
    if off_deg > ANGLE_DEG:
        raise LabError(f"the turntable is {off_deg:.2f} degrees off. Check its steps per degree and its belt.")
    return f"to 90 degrees and back, {off_deg:.3f} degrees off."


def _lights(rig: Rig) -> str:
    rig.camera.configure(EXPOSURE_US, 1.0)
    rig.station.dark()
    dark = _brightness(rig)
    dead = []
    for name in rig.station.light_names:
        rig.station.show(name)
        if _brightness(rig) < dark + BRIGHTER:
            dead.append(name)
    rig.station.dark()
    if dead:
        raise LabError(
            f"{', '.join(dead)}: the controller reports it lit, the camera sees no difference. "
            "Check the LEDs and their supply, and that nothing covers the lens."
        )
    return f"{len(rig.station.light_names)} lights, each read back and seen by the camera."


def _exposure(rig: Rig) -> str:
    rig.station.show(rig.station.light_names[0])
    seen = []
    for exposure_us in (EXPOSURE_US, 2 * EXPOSURE_US):
        rig.camera.configure(exposure_us, 1.0)
        seen.append(_brightness(rig))
    rig.station.dark()
    if seen[1] < 1.15 * seen[0]:
        raise LabError(
            f"doubling the exposure time changed {seen[0]:.0f} grey levels to only {seen[1]:.0f}. "
            "Switch the camera's automatic exposure off."
        )
    return f"{seen[0]:.0f} grey levels at {EXPOSURE_US / 1000:g} ms, {seen[1]:.0f} at twice that."


def _brightness(rig: Rig) -> float:
    """Mean grey level of the brighter half of an image: a lamp from one side leaves the other side dim."""
    grey = cv2.cvtColor(rig.camera.grab().image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (64, 48), interpolation=cv2.INTER_AREA).ravel()
    return float(small[small.argsort()[small.size // 2 :]].mean())


def _tried(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, "ok", check())
    except (DeviceError, LabError, StoreError) as error:
        return Check(name, "fail", str(error))
