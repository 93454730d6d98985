"""From the lab's files to devices that answer: station and camera, and for a twin the world they work on."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from calibration.durable_files import write_atomically
from capture.cameras import CAMERAS, Camera
from capture.photographs import PhotoDrawer
from capture.store.errors import remedy
from pipeline.errors import LabError
from pipeline.lab import Lab, TwinConfig
from pipeline.ports import require_devices
from pipeline.run_status import read_status
from rig.arms.manual import ManualHandler
from rig.clock import Clock, ScaledClock, SystemClock
from rig.devices import Identity
from rig.errors import connect_all
from rig.station import Station
from rig.technician import Ask, at_keyboard
from rig.twin.coins.drawer import Drawer, DrawerError, ProceduralDrawer
from rig.twin.lab import make_world
from rig.twin.world import World

LOCK_WAIT_S = 0.25  # whoever asks whether the rig is driven holds it for a moment: try again before giving up


@dataclass(frozen=True)
class Rig:
    """What a job drives.

    Attributes
    ----------
    world
        None where the devices are real.
    began_s
        The clock when nothing had moved yet.
    """

    station: Station
    camera: Camera
    clock: Clock
    world: World | None
    began_s: float

    @property
    def hardware_s(self) -> float:
        """Motion, settling and exposure so far, from homing to parking; of real devices the time that passed."""
        return self.clock.now() - self.began_s

    @property
    def identities(self) -> tuple[Identity, ...]:
        """How every device identified itself when it was last connected, the camera last."""
        return *self.station.identities, self.camera.identity


def assemble(lab: Lab, *, realtime: bool, ask: Ask = at_keyboard) -> Rig:
    """Make the devices of a lab that has some (`require_devices`), none of them connected yet.

    Parameters
    ----------
    ask
        How the technician is asked to do what no device does.

    Raises
    ------
    LabError
        If the twin's coins cannot be had.
    """
    twin = lab.rig.twin
    config = lab.rig.camera
    assert config is not None, "a lab without devices is refused before"
    if twin is None:
        clock: Clock = SystemClock()
        return Rig(Station(lab.rig.station, clock, ask), CAMERAS.make(config, clock), clock, None, clock.now())
    clock = ScaledClock(1.0 if realtime else twin.speed)
    world = make_world(
        lab.rig.station,
        clock,
        seed=twin.seed,
        state_path=lab.world,
        write=partial(write_atomically, durable=False),
        faults=twin.faults,
        contents=twin.contents,
        drawer=_drawer(lab, twin),
    )
    station = Station(lab.rig.station, clock, ask)
    if isinstance(station.arm, ManualHandler):
        station.arm.on_done = world.do_by_hand
    return Rig(station, CAMERAS.make(config, clock), clock, world, clock.now())


@contextmanager
def connected(lab: Lab, *, realtime: bool, ask: Ask = at_keyboard) -> Iterator[Rig]:
    """Connect every device of a lab. However the block is left, the arm parks, the lights go off and the ports close.

    Raises
    ------
    DeviceError
        If a device does not answer.
    LabError
        If another process drives this rig; and see `assemble`.
    """
    with sole_driver(lab), switched_on(lab, realtime=realtime, ask=ask) as rig:
        yield rig


@contextmanager
def switched_on(lab: Lab, *, realtime: bool, ask: Ask = at_keyboard) -> Iterator[Rig]:
    """The same, for a job that holds the rig already (`sole_driver`)."""
    require_devices(lab)
    rig = assemble(lab, realtime=realtime, ask=ask)
    try:
        connect_all((rig.station.connect, rig.camera.connect))
        try:
            yield rig
        finally:
            rig.station.make_safe()
    finally:
        rig.station.close()
        rig.camera.close()


def holder_of(lab: Lab) -> str | None:
    """Who holds the lab's rig: its command, process and time; None if nobody does."""
    path = _lock_file(lab)
    try:
        with FileLock(path, timeout=0):
            return None
    except Timeout:
        return path.read_text().strip() or "another process"
    except OSError:
        return None  # of a lab that cannot be written, nobody drives the rig


@contextmanager
def sole_driver(lab: Lab) -> Iterator[None]:
    """Hold the lab's rig; the hold goes with the process, however that ends.

    Raises
    ------
    LabError
        If another process holds it: which, since when, and at which tray.
    """
    path = _lock_file(lab)
    try:
        lock = FileLock(path, timeout=LOCK_WAIT_S).acquire()
    except Timeout as error:
        holder, status = path.read_text().strip() or "another process", read_status(lab)
        tray = status.tray if status is not None and f"(process {status.pid}," in holder else None
        raise LabError(
            f"the rig of {lab.folder} is in use by {holder}{f', at tray {tray}' if tray else ''}. "
            f"Wait until it is done, or stop it. `{lab.command('rig status')}` shows how far it is."
        ) from error
    except OSError as error:
        raise LabError(f"{path} cannot be locked: {error.strerror}. {remedy(error)}") from error
    with lock:
        path.write_text(f"{command_line()} (process {os.getpid()}, since {datetime.now():%Y-%m-%d %H:%M})")
        yield


def _lock_file(lab: Lab) -> Path:
    return lab.folder / "rig.lock"


def command_line() -> str:
    """The command as it was given, to be typed again."""
    return shlex.join(["rig", *sys.argv[1:]])


def _drawer(lab: Lab, twin: TwinConfig) -> Drawer:
    if twin.coins == "procedural":
        return ProceduralDrawer(twin.seed)
    try:
        return PhotoDrawer(lab.folder / twin.coins)
    except DrawerError as error:
        raise LabError(f"{lab.folder / 'rig.yaml'}: twin: coins: {error}") from error
