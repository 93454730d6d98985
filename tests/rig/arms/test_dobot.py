from __future__ import annotations

import functools
import math
import struct
from collections.abc import Callable

import pytest

from rig.arms import dobot
from rig.arms.dobot_emulator import DobotEmulator
from rig.errors import AlarmError, DeviceError, EnvelopeError, GripError, NoAnswerError
from tests.rig.benches import DriverBench
from tests.rig.stopping import StoppingClock

HASTE = {"answer_s": 0.1, "move_s": 1.0}


@pytest.fixture
def make(bench_of: Callable[..., DriverBench]) -> Callable[..., DriverBench]:
    return functools.partial(bench_of, "dobot", **HASTE)


def to_slot(bench: DriverBench, slot: int) -> None:
    x_mm, y_mm, z_mm = bench.config.bench.tray.position_mm(slot)
    bench.device.move_to(x_mm, y_mm, 90.0)
    bench.device.move_to(x_mm, y_mm, z_mm)


# The driver


def test_without_a_vacuum_switch_it_knows_only_what_it_commanded(make: Callable[..., DriverBench]) -> None:
    bench = make()
    to_slot(bench, 7)  # which is empty
    bench.device.grip()
    assert bench.device.holds()
    assert not bench.world.cup_holds()


def test_with_a_vacuum_switch_a_grip_is_verified(make: Callable[..., DriverBench]) -> None:
    bench = make(vacuum_input=12)
    to_slot(bench, 7)
    with pytest.raises(GripError, match="took hold of nothing"):
        bench.device.grip()
    assert not bench.world.suction
    to_slot(bench, 1)
    bench.device.grip()
    assert bench.device.holds()
    with bench.world.lock:
        bench.world.suck(False)  # it drops off
    assert not bench.device.holds()


def test_firmware_that_does_not_notice_lost_steps_is_used_with_a_warning(
    make: Callable[..., DriverBench], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make()
    answer = DobotEmulator._write
    monkeypatch.setattr(
        DobotEmulator, "_write", lambda own, number, data: number != dobot.LOST_STEP_VALUE and answer(own, number, data)
    )
    bench.device.home()
    assert "does not notice when a joint is blocked" in caplog.text
    to_slot(bench, 1)
    bench.device.grip()
    assert bench.world.cup_holds()


@pytest.mark.parametrize("point", [(100.0, 0.0, 90.0), (250.0, 250.0, 90.0), (200.0, 0.0, 300.0)])
def test_a_point_out_of_its_reach_is_refused(
    make: Callable[..., DriverBench], point: tuple[float, float, float]
) -> None:
    bench = make()
    sent = bench.sent()
    with pytest.raises(EnvelopeError, match=r"out of its reach, 140 to 330 mm .* nothing was sent"):
        bench.device.move_to(*point)
    assert bench.sent() == sent


def test_a_point_the_controller_cannot_plan_is_an_alarm(make: Callable[..., DriverBench]) -> None:
    bench = make(reach_mm=(50, 500))
    with pytest.raises(AlarmError, match=r"alarm 0x12 \(the target cannot be planned: out of its reach\?\)"):
        bench.device.move_to(400, 0, 90)
    bench.device.home()
    bench.device.move_to(240, 0, 90)


def test_homing_clears_alarms_and_lifts_first(make: Callable[..., DriverBench]) -> None:
    bench = make()
    bench.device.move_to(220, 0, 30)
    moves = bench.world.moves["arm"]
    bench.device.home()
    assert bench.world.moves["arm"] == moves + 2  # up, then to the reference
    assert bench.world.cup_mm() == bench.device.config.home_mm


def test_stopped_it_keeps_its_coin(make: Callable[..., DriverBench]) -> None:
    bench = make()
    to_slot(bench, 1)
    bench.device.grip()
    bench.device.stop()
    assert bench.world.cup_holds()
    with pytest.raises(AlarmError):
        bench.device.move_to(220, 0, 90)
    bench.device.home()
    assert bench.world.cup_holds()


def test_a_killed_program_leaves_the_coin_on_the_arm(make: Callable[..., DriverBench]) -> None:
    bench = make()
    to_slot(bench, 1)
    bench.device.grip()
    bench.device.close()
    bench.device.connect()
    assert bench.device.holds()
    assert bench.world.coins[0].place == "cup"


def test_an_arm_that_stands_elsewhere_than_it_should_is_reported(make: Callable[..., DriverBench]) -> None:
    """A controller that calls a command done and has not moved."""
    bench = make()
    bench.world.emulators["arm"]._go = lambda *_: None  # type: ignore[attr-defined]
    with pytest.raises(DeviceError, match=r"it stopped 126 mm before \(240, 120, 120\)"):
        bench.device.move_to(240, 120, 120)


def test_a_command_that_somebody_stopped_reads_as_done_and_is_not_believed(make: Callable[..., DriverBench]) -> None:
    """The stop key on its base, or another program."""
    bench = make(clock=StoppingClock())
    emulator, start = bench.world.emulators["arm"], bench.world.cup_mm()
    bench.clock.do(  # type: ignore[attr-defined]
        lambda: emulator.feed(dobot.message(dobot.FORCE_STOP, dobot.WRITE)),
        when=lambda: math.dist(bench.world.cup_mm(), start) > 50,
    )
    with pytest.raises(DeviceError, match=r"it stopped \d+ mm before \(240, 120, 120\)"):
        bench.device.move_to(240, 120, 120)


def test_messages_have_the_length_and_checksum_of_the_maker_s(make: Callable[..., DriverBench]) -> None:
    """Two of the frames are those of the maker's forum (forum.dobot.cc, thread 200)."""
    assert dobot.message(dobot.POSE) == bytes.fromhex("aaaa 02 0a00 f6")
    ptp = dobot.message(dobot.PTP, dobot.WRITE | dobot.QUEUED, struct.pack("<B4f", 1, 250, 0, 0, 0))
    assert ptp == bytes.fromhex("aaaa 13 5403 01 00007a43 00000000 00000000 00000000 eb")
    bench = make(vacuum_input=12)

    def sent() -> str:
        return "".join(line.split(" >> ")[1] for line in bench.link.recent if " >> " in line)

    assert r"\xaa\xaa\x06\x1f\x03\x00\x00\x00\x00\xde" in sent()  # SetHOMECmd, queued: HOMECmd is a number of 4 bytes
    to_slot(bench, 1)
    bench.device.grip()
    assert r"\xaa\xaa\x04\x85\x00\x0c\x00o" in sent()  # GetIODI of input 12: IODI is input and level


def test_a_queue_that_another_program_stopped_is_no_arrival(make: Callable[..., DriverBench]) -> None:
    bench = make(move_s=0.3)
    bench.world.emulators["arm"].feed(dobot.message(241, dobot.WRITE))  # SetQueuedCmdStopExec
    start = bench.world.cup_mm()
    with pytest.raises(NoAnswerError, match=r"SetPTPCmd .* was not done within 0\.3 s; it was stopped"):
        bench.device.move_to(240, 120, 120)
    assert bench.world.cup_mm() == start
    bench.device.home()
    bench.device.move_to(240, 120, 120)


# The controller


@pytest.mark.parametrize(
    ("number", "control", "sizes"), [(dobot.HOME, dobot.WRITE | dobot.QUEUED, (0, 4)), (dobot.INPUT, 0, (1, 2))]
)
def test_parameters_of_another_length_are_dropped(
    make: Callable[..., DriverBench], number: int, control: int, sizes: tuple[int, ...]
) -> None:
    emulator = make().world.emulators["arm"]
    emulator.poll()
    for size in range(6):
        emulator.feed(dobot.message(number, control, bytes(size)))
        assert bool(emulator.poll()) == (size in sizes)


def test_a_wrong_checksum_is_dropped_without_a_word(make: Callable[..., DriverBench]) -> None:
    emulator = make().world.emulators["arm"]
    good = dobot.message(dobot.POSE)
    emulator.feed(good[:-1] + bytes((good[-1] ^ 1,)))
    assert emulator.poll() == b""
    emulator.feed(good)
    frame = emulator.poll()
    assert frame[:5] == bytes.fromhex("aa aa 22 0a 00")
    assert struct.unpack("<3f", frame[5:17]) == pytest.approx((200, 0, 120))


def test_in_alarm_it_executes_nothing_of_its_queue(make: Callable[..., DriverBench]) -> None:
    bench = make()
    emulator = bench.world.emulators["arm"]
    emulator._alarm(0x40)  # type: ignore[attr-defined]
    before = bench.world.cup_mm()
    emulator.feed(dobot.message(dobot.PTP, dobot.WRITE | dobot.QUEUED, struct.pack("<B4f", 2, 240, 0, 90, 0)))
    for _ in range(100):
        bench.clock.sleep(0.1)
        emulator.poll()
    assert math.dist(bench.world.cup_mm(), before) == 0


def current_index(bench: DriverBench) -> int:
    emulator = bench.world.emulators["arm"]
    emulator.poll()
    emulator.feed(dobot.message(dobot.CURRENT_INDEX))
    index: int = struct.unpack("<q", emulator.poll()[5:13])[0]
    return index


def test_the_index_is_minus_one_before_the_first_and_minus_two_while_it_moves(make: Callable[..., DriverBench]) -> None:
    bench = make()
    emulator = bench.world.emulators["arm"]
    done = current_index(bench)
    emulator.feed(dobot.message(dobot.PTP, dobot.WRITE | dobot.QUEUED, struct.pack("<B4f", 2, 240, 0, 90, 0)))
    assert current_index(bench) == -2
    bench.clock.sleep(10)
    assert current_index(bench) == done + 1
    emulator.reset()
    emulator.poll()
    bench.clock.sleep(2)
    assert current_index(bench) == -1


def test_an_input_has_a_level_once_it_was_made_one(make: Callable[..., DriverBench]) -> None:
    bench = make(vacuum_input=12)
    to_slot(bench, 1)
    bench.device.grip()
    emulator = bench.world.emulators["arm"]
    for function, level in ((dobot.DIGITAL_INPUT, 1), (0, 0)):
        emulator.feed(dobot.message(dobot.IO_FUNCTION, dobot.WRITE, bytes((12, function))))
        emulator.poll()
        emulator.feed(dobot.message(dobot.INPUT, 0, bytes((12, 0))))
        assert emulator.poll()[5:7] == bytes((12, level))
