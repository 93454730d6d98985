"""What each driver's protocol costs: one question and its answer, and a pose over the emulator's own motion time.

The twin runs in real time. *Hardware* is what passed on its clock: motion, settling, and what the controller itself
takes. What the wall clock shows beyond that is this computer's: driver, link and the emulator's own computing. *Motion*
is the moves alone, as the emulator plans them; what a driver waits beyond them is settling, or the pace of its polling.
The RoArm's has no such figure: its driver draws each line itself, in steps that overlap.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from rig.clock import ScaledClock
from rig.devices import Light
from rig.registry import STATION
from rig.station import Station, StationConfig
from rig.twin import world as twin_world
from rig.twin.lab import make_world
from rig.twin.motion import Trapezoid
from rig.twin.world import World

KINDS = [(registry.role, kind) for registry in STATION for kind in registry.drivers if kind != "manual"]
ANGLES_DEG = (90.0, 180.0, 270.0, 0.0, 60.0, 120.0)
POINTS_MM = ((240.0, 120.0, 100.0), (240.0, 120.0, 40.0), (240.0, 120.0, 100.0), (200.0, -120.0, 100.0)) * 2
SECTORS = tuple(Light(f"az{azimuth:03}", ((azimuth - 30.0, azimuth + 30.0),)) for azimuth in range(0, 360, 60)) * 4
QUESTIONS = 50


class Stopwatch:
    """Wall-clock and hardware seconds of one action, and of the moves in it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.motion_s = 0.0
        turn, carry = world.turn, world.carry

        def timed_turn(by_deg: float, speed: float, acceleration: float, start_s: float) -> None:
            self.motion_s += Trapezoid(abs(by_deg), speed, acceleration).duration_s
            turn(by_deg, speed, acceleration, start_s)

        def timed_carry(target_mm: Any, speed: float, acceleration: float, start_s: float) -> None:
            self.motion_s += Trapezoid(math.dist(world.cup_mm(), target_mm), speed, acceleration).duration_s
            carry(target_mm, speed, acceleration, start_s)

        world.turn, world.carry = timed_turn, timed_carry  # type: ignore[method-assign]

    def time(self, action: Callable[[], Any]) -> tuple[float, float]:
        began_s, began_hardware_s = time.perf_counter(), self.world.clock.now()
        action()
        return time.perf_counter() - began_s, self.world.clock.now() - began_hardware_s


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    columns = (
        "driver",
        "question (ms)",
        "of it hardware",
        "poses",
        "wall (s)",
        "hardware (s)",
        "overhead",
        "motion (s)",
    )
    made = Table(*columns, title="protocol overhead, in real time", title_justify="left")
    yield made
    Console(width=110).print(made)


@pytest.fixture(params=KINDS, ids=[kind for _, kind in KINDS])
def device(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, Stopwatch]]:
    role, kind = request.param
    config = StationConfig.model_validate({role: {"kind": kind, "port": f"twin://{role}"}})
    clock = ScaledClock(1.0)
    world = make_world(config, clock, seed=1)
    made: Any = getattr(Station(config, clock), role)
    made.connect()
    yield kind, made, Stopwatch(world)
    made.close()
    twin_world.use(None)


@pytest.mark.bench
def test_pose_to_pose_over_the_hardware_s_own_time(device: tuple[str, Any, Stopwatch], table: Table) -> None:
    kind, driver, watch = device
    if driver.role == "turntable":
        question, poses = driver.angle_deg, [lambda angle=angle: driver.rotate_to(angle) for angle in ANGLES_DEG]
    elif driver.role == "arm":
        question, poses = driver.position_mm, [lambda point=point: driver.move_to(*point) for point in POINTS_MM]
    else:
        question, poses = driver.dark, [lambda light=light: driver.show(light) for light in SECTORS]
    if driver.role != "lightbox":
        driver.home()
    poses[-1]()
    asked = [watch.time(question) for _ in range(QUESTIONS)]
    watch.motion_s = 0.0
    taken = [watch.time(pose) for pose in poses]
    question_s, its_hardware_s = (sum(column) / QUESTIONS for column in zip(*asked, strict=True))
    wall_s, hardware_s = (sum(column) for column in zip(*taken, strict=True))
    overhead = f"{(wall_s / hardware_s - 1) * 100:.2f} %" if hardware_s else "no motion"
    table.add_row(
        kind,
        f"{1000 * question_s:.2f}",
        f"{1000 * its_hardware_s:.2f}",
        str(len(poses)),
        f"{wall_s:.3f}",
        f"{hardware_s:.3f}",
        overhead,
        f"{watch.motion_s:.3f}" if watch.motion_s and kind != "roarm" else "",
    )
