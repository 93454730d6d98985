"""GRBL, grblHAL and FluidNC as they are sold: what each says, what it needs, and what a stop does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from rig.errors import AlarmError, DeviceError
from rig.turntables.grbl_emulator import STOCK_HOMING
from rig.turntables.grbl_memory import FOR_A_TURNTABLE, HARD_LIMITS, HOMING
from rig.twin import world as twin_world
from tests.rig.turntables.boards import BOARDS, TurntableBench

AS_SOLD_BUT_HOMED = {HOMING: 1, 130: 360.0}  # 500 deg/min, 10 deg/s²
EVERY_BOARD = pytest.mark.parametrize("board", BOARDS)


@pytest.fixture
def make() -> Iterator[Callable[..., TurntableBench]]:
    made: list[TurntableBench] = []

    def build(board: str = "grbl", **options: Any) -> TurntableBench:
        made.append(TurntableBench(BOARDS[board], **options))
        return made[-1]

    yield build
    for bench in made:
        bench.turntable.close()
    twin_world.use(None)


@pytest.mark.parametrize(
    ("board", "firmware"), [("grbl", "Grbl 1.1h"), ("grblHAL", "grblHAL 1.1f.20260817"), ("FluidNC", "FluidNC v4.0.4")]
)
def test_it_says_which_firmware_it_is_and_what_it_is_set_to(
    make: Callable[..., TurntableBench], board: str, firmware: str
) -> None:
    identity = make(board, home=False).identity
    assert identity.firmware == firmware
    assert identity.settings["$22"] == "1"
    assert float(identity.settings["$110"]) == 3600
    assert float(identity.settings["$120"]) == 150


@EVERY_BOARD
def test_it_homes_turns_and_reads_back(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    zero = bench.world.plate_deg() - bench.turntable.angle_deg()  # each homes to a place of its own beside the switch
    for angle_deg in (90.0, 30.0, 350.0, 0.0, 180.0):
        assert bench.turntable.rotate_to(angle_deg) == pytest.approx(angle_deg, abs=0.01)
        assert (bench.world.plate_deg() - zero) % 360 == pytest.approx(angle_deg, abs=0.01)
        assert not bench.is_turning()


@EVERY_BOARD
def test_a_stop_at_the_start_of_a_long_move_stops_it_there(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    bench.turntable.rotate_to(0)
    bench.clock.once(bench.is_turning, bench.turntable.stop)
    with pytest.raises(AlarmError, match="it was stopped"):
        bench.turntable.rotate_to(179)
    assert bench.runs_on_deg() == 0
    bench.turntable.home()
    assert bench.turntable.rotate_to(90) == pytest.approx(90, abs=0.01)


@EVERY_BOARD
def test_a_stop_while_it_homes_stops_it_there(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board, home=False)
    bench.clock.once(bench.is_turning, bench.turntable.stop)
    with pytest.raises(AlarmError, match="it was stopped"):
        bench.turntable.home()
    assert bench.runs_on_deg() == 0
    bench.turntable.home()


@EVERY_BOARD
def test_a_controller_as_sold_is_given_its_time(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board, settings=AS_SOLD_BUT_HOMED)
    bench.turntable.rotate_to(0)
    before = bench.clock.now()
    bench.turntable.rotate_to(180)
    assert any("G1 X180.000 F500 " in line for line in bench.turntable.link.recent)
    assert bench.clock.now() - before == pytest.approx(180 / (500 / 60) + (500 / 60) / 10 + 0.15, abs=0.1)
    assert bench.turntable.estimate_s(180) == pytest.approx(bench.clock.now() - before, abs=0.2)


@EVERY_BOARD
@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("pin", r"held: its feed-hold input is active \(Pn:H\)"),
        (b"!", "held by somebody"),
        (b"\x84", "believes that its safety door is open"),
    ],
)
def test_what_holds_it_is_found_within_two_seconds(
    make: Callable[..., TurntableBench], board: str, how: bytes | str, message: str
) -> None:
    bench = make(board)
    bench.turntable.rotate_to(0)
    held_s: list[float] = []

    def hold() -> None:
        held_s.append(bench.clock.now())
        bench.controller.press_hold() if isinstance(how, str) else bench.controller.feed(how)

    bench.clock.once(bench.is_turning, hold)
    with pytest.raises(AlarmError, match=f"{message}.*`rig home`"):
        bench.turntable.rotate_to(180)
    assert bench.clock.now() - held_s[0] < 2
    assert bench.turntable.angle_deg() < 180  # the banner of the reset that ended the hold is no restart
    bench.controller.hold_pin = False
    bench.turntable.home()
    assert bench.turntable.rotate_to(180) == pytest.approx(180, abs=0.01)


@EVERY_BOARD
def test_held_before_it_turns_it_is_found_as_well(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    bench.controller.press_hold()
    with pytest.raises(AlarmError, match=r"feed-hold input is active \(Pn:H\)"):
        bench.turntable.rotate_to(180)


@EVERY_BOARD
def test_a_controller_that_only_checks_g_code_has_not_turned(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    bench.controller.feed(b"$C\n")
    bench.clock.sleep(0.1)
    with pytest.raises(AlarmError, match=r"it only checks G-code \(\$C\)"):
        bench.turntable.rotate_to(180)
    bench.turntable.home()
    assert bench.turntable.rotate_to(180) == pytest.approx(180, abs=0.01)


@EVERY_BOARD
def test_what_others_left_set_does_not_matter(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    for line in (b"G91\n", b"G20\n", b"G1 F1\n"):
        bench.controller.feed(line)
        bench.clock.sleep(0.1)
        for angle_deg in (30.0, 200.0):
            assert bench.turntable.rotate_to(angle_deg) == pytest.approx(angle_deg, abs=0.01)
            assert not bench.is_turning()


@EVERY_BOARD
def test_an_alarm_that_nobody_heard_of_is_no_hold(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    bench.controller._locked = True
    with pytest.raises(DeviceError, match="it is in alarm"):
        bench.turntable.rotate_to(180)


@pytest.mark.parametrize(
    ("board", "remedy"), [("grbl", r"\$21=0"), ("grblHAL", r"\$21=0"), ("FluidNC", "`hard_limits: false`")]
)
def test_hard_limits_are_refused_before_it_moves(make: Callable[..., TurntableBench], board: str, remedy: str) -> None:
    bench = make(board, home=False, settings=FOR_A_TURNTABLE | {HARD_LIMITS: 1})
    with pytest.raises(DeviceError, match=rf"alarm 1 at every pass through 0 degrees \(\$21=1\).*{remedy}"):
        bench.turntable.home()
    assert bench.world.moves["turntable"] == 0


@pytest.mark.parametrize(
    ("board", "remedy"), [("grbl", r"Set \$22=1"), ("grblHAL", r"Set \$22=1"), ("FluidNC", "`homing:` section")]
)
def test_homing_that_is_not_enabled_is_reported(make: Callable[..., TurntableBench], board: str, remedy: str) -> None:
    with pytest.raises(DeviceError, match=f"homing is not enabled.*{remedy}"):
        make(board, settings=FOR_A_TURNTABLE | {HOMING: 0})


def test_a_stock_build_that_homes_z_first_names_the_option_to_change(make: Callable[..., TurntableBench]) -> None:
    with pytest.raises(AlarmError, match=r"alarm 9 .*HOMING_CYCLE_0 \(1<<X_AXIS\).*HOMING_SINGLE_AXIS_COMMANDS"):
        make(homing=STOCK_HOMING)


def test_grblhal_as_sold_homes_z_first_and_is_refused_before_it_moves(make: Callable[..., TurntableBench]) -> None:
    bench = make("grblHAL", home=False, stock=True)
    with pytest.raises(DeviceError, match=r"homes other axes.*\$22=3.*\$44=1, \$45=0 and \$46=0"):
        bench.turntable.home()
    assert bench.world.moves["turntable"] == 0


@pytest.mark.parametrize(
    ("board", "options"),
    [
        ("grbl", {"homing": STOCK_HOMING, "single_axis": True}),
        ("grblHAL", {"stock": True, "settings": FOR_A_TURNTABLE | {HOMING: 3}}),
    ],
)
def test_where_an_axis_can_home_by_itself_it_does(
    make: Callable[..., TurntableBench], board: str, options: dict[str, Any]
) -> None:
    bench = make(board, **options)
    assert any(line.endswith(" >> $HX") for line in bench.turntable.link.recent)
    assert bench.turntable.rotate_to(90) == pytest.approx(90, abs=0.01)


def test_the_switch_that_is_missing_is_no_build_option(make: Callable[..., TurntableBench]) -> None:
    bench = make("FluidNC", home=False)
    bench.controller._at_switch = lambda letter: False  # type: ignore[method-assign]
    with pytest.raises(AlarmError, match=r"alarm 9 .*Clear the plate"):
        bench.turntable.home()


@EVERY_BOARD
@pytest.mark.parametrize("resets_on_open", [True, False])
def test_it_is_greeted_at_once_whether_or_not_opening_the_port_restarts_it(
    make: Callable[..., TurntableBench], board: str, resets_on_open: bool
) -> None:
    bench = make(board, home=False, resets_on_open=resets_on_open)
    bench.turntable.home()
    bench.turntable.rotate_to(90)
    bench.turntable.close()
    bench.turntable.link.recent.clear()
    bench.turntable.connect()
    message = [line for line in bench.turntable.link.recent if " << " in line or " >> " in line]
    assert message[0].endswith(r" >> \x18")
    bench.turntable.home()


@pytest.mark.parametrize("banner", ["Grbl 1.3a ['$' for help]", "Grbl 0.9j ['$' for help]", "Grbl 1.1 [Other v2 '$']"])
def test_a_dialect_that_is_not_spoken_is_named(make: Callable[..., TurntableBench], banner: str) -> None:
    bench = make(connect=False)
    bench.controller.banner = f"\r\n{banner}\r\n"  # type: ignore[misc]
    with pytest.raises(DeviceError, match=r"Grbl .* none of the dialects .* GRBL 1\.1, grblHAL, FluidNC") as caught:
        bench.turntable.connect()
    assert banner in caught.value.problem


def test_grblhal_is_recognised_where_it_calls_itself_grbl(make: Callable[..., TurntableBench]) -> None:
    bench = make("grblHAL", connect=False)
    bench.controller.banner = "\r\nGrbl 1.1f ['$' for help]\r\n"  # type: ignore[misc]  # COMPATIBILITY_LEVEL 1
    assert bench.turntable.connect().firmware.startswith("grblHAL")


def test_an_old_fluidnc_is_recognised(make: Callable[..., TurntableBench]) -> None:
    assert make("FluidNC", version="v3.7.17").identity.firmware == "FluidNC v3.7.17"


def test_the_banner_of_a_reset_asked_for_is_no_restart(make: Callable[..., TurntableBench]) -> None:
    bench = make()
    bench.turntable.rotate_to(90)
    bench.turntable.stop()
    bench.turntable.link.clear_halt()
    assert bench.turntable.angle_deg() == pytest.approx(90)
    bench.turntable.home()
    bench.turntable.stop()
    bench.turntable.home()
    bench.controller.power_cycle()
    with pytest.raises(AlarmError, match="restarted"):
        bench.turntable.rotate_to(0)


# The controllers, against their firmware's source


def heard(bench: TurntableBench, data: bytes, seconds: float = 0.3) -> str:
    bench.controller.feed(data)
    message = b""
    for _ in range(100):
        bench.clock.sleep(seconds / 100)
        message += bench.controller.poll()
    return message.decode()


@EVERY_BOARD
def test_with_hard_limits_every_pass_through_zero_is_an_alarm(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    bench.controller.memory.settings[HARD_LIMITS] = 1
    message = heard(bench, b"G53 G1 X20 F2700\n", 3)
    assert "ALARM:1\r\n" in message
    assert math.remainder(bench.world.plate_deg(), 360) == pytest.approx(0, abs=0.5)


def test_grblhal_obeys_nothing_after_an_error_until_an_empty_line(make: Callable[..., TurntableBench]) -> None:
    bench = make("grblHAL")
    assert heard(bench, b"G1 X\n") == "error:2\r\n"
    assert heard(bench, b"G1 X5 F500\n") == "error:2\r\n"
    assert heard(bench, b"\n") == "ok\r\n"
    assert heard(bench, b"G1 X5 F500\n") == "ok\r\n"


def test_grblhal_answers_in_a_critical_alarm(make: Callable[..., TurntableBench]) -> None:
    bench = make("grblHAL")
    bench.controller.memory.settings[HARD_LIMITS] = 1
    assert heard(bench, b"G53 G1 X20 F2700\n", 3).endswith("ALARM:1\r\n[MSG:Reset to continue]\r\n")
    assert heard(bench, b"?").startswith("<Alarm|MPos:")


def test_fluidnc_starts_in_an_alarm_that_follows_its_banner(make: Callable[..., TurntableBench]) -> None:
    bench = make("FluidNC", connect=False)
    bench.controller.power_cycle()
    message = heard(bench, b"", 5)
    assert message.endswith(
        "\r\nGrbl 4.0 [FluidNC v4.0.4 (esp32-wifi) '$' for help]\r\n[MSG:INFO: ALARM: Unhomed]\r\nALARM:14\r\n"
    )
    assert heard(bench, b"G1 X1 F1\n").startswith("error:9\r\n[MSG:ERR: GCode cannot be executed in lock or alarm")
    assert heard(bench, b"$110=500\n") == "error:162\r\n[MSG:ERR: Read-only setting]\r\n"
    bench.controller.feed(b"$H\n")
    assert heard(bench, b"?", 0.1).startswith("<Home|MPos:")


def test_fluidnc_acknowledges_a_homing_that_failed(make: Callable[..., TurntableBench]) -> None:
    bench = make("FluidNC", home=False)
    bench.controller._at_switch = lambda letter: False  # type: ignore[method-assign]
    message = heard(bench, b"$H\n", 40)
    assert message.endswith("ALARM:9\r\nok\r\n")
