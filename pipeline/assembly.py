"""From the lab's files to devices that answer: station and camera, and for a twin the world they work on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from capture.cameras import Camera, make_camera
from capture.cameras.twin import TwinCameraConfig
from pipeline.errors import LabError
from pipeline.lab import Lab, TwinConfig
from rig.station import Station
from rig.twin.clock import Clock, ScaledClock, SystemClock
from rig.twin.drawer import Drawer, DrawerError, PhotoDrawer, ProceduralDrawer
from rig.twin.lab import make_world
from rig.twin.world import World


@dataclass(frozen=True)
class Rig:
    """What a job drives. `world` is None where the devices are real."""

    station: Station
    camera: Camera
    clock: Clock
    world: World | None


def assemble(lab: Lab, *, realtime: bool) -> Rig:
    """Make the devices of a lab, none of them connected yet.

    Raises
    ------
    LabError
        If rig.yaml names the twin's camera but has no twin, or the twin's coins cannot be had.
    """
    twin = lab.rig.twin
    config = lab.rig.camera
    if twin is None:
        if isinstance(config, TwinCameraConfig):
            raise LabError(
                f"{lab.folder / 'rig.yaml'}: camera: kind: twin needs a `twin:` section. "
                "Add one, or name a real camera."
            )
        clock: Clock = SystemClock()
        return Rig(Station(lab.rig.station, clock), make_camera(config, clock), clock, None)
    clock = ScaledClock(1.0 if realtime else twin.speed)
    world = make_world(lab.rig.station, clock, seed=twin.seed, state_path=lab.world, faults=twin.faults)
    return Rig(Station(lab.rig.station, clock), make_camera(config, clock, _drawer(lab, twin)), clock, world)


@contextmanager
def connected(lab: Lab, *, realtime: bool) -> Iterator[Rig]:
    """Connect every device of a lab. However the block is left, the arm parks, the lights go off and the ports close.

    Raises
    ------
    DeviceError
        If a device does not answer.
    LabError
        If another process drives this rig; and see `assemble`.
    """
    rig = assemble(lab, realtime=realtime)
    with sole_driver(lab), rig.station:
        try:
            rig.station.identities.append(rig.camera.connect())
            yield rig
        finally:
            rig.camera.close()


@contextmanager
def sole_driver(lab: Lab) -> Iterator[None]:
    """Hold the lab's rig; the hold goes with the process, however that ends.

    Raises
    ------
    LabError
        If another process holds it.
    """
    with (lab.folder / "rig.lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            file.seek(0)
            holder = file.read().strip() or "another process"
            raise LabError(
                f"the rig of {lab.folder} is in use by {holder}. Wait until it is done, or stop it."
            ) from error
        file.truncate(0)
        file.write(f"process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M}")
        file.flush()
        yield


def _drawer(lab: Lab, twin: TwinConfig) -> Drawer:
    if twin.coins == "procedural":
        return ProceduralDrawer(twin.seed)
    try:
        return PhotoDrawer(lab.folder / twin.coins)
    except DrawerError as error:
        raise LabError(f"{lab.folder / 'rig.yaml'}: twin: coins: {error}") from error
