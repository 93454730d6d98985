from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator

import pytest
import serial
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rig.arms.uarm import UarmArm, UarmConfig
from rig.clock import ScaledClock
from rig.errors import AlarmError, DeviceError, EnvelopeError, GripError, NoAnswerError, NotConnectedError
from rig.link import SerialLink
from rig.twin.faults import Brownout, DeadPump, Glitch, Jam, LostBytes, Unplugged
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.rig.wires import CONFIG, Wire, heard

SLOT_1 = CONFIG.bench.tray.position_mm(1)


@pytest.fixture
def arm(world: World, clock: ScaledClock) -> Iterator[UarmArm]:
    made = connected(clock)
    made.home()
    yield made
    made.close()


def connected(clock: ScaledClock) -> UarmArm:
    arm = UarmArm(CONFIG.arm, clock)
    arm.connect()
    return arm


def lift_first(arm: UarmArm) -> None:
    """Take up the coin of slot 1 and hold it above."""
    x_mm, y_mm, z_mm = SLOT_1
    arm.move_to(x_mm, y_mm, 90)
    arm.move_to(x_mm, y_mm, z_mm)
    arm.grip()
    arm.move_to(x_mm, y_mm, 90)


# The driver


def test_it_says_what_it_is(world: World, clock: ScaledClock) -> None:
    identity = UarmArm(CONFIG.arm, clock).connect()
    assert (identity.kind, identity.port, identity.firmware) == ("uarm", "twin://arm", "V4.10.0")


def test_a_move_returns_when_the_cup_is_there(arm: UarmArm, world: World) -> None:
    arm.move_to(220, 50, 60)
    assert world.cup_mm() == (220, 50, 60)
    assert arm.position_mm() == (220, 50, 60)


def test_nothing_moves_before_homing(world: World, clock: ScaledClock) -> None:
    with pytest.raises(AlarmError, match="not homed"):
        connected(clock).move_to(220, 0, 60)


def test_homing_goes_straight_up_first(arm: UarmArm, clock: ScaledClock) -> None:
    arm.move_to(220, 0, 21)
    arm.home()
    moves = [line.split("G1 ")[1] for line in arm.link.recent if "G1 " in line][-2:]
    assert moves == ["X220.00 Y0.00 Z150.00 F100", "X200.00 Y0.00 Z150.00 F100"]


def test_it_grips_carries_and_lets_go(arm: UarmArm, world: World) -> None:
    assert not arm.holds()
    lift_first(arm)
    assert arm.holds()
    assert world.coins[0].place == "cup"
    arm.move_to(220, 0, 90)
    arm.move_to(220, 0, 21)
    arm.release()
    assert not arm.holds()
    assert [coin.coin for coin in world.scene().coins] == ["first"]


def test_gripping_nothing_is_reported_and_stops_the_pump(arm: UarmArm, world: World) -> None:
    arm.move_to(220, 0, 90)
    with pytest.raises(GripError, match="took hold of nothing"):
        arm.grip()
    assert not world.suction


def test_out_of_reach_is_refused_before_a_byte_is_sent(arm: UarmArm) -> None:
    sent = len(arm.link.recent)
    with pytest.raises(EnvelopeError, match=r"\(400, 0, 90\) mm is out of its reach, 50 to 340 mm"):
        arm.move_to(400, 0, 90)
    for point in ((200, 0, -500), (130, 0, 150), (-150, 0, 90)):  # the linkage does not get there
        with pytest.raises(EnvelopeError):
            arm.move_to(*point)
    assert len(arm.link.recent) == sent


def test_stopped_in_mid_move_it_keeps_its_coin_and_has_to_be_homed(arm: UarmArm, world: World) -> None:
    lift_first(arm)
    caught: list[DeviceError] = []

    def carry() -> None:
        try:
            for _ in range(1000):
                arm.move_to(220, 0, 90)
                arm.move_to(120, 200, 90)
        except DeviceError as error:
            caught.append(error)

    thread = threading.Thread(target=carry)
    before = world.cup_mm()
    thread.start()
    while world.cup_mm() == before:
        pass
    arm.stop()
    thread.join(10)
    assert isinstance(caught[0], AlarmError)
    assert world.cup_holds()
    with pytest.raises(AlarmError):
        arm.move_to(220, 0, 90)
    arm.home()
    assert world.cup_holds()


def folded(world: World) -> None:
    """Somebody folded the arm while it was off."""
    world.carry((98.8, 0.0, 0.1), 1000.0, 10000.0, 0.0)
    world.clock.sleep(5.0)


def test_from_a_folded_pose_it_goes_up_and_out(world: World, clock: ScaledClock) -> None:
    """Straight up is refused (E22): at the height of its home position its reach begins at 134 mm."""
    folded(world)
    arm = connected(clock)
    arm.home()
    assert world.cup_mm() == CONFIG.arm.home_mm
    moves = [line.split("G1 ")[1] for line in arm.link.recent if "G1 " in line]
    heights = [float(move.split("Z")[1].split()[0]) for move in moves]
    assert heights == sorted(heights) and len(moves) > 3


def test_another_tool_in_its_memory_is_corrected(
    world: World, clock: ScaledClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The pen's offsets would bring the cup 31.5 mm too low."""
    world.emulators["arm"].work_mode = 3  # type: ignore[attr-defined]
    arm = UarmArm(CONFIG.arm, clock)
    identity = arm.connect()
    assert identity.settings["work mode"] == "3"
    arm.home()
    arm.move_to(220, 0, 60)
    assert world.cup_mm() == pytest.approx((220, 0, 60))
    assert "its work mode was 3; it is now 0" in caplog.text
    assert identity.settings["work mode"] == "0", "which is what a session stores"
    connected(clock).home()
    assert caplog.text.count("work mode") == 1, "it is kept in EEPROM"


def test_a_tool_that_rig_yaml_names_is_used(world: World, clock: ScaledClock) -> None:
    arm = UarmArm(CONFIG.arm.model_copy(update={"work_mode": 3}), clock)
    arm.connect()
    arm.home()
    arm.move_to(220, 0, 60)
    assert arm.position_mm() == pytest.approx((220, 0, 60), abs=0.01)
    assert world.cup_mm()[2] == pytest.approx(60 - 31.55)


@pytest.mark.parametrize("version", ["V4.10.0", "V4.9.0"])
def test_the_pump_is_understood_whatever_is_printed_in_front_of_it(
    world: World, clock: ScaledClock, version: str
) -> None:
    world.emulators["arm"].version = version  # type: ignore[attr-defined]
    arm = connected(clock)
    arm.home()
    lift_first(arm)
    assert arm.holds()
    arm.release()
    assert not arm.holds()


def test_a_tool_of_two_digits_cannot_be_set(world: World) -> None:
    """The firmware reads one digit, so that ``S10`` is the laser."""
    assert Wire(world, "arm").say(b"#1 M2400 S10\n#2 P2400\n") == "$1 ok\n$2 ok V1\n"
    with pytest.raises(ValidationError, match="work_mode"):
        UarmConfig(work_mode=10)


def test_every_answer_on_a_line_is_found(arm: UarmArm, world: World) -> None:
    """Of the one whose end was lost, and of the next."""
    emulator = world.emulators["arm"]
    say, lost = emulator.say, ["$1 ok V2"]
    emulator.say = lambda text: say(lost.pop() + text if lost else text)  # type: ignore[method-assign]
    arm.link.recent.clear()
    assert not arm.holds()
    assert sum("P2231" in line for line in arm.link.recent) == 1


def test_after_a_stop_the_number_of_the_stopped_command_is_no_answer(arm: UarmArm, world: World) -> None:
    emulator = world.emulators["arm"]
    emulator.feed(b"#1 M2122 V0\n#2 G1 X200 Y0 Z100 F10\n")
    assert heard(emulator, 0.5) == "$1 ok\n"
    emulator.feed(b"\x18")
    emulator.feed(b"#3 P2203\n")
    assert heard(emulator, 0.5) == "ok\n$2$3 ok V4.10.0\n", "its number, and no end of line"
    assert arm.position_mm() == pytest.approx(world.cup_mm(), abs=0.01)


# When things go wrong


def test_a_pump_that_is_not_plugged_in_is_named(world: World, arm: UarmArm) -> None:
    world.faults.append(DeadPump())
    x_mm, y_mm, z_mm = SLOT_1
    arm.move_to(x_mm, y_mm, 90)
    arm.move_to(x_mm, y_mm, z_mm)
    with pytest.raises(DeviceError, match=r"the pump does not run\. Check that the pump is plugged in"):
        arm.grip()


def test_a_grip_that_fails_leaves_no_pump_running(world_with: Callable[..., World], clock: ScaledClock) -> None:
    """The answer about the pump is lost, again and again; the pump is not."""
    world = world_with()
    arm = connected(clock)
    arm.home()
    sent = world.wires["arm"].count("answered")
    world.faults.append(Glitch(device="arm", what="silent", after_messages=sent + 1, messages=3))
    with pytest.raises(NoAnswerError):
        arm.grip()
    assert not world.suction


def test_a_killed_program_leaves_the_coin_on_the_arm(arm: UarmArm, world: World, clock: ScaledClock) -> None:
    """DTR stays up when a program dies, so that the controller does not restart when the next one opens the port."""
    lift_first(arm)
    arm.close()  # all that a kill does to the wire
    again = connected(clock)
    assert again.holds()
    assert world.coins[0].place == "cup"


def test_so_it_does_in_another_process(world_with: Callable[..., World], clock: ScaledClock, tmp_path) -> None:  # type: ignore[no-untyped-def]
    world_with(seed=1, state_path=tmp_path / "world.json").fill({1: "first"})
    arm = connected(clock)
    arm.home()
    lift_first(arm)
    reopened = make_world(CONFIG, clock, seed=1, state_path=tmp_path / "world.json")
    arm = connected(clock)
    assert arm.holds()
    arm.home()
    assert reopened.coins[0].place == "cup"


def test_a_brownout_drops_the_coin_and_is_noticed(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world = world_with(Brownout(device="arm", after_moves=5))
    world.fill({1: "first"})
    arm = connected(clock)
    with pytest.raises(AlarmError, match="restarted"):
        arm.home()
        lift_first(arm)
        arm.move_to(220, 0, 90)
        arm.move_to(240, 0, 90)
    assert world.coins[0].place != "cup"
    assert not world.suction


def test_a_blocked_arm_is_noticed_by_its_sensors(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world_with(Jam(device="arm", after_moves=2))
    arm = connected(clock)
    arm.home()
    arm.move_to(220, 0, 90)
    with pytest.raises(DeviceError, match=r"it stopped \d+ mm before \(220, 100, 90\)\. Remove what is in its way"):
        arm.move_to(220, 100, 90)


@pytest.mark.parametrize("seed", range(3))
def test_lost_answers_are_asked_for_again(world_with: Callable[..., World], clock: ScaledClock, seed: int) -> None:
    world_with(LostBytes(device="arm", rate=0.004), seed=seed)
    arm = connected(clock)
    for _ in range(30):
        assert not arm.holds()


def test_a_pulled_cable_is_reported(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world = world_with(Unplugged(device="arm", after_messages=10))
    with pytest.raises(NotConnectedError, match="arm on twin://arm: the connection was lost"):
        connected(clock).home()
    with pytest.raises(NotConnectedError, match="could not be opened"):
        connected(clock)
    world.repair()
    connected(clock).home()


def test_an_arm_without_power_is_reported() -> None:
    link = SerialLink("loop://", 115200, "arm")
    link.open()
    link.send(b"$1 OK V0\n")
    with contextlib.closing(link), pytest.raises(DeviceError, match=r"its motors have no power\. Switch the arm on"):
        UarmArm(UarmConfig(), ScaledClock(math.inf), link).home()


@given(
    noise=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"$1", b"$1 ok", b"$1 ok X Y1 Z", b"$2 E22"])))
)
def test_any_bytes_raise_nothing_but_device_errors(noise: list[bytes]) -> None:
    link = SerialLink("loop://", 115200, "arm")
    link.open()
    link.send(b"\n".join(noise) + b"\n")
    arm = UarmArm(UarmConfig(answer_s=0.02), ScaledClock(math.inf), link)
    try:
        arm.position_mm()
    except DeviceError:
        pass
    finally:
        link.close()


# The controller, against the firmware's source


def test_it_greets_and_ignores_what_came_while_it_started(world: World) -> None:
    port = serial.serial_for_url("twin://arm", timeout=0.02)
    port.write(b"#1 P2203\n")
    world.clock.sleep(3)
    assert port.read(500).decode().endswith("api ver : V4.0.5\r\nwork mode : 0\r\n@1\n@5 V1\n")


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"#7 P2203", "$7 ok V4.10.0\n"),
        (b"#7P2220", "$7 ok X200.0000 Y0.0000 Z150.0000\n"),
        (b"P2231", "ok V0\n"),
        (b"#9999 p2234", "$9999 ok V1\n"),
        (b"#8 G0 X500 Y0 Z0 F100", "$8 E22\n"),
        (b"#8 G28", "$8 E20\n"),
        (b"#8 M2231 V7", "$8 E21\n"),
        (b"hello", ""),
        (b"", ""),
    ],
)
def test_lines_are_answered_as_in_the_firmware(world: World, line: bytes, answer: str) -> None:
    assert Wire(world, "arm").say(line + b"\n") == answer


def test_questions_are_answered_at_once_and_moves_when_done(world: World) -> None:
    wire = Wire(world, "arm")
    wire.port.write(b"#1 G1 X250 Y0 Z150 F50\n#2 P2231\n")
    assert wire.port.read(9) == b"$2 ok V0\n"
    assert wire.say(b"", 5.0) == "$1 ok\n@9 V0\n"


def test_while_it_plans_a_move_lines_wait_and_what_does_not_fit_is_lost(arm: UarmArm, world: World) -> None:
    """Each line is read when the last 17 pieces of the one before are in the planner; 127 bytes wait."""
    emulator = world.emulators["arm"]
    emulator.feed(b"#1 G1 X250 Y180 Z150 F50\n#2 P2203\n")
    assert heard(emulator, 3.0) == "", "not even a question is read"
    assert heard(emulator, 0.6) == "$2 ok V4.10.0\n"
    assert heard(emulator, 3.0) == "$1 ok\n@9 V0\n"
    emulator.feed(b"".join(b"#%d G1 X%d Y0 Z150 F50\n" % (n, 200 + 10 * n) for n in range(1, 9)))
    assert heard(emulator, 30.0).count("ok") == 5


@given(noise=st.binary(max_size=200))
def test_no_bytes_break_the_controller(world: World, noise: bytes) -> None:
    wire = Wire(world, "arm")
    wire.say(noise + b"\n", 5.0)
    assert "$3 ok V4.10.0\n" in wire.say(b"#3 P2203\n")
