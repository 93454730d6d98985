"""One thing at a time at the bench: `rig home`, `park`, `light`, `snap`, `jog` and `focus`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calibration.durable_files import write_atomically
from calibration.image import Image, encode_jpeg, encode_lossless, encode_png
from capture.quality import Quality, check
from pipeline.assembly import assemble, connected, sole_driver
from pipeline.bench.keyboard import keys, require_terminal
from pipeline.errors import UsageError
from pipeline.lab import Lab
from pipeline.ports import require_devices
from pipeline.reporter import Reporter
from pipeline.signals import Stop, stop_on_signals
from rig.bench import BenchLayout, PointMm
from rig.devices import Handler
from rig.errors import EnvelopeError
from rig.station import Station

STEPS_MM = (0.5, 2.0, 10.0)
STEPS_DEG = (1.0, 5.0, 45.0)
FOCUS_BAR = 50  # characters
# Key to direction: the plate counter-clockwise, the camera away from straight down, the cup along x, y and z.
TURNS = {"left": 1, "up": 1, "right": -1, "down": -1}
TILTS = {"t": 1, "g": -1}
MOVES = {"w": (1, 0, 0), "s": (-1, 0, 0), "a": (0, 1, 0), "d": (0, -1, 0), "r": (0, 0, 1), "f": (0, 0, -1)}


@dataclass(frozen=True)
class ExposureSettings:
    """Under which light, for how long and with which gain an image is taken."""

    light: str
    exposure_us: int
    gain: float


@dataclass(frozen=True)
class Snapshot:
    """An image, where it was written, and what the quality check measured."""

    path: Path
    image: Image
    quality: Quality

    def as_json(self) -> dict[str, Any]:
        """As plain data: the file, why it is not good enough to keep, and the measurements."""
        return {"file": str(self.path), "reasons": self.quality.reasons, **self.quality.metrics}


def home_devices(lab: Lab, reporter: Reporter, *, realtime: bool) -> None:
    """Home every device, and report which they are."""
    with _connected_station(lab, realtime) as station:
        station.home()
        for each in station.identities:
            reporter.report(f"{each.kind} on {each.port}: {each.firmware}")
    reporter.report("Homed.")


def park_devices(lab: Lab, reporter: Reporter, *, realtime: bool) -> None:
    """Home, bring the arm to rest and switch the lights off."""
    with _connected_station(lab, realtime) as station:
        station.home()
        station.park()
        station.dark()
    reporter.report("Parked; lights off.")


def show_light(lab: Lab, name: str, seconds: float | None, reporter: Reporter, *, realtime: bool) -> None:
    """Switch a light on for some time, or until somebody presses Enter.

    Raises
    ------
    UsageError
        If there is no such light, or nobody is there to press Enter.
    """
    _check_light(lab, name)
    with _connected_station(lab, realtime) as station:
        station.show(name)
        if seconds is None:
            reporter.ask(f"{name} is lit.")
        else:
            time.sleep(seconds)


def take_snapshot(
    lab: Lab,
    path: Path,
    settings: ExposureSettings,
    turntable_deg: float | None = None,
    tilt_deg: float | None = None,
    *,
    realtime: bool,
) -> Snapshot:
    """Take one image, write it as its suffix says (JPEG, lossless PNG or JPEG XL) and check it. Nothing else is stored.

    Raises
    ------
    UsageError
        If the light or the suffix is not known, or the file exists.
    EnvelopeError
        If the camera cannot be tilted so far.
    """
    encoders = {".jpg": encode_jpeg, ".jpeg": encode_jpeg, ".png": encode_png, ".jxl": encode_lossless}
    if path.suffix.lower() not in encoders:
        raise UsageError(f"{path}: write to a .jpg, .png or .jxl file.")
    if path.exists():
        raise UsageError(f"{path} exists already and is not written over. Name another file.")
    _check_light(lab, settings.light)
    with connected(lab, realtime=realtime) as rig:
        if turntable_deg is not None or tilt_deg is not None:
            rig.station.home()
            rig.station.rotate_to(turntable_deg or 0.0)
            rig.station.tilt_to(tilt_deg or 0.0)
        rig.station.show(settings.light)
        rig.camera.configure(settings.exposure_us, settings.gain)
        image = rig.camera.grab().image
    write_atomically(path, encoders[path.suffix.lower()](image))
    return Snapshot(path, image, check(image))


@dataclass(frozen=True)
class JogPosition:
    """Where `jog` has come to.

    Attributes
    ----------
    angle_deg
        Of the plate, read back.
    cup_mm
        Where the cup was sent, in arm coordinates; None where there is no arm.
    step
        Which of the step sizes is set, from 0.
    tilt_deg
        Of the camera, read back; None where it is fixed.
    """

    angle_deg: float
    cup_mm: PointMm | None
    step: int = 0
    tilt_deg: float | None = None

    @property
    def step_mm(self) -> float:
        """Step of the cup."""
        return STEPS_MM[self.step]

    @property
    def step_deg(self) -> float:
        """Step of the plate."""
        return STEPS_DEG[self.step]

    def __str__(self) -> str:
        cup = "x {:.1f}  y {:.1f}  z {:.1f} mm".format(*self.cup_mm) if self.cup_mm else "no arm"
        tilt = "" if self.tilt_deg is None else f"   camera {self.tilt_deg:.2f} deg"
        return f"plate {self.angle_deg:.2f} deg{tilt}   cup {cup}   step {self.step_mm:g} mm, {self.step_deg:g} deg"


def cup_mm_of(station: Station) -> PointMm | None:
    """Where the arm's cup is; None where there is no arm."""
    return None if isinstance(station.arm, Handler) else station.arm.position_mm()


def jog_devices(lab: Lab, reporter: Reporter, *, realtime: bool) -> JogPosition:
    """Home, then move plate, camera and cup key by key until q. Nothing leaves the envelope or the interlock.

    Raises
    ------
    UsageError
        If nobody sits at a terminal.
    """
    require_terminal()
    with _connected_station(lab, realtime) as station:
        station.home()
        cup_mm = cup_mm_of(station)
        place = JogPosition(station.rotate_to(0.0), cup_mm, tilt_deg=station.tilt_deg if station.tilts_camera else None)
        with keys() as pressed, changing_line(reporter) as show:
            show(str(place))
            for key in pressed:
                if key == "q":
                    break
                try:
                    place = _move_by_key(station, place, key)
                except EnvelopeError as error:
                    pressed.forget()
                    reporter.warn(str(error))
                else:
                    pressed.forget()
                    show(str(place))
    return place


def bench_line(bench: BenchLayout, cup_mm: PointMm) -> str:
    """The line of rig.yaml for a position measured with `jog`: for the position of the bench that is nearest."""
    places = {
        "plate_mm: {}": bench.plate_mm,
        "rest_mm: {}": bench.rest_mm,
        "tray: {{first_mm: {}}}": bench.tray.first_mm,
        "flip: {{drop_mm: {}}}": bench.flip.drop_mm,
        "flip: {{pick_mm: {}}}": bench.flip.pick_mm,
    }
    nearest = min(places, key=lambda name: math.dist(places[name], cup_mm))
    return f"bench: {{{nearest.format([round(value, 1) for value in cup_mm])}}}"


def measure_focus(lab: Lab, settings: ExposureSettings, reporter: Reporter, *, realtime: bool) -> float:
    """Take image after image of the coin on the plate until Ctrl-C, show how sharp each is, and return the best."""
    ended = Stop()
    best = 0.0
    _check_light(lab, settings.light)
    with connected(lab, realtime=realtime) as rig, changing_line(reporter) as show:
        rig.station.show(settings.light)
        rig.camera.configure(settings.exposure_us, settings.gain)
        with stop_on_signals(ended):
            while not ended.is_set():
                sharpness = check(rig.camera.grab().image).metrics.get("sharpness")
                best = max(best, sharpness or 0.0)
                show(_focus_line(sharpness, best))
    return best


def _move_by_key(station: Station, place: JogPosition, key: str) -> JogPosition:
    """Do what a key means; other keys do nothing."""
    if key in ("1", "2", "3"):
        return replace(place, step=int(key) - 1)
    if key in TURNS:
        return replace(place, angle_deg=station.rotate_to((place.angle_deg + TURNS[key] * place.step_deg) % 360.0))
    if key in TILTS and place.tilt_deg is not None:
        return replace(place, tilt_deg=station.tilt_to(round(place.tilt_deg + TILTS[key] * place.step_deg, 3)))
    if key in MOVES:
        x_mm, y_mm, z_mm = (
            here + way * place.step_mm for here, way in zip(place.cup_mm or (0.0, 0.0, 0.0), MOVES[key], strict=True)
        )
        station.move_cup((x_mm, y_mm, z_mm))
        return replace(place, cup_mm=(x_mm, y_mm, z_mm))
    return place


def _focus_line(sharpness: float | None, best: float) -> str:
    """Sharpness now against the best so far; None where no coin is found."""
    if sharpness is None:
        return "no coin is found"
    bar = "█" * round(FOCUS_BAR * sharpness / best) if best else ""
    return f"{sharpness:.3f} {bar:<{FOCUS_BAR}} best {best:.3f}"


@contextmanager
def changing_line(reporter: Reporter) -> Iterator[Callable[[str], None]]:
    """A line that is shown in the place of the one before it; where nothing can be redrawn, below it."""
    shown = ""
    with reporter.live(lambda: shown, per_s=0) as redraw:

        def show(line: str) -> None:
            nonlocal shown
            shown = line
            if reporter.is_live:
                redraw()
            else:
                reporter.report(line)

        yield show


@contextmanager
def _connected_station(lab: Lab, realtime: bool) -> Iterator[Station]:
    """Connect what moves and what shines; the camera may be missing."""
    require_devices(lab)
    with sole_driver(lab), assemble(lab, realtime=realtime).station as station:
        yield station


def _check_light(lab: Lab, name: str) -> None:
    lights = lab.rig.station.lightbox.lights
    if name not in lights:
        raise UsageError(f"there is no light {name}. Lights in rig.yaml: {', '.join(lights)}.")
