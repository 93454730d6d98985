"""What rig.yaml says of devices and their ports that no rig can have, found before anything is opened."""

from __future__ import annotations

from pathlib import Path

from capture.cameras.twin import TwinCameraConfig
from pipeline.documents import line_of
from pipeline.errors import LabError
from pipeline.lab import Lab
from rig.registry import BALANCES, STATION

TWIN = "twin://"


def require_devices(lab: Lab) -> None:
    """Check that there are devices, each with a port of its own, and that what is emulated has a twin to emulate it.

    Raises
    ------
    LabError
        Naming the line of rig.yaml, and what to write there.
    """
    if lab.rig.camera is None:
        raise LabError(
            f"{lab.folder / 'rig.yaml'} describes no devices: this lab is for photographs. To use a rig, describe its "
            "devices there (docs/lab.md)."
        )
    has_twin, taken = lab.rig.twin is not None, dict[str, str]()
    if isinstance(lab.rig.camera, TwinCameraConfig) and not has_twin:
        raise _wrong(
            lab, ("camera",), "camera", "`kind: twin` needs a `twin:` section. Add one, or name a real camera."
        )
    station = lab.rig.station
    devices = {registry.role: getattr(station, registry.role) for registry in (*STATION, BALANCES)}
    devices["camera_arm"] = station.camera_arm.arm if station.camera_arm is not None else None
    for role, device in devices.items():
        port: str | None = getattr(device, "port", None)
        if port is None:  # a person's hands
            continue
        if port.startswith(TWIN) and not has_twin:
            why = (
                f"{port} is a port of the digital twin, and this file has no `twin:` section. Name the device's port "
                "(`rig devices` lists them), or add `twin: {coins: procedural}`."
            )
            raise _wrong(lab, ("station", role, "port"), f"station: {role}: port", why)
        if port.startswith(TWIN) and port.removeprefix(TWIN).strip("/") != role:
            raise _wrong(
                lab,
                ("station", role, "port"),
                f"station: {role}: port",
                f"at {port} the twin has another device. Write {TWIN}{role}.",
            )
        other = taken.setdefault(port if "://" in port else str(Path(port).resolve()), role)
        if other != role:
            why = f"{port} is the {other}'s as well. Each device has a port of its own: `rig devices` prints which."
            raise _wrong(lab, ("station", role, "port"), f"station: {role}: port", why)


def _wrong(lab: Lab, keys: tuple[str, ...], name: str, why: str) -> LabError:
    file = lab.folder / "rig.yaml"
    return LabError(f"{file}, line {line_of(file, keys)}: {name}: {why}")
