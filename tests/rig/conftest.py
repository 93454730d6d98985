"""A twin world at full speed, and the station in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rig.clock import ScaledClock
from rig.station import Station
from rig.twin import world as twin_world
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.rig.benches import DriverBench
from tests.rig.wires import CONFIG


@pytest.fixture
def clock() -> ScaledClock:
    return ScaledClock(math.inf)


@pytest.fixture
def world_with(clock: ScaledClock) -> Iterator[Callable[..., World]]:
    """Makes the world of a test: ``world_with(Jam(), seed=3)``."""

    def build(*faults: Any, **options: Any) -> World:
        return make_world(CONFIG, clock, faults=faults, **options)

    yield build
    twin_world.use(None)


@pytest.fixture
def world(world_with: Callable[..., World]) -> World:
    """A world where all goes well, with three coins in the tray."""
    made = world_with(seed=1)
    made.fill({1: "first", 2: "second", 20: "last"})
    return made


@pytest.fixture
def station(world: World, clock: ScaledClock) -> Iterator[Station]:
    """A station, connected and homed."""
    with Station(CONFIG, clock) as ready:
        ready.home()
        yield ready


@pytest.fixture
def bench_of() -> Iterator[Callable[..., DriverBench]]:
    """Makes the bench of a driver, connected and homed: ``bench_of("dobot", Glitch("arm"), answer_s=0.1)``."""
    made: list[DriverBench] = []

    def build(kind: str, *faults: Any, connect: bool = True, home: bool = True, **options: Any) -> DriverBench:
        bench = DriverBench(kind, *faults, **options)
        made.append(bench)
        if connect:
            bench.device.connect()
        if connect and home and bench.role != "lightbox":
            bench.device.home()
        return bench

    yield build
    for bench in made:
        bench.close()
    twin_world.use(None)
