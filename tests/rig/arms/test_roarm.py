from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rig.arms.roarm import RoarmArm, in_reach
from rig.errors import AlarmError, EnvelopeError
from rig.station import Station
from rig.twin import world as twin_world
from rig.twin.emulator import Emulator
from tests.rig.benches import DriverBench

HASTE = {"answer_s": 0.1}


@pytest.fixture
def make() -> Iterator[Callable[..., DriverBench]]:
    made: list[DriverBench] = []

    def build(**options: Any) -> DriverBench:
        made.append(DriverBench("roarm", **(HASTE | options)))
        made[-1].device.connect()
        made[-1].device.home()
        return made[-1]

    yield build
    for bench in made:
        bench.close()
    twin_world.use(None)


def steps(bench: DriverBench) -> list[dict[str, float]]:
    lines = [line.split(" >> ")[1] for line in bench.link.recent if " >> {" in line]
    return [command for command in map(json.loads, lines) if command["T"] == 1041]


def said(emulator: Emulator, seconds: float) -> bytes:
    heard = b""
    for _ in range(round(seconds / 0.1)):
        emulator.clock.sleep(0.1)
        heard += emulator.poll()
    return heard


# The driver


def test_a_line_is_drawn_in_small_steps(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.link.recent.clear()
    bench.device.move_to(240, 0, 150)
    way = steps(bench)
    assert (way[-1]["x"], way[-1]["y"], way[-1]["z"]) == (240, 0, 150)
    assert all(abs(b["x"] - a["x"]) <= bench.device.config.speed_mm_s * 0.05 for a, b in itertools.pairwise(way))
    assert all(step["y"] == 0 and step["spd"] > 0 for step in way)


@pytest.mark.parametrize("point", [(560.0, 0.0, 0.0), (10.0, 0.0, 0.0), (100.0, 0.0, 510.0)])
def test_a_point_out_of_its_reach_is_refused(
    make: Callable[..., DriverBench], point: tuple[float, float, float]
) -> None:
    bench = make()
    sent = bench.sent()
    with pytest.raises(EnvelopeError, match="out of its reach; nothing was sent"):
        bench.device.move_to(*point)
    assert bench.sent() == sent


def test_so_is_a_way_that_leads_through_its_base(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.move_to(0, 200, 30)
    before = bench.world.cup_mm()
    with pytest.raises(EnvelopeError):
        bench.device.move_to(0, -200, 30)
    assert bench.world.cup_mm() == before
    bench.device.move_to(200, 0, 100)


def test_its_initial_position_is_in_reach_and_its_base_is_not() -> None:
    assert in_reach((310.15, 0.0, 235.09))
    assert not in_reach((0.0, 0.0, 0.0))


def test_a_killed_program_leaves_the_coin_on_the_arm_but_nobody_knows(make: Callable[..., DriverBench]) -> None:
    bench = make()
    x_mm, y_mm, z_mm = bench.config.bench.tray.position_mm(1)
    bench.device.move_to(x_mm, y_mm, 90)
    bench.device.move_to(x_mm, y_mm, z_mm)
    bench.device.grip()
    bench.device.move_to(x_mm, y_mm, 90)
    assert bench.device.holds()
    bench.device.close()
    bench.device.connect()
    assert bench.world.coins[0].place == "cup"
    assert bench.device.holds()  # the same program remembers that its pump runs
    bench.device.close()
    anew = RoarmArm(bench.config.arm, bench.clock)
    assert anew.may_hold()
    anew.connect()
    assert bench.world.coins[0].place == "cup", "the pump was left alone"
    assert not anew.holds()
    assert anew.may_hold()
    anew.close()


def test_what_may_hang_on_it_is_let_go_into_its_slot_by_the_next_program(make: Callable[..., DriverBench]) -> None:
    bench = make()
    with Station(bench.config, bench.clock) as station:
        station.home()
        station.handler._pick(bench.config.bench.tray.position_mm(2), "slot 2")  # type: ignore[attr-defined]
        station.close()  # as if killed: nothing is made safe
    assert bench.world.coins[1].place == "cup"
    with Station(bench.config, bench.clock) as station:
        station.home()
        assert bench.world.coins[1].place == "cup" and not station.holds_coin()
        station.let_go_into(2)
        assert (bench.world.coins[1].place, bench.world.coins[1].slot) == ("slot", 2)
        assert math.dist(bench.world.cup_mm(), bench.config.bench.rest_mm) <= 6
        moves = dict(bench.world.moves)
        station.let_go_into(2)  # now it is known: nothing to do
        assert bench.world.moves == moves


def test_a_controller_that_starts_anew_holds_nothing(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.close()
    bench.world.emulators["arm"].reset()
    anew = RoarmArm(bench.config.arm, bench.clock)
    anew.connect()
    assert not anew.may_hold()
    anew.close()


# The controller, against the firmware's source


def test_a_command_is_repeated_and_only_a_question_is_answered(make: Callable[..., DriverBench]) -> None:
    emulator = make().world.emulators["arm"]
    emulator.feed(b'{"T":210,"cmd":1}\n')
    assert said(emulator, 0.1) == b'{"T":210,"cmd":1}\n\r\n'
    emulator.feed(b'{"T":605,"cmd":0}\n{"T":105}\n')
    repeated, answer = said(emulator, 0.1).decode().strip().split("\r\n")
    assert repeated.strip() == '{"T":605,"cmd":0}'
    assert json.loads(answer)["T"] == 1051


def test_a_straight_move_is_deaf_until_it_is_there(make: Callable[..., DriverBench]) -> None:
    emulator = make().world.emulators["arm"]
    emulator.feed(b'{"T":104,"x":240,"y":0,"z":150,"t":3.14,"spd":0.25}\n{"T":105}\n')
    assert b"1051" not in emulator.poll()
    assert b"1051" in said(emulator, 3.0)


@pytest.mark.parametrize("line", [b"{}", b'{"":105}', b'{"T":0}', b"5"])
def test_whatever_lacks_its_number_is_an_emergency_stop(make: Callable[..., DriverBench], line: bytes) -> None:
    bench = make()
    emulator = bench.world.emulators["arm"]
    emulator.feed(line + b'\n{"T":105}\n')
    assert b"1051" not in said(emulator, 9.0)
    assert b"1051" in said(emulator, 2.0)


def test_when_it_starts_it_swings_to_its_initial_position(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.world.emulators["arm"].reset()
    said(bench.world.emulators["arm"], 5.0)
    assert bench.world.cup_mm() == pytest.approx((310.15, 0, 235.09))
    bench.world.emulators["arm"].reset()
    with pytest.raises(AlarmError, match="restarted"):
        bench.device.move_to(240, 0, 150)
