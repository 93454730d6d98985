"""The devices' part of `rig doctor`: everything that a scan will use is used once, and what was not tried is listed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
import numpy.typing as npt

from calibration.lens import Lens
from calibration.plate import RingSpec, camera_tilt_deg, plate_angle_deg
from pipeline.assembly import Rig
from pipeline.errors import LabError
from pipeline.wording import count
from rig.camera_arm import TEACH
from rig.devices import Handler
from rig.errors import AlarmError, DeviceError, NothingThereError

Status = Literal["ok", "warn", "fail", "not tried"]

EXPOSURE_US = 4_000  # dim enough that the double is not clipped
TILT_DEG = 1.0  # what the ring may show otherwise than asked for
ANGLE_DEG = 0.2  # what the turntable may be off, as it says itself
BRIGHTER = 3.0  # grey levels by which a lit plate must differ from a dark one
STOP_AFTER_S = 0.5  # into a move that takes seconds
STILL_S = 0.4
STILL_MM = 1.0
STILL_DEG = 1.0
RING_EXPOSURE_US = 14_000


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis."""

    name: str
    status: Status
    found: str


class _NotTriedError(Exception):
    """A check could not be made, and why."""


def check_devices(rig: Rig, ring: RingSpec, lens: Lens | None) -> Iterator[Check]:
    """Connect every device and use it once: home, turn, stop, grip nothing, show every light, expose twice.

    Parameters
    ----------
    ring
        What is printed on the plate.
    lens
        The camera's, as calibrated; without it, how far the camera is tilted is not seen.
    """
    station = rig.station
    connects = {
        "lightbox": station.lightbox.connect,
        "turntable": station.turntable.connect,
        "arm": station.arm.connect,
        "camera": rig.camera.connect,
    }
    if station.camera_arm is not None:
        connects["camera arm"] = station.camera_arm.connect
    failed = set()
    for name, connect in connects.items():
        check = tried(name, lambda connect=connect: "{0.kind} on {0.port}: {0.firmware}.".format(connect()))  # type: ignore[misc]
        failed |= {name} if check.status == "fail" else set()
        yield check
    if risk := getattr(station.arm, "risk", ""):
        yield Check("arm's line", "warn", risk)
    if failed - {"camera"}:
        yield Check("motion and light", "not tried", "Fix the devices above first.")
        return
    home = tried("home", lambda: _home(rig))
    yield home
    if home.status == "ok":
        yield tried("round trip", lambda: _round_trip(rig))
        if station.tilts_camera:
            yield tried("tilt", lambda: _tilt(rig))
        yield tried("grip", lambda: _grip(rig))
        yield tried("stop of the arm", lambda: _stop_arm(rig))
    else:
        yield Check("motion, grip and stop", "not tried", "Homing comes first.")
    if failed:
        yield Check("lights and what they show", "not tried", "The camera is needed for it. Fix the camera first.")
    else:
        seen: list[str] = []
        yield tried("lights", lambda: _lights(rig, seen))
        if home.status == "ok":
            yield tried("stop of the turntable", lambda: _stop_turntable(rig, ring, _any_of(seen)))
            if station.tilts_camera:
                yield tried("what the tilt shows", lambda: _see_tilt(rig, ring, lens, _any_of(seen)))
        yield tried("exposure", lambda: _exposure(rig, _any_of(seen)))
    yield Check("coins", "not tried", _never_tried(rig))


def tried(name: str, check: Callable[[], str]) -> Check:
    """Make a check: what it found, or how it failed."""
    try:
        return Check(name, "ok", check())
    except _NotTriedError as error:
        return Check(name, "not tried", str(error))
    except (DeviceError, LabError) as error:
        return Check(name, "fail", str(error))


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


# The camera's tilt


def _tilt(rig: Rig) -> str:
    """To the far end and back, as the controller says it."""
    far_deg = _far_tilt(rig)
    off_deg = max(abs(rig.station.tilt_to(tilt_deg) - tilt_deg) for tilt_deg in (far_deg, 0.0))
    if off_deg > ANGLE_DEG:
        raise LabError(f"the camera's tilt is {off_deg:.2f} degrees off. Check its steps per degree and its belt.")
    return f"to {far_deg:g} degrees and back, {off_deg:.3f} degrees off."


def _see_tilt(rig: Rig, ring: RingSpec, lens: Lens | None, light: str) -> str:
    """Tilt the camera half-way, or as an arm was taught, and see by the ring on the plate how far it is tilted."""
    if lens is None:
        raise _NotTriedError("The lens is not calibrated yet (`rig calibrate`).")
    tilt_deg = _far_tilt(rig) / (1 if rig.station.camera_is_on_arm else 2)
    rig.station.show(light)
    rig.camera.configure(RING_EXPOSURE_US, 1.0)
    try:
        rig.station.tilt_to(tilt_deg)
        plate = plate_angle_deg(rig.camera.grab().image, lens, ring)
    finally:
        rig.station.dark()
        rig.station.tilt_to(0.0)
    if plate is None:
        raise _NotTriedError("The camera sees no ring of markers on the plate (`rig print ring`).")
    seen_deg = camera_tilt_deg(plate, lens)
    if abs(seen_deg - tilt_deg) > TILT_DEG:
        if rig.station.camera_is_on_arm:
            raise LabError(f"the ring shows a tilt of {seen_deg:.1f} degrees in the pose for {tilt_deg:g}. {TEACH}")
        raise LabError(
            f"the ring shows a tilt of {seen_deg:.1f} degrees where {tilt_deg:g} was asked for. Check that the camera "
            "swings freely, then the steps per degree, and add the difference to `turntable: tilt: home_deg`."
        )
    return f"asked for {tilt_deg:g} degrees, the ring shows {seen_deg:.1f}."


def _far_tilt(rig: Rig) -> float:
    """The furthest tilt, in whole degrees."""
    far_deg = next((tilt_deg for tilt_deg in range(90, 0, -1) if rig.station.reaches_tilt(tilt_deg)), None)
    if far_deg is None:
        raise _NotTriedError("The arm that holds the camera was taught no tilt yet (`rig jog --camera`).")
    return float(far_deg)


# The arm


def _arm(rig: Rig) -> Any:
    if isinstance(rig.station.arm, Handler):
        raise _NotTriedError("A technician moves the coins here.")
    return rig.station.arm


def _grip(rig: Rig) -> str:
    """Take hold of nothing, where it rests."""
    arm = _arm(rig)
    if arm.holds() or arm.may_hold():
        raise _NotTriedError("A coin may hang on the cup: `rig scan` of its tray brings it back into its slot.")
    try:
        arm.grip()
    except NothingThereError:
        arm.release()
        return "the pump ran, the cup felt that it held nothing, and the pump stopped."
    was_felt = arm.holds()
    arm.release()
    if arm.holds():
        raise LabError("the pump does not stop. Switch the arm off and on.")
    if not was_felt:
        raise LabError("the pump was switched on and does not run. Check its plug and its fuse.")
    raise _NotTriedError(
        "The pump was switched on and off; nothing in this arm can feel whether it runs or holds. Listen to it."
    )


def _stop_arm(rig: Rig) -> str:
    """Stop it on the way over the plate, and see by its own position that it stands still before it arrived."""
    arm, bench = _arm(rig), rig.station.bench
    target_mm = (*bench.plate_mm[:2], max(bench.rest_mm[2], bench.safe_z_mm))
    try:
        _interrupt(rig, arm, lambda: rig.station.move_cup(target_mm))
        arm.stop_idle_pump()  # talks to it again; it does not move
        first = arm.position_mm()
        rig.clock.sleep(STILL_S)
        second = arm.position_mm()
        left_mm = math.dist(second, target_mm)
        if math.dist(first, second) > STILL_MM or left_mm < STILL_MM:
            raise LabError("it kept moving after it was stopped. In an emergency switch it off.")
        return f"it stood still {left_mm:.0f} mm before its target."
    finally:
        _home(rig)


# The turntable


def _stop_turntable(rig: Rig, ring: RingSpec, light: str) -> str:
    """Stop it half-way round, and see by the ring on the plate that it stands still before it arrived."""
    rig.station.show(light)
    rig.camera.configure(RING_EXPOSURE_US, 1.0)
    rig.station.rotate_to(180.0)
    target_deg = _plate_deg(rig, ring)
    rig.station.rotate_to(0.0)
    try:
        _interrupt(rig, rig.station.turntable, lambda: rig.station.rotate_to(180.0))
        first_deg = _plate_deg(rig, ring)
        rig.clock.sleep(STILL_S)
        second_deg = _plate_deg(rig, ring)
        left_deg = abs(math.remainder(second_deg - target_deg, 360.0))
        if abs(math.remainder(second_deg - first_deg, 360.0)) > STILL_DEG or left_deg < STILL_DEG:
            raise LabError("it kept turning after it was stopped. In an emergency switch it off.")
        return f"it stood still {left_deg:.0f} degrees before its target, as the camera sees it."
    finally:
        rig.station.dark()
        _home(rig)


def _plate_deg(rig: Rig, ring: RingSpec) -> float:
    plate = plate_angle_deg(rig.camera.grab().image, ring=ring)
    if plate is None:
        raise _NotTriedError("The camera sees no ring of markers on the plate (`rig print ring`).")
    return plate.angle_deg


def _interrupt(rig: Rig, device: Any, move: Callable[[], object]) -> None:
    """Stop a device in the middle of a move."""
    rig.clock.after(STOP_AFTER_S, device.stop)
    try:
        move()
    except AlarmError:
        return
    raise LabError("it arrived as if nobody had stopped it. In an emergency switch it off.")


# Light and camera


def _lights(rig: Rig, seen: list[str]) -> str:
    """Show every light; what the camera sees of them is added to `seen`, also where others are dark."""
    rig.camera.configure(EXPOSURE_US, 1.0)
    rig.station.dark()
    dark = _brightness(rig)
    for name in rig.station.light_names:
        rig.station.show(name)
        if _brightness(rig) >= dark + BRIGHTER:
            seen.append(name)
    rig.station.dark()
    dead = [name for name in rig.station.light_names if name not in seen]
    if dead:
        raise LabError(
            f"{', '.join(dead)}: the controller reports {'it' if len(dead) == 1 else 'them'} lit, the camera sees no "
            "difference. Check the LEDs and their supply, and that nothing covers the lens."
        )
    return f"{count(len(rig.station.light_names), 'light')}, each read back and seen by the camera."


def _any_of(seen: list[str]) -> str:
    """A light that the camera sees: without one, nothing that is seen says anything of the other devices."""
    if not seen:
        raise _NotTriedError("The camera sees no light. Fix the lights first.")
    return seen[-1]


def _exposure(rig: Rig, light: str) -> str:
    rig.station.show(light)
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
    small = _small(rig).ravel()
    return float(small[small.argsort()[small.size // 2 :]].mean())


def _small(rig: Rig) -> npt.NDArray[np.float32]:
    grey = cv2.cvtColor(rig.camera.grab().image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (64, 48), interpolation=cv2.INTER_AREA).astype(np.float32)


def _never_tried(rig: Rig) -> str:
    """What only a coin can show."""
    if isinstance(rig.station.arm, Handler):
        return "A coin on the plate: `rig scan` checks each one."
    return (
        "Taking up a coin, the places of the slots, the flip station: `rig scan` with one coin in slot 1 tries them. "
        "Noise on the wires, and hours of work."
    )
