"""A stop at the start of a long move, on controllers that plan as their firmware does: how far the cup still moves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import pytest

from rig.errors import AlarmError
from rig.twin import world as twin_world
from tests.rig.benches import DriverBench
from tests.rig.stopping import StoppingClock

# What docs/drivers.md states (mm); the twin measures less.
STOPPING_MM = {"uarm": 3.0, "dobot": 3.0, "roarm": 15.0}
ENDS = (160.0, -180.0, 100.0), (160.0, 180.0, 100.0)


@pytest.fixture
def make() -> Iterator[Callable[[str], DriverBench]]:
    made: list[DriverBench] = []

    def build(kind: str) -> DriverBench:
        made.append(DriverBench(kind, clock=StoppingClock()))
        made[-1].device.connect()
        made[-1].device.home()
        return made[-1]

    yield build
    for bench in made:
        bench.close()
    twin_world.use(None)


@pytest.mark.parametrize("kind", STOPPING_MM)
def test_stopped_at_the_start_of_a_long_move_it_stands_still(make: Callable[[str], DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.device.move_to(*ENDS[0])
    where: list[tuple[float, ...]] = []

    def stop() -> None:
        where.append(bench.world.cup_mm())
        bench.device.stop()

    bench.clock.do(stop, when=lambda: math.dist(bench.world.cup_mm(), ENDS[0]) > 5)  # type: ignore[attr-defined]
    with pytest.raises(AlarmError):
        bench.device.move_to(*ENDS[1])
    bench.clock.sleep(10)
    assert math.dist(bench.world.cup_mm(), where[0]) <= STOPPING_MM[kind]


@pytest.mark.parametrize("kind", STOPPING_MM)
def test_stopped_it_keeps_its_coin(make: Callable[[str], DriverBench], kind: str) -> None:
    bench = make(kind)
    x_mm, y_mm, z_mm = bench.config.bench.tray.position_mm(1)
    for height_mm in (90.0, z_mm):
        bench.device.move_to(x_mm, y_mm, height_mm)
    bench.device.grip()
    bench.device.move_to(x_mm, y_mm, 90.0)
    bench.clock.do(bench.device.stop, when=lambda: math.dist(bench.world.cup_mm(), (x_mm, y_mm, 90.0)) > 5)  # type: ignore[attr-defined]
    with pytest.raises(AlarmError):
        bench.device.move_to(x_mm + 60, y_mm, 90.0)
    bench.clock.sleep(10)
    assert bench.world.coins[0].place == "cup"
    bench.device.stop_idle_pump()
    bench.device.home()
    assert bench.world.coins[0].place == "cup", "homing and the way out keep it as well"
