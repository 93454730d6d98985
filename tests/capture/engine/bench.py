"""A twin bench for the engine's tests."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from calibration.bundle import Bundle
from calibration.durable_files import write_atomically
from calibration.flat import flat_field
from calibration.image import Image
from calibration.lens import Lens
from capture.cameras import CAMERAS, Camera
from capture.cameras.twin import TwinCameraConfig
from capture.engine.context import ScanContext
from capture.engine.events import Event
from capture.engine.run import Summary, run_scan
from capture.plan import Plan, Tray
from capture.store import Store
from rig.arms.manual import ManualHandler
from rig.clock import ScaledClock
from rig.sides import Side
from rig.station import Station, StationConfig
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.procedural import procedural_side
from rig.twin.coins.surface import Surface
from rig.twin.lab import make_world
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, Scene
from rig.twin.world import Contents, World

TRAY = Tray(id="3", slots={1: "2024.1.1", 2: None, 7: "2024.1.2"})
PLAN = Plan(lights=("az000", "az120"), turntable_deg=(0.0, 90.0))
SHOTS = PLAN.shots(TRAY)
SHORT_PLAN = Plan(lights=("az000", "az120"), turntable_deg=(0.0,))
SHORTEST_PLAN = Plan(sides=("obverse",), lights=("az000",), turntable_deg=(0.0,))
# A quarter of the pixels: what happens to frames does not depend on their size.
OPTICS = CameraModel(width_px=640, height_px=480, focal_px=2650.0, centre_px=(322.7, 237.0))


class CoarseDrawer(ProceduralDrawer):
    """Coins as fine as such a camera sees them."""

    def _make(self, coin: str, side: Side) -> Surface:
        return procedural_side(coin, side, self.seed, size_px=240)


DRAWER = CoarseDrawer()  # one for all tests, which takes its time to make a coin
# Short (wall-clock) patience: nothing in the twin needs longer.
CONFIG = StationConfig.model_validate(
    {
        "turntable": {"answer_s": 0.3, "boot_s": 1.0, "homing_s": 2.0},
        "arm": {"answer_s": 0.3, "boot_s": 1.0, "move_s": 2.0},
        "lightbox": {"answer_s": 0.3, "boot_s": 1.0},
    }
)
ARMS: dict[str, dict[str, Any]] = {
    "uarm": {"kind": "uarm", "answer_s": 0.3, "boot_s": 1.0, "move_s": 2.0},
    "dobot": {"kind": "dobot", "answer_s": 0.3, "boot_s": 1.0, "move_s": 2.0, "homing_s": 2.0},
    "roarm": {"kind": "roarm", "answer_s": 0.3, "boot_s": 3.0},
}


def with_arm(kind: str = "uarm") -> StationConfig:
    """The same with another arm."""
    return StationConfig.model_validate(CONFIG.model_dump() | {"arm": ARMS[kind]})


def with_tilt(kind: str = "grbl") -> StationConfig:
    """The same with a motor that tilts the camera, on the turntable's controller."""
    turntable = {"kind": kind, "answer_s": 0.3, "boot_s": 2.0, "homing_s": 3.0, "tilt": {"axis": "Y"}}
    return StationConfig.model_validate(CONFIG.model_dump() | {"turntable": turntable})


@dataclass
class Bench:
    """Everything a run needs, connected."""

    folder: Path
    store: Store
    station: Station
    camera: Camera
    world: World

    def run(
        self,
        on_event: Callable[[Event], None] = lambda event: None,
        plan: Plan = PLAN,
        tray: Tray = TRAY,
        **options: Any,
    ) -> Summary:
        """Resume the tray's scan, or begin one; `options` as of `ScanContext`."""
        session = self.store.sessions.unfinished_scan(tray.id)
        if session is None:
            devices = [asdict(identity) for identity in (*self.station.identities, self.camera.identity)]
            session = self.store.sessions.begin_scan(tray, plan, devices)
        return run_scan(ScanContext(self, self.store, session, on_event=on_event, **options))

    def lies(self) -> dict[str, tuple[str, int | None, str]]:
        """Where each coin truly is, and which side is up."""
        return {coin.coin: (coin.place, coin.slot, coin.side) for coin in self.world.coins}


def true_bundle(names: Sequence[str] = PLAN.lights, model: CameraModel = OPTICS) -> Bundle:
    """The calibration that a perfect `rig calibrate` would find, with the flat fields of some lights."""
    lights = CONFIG.lightbox.lights
    lens = Lens(model.matrix, model.distortion, 0.1, model.width_px, model.height_px)
    renderer = Renderer(model, ProceduralDrawer())

    def card(light: str) -> Image:
        lamp = Lamp(lights[light].azimuth_deg, CONFIG.lightbox.elevation_deg, 1.0)
        return renderer.render(Scene(target="white card", lamps=(lamp,)), 14_000)

    return Bundle("twin", lens, model.mm_per_pixel, {light: flat_field([card(light)], light) for light in names})


IN_ORDER = {coin: ("slot", slot, "obverse") for slot, coin in TRAY.coins.items()}


@contextmanager
def open_bench(
    folder: Path,
    faults: Sequence[Any] = (),
    clock: ScaledClock | None = None,
    *,
    config: StationConfig = CONFIG,
    tray: Tray = TRAY,
    seed: int = 1,
    contents: Contents | None = None,
    optics: CameraModel = OPTICS,
) -> Iterator[Bench]:
    """The bench of a folder, as the last run left it; a technician does whatever is asked at once."""
    clock = clock or ScaledClock(math.inf)
    world = make_world(
        config,
        clock,
        seed=seed,
        state_path=folder / "world.json",
        write=partial(write_atomically, durable=False),
        faults=faults,
        contents=contents,
        drawer=DRAWER,
    )
    world.fill(tray.coins, tray.id)
    camera = CAMERAS.make(TwinCameraConfig(optics=optics), clock)
    with Store.open(folder / "store") as store, Station(config, clock, lambda request: True) as station:
        if isinstance(station.arm, ManualHandler):
            station.arm.on_done = world.do_by_hand
        camera.connect()
        try:
            yield Bench(folder, store, station, camera, world)
        finally:
            camera.close()


def swap_names(folder: Path, one: str, other: str) -> None:
    """While nothing runs, somebody lays two coins in each other's place, wherever they are."""
    path = folder / "world.json"
    state = json.loads(path.read_text())
    for coin in state["coins"]:
        coin["coin"] = {one: other, other: one}.get(coin["coin"], coin["coin"])
    path.write_text(json.dumps(state))


class DeadlyClock(ScaledClock):
    """Kills the process, as a power cut would, when its time has come."""

    def __init__(self, kill_after_s: float) -> None:
        super().__init__(math.inf)
        self._kill_after_s = kill_after_s

    def sleep(self, seconds: float) -> None:
        """Let time pass, up to the end."""
        super().sleep(seconds)
        if self.now() >= self._kill_after_s:
            os.kill(os.getpid(), signal.SIGKILL)


def scan_until_killed(
    folder: Path,
    kill_after_s: float,
    config: StationConfig,
    plan: Plan,
    tray: Tray = TRAY,
    optics: CameraModel = OPTICS,
) -> None:
    """Scan the tray and be killed after so many hardware seconds."""
    with open_bench(folder, clock=DeadlyClock(kill_after_s), config=config, tray=tray, optics=optics) as bench:
        bench.run(plan=plan, tray=tray)
