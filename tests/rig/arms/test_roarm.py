from __future__ import annotations

import functools
import itertools
import json
import math
from collections.abc import Callable, Iterator

import pytest

from rig.arms.roarm import RoarmArm
from rig.arms.roarm_linkage import Joints, joints_at, point_at
from rig.errors import AlarmError, EnvelopeError
from rig.station import Station
from rig.twin.arduino_json import read_json
from rig.twin.emulator import Emulator
from rig.twin.faults import Glitch
from tests.rig.benches import DriverBench
from tests.rig.stopping import StoppingClock
from tests.variants import usually

HASTE = {"answer_s": 0.1}


@pytest.fixture
def make(bench_of: Callable[..., DriverBench]) -> Callable[..., DriverBench]:
    return functools.partial(bench_of, "roarm", **HASTE)


def steps(bench: DriverBench) -> list[dict[str, float]]:
    lines = [line.split(" >> ")[1] for line in bench.link.recent if " >> {" in line]
    return [command for command in (read_json(line.encode() + b"\0").value for line in lines) if command["T"] == 122]


def heard(emulator: Emulator, seconds: float) -> bytes:
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
    here = [point_at(Joints(*(math.radians(step[name]) for name in "bse"))) for step in way]
    assert math.dist(here[-1], (240, 0, 150)) < 0.2
    assert all(math.dist(a, b) <= bench.device.config.speed_mm_s * 0.05 * 1.6 for a, b in itertools.pairwise(here))
    assert all(step["b"] == 0 and 0 < step["spd"] <= 90 and step["acc"] > 0 for step in way)


@pytest.mark.parametrize("point", [(560.0, 0.0, 0.0), (10.0, 0.0, 0.0), (100.0, 0.0, 510.0)])
def test_a_point_out_of_its_reach_is_refused(
    make: Callable[..., DriverBench], point: tuple[float, float, float]
) -> None:
    bench = make()
    with pytest.raises(EnvelopeError, match="out of its reach; the arm was not moved"):
        bench.device.move_to(*point)
    assert math.dist(bench.world.cup_mm(), bench.device.config.home_mm) < 0.5


def test_so_is_a_way_that_leads_through_its_base(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.move_to(0, 200, 30)
    before = bench.world.cup_mm()
    with pytest.raises(EnvelopeError):
        bench.device.move_to(0, -200, 30)
    assert bench.world.cup_mm() == before
    bench.device.move_to(200, 0, 100)


def test_its_initial_position_is_in_reach_and_its_base_is_not() -> None:
    assert joints_at((310.15, 0.0, 235.09)) == pytest.approx((0.0, 0.0, math.pi / 2))
    assert joints_at((0.0, 0.0, 0.0)) is None


@pytest.mark.parametrize("step_bytes", usually((4,), (4, 1)))
def test_no_lost_byte_lets_it_fall_or_takes_it_far_from_its_way(
    make: Callable[..., DriverBench], step_bytes: int
) -> None:
    """Single bytes of a step, and of the question after it, are lost while a coin hangs on the cup: each, if slow."""
    clock = StoppingClock()
    bench = make(clock=clock)
    x_mm, y_mm, z_mm = bench.config.bench.tray.position_mm(1)
    for height_mm in (90.0, z_mm):
        bench.device.move_to(x_mm, y_mm, height_mm)
    bench.device.grip()
    bench.device.move_to(x_mm, y_mm, 90.0)
    off_path_mm: list[float] = [0.0]

    def watch() -> bool:
        here = bench.world.cup_mm()
        off_path_mm[0] = max(off_path_mm[0], math.dist(here[1:], (-y_mm, 90.0)) if abs(here[0] - x_mm) < 200 else 999.0)
        return False

    wire, step = bench.world.wires["arm"], 0
    bench.device.move_to(x_mm, -y_mm, 90.0)
    longest = max(len(line.split(" >> ")[1]) for line in bench.link.recent if " >> {T:122" in line) + 1
    clock.do(lambda: None, when=watch)
    for at in range(0, longest, step_bytes):
        bench.world.faults.append(
            Glitch(device="arm", what="lost byte", way="sent", at=at, after_messages=wire.count("sent") + 8)
        )
        step = 1 - step
        bench.device.move_to(x_mm + 12.0 * step, -y_mm, 90.0)
        assert bench.world.coins[0].place == "cup"
    assert bench.world.cup_mm()[2] > 80, "no T:0, which would let it sink onto the table"
    assert off_path_mm[0] < 15


def test_the_end_effector_s_mode_is_stored_and_does_not_matter(make: Callable[..., DriverBench]) -> None:
    """Other software set EEMode 1, by which the firmware reports other positions; setting it back would swing it."""
    bench = make()
    assert bench.device.connect().settings == {"EEMode": "0"}
    bench.world.emulators["arm"].mode = 1  # type: ignore[attr-defined]
    assert bench.device.connect().settings == {"EEMode": "1"}
    bench.device.home()
    bench.device.move_to(240, 60, 100)
    assert math.dist(bench.world.cup_mm(), (240, 60, 100)) < 5
    assert bench.device.position_mm() == pytest.approx(bench.world.cup_mm(), abs=0.5)
    assert "{T:1," not in "".join(bench.link.recent)


def damaged(line: bytes) -> Iterator[bytes]:
    """The line with one byte lost, doubled, or with one of its bits flipped."""
    for place in range(len(line)):
        before, byte, after = line[:place], line[place], line[place + 1 :]
        yield before + after
        yield before + bytes((byte, byte)) + after
        yield from (before + bytes((byte ^ 1 << bit,)) + after for bit in range(8))


def number(line: bytes) -> int | None:
    """The command that the firmware makes of a line; 0 lets go of all joints, None is no command."""
    reading = read_json(line + b"\0")
    if reading.end != "whole" or not isinstance(reading.value, dict):
        return None
    value = reading.value.get("T")
    return int(value) if isinstance(value, int | float) else 0


def test_no_damage_to_one_byte_of_a_line_lets_go_of_the_joints(make: Callable[..., DriverBench]) -> None:
    bench = make()
    lines: set[bytes] = set()
    for work in (bench.device.home, lambda: bench.device.move_to(200, -120, 100), bench.device.grip):
        bench.link.recent.clear()
        work()
        lines |= {line.split(" >> ")[1].replace(r"\x0a", "").encode() for line in bench.link.recent if " >> " in line}
    assert {number(line) for line in lines} >= {105, 113, 122, 210}
    for line in lines:
        assert not [bad for bad in damaged(line) if number(bad) == 0]
    # Without the second T, which is what it was before:
    assert [bad for bad in damaged(b"{T:122,b:0.00,s:1.00}") if number(bad) == 0]


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
    again = RoarmArm(bench.config.arm, bench.clock)
    assert again.may_hold()
    again.connect()
    assert bench.world.coins[0].place == "cup", "the pump was left alone"
    assert not again.holds()
    assert again.may_hold()
    again.close()


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


def test_a_controller_that_restarts_holds_nothing(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.close()
    bench.world.emulators["arm"].reset()
    again = RoarmArm(bench.config.arm, bench.clock)
    again.connect()
    assert not again.may_hold()
    again.close()


# The controller, against the firmware's source


def test_a_command_is_repeated_and_only_a_question_is_answered(make: Callable[..., DriverBench]) -> None:
    emulator = make().world.emulators["arm"]
    emulator.feed(b'{"T":210,"cmd":1}\n')
    assert heard(emulator, 0.2) == b'{"T":210,"cmd":1}\n\r\n'
    emulator.feed(b'{"T":605,"cmd":0}\n{"T":105}\n')
    repeated, answer = heard(emulator, 0.3).decode().strip().split("\r\n")
    assert repeated.strip() == '{"T":605,"cmd":0}'
    assert json.loads(answer)["T"] == 1051


def test_a_straight_move_is_deaf_until_it_is_there(make: Callable[..., DriverBench]) -> None:
    emulator = make().world.emulators["arm"]
    emulator.feed(b'{"T":104,"x":240,"y":0,"z":150,"t":3.14,"spd":0.25}\n{"T":105}\n')
    assert b"1051" not in emulator.poll()
    assert b"1051" in heard(emulator, 3.0)


@pytest.mark.parametrize("line", [b"{}", b'{"":105}', b'"T":1041,"x":200}', b'{"T":0}', b"5"])
def test_whatever_lacks_its_number_is_an_emergency_stop(make: Callable[..., DriverBench], line: bytes) -> None:
    bench = make()
    emulator = bench.world.emulators["arm"]
    emulator.feed(line + b'\n{"T":105}\n')
    assert b"1051" not in heard(emulator, 9.0)
    assert b"1051" in heard(emulator, 2.0)


def test_when_it_starts_it_swings_to_its_initial_position(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.world.emulators["arm"].reset()
    heard(bench.world.emulators["arm"], 5.0)
    assert bench.world.cup_mm() == pytest.approx((310.15, 0, 235.09))
    bench.world.emulators["arm"].reset()
    with pytest.raises(AlarmError, match="restarted"):
        bench.device.move_to(240, 0, 150)
