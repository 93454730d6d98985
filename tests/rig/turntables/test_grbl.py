from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.clock import ScaledClock
from rig.errors import AlarmError, DeviceError, EnvelopeError, NoAnswerError, NotConnectedError
from rig.link import SerialLink
from rig.turntables.grbl import GrblTurntable
from rig.turntables.grbl_protocol import GrblConfig
from rig.twin.faults import Alarm, Brownout, Glitch, Jam, LostBytes, Unplugged
from rig.twin.world import World
from tests.rig.wires import CONFIG, Wire
from tests.variants import usually


@pytest.fixture
def turntable(world: World, clock: ScaledClock) -> Iterator[GrblTurntable]:
    made = GrblTurntable(CONFIG.turntable, clock)
    made.connect()
    made.home()
    yield made
    made.close()


def turned(world: World) -> float:
    return world.plate_deg() % 360


@pytest.fixture
def wire(world: World) -> Wire:
    return Wire(world, "turntable")


# The driver


def test_it_connects_homes_and_turns(turntable: GrblTurntable, world: World) -> None:
    for angle_deg in (0, 90, 180, 270, 45.5):
        assert turntable.rotate_to(angle_deg) == pytest.approx(angle_deg)
        assert turned(world) == pytest.approx(angle_deg)
        assert world.scene().plate_speed_deg_s == 0
    assert turntable.angle_deg() == pytest.approx(45.5)


def test_it_says_what_it_is(world: World, clock: ScaledClock) -> None:
    identity = GrblTurntable(CONFIG.turntable, clock).connect()
    assert (identity.kind, identity.port, identity.firmware) == ("grbl", "twin://turntable", "Grbl 1.1h")


@pytest.mark.parametrize(
    ("first", "then", "way"),
    [(350, 10, 20), (10, 350, -20), (0, 270, -90), (0, 90, 90), (90, 270, 180), (270, 90, 180)],
)
def test_an_endless_plate_takes_the_shorter_way(
    turntable: GrblTurntable, world: World, first: float, then: float, way: float
) -> None:
    turntable.rotate_to(first)
    before = world.plate_deg()
    turntable.rotate_to(then)
    assert world.plate_deg() - before == pytest.approx(way)


def test_a_plate_with_a_cable_never_goes_round_and_stays_in_its_range(world: World, clock: ScaledClock) -> None:
    turntable = GrblTurntable(GrblConfig(endless=False, range_deg=(0, 300)), clock)
    turntable.connect()
    turntable.home()
    turntable.rotate_to(10)
    before = world.plate_deg()
    turntable.rotate_to(300)
    assert world.plate_deg() - before == pytest.approx(290)
    sent = len(turntable.link.recent)
    with pytest.raises(EnvelopeError, match=r"330 deg is outside its range of 0 to 300 deg"):
        turntable.rotate_to(330)
    assert len(turntable.link.recent) == sent


def test_every_angle_is_approached_upwards(turntable: GrblTurntable) -> None:
    turntable.rotate_to(90)
    turntable.rotate_to(60)
    targets = [line.split("X")[1].split()[0] for line in turntable.link.recent if "G1 X" in line]
    assert targets[-2:] == ["59.500", "60.000"]


def test_nothing_turns_before_homing(world: World, clock: ScaledClock) -> None:
    turntable = GrblTurntable(CONFIG.turntable, clock)
    turntable.connect()
    with pytest.raises(AlarmError, match="not homed"):
        turntable.rotate_to(90)


def test_it_returns_only_when_the_plate_rests_and_has_settled(turntable: GrblTurntable, clock: ScaledClock) -> None:
    turntable.rotate_to(0)
    before = clock.now()
    turntable.rotate_to(180)
    ramps_s = 45 / 150
    assert clock.now() - before == pytest.approx(180 / 45 + ramps_s + 0.15, abs=0.01)
    assert turntable.estimate_s(180) == pytest.approx(clock.now() - before, abs=0.2)


def test_the_axis_must_exist(world: World, clock: ScaledClock) -> None:
    turntable = GrblTurntable(GrblConfig(axis="A", answer_s=0.1), clock)
    turntable.connect()
    with pytest.raises(NoAnswerError, match="no position of axis A"):
        turntable.home()


def test_stopped_in_mid_turn_it_has_to_be_homed_again(turntable: GrblTurntable, world: World) -> None:
    turntable.rotate_to(0)
    caught: list[DeviceError] = []

    def turn() -> None:
        try:
            for _ in range(1000):
                turntable.rotate_to(180)
                turntable.rotate_to(0)
        except AlarmError as error:
            caught.append(error)

    thread = threading.Thread(target=turn)
    thread.start()
    while world.scene().plate_speed_deg_s == 0:
        pass
    turntable.stop()
    thread.join(10)
    assert caught
    assert world.scene().plate_speed_deg_s == pytest.approx(0, abs=1e-9)
    with pytest.raises(AlarmError, match="not homed"):
        turntable.rotate_to(90)
    turntable.home()
    turntable.rotate_to(90)
    assert turned(world) == pytest.approx(90)


# When things go wrong


def connected(clock: ScaledClock) -> GrblTurntable:
    turntable = GrblTurntable(CONFIG.turntable, clock)
    turntable.connect()
    return turntable


@pytest.mark.parametrize("message", range(8))
def test_an_ok_for_an_earlier_line_answers_no_question(
    world_with: Callable[..., World], clock: ScaledClock, message: int
) -> None:
    stray = Glitch(device="turntable", what="garbage", after_messages=message, data="ok\r\n")
    world_with(stray)
    turntable = GrblTurntable(CONFIG.turntable, clock)
    identity = turntable.connect()
    assert identity.settings["$110"] and identity.settings["$120"]
    turntable.close()
    assert turntable.connect() == identity, "without a stray ok it is the same"


def homing_moves(world_with: Callable[..., World], clock: ScaledClock) -> int:
    """How many moves homing takes, so that faults can be set to strike after it."""
    world = world_with()
    connected(clock).home()
    return world.moves["turntable"]


@pytest.mark.parametrize("seed", usually((0,), range(3)))
def test_lost_bytes_are_made_good(world_with: Callable[..., World], clock: ScaledClock, seed: int) -> None:
    world = world_with(LostBytes(device="turntable", rate=0.004), seed=seed)
    turntable = connected(clock)
    turntable.home()
    for angle_deg in (90, 180, 270, 0):
        assert turntable.rotate_to(angle_deg) == pytest.approx(angle_deg)
        assert turned(world) == pytest.approx(angle_deg)


def test_after_a_hard_limit_nothing_is_believed_until_homed(
    world_with: Callable[..., World], clock: ScaledClock
) -> None:
    world = world_with(Alarm(after_moves=homing_moves(world_with, clock), code=1))
    turntable = connected(clock)
    turntable.home()
    with pytest.raises(AlarmError, match=r"turntable on twin://turntable: alarm 1 \(hard limit.*`rig home`"):
        turntable.rotate_to(90)
    with pytest.raises(AlarmError, match="not homed"):
        turntable.rotate_to(90)
    world.repair()
    turntable.home()
    turntable.rotate_to(90)
    assert turned(world) == pytest.approx(90)


def test_a_brownout_in_mid_turn_is_noticed(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world = world_with(Brownout(after_moves=homing_moves(world_with, clock)))
    turntable = connected(clock)
    turntable.home()
    with pytest.raises(AlarmError, match="restarted"):
        turntable.rotate_to(90)
    turntable.home()
    turntable.rotate_to(90)
    assert turned(world) == pytest.approx(90)


def test_a_jammed_plate_cannot_be_homed(world_with: Callable[..., World], clock: ScaledClock) -> None:
    world_with(Jam())
    with pytest.raises(AlarmError, match=r"alarm 9 \(homing did not find the switch\)"):
        connected(clock).home()


def test_an_open_loop_does_not_notice_a_jam(world_with: Callable[..., World], clock: ScaledClock) -> None:
    """Why the angle is verified optically as well."""
    world = world_with(Jam(after_moves=homing_moves(world_with, clock)))
    turntable = connected(clock)
    turntable.home()
    assert turntable.rotate_to(90) == pytest.approx(90)
    assert turned(world) < 60


def test_a_pulled_cable_is_reported_and_plugged_in_it_works_again(
    world_with: Callable[..., World], clock: ScaledClock
) -> None:
    world = world_with(Unplugged(device="turntable", after_messages=8))
    with pytest.raises(NotConnectedError, match="Plug the cable in again"):
        turntable = connected(clock)
        turntable.home()
        for _ in range(10):
            turntable.rotate_to(90)
    with pytest.raises(NotConnectedError, match="could not be opened"):
        connected(clock)
    world.repair()
    turntable = connected(clock)
    turntable.home()
    assert turntable.rotate_to(90) == pytest.approx(90)


def test_work_positions_are_understood_as_well() -> None:
    """A controller with $10=0 reports WPos, and its offset only now and then."""
    link = SerialLink("loop://", 115200, "turntable")
    link.open()
    link.send(b"<Idle|WPos:10.000,0.000,0.000|WCO:5.500,0.000,0.000>\n")
    link.send(b"<Hold:0|WPos:20.000,0.000,0.000|FS:0,0|Pn:XP>\n")
    turntable = GrblTurntable(GrblConfig(), ScaledClock(math.inf), link)
    assert turntable.angle_deg() == 15.5
    assert turntable.angle_deg() == 25.5
    link.close()


@given(noise=st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"<Idle|MPos:,|>", b"<Run|WPos:1|WCO:x>"]))))
def test_any_bytes_raise_nothing_but_device_errors(noise: list[bytes]) -> None:
    link = SerialLink("loop://", 115200, "turntable")
    link.open()
    link.send(b"\n".join(noise) + b"\n")
    turntable = GrblTurntable(GrblConfig(answer_s=0.02), ScaledClock(math.inf), link)
    try:
        turntable.angle_deg()
    except DeviceError:
        pass
    finally:
        link.close()


# The controller, against the documentation


def test_it_greets_locked_and_takes_no_gcode(wire: Wire) -> None:
    assert wire.say(b"\x18", 0.1) == "\r\nGrbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\n"
    assert wire.say(b"G0 X10\n") == "error:9\r\n"
    assert wire.say(b"?").startswith("<Alarm|MPos:0.000,0.000,0.000|FS:0,0")
    assert wire.say(b"$X\n") == "[MSG:Caution: Unlocked]\r\nok\r\n"
    assert wire.say(b"$J\n") == "error:3\r\n"
    assert wire.say(b"$J=X1\n") == "error:22\r\n"
    assert wire.say(b"$J=X1 F10 M3\n") == "error:16\r\n"
    assert wire.say(b"$I\n") == "[VER:1.1h.20190825:]\r\n[OPT:V,15,128]\r\nok\r\n"
    assert wire.say(b"$#\n").endswith("[G92:0.000,0.000,0.000]\r\n[TLO:0.000]\r\n[PRB:0.000,0.000,0.000:0]\r\nok\r\n")


def test_ok_means_planned_and_a_dwell_waits_for_arrival(wire: Wire, world: World) -> None:
    wire.say(b"$X\n")
    before = world.plate_deg()
    assert wire.say(b"G1 X90 F2700\n") == "ok\r\n"
    assert world.plate_deg() < before + 90
    assert wire.say(b"?").startswith("<Run|")
    assert wire.say(b"G4 P0\n", 5.0) == "ok\r\n"
    assert wire.say(b"?").startswith("<Idle|MPos:90.000,")


def test_status_is_not_answered_while_homing(wire: Wire) -> None:
    wire.port.timeout = 0  # reading lets no time pass now
    wire.port.write(b"$H\n")
    wire.clock.sleep(0.5)
    wire.port.write(b"?")
    assert wire.port.read(500) == b""
    heard = ""
    for _ in range(300):
        wire.clock.sleep(0.1)
        heard += wire.port.read(500).decode()
    assert heard.startswith("ok\r\n<Idle|MPos:-1.000,")


def test_a_reset_in_motion_alarms_and_loses_the_position(wire: Wire) -> None:
    wire.say(b"$X\n")
    wire.say(b"G1 X90 F2700\n")
    answer = wire.say(b"\x18", 1.0)
    assert answer.startswith("ALARM:3\r\n")
    assert answer.endswith("\r\nGrbl 1.1h ['$' for help]\r\n[MSG:'$H'|'$X' to unlock]\r\n")


def test_a_reset_too_early_after_a_hard_limit_is_swallowed(
    world_with: Callable[..., World], clock: ScaledClock
) -> None:
    wire = Wire(world_with(Alarm(code=1)), "turntable")
    wire.say(b"$X\n")
    wire.port.write(b"G1 X90 F2700\n")
    clock.sleep(1.2)  # the switch is hit half-way; the message takes half a second to leave
    wire.port.write(b"\x18")
    clock.sleep(1.0)
    heard = wire.say(b"")
    assert heard == "ok\r\nALARM:1\r\n[MSG:Reset to continue]\r\n"
    assert wire.say(b"?") == ""
    assert "Grbl 1.1h" in wire.say(b"\x18", 0.1)


def test_a_hold_slows_down_then_resumes_or_ends_in_a_reset_without_alarm(wire: Wire, world: World) -> None:
    wire.say(b"$X\n")
    before = world.plate_deg()
    wire.port.timeout = 0
    wire.port.write(b"G1 X90 F2700\nG4 P0\n")
    wire.clock.sleep(1)
    wire.port.write(b"!?")
    asked = world.plate_deg()
    assert wire.port.read(500).startswith(b"ok\r\n<Hold:1|")
    wire.port.write(b"~")  # too early: it still slows down
    wire.clock.sleep(5)
    ramp_deg = 45**2 / (2 * 150)
    assert world.plate_deg() == pytest.approx(asked + ramp_deg)
    wire.port.write(b"?")
    assert wire.port.read(500).startswith(b"<Hold:0|")
    wire.port.write(b"~")
    wire.clock.sleep(5)
    assert wire.port.read(500) == b"ok\r\n"
    assert world.plate_deg() == pytest.approx(before + 90)
    wire.port.write(b"G1 X0\n")
    wire.clock.sleep(0.5)
    wire.port.write(b"!")
    wire.clock.sleep(1.0)
    wire.port.write(b"\x18")
    assert b"ALARM" not in wire.port.read(500)
    assert wire.say(b"?").startswith("<Idle|")


def test_a_reset_before_a_hold_has_ended_alarms_and_answers_the_line_it_cuts_short(wire: Wire) -> None:
    wire.say(b"$X\n")
    wire.port.timeout = 0
    wire.port.write(b"G1 X90 F2700\nG4 P0\n")
    wire.clock.sleep(1)
    wire.port.write(b"!\x18")
    wire.clock.sleep(1)
    assert wire.port.read(500).startswith(b"ok\r\nALARM:3\r\nok\r\n\r\nGrbl 1.1h")


def test_held_while_idle_it_obeys_nothing_until_it_may_go_on(wire: Wire) -> None:
    wire.say(b"$X\n")
    assert wire.say(b"!G0 X1\n?").startswith("<Hold:0|")
    assert wire.say(b"~", 1.0) == "ok\r\n"


def test_a_jog_is_a_state_of_its_own_and_ends_for_good(wire: Wire, world: World) -> None:
    wire.say(b"$X\n")
    before = world.plate_deg()
    wire.port.timeout = 0
    wire.port.write(b"$J=G91 X90 F2700\n")
    wire.clock.sleep(1)
    wire.port.write(b"?")
    assert wire.port.read(500).startswith(b"ok\r\n<Jog|")
    wire.port.write(b"G0 X1\n")
    assert wire.port.read(500) == b"error:9\r\n"
    wire.port.write(b"\x85")
    wire.clock.sleep(5)
    wire.port.write(b"?")
    assert wire.port.read(500).startswith(b"<Idle|")
    assert 20 < world.plate_deg() - before < 60


def test_bytes_are_lost_while_a_setting_is_written(wire: Wire) -> None:
    wire.say(b"$X\n")
    wire.port.timeout = 0
    wire.port.write(b"$120=200\n")
    wire.port.write(b"G4 P0\n")  # instead of waiting for its ok
    wire.clock.sleep(0.1)
    assert wire.port.read(500) == b"ok\r\n"
    assert wire.say(b"\n") == "error:28\r\n", "G4 is what is left of it"
    wire.say(b"$120=200\n", 0.1)
    assert wire.say(b"G4 P0\n", 0.1).endswith("ok\r\n")
    assert "$120=200.000\r\n" in wire.say(b"$$\n")


def test_settings_outlive_a_reset_and_startup_lines_run(wire: Wire, world: World) -> None:
    wire.say(b"$X\n")
    assert wire.say(b"$N0=G91\n") == "ok\r\n"
    assert wire.say(b"\x18", 0.1).endswith(">G91:ok\r\n")
    assert "G91 G94" in wire.say(b"$G\n")
    assert wire.say(b"$N\n") == "$N0=G91\r\n$N1=\r\nok\r\n"


# The driver, on machines that are set up in other ways


@pytest.mark.parametrize("line", [b"$N0=G20\n", b"$N0=G91\n", b"$10=0\n", b"$10=3\n"])
def test_however_it_starts_up_an_angle_is_an_angle(world: World, wire: Wire, clock: ScaledClock, line: bytes) -> None:
    wire.say(b"$X\n")
    assert wire.say(line, 0.1) == "ok\r\n"
    wire.port.close()
    turntable = connected(clock)
    turntable.home()
    for angle_deg in (90, 45):
        assert turntable.rotate_to(angle_deg) == pytest.approx(angle_deg)
        assert turned(world) == pytest.approx(angle_deg)


@pytest.mark.parametrize(
    ("line", "message"), [(b"$13=1\n", r"inches \(\$13=1\).*\$13=0"), (b"$20=1\n", r"\$20=1.*\$20=0")]
)
def test_settings_that_cannot_work_are_reported_before_it_moves(
    world: World, wire: Wire, clock: ScaledClock, line: bytes, message: str
) -> None:
    wire.say(line, 0.1)
    wire.port.close()
    turntable = connected(clock)
    with pytest.raises(DeviceError, match=message):
        turntable.home()
    assert world.moves["turntable"] == 0


def test_homing_that_is_not_enabled_is_reported(wire: Wire, clock: ScaledClock) -> None:
    wire.say(b"$22=0\n", 0.1)
    wire.port.close()
    with pytest.raises(DeviceError, match=r"homing is not enabled.*Set \$22=1"):
        connected(clock).home()


@pytest.mark.parametrize(
    "broken",
    [
        b"<Idle|MPos:10.0",  # cut by a reset
        b"<Idle|MPos:10.000,0.000,0.0",
        b"<Idle|MPos:1<Idle|MPos:2",
        b"<Idle|MPos:90.00,0.000,0.000|FS:0,0>\n",  # a digit was lost
    ],
)
def test_half_a_report_is_none(broken: bytes) -> None:
    link = SerialLink("loop://", 115200, "turntable")
    link.open()
    link.send(broken + b"<Idle|MPos:45.000,0.000,0.000|FS:0,0>\n")
    assert GrblTurntable(GrblConfig(), ScaledClock(math.inf), link).angle_deg() == 45.0
    link.close()


def test_the_planner_takes_fifteen_moves(wire: Wire) -> None:
    wire.say(b"$X\n")
    wire.port.timeout = 0
    for n in range(20):
        wire.port.write(b"G0X%d\n" % (n + 1))
        assert wire.port.read(50) == (b"ok\r\n" if n < 15 else b"")


def test_offset_and_overrides_come_and_go_in_reports(wire: Wire) -> None:
    reports = [wire.say(b"?") for _ in range(31)]
    assert [n for n, report in enumerate(reports) if "WCO:" in report] == [0, 10, 20, 30]
    assert [n for n, report in enumerate(reports) if "Ov:" in report] == [1, 11, 21]


def test_the_receive_buffer_overflows(wire: Wire) -> None:
    wire.say(b"$X\n")
    wire.say(b"G1 X90 F2700\n")
    wire.port.write(b"G4 P0\n")
    heard = wire.say(b"G4 P0\n" * 40, 20.0)
    assert heard.count("ok") < 30


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"G0 A10", "error:20"),
        (b"G1 X10", "error:22"),
        (b"53 G1", "error:1"),
        (b"G0 X-", "error:2"),
        (b"G4", "error:28"),
        (b"(comment) ; only", "ok"),
        (b"", "ok"),
        (b"g0 x1 (lower case)", "ok"),
        (b"X" * 90, "error:11"),
    ],
)
def test_lines_are_answered_as_documented(wire: Wire, line: bytes, answer: str) -> None:
    wire.say(b"$X\n")
    assert wire.say(line + b"\n").strip() == answer


@given(noise=st.binary(max_size=300))
def test_no_bytes_break_the_controller(wire: Wire, noise: bytes) -> None:
    wire.say(noise)
    assert "Grbl 1.1h" in wire.say(b"\x18", 1.0)
