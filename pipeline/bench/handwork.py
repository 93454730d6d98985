"""One thing at a time at the bench: `rig home`, `park`, `light`, `snap`, `jog` and `focus`."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from calibration.image import Image, encode_jpeg, encode_lossless
from capture.quality import Quality, check
from pipeline.assembly import assemble, connected, sole_driver
from pipeline.bench.keyboard import keys, require_terminal
from pipeline.errors import UsageError
from pipeline.lab import Lab
from rig.bench import BenchLayout, PointMm
from rig.devices import Handler
from rig.errors import EnvelopeError
from rig.station import Station

STEPS_MM = (0.5, 2.0, 10.0)
STEPS_DEG = (1.0, 5.0, 45.0)
# Key to direction: the plate counter-clockwise, the cup along x, y and z.
TURNS = {"left": 1, "up": 1, "right": -1, "down": -1}
MOVES = {"w": (1, 0, 0), "s": (-1, 0, 0), "a": (0, 1, 0), "d": (0, -1, 0), "r": (0, 0, 1), "f": (0, 0, -1)}


@dataclass(frozen=True)
class Snapped:
    """A picture, where it was written, and what the quality check says of it."""

    path: Path
    image: Image
    quality: Quality


def home(lab: Lab, *, realtime: bool) -> list[str]:
    """Home every device; returns who they are."""
    with _devices(lab, realtime) as station:
        station.home()
        return [f"{each.kind} on {each.port}: {each.firmware}" for each in station.identities]


def park(lab: Lab, *, realtime: bool) -> None:
    """Home, bring the arm to rest and switch the lights off."""
    with _devices(lab, realtime) as station:
        station.home()
        station.park()
        station.dark()


def light(lab: Lab, name: str, hold: Callable[[], None], *, realtime: bool) -> None:
    """Show a light for as long as `hold` takes.

    Raises
    ------
    UsageError
        If there is no such light.
    """
    _check_light(lab, name)
    with _devices(lab, realtime) as station:
        station.show(name)
        hold()


def snap(
    lab: Lab, path: Path, light_name: str, exposure_us: int, gain: float, turntable_deg: float | None, *, realtime: bool
) -> Snapped:
    """Take one picture, write it (JPEG, or lossless JPEG XL by its suffix) and check it. The store is left alone.

    Raises
    ------
    UsageError
        If the light or the suffix is not known, or the file exists.
    """
    encoders = {".jpg": encode_jpeg, ".jpeg": encode_jpeg, ".jxl": encode_lossless}
    if path.suffix.lower() not in encoders:
        raise UsageError(f"{path}: write to a .jpg or a .jxl file.")
    if path.exists():
        raise UsageError(f"{path} exists already and is not written over. Name another file.")
    _check_light(lab, light_name)
    with connected(lab, realtime=realtime) as rig:
        if turntable_deg is not None:
            rig.station.home()
            rig.station.rotate_to(turntable_deg)
        rig.station.show(light_name)
        rig.camera.configure(exposure_us, gain)
        image = rig.camera.grab().image
    path.write_bytes(encoders[path.suffix.lower()](image))
    return Snapped(path, image, check(image))


@dataclass(frozen=True)
class Place:
    """Where `jog` has come to.

    Attributes
    ----------
    angle_deg
        Of the plate, read back.
    cup_mm
        Where the cup was sent, in arm coordinates; None where there is no arm.
    step
        Which of the step sizes is set, from 0.
    refused
        Why the last key did nothing; empty when it did.
    """

    angle_deg: float
    cup_mm: PointMm | None
    step: int = 0
    refused: str = ""

    @property
    def step_mm(self) -> float:
        """Step of the cup."""
        return STEPS_MM[self.step]

    @property
    def step_deg(self) -> float:
        """Step of the plate."""
        return STEPS_DEG[self.step]


def jog(lab: Lab, tell: Callable[[Place], None], *, realtime: bool) -> Place:
    """Home, then move plate and cup key by key until q is pressed. Nothing leaves the envelope or the interlock.

    Parameters
    ----------
    tell
        Told the place after every key.

    Raises
    ------
    UsageError
        If nobody sits at a terminal.
    """
    require_terminal()
    with _devices(lab, realtime) as station:
        station.home()
        cup_mm = None if isinstance(station.arm, Handler) else station.arm.position_mm()
        place = Place(station.rotate_to(0.0), cup_mm)
        with keys() as pressed:
            tell(place)
            for key in pressed:
                if key == "q":
                    break
                try:
                    place = _jogged(station, replace(place, refused=""), key)
                except EnvelopeError as error:
                    place = replace(place, refused=str(error))
                pressed.forget()
                tell(place)
    return place


def bench_line(bench: BenchLayout, cup_mm: PointMm) -> str:
    """The line of rig.yaml for a place measured with `jog`: that of the bench's places which lies nearest."""
    places = {
        "plate_mm: {}": bench.plate_mm,
        "rest_mm: {}": bench.rest_mm,
        "tray: {{first_mm: {}}}": bench.tray.first_mm,
        "flip: {{drop_mm: {}}}": bench.flip.drop_mm,
        "flip: {{pick_mm: {}}}": bench.flip.pick_mm,
    }
    nearest = min(places, key=lambda name: math.dist(places[name], cup_mm))
    return f"bench: {{{nearest.format([round(value, 1) for value in cup_mm])}}}"


def focus(
    lab: Lab,
    light_name: str,
    exposure_us: int,
    gain: float,
    tell: Callable[[float | None, float], None],
    *,
    realtime: bool,
) -> float:
    """Take picture after picture of the coin on the plate until Ctrl-C, and return the best sharpness.

    Parameters
    ----------
    tell
        Told the sharpness of each picture, None where no coin is seen, and the best so far.
    """
    ended = threading.Event()
    best = 0.0
    _check_light(lab, light_name)
    with connected(lab, realtime=realtime) as rig:
        rig.station.show(light_name)
        rig.camera.configure(exposure_us, gain)
        before = signal.signal(signal.SIGINT, lambda *_: ended.set())
        try:
            while not ended.is_set():
                sharpness = check(rig.camera.grab().image).metrics.get("sharpness")
                best = max(best, sharpness or 0.0)
                tell(sharpness, best)
        finally:
            signal.signal(signal.SIGINT, before)
    return best


def _jogged(station: Station, place: Place, key: str) -> Place:
    """Do what a key says; keys that say nothing do nothing."""
    if key in ("1", "2", "3"):
        return replace(place, step=int(key) - 1)
    if key in TURNS:
        return replace(place, angle_deg=station.rotate_to((place.angle_deg + TURNS[key] * place.step_deg) % 360.0))
    if key in MOVES:
        x_mm, y_mm, z_mm = (
            here + way * place.step_mm for here, way in zip(place.cup_mm or (0.0, 0.0, 0.0), MOVES[key], strict=True)
        )
        station.move_cup((x_mm, y_mm, z_mm))
        return replace(place, cup_mm=(x_mm, y_mm, z_mm))
    return place


@contextmanager
def _devices(lab: Lab, realtime: bool) -> Iterator[Station]:
    """Connect what moves and what shines; the camera may be missing."""
    with sole_driver(lab), assemble(lab, realtime=realtime).station as station:
        yield station


def _check_light(lab: Lab, name: str) -> None:
    lights = lab.rig.station.lightbox.lights
    if name not in lights:
        raise UsageError(f"there is no light {name}. Lights in rig.yaml: {', '.join(lights)}.")
