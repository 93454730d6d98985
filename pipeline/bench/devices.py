"""`rig devices`: what is plugged in, which devices answer, and what to write into rig.yaml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import yaml
from serial.tools import list_ports

from pipeline.assembly import Rig, assemble, sole_driver
from pipeline.lab import Lab
from pipeline.reporter import Reporter
from rig.clock import Clock, SystemClock
from rig.devices import Identity
from rig.errors import DeviceError
from rig.registry import BALANCES, STATION

# How long one port is asked in one language: once its board is up, and until then. An ESP32 or a boot loader takes 3 s.
PATIENCE_S = {"answer_s": 1.5, "boot_s": 4.0, "stable_s": 1.5}
BY_ID = Path("/dev/serial/by-id")
CAMERAS_BY_ID = Path("/dev/v4l/by-id")
CAMERA = "camera"
TWIN_PORTS = tuple(f"twin://{registry.role}" for registry in STATION)


@dataclass(frozen=True)
class FoundDevice:
    """A port, what the system calls it, and what answers there: role and identity are None when nothing does.

    ``camera`` is the section of rig.yaml for a camera that the system lists.
    """

    port: str
    description: str
    role: str | None = None
    identity: Identity | None = None
    camera: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "port": self.port,
            "description": self.description,
            "role": self.role,
            "kind": self.identity.kind if self.identity else None,
            "firmware": self.identity.firmware if self.identity else None,
            **({"camera": self.camera} if self.camera is not None else {}),
        }


@dataclass(frozen=True)
class FoundDevices:
    """What is plugged in."""

    found: tuple[FoundDevice, ...]

    @property
    def suggestion(self) -> str:
        """The part of rig.yaml that fits what was found."""
        station = {
            each.role: {"kind": each.identity.kind, "port": each.port}
            for each in self.found
            if each.role and each.identity
        }
        station.pop(CAMERA, None)
        cameras = [each.camera for each in self.found if each.camera is not None]
        document: dict[str, Any] = {"station": station} if station else {}
        if cameras:
            document["camera"] = cameras[0]
        return yaml.safe_dump(document, sort_keys=False) if document else ""

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"devices": [each.as_json() for each in self.found], "suggestion": self.suggestion}


def find_devices(lab: Lab | None, reporter: Reporter, *, probe: bool) -> FoundDevices:
    """List ports and cameras, and ask at each port which device answers.

    Asking opens the port, which restarts many controllers; nothing moves.

    Parameters
    ----------
    lab
        The ports of its rig.yaml and of its twin are listed as well; None to list this computer's alone.
    """
    if lab is None or lab.rig.camera is None:
        return FoundDevices((*_all_ports([], SystemClock(), probe, reporter), *_listed_cameras()))
    with sole_driver(lab):
        rig = assemble(lab, realtime=False)
        twins = [(port, "digital twin") for port in TWIN_PORTS] if rig.world else []
        ports = _all_ports([*twins, *_named(lab)], rig.clock, probe, reporter)
        return FoundDevices((*ports, _own_camera(rig, probe, reporter), *_listed_cameras()))


def _own_camera(rig: Rig, probe: bool, reporter: Reporter) -> FoundDevice:
    """The camera that rig.yaml names, and whether it delivers."""
    identity = rig.camera.identity
    name = identity.port
    if not probe:
        return FoundDevice(name, "in rig.yaml", CAMERA)
    reporter.report(f"Asking the camera, {name} ...")
    try:
        identity = rig.camera.connect()
        return FoundDevice(identity.port, "in rig.yaml", CAMERA, identity)
    except DeviceError as error:
        return FoundDevice(name, f"in rig.yaml, but {error.problem}", CAMERA)
    finally:
        rig.camera.close()


def _listed_cameras() -> Iterator[FoundDevice]:
    """Cameras that the system lists: on USB, and on a Raspberry Pi's connector."""
    if CAMERAS_BY_ID.is_dir():
        for path in sorted(CAMERAS_BY_ID.glob("*-index0")):
            yield FoundDevice(str(path), "camera", CAMERA, camera={"kind": "opencv", "device": str(path)})
    with suppress(Exception):  # picamera2 is on a Raspberry Pi alone, and raises what it likes elsewhere
        for facts in import_module("picamera2").Picamera2.global_camera_info():
            number, model = facts["Num"], facts.get("Model", "camera")
            section = {"kind": "picamera2", "camera": number}
            yield FoundDevice(str(facts.get("Id", number)), f"Raspberry Pi camera {model}", CAMERA, camera=section)


def _named(lab: Lab) -> Iterator[tuple[str, str]]:
    """Ports that rig.yaml names, which the system may not list: gone, or of no kind that it knows."""
    devices = (lab.rig.station.turntable, lab.rig.station.arm, lab.rig.station.lightbox)
    for port in (getattr(device, "port", "") for device in devices):
        if "://" in port and not port.startswith("twin:"):
            yield port, "in rig.yaml"
        elif port and "://" not in port:
            yield port, "in rig.yaml" if Path(port).exists() else "in rig.yaml, but not there"


def _all_ports(ports: list[tuple[str, str]], clock: Clock, probe: bool, reporter: Reporter) -> Iterator[FoundDevice]:
    by_device = {path.resolve(): path for path in BY_ID.glob("*")} if BY_ID.is_dir() else {}
    listed = {Path(port).resolve() for port, _ in ports if "://" not in port}
    for each in list_ports.comports():
        if each.hwid == "n/a":
            continue  # a socket on the board that nothing was ever plugged into
        if Path(each.device).resolve() in listed:
            continue
        # The name by id stays when cables are moved.
        ports.append((str(by_device.get(Path(each.device).resolve(), each.device)), each.description or "serial port"))
    for port, description in ports:
        if probe:
            reporter.report(f"Asking at {port} ...")
        role, identity = _identify(port, clock) if probe else (None, None)
        yield FoundDevice(port, description, role, identity)


def _identify(port: str, clock: Clock) -> tuple[str | None, Identity | None]:
    """Try every language the drivers speak until one is answered."""
    for registry in (*STATION, BALANCES):
        for config, driver in registry.drivers.values():
            if "port" not in config.model_fields:
                continue
            patience = {name: seconds for name, seconds in PATIENCE_S.items() if name in config.model_fields}
            device = driver(config(port=port, **patience), clock)
            try:
                return registry.role, device.connect()
            except DeviceError:
                continue
            finally:
                device.close()
    return None, None
