"""One thing at a time at the bench: `rig home`, `park`, `light`, `snap` and `jog`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from calibration.image import Image, encode_jpeg, encode_lossless
from capture.quality import Quality, check
from pipeline.assembly import connected
from pipeline.errors import UsageError
from pipeline.lab import Lab
from rig.station import Station

STEPS_MM = (0.5, 2.0, 10.0)
STEPS_DEG = (1.0, 5.0, 45.0)


@dataclass(frozen=True)
class Snapped:
    """A picture, where it was written, and what the quality check says of it."""

    path: Path
    image: Image
    quality: Quality


def home(lab: Lab, *, realtime: bool) -> list[str]:
    """Home every device; returns who they are."""
    with connected(lab, realtime=realtime) as rig:
        rig.station.home()
        return [f"{each.kind} on {each.port}: {each.firmware}" for each in rig.station.identities]


def park(lab: Lab, *, realtime: bool) -> None:
    """Home, bring the arm to rest and switch the lights off."""
    with connected(lab, realtime=realtime) as rig:
        rig.station.home()
        rig.station.park()
        rig.station.dark()


def light(lab: Lab, name: str, hold: Callable[[], None], *, realtime: bool) -> None:
    """Show a light for as long as `hold` takes.

    Raises
    ------
    UsageError
        If there is no such light.
    """
    with connected(lab, realtime=realtime) as rig:
        _check_light(rig.station, name)
        rig.station.show(name)
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
    with connected(lab, realtime=realtime) as rig:
        _check_light(rig.station, light_name)
        if turntable_deg is not None:
            rig.station.home()
            rig.station.rotate_to(turntable_deg)
        rig.station.show(light_name)
        rig.camera.configure(exposure_us, gain)
        image = rig.camera.grab().image
    path.write_bytes(encoders[path.suffix.lower()](image))
    return Snapped(path, image, check(image))


def _check_light(station: Station, name: str) -> None:
    if name not in station.light_names:
        raise UsageError(f"there is no light {name}. Lights in rig.yaml: {', '.join(station.light_names)}.")
