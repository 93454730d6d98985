"""A world for a station: its bench, and an emulated controller for each of its devices."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rig.arms.dobot_emulator import DobotEmulator
from rig.arms.roarm_emulator import RoarmEmulator
from rig.arms.uarm_emulator import UarmEmulator
from rig.balances.balance_emulators import KernEmulator, SbiEmulator, SicsEmulator
from rig.clock import Clock
from rig.lights.dmx_emulator import DmxEmulator
from rig.lights.wled_emulator import WledEmulator
from rig.station import StationConfig
from rig.turntables.grbl_emulator import GrblEmulator
from rig.turntables.marlin_emulator import MarlinEmulator
from rig.twin import world
from rig.twin.camera_arm import CameraArmBody
from rig.twin.coins.drawer import Drawer
from rig.twin.emulator import Emulator
from rig.twin.faults import Fault
from rig.twin.world import Contents, World

# The controller on the far end of each driver's wire; made with the driver's own config.
EMULATORS: dict[str, Callable[[Any, Any], Emulator]] = {
    "grbl": lambda world, config: GrblEmulator(world, config.axis, tilt=config.tilt),
    "marlin": lambda world, config: MarlinEmulator(world, config.axis, tilt=config.tilt),
    "dobot": lambda world, config: DobotEmulator(world, config.vacuum_input),
    "roarm": lambda world, config: RoarmEmulator(world),
    "uarm": lambda world, config: UarmEmulator(world),
    "dmx": lambda world, config: DmxEmulator(world, config),
    "sics": lambda world, config: SicsEmulator(world),
    "sbi": lambda world, config: SbiEmulator(world),
    "kern": lambda world, config: KernEmulator(world),
    "wled": lambda world, config: WledEmulator(world, config.leds),
}


def make_world(
    config: StationConfig,
    clock: Clock,
    *,
    seed: int = 0,
    state_path: Path | None = None,
    write: Callable[[Path, str], object] = Path.write_text,
    faults: Sequence[Fault] = (),
    contents: Contents | None = None,
    drawer: Drawer | None = None,
) -> World:
    """Build the world of a twin station and put it to use: ``twin://`` ports of this process now lead to it.

    Parameters
    ----------
    config
        The station, as the drivers get it.
    clock
        The hardware's time; give the station the same one.
    seed
        Of everything random.
    state_path
        File that keeps where the coins lie between runs; in memory only when None.
    write
        Writes it: atomically, if processes that use it may be killed.
    faults
        What shall go wrong.
    contents
        What truly lies in trays, where it differs from the tray files.
    drawer
        The coins that may lie there; generated from their names when None.
    """
    devices = {name: getattr(config, name) for name in ("turntable", "arm", "lightbox", "balance")}
    holder = config.camera_arm
    devices["camera_arm"] = holder.arm if holder is not None else None
    drivers = {name: device.kind for name, device in devices.items() if device and device.kind in EMULATORS}
    made = World(
        config.bench,
        clock,
        seed=seed,
        state_path=state_path,
        write=write,
        faults=faults,
        contents=contents,
        drawer=drawer,
        drivers={name: kind for name, kind in drivers.items() if name != "balance"},  # no scan uses it
        tilts=getattr(config.turntable, "tilt", None) is not None,
        lamp_elevation_deg=config.lightbox.elevation_deg,
        led0_azimuth_deg=getattr(config.lightbox, "led0_azimuth_deg", 0.0),  # lamps switched by hand have none
    )
    if holder is not None:
        made.camera_arm = CameraArmBody(made, holder.arm.kind, holder.plate_mm)
    for name, kind in drivers.items():
        moved: Any = made.camera_arm if name == "camera_arm" else made
        made.emulators[name] = EMULATORS[kind](moved, devices[name])
    world.use(made)
    return made
