from __future__ import annotations

import functools
import math
import threading
from collections.abc import Callable

import pytest

from rig.clock import ScaledClock
from rig.errors import AlarmError, DeviceError, NoAnswerError
from rig.link import SerialLink
from rig.turntables.marlin import MarlinConfig, MarlinTurntable, numbered
from rig.turntables.marlin_emulator import MarlinEmulator
from rig.twin import world as twin_world
from rig.twin.emulator import Emulator
from rig.twin.faults import Glitch
from tests.rig.benches import DriverBench
from tests.rig.turntables.boards import TurntableBench
from tests.variants import usually

HASTE = {"answer_s": 0.1, "speed_deg_s": 2000.0}


@pytest.fixture
def make(bench_of: Callable[..., DriverBench]) -> Callable[..., DriverBench]:
    return functools.partial(bench_of, "marlin", home=False, **HASTE)


def sent(bench: DriverBench) -> list[str]:
    return [line.split(" >> ")[1] for line in bench.link.recent if " >> " in line]


def restarted(emulator: Emulator) -> bytes:
    """Start the controller afresh, and return what it says."""
    emulator.reset()
    emulator.poll()
    emulator.clock.sleep(5)
    return emulator.poll()


def heard(emulator: Emulator, data: bytes, seconds: float) -> str:
    """What it says to some bytes in so long."""
    emulator.feed(data)
    heard = b""
    for _ in range(round(seconds * 100)):
        emulator.clock.sleep(0.01)
        heard += emulator.poll()
    return heard.decode()


# The driver


@pytest.mark.parametrize(("number", "command", "line"), [(3, "T0", b"N3 T0*57\n"), (4, "G92 E0", b"N4 G92 E0*67\n")])
def test_checksums_are_those_of_the_reprap_wiki(number: int, command: str, line: bytes) -> None:
    assert numbered(number, command) == line


def test_a_turn_is_planned_awaited_and_read_back(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.home()
    bench.device.rotate_to(90)
    bench.device.rotate_to(30)
    commands = [line.split("*")[0].split(" ", 1)[1] for line in sent(bench) if " G1 " in line or "M400" in line]
    assert commands == ["G1 X90.000 F6000", "M400", "G1 X29.500 F6000", "G1 X30.000 F6000", "M400"]


def test_it_goes_the_shorter_way_unless_a_cable_winds_up(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.home()
    before = bench.world.plate_deg()
    for angle_deg in (350, 10, 200):  # -10, +20, half-way round would be +190: -170
        bench.device.rotate_to(angle_deg)
    assert bench.world.plate_deg() - before == pytest.approx(-10 + 20 - 170, abs=0.1)
    bench = make(endless=False, range_deg=(0, 350))
    bench.device.home()
    before = bench.world.plate_deg()
    bench.device.rotate_to(340)
    assert bench.world.plate_deg() - before == pytest.approx(340, abs=0.1)


@pytest.mark.parametrize("year", usually((2025,), (2016, 2023, 2025)))
def test_every_way_of_asking_again_is_understood(make: Callable[..., DriverBench], year: int) -> None:
    bench = make()
    bench.world.emulators["turntable"] = MarlinEmulator(
        bench.world, ok_after_resend=year != 2023, ignores_repeats=year == 2025
    )
    bench.device.connect()
    bench.device.home()
    for angle_deg in (90.0, 200.0, 10.0):
        count = bench.world.wires["turntable"].count("sent")
        bench.world.faults.append(
            Glitch(device="turntable", what="lost byte", way="sent", after_messages=count, messages=2, at=8)
        )
        assert bench.device.rotate_to(angle_deg) == pytest.approx(angle_deg)
        assert bench.world.plate_deg() % 360 == pytest.approx(angle_deg)


def test_a_restart_that_was_not_heard_shows_in_its_numbers(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.home()
    restarted(bench.world.emulators["turntable"])  # what it sent is lost
    with pytest.raises(AlarmError, match="restarted"):
        bench.device.rotate_to(90)


@pytest.mark.parametrize("after", range(4))
def test_an_ok_too_many_is_not_believed(make: Callable[..., DriverBench], after: int) -> None:
    """Nor is the position in ``M114``, which tells where the planner ends while the plate still turns."""
    bench = make(speed_deg_s=45.0)
    bench.device.home()
    bench.device.rotate_to(30)
    count = bench.world.wires["turntable"].count("answered")
    bench.world.faults.append(Glitch(device="turntable", what="duplicated", after_messages=count + after))
    bench.device.rotate_to(10)
    assert bench.world.scene().plate_speed_deg_s == 0
    assert bench.world.plate_deg() % 360 == pytest.approx(10)


@pytest.mark.parametrize("homes", [False, True])
def test_a_stop_at_the_start_of_a_long_move_stops_it_there(homes: bool) -> None:
    bench = TurntableBench(MarlinEmulator, MarlinTurntable, home=not homes)
    if not homes:
        bench.turntable.rotate_to(0)
    bench.clock.once(bench.is_turning, bench.turntable.stop)
    with pytest.raises(AlarmError, match="it was stopped"):
        bench.turntable.home() if homes else bench.turntable.rotate_to(179)
    assert bench.runs_on_deg() == 0
    bench.turntable.home()
    assert bench.turntable.rotate_to(90) == pytest.approx(90)
    assert bench.world.plate_deg() % 360 == pytest.approx(90)
    bench.turntable.close()
    twin_world.use(None)


def test_an_axis_that_is_slow_is_given_its_time() -> None:
    bench = TurntableBench(MarlinEmulator, MarlinTurntable, max_feed=300.0)
    bench.turntable.rotate_to(0)
    before = bench.clock.now()
    assert bench.turntable.rotate_to(179) == pytest.approx(179)
    assert bench.turntable.estimate_s(179) == pytest.approx(bench.clock.now() - before, abs=0.5)
    assert bench.identity.settings["M203 X"] == "5.00"
    assert any("echo:busy: processing" in line for line in bench.turntable.link.recent)
    bench.turntable.close()
    twin_world.use(None)


def test_positions_that_it_reports_by_itself_are_no_arrival() -> None:
    bench = TurntableBench(MarlinEmulator, MarlinTurntable, home=False)
    bench.controller.reports_s = 0.2
    bench.turntable.home()
    for angle_deg in (0.0, 179.0, 20.0):
        assert bench.turntable.rotate_to(angle_deg) == pytest.approx(angle_deg)
        assert not bench.is_turning()
        assert bench.world.plate_deg() % 360 == pytest.approx(angle_deg)
    assert sum(" Count " in line for line in bench.turntable.link.recent) > 10
    bench.turntable.close()
    twin_world.use(None)


def test_one_that_waits_for_its_button_is_not_waited_for(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.home()
    bench.world.emulators["turntable"].paused = True  # type: ignore[attr-defined]
    with pytest.raises(AlarmError, match=r"somebody at its display \('busy: paused for user'\)\. Confirm"):
        bench.device.rotate_to(90)


def test_one_that_is_locked_acknowledges_all_and_does_nothing(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.world.emulators["turntable"].locked = True  # type: ignore[attr-defined]
    with pytest.raises(DeviceError, match=r"was refused: 'echo:Printer locked! \(Unlock with M511"):
        bench.device.home()


def test_an_axis_that_does_not_exist_is_named(make: Callable[..., DriverBench]) -> None:
    bench = make(axis="A")
    bench.world.emulators["turntable"] = MarlinEmulator(bench.world, "X")
    bench.device.connect()
    with pytest.raises(NoAnswerError, match=r"no position of axis A in its answer to 'M114'.*`axis`"):
        bench.device.angle_deg()


def test_while_homing_it_is_killed_and_then_woken_by_its_port() -> None:
    bench = DriverBench("marlin", speed=20.0, **HASTE)
    bench.device.connect()
    caught: list[DeviceError] = []

    def home() -> None:
        try:
            bench.device.home()
        except DeviceError as error:
            caught.append(error)

    thread = threading.Thread(target=home)
    thread.start()
    while thread.is_alive() and not bench.world.moves["turntable"]:
        pass
    bench.device.stop()
    thread.join(20)
    assert isinstance(caught[0], AlarmError)
    assert sent(bench)[-1] == r"\x0aM410\x0aM112"
    bench.device.home()
    assert bench.device.rotate_to(90) == pytest.approx(90)
    bench.close()
    twin_world.use(None)


def test_an_angle_beyond_its_soft_endstops_is_reported(make: Callable[..., DriverBench]) -> None:
    bench = make(endless=False, range_deg=(0, 500))
    bench.device.home()
    with pytest.raises(NoAnswerError, match=r"stands at 0\.00 deg after being sent to 400 deg.*soft endstops"):
        bench.device.rotate_to(400)


@pytest.mark.parametrize(
    ("answer", "angle_deg"),
    [
        (b"X:12.50 Y:0.00 Z:0.00 E:0.00 Count X:1000 Y:0 Z:0\nok\n", 12.5),
        (b"X:-12.50 Y:0.00 Z:0.00 E:0.00 Count X: -1000 Y:0 Z:0\nok P15 B3\n", 347.5),
        (b"X:12.50Y:0.00Z:0.00E:0.00 Count X: 12.50Y:0.00Z:0.00\nok\n", 12.5),
        (b"echo:busy: processing\nwait\nX:12.50 Y:0.00 Z:0.00 E:0.00 Count X:1000 Y:0 Z:0\nok\n", 12.5),
    ],
)
def test_the_answers_of_old_and_new_marlins_are_understood(answer: bytes, angle_deg: float) -> None:
    link = SerialLink("loop://", 115200, "turntable")
    link.open()
    link.send(answer)
    turntable = MarlinTurntable(MarlinConfig(answer_s=0.2), ScaledClock(math.inf), link)
    assert turntable.angle_deg() == angle_deg
    link.close()


# The controller, against the firmware's source


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        (b"M114", "X:0.00 Y:0.00 Z:0.00 E:0.00 Count X:0 Y:0 Z:0\nok\n"),
        (b"G1 X90 F600\nM114", "ok\nX:90.00 Y:0.00 Z:0.00 E:0.00 Count X:7200 Y:0 Z:0\nok\n"),
        (b"M203", "echo:; Max feedrates (units/s):\n  M203 X100.00 Y300.00 Z300.00 E300.00\nok\n"),
        (b"N7 G28", "Error:Line Number is not Last Line Number+1, Last Line: 0\nResend: 1\n"),
        (b"N1 G28", "Error:No Checksum with line number, Last Line: 0\nResend: 1\n"),
        (b"N1 G90*1", "Error:checksum mismatch, Last Line: 0\nResend: 1\n"),
        (b"G99", 'echo:Unknown command: "G99"\nok\n'),
        (b"M112", "echo:M112 Shutdown\nError:Printer halted. kill() called!\n"),
        (b"", ""),
    ],
)
def test_lines_are_answered_as_in_the_firmware(make: Callable[..., DriverBench], line: bytes, answer: str) -> None:
    emulator = make().world.emulators["turntable"]
    assert restarted(emulator).startswith(b"start\n")
    emulator.feed(line + b"\n")
    emulator.clock.sleep(0.1)
    assert emulator.poll().decode() == answer


def test_a_quick_stop_drops_what_is_planned_in_the_next_second(make: Callable[..., DriverBench]) -> None:
    bench = make()
    emulator = bench.world.emulators["turntable"]
    restarted(emulator)
    before = bench.world.plate_deg()
    assert heard(emulator, b"G1 X90 F600\n", 0.1) == "ok\n"
    assert heard(emulator, b"M400\n", 0.1) == ""
    assert heard(emulator, b"M410\n", 0.5) == ""
    stopped = bench.world.plate_deg()
    assert before < stopped < before + 3
    assert heard(emulator, b"", 1.0) == "ok\n", "M400, a second later"
    assert heard(emulator, b"G1 X180\n", 5.0) == "ok\nok\n"
    assert bench.world.plate_deg() > stopped + 5, "planned after that second"


def test_killed_it_turns_on_for_a_while(make: Callable[..., DriverBench]) -> None:
    bench = make()
    emulator = bench.world.emulators["turntable"]
    restarted(emulator)
    heard(emulator, b"G1 X90 F2700\n", 1.0)
    before = bench.world.plate_deg()
    heard(emulator, b"M112\n", 2.0)
    assert bench.world.plate_deg() - before == pytest.approx(45 * 0.6, abs=0.5)
