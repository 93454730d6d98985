"""What goes wrong on the wire and beyond it, for every driver: retried to success, or stopped safe with a message that
names device, port, command and remedy. Never a wrong position believed, never a hang.

`TABLE` says what comes of each fault for each driver; the tests are made from it, and docs/drivers.md shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from rig.errors import AlarmError, DeviceError, NoAnswerError, NotConnectedError
from rig.twin import world as twin_world
from rig.twin.faults import Alarm, Brownout, Glitch, Jam, Unplugged
from tests.rig.benches import PATIENCE, ROLE, DriverBench
from tests.rig.test_conformance import KINDS, use
from tests.variants import usually

# A wait ends soon, as nothing in the twin takes time: an axis that is called fast is not waited for long.
HASTE: dict[str, dict[str, Any]] = {
    "grbl": {"answer_s": 0.1, "speed_deg_s": 2000.0},
    "marlin": {"answer_s": 0.1, "speed_deg_s": 2000.0},
    "uarm": {"answer_s": 0.1, "move_s": 0.2},
    "dobot": {"answer_s": 0.1, "move_s": 1.0},
    "roarm": {"answer_s": 0.1},
    "wled": {"answer_s": 0.1},
    "dmx": {"answer_s": 0.1},
}
FOREVER = 10**6

# What comes of a fault: tried again until it is done; stopped safe, with a message; unknown to this controller, which
# counts steps, so that the camera finds it; or there is no such thing.
RETRIED, STOPPED, CAMERA, NONE = "retried", "stopped safe", "the camera finds it", "-"
RETRIED_THEN_STOPPED = "retried, then stopped safe"
USUAL = ("grbl", "uarm", "wled")  # one of each role; the others' faults are tried by the slow tests as well
ONE_MESSAGE = {
    "lost byte": "a lost byte",
    "duplicated": "a line twice",
    "garbage": "garbage before a line",
    "split": "a line cut in two",
    "slow": "a slow answer",
    "silent": "an answer that never comes",
}


def each(turntables: str, uarm: str, dobot: str, roarm: str, lightboxes: str) -> dict[str, str]:
    """A row of the table."""
    arms = {"uarm": uarm, "dobot": dobot, "roarm": roarm}
    return {kind: arms.get(kind, lightboxes if ROLE[kind] == "lightbox" else turntables) for kind in KINDS}


TABLE: dict[str, dict[str, str]] = {
    **{fault: dict.fromkeys(KINDS, RETRIED) for fault in ONE_MESSAGE.values()},
    "no answer any more": dict.fromkeys(KINDS, STOPPED),
    "noise alone": dict.fromkeys(KINDS, STOPPED),
    "alarm": each(STOPPED, NONE, STOPPED, NONE, NONE),
    "brown-out in mid-move": each(STOPPED, STOPPED, STOPPED, STOPPED, RETRIED),
    "cable pulled": dict.fromkeys(KINDS, STOPPED),
    "jam": each(CAMERA, STOPPED, STOPPED, STOPPED, NONE),
    "error code": each(RETRIED_THEN_STOPPED, STOPPED, NONE, NONE, NONE) | {"wled": RETRIED},
}


def kinds(fault: str, outcome: str) -> list[str]:
    """The drivers for which this comes of a fault."""
    return [kind for kind in KINDS if TABLE[fault][kind] == outcome]


def test_the_page_shows_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs" / "drivers.md").read_text()
    heading = ["fault", *(f"`{kind}`" for kind in KINDS)]
    rows = [heading, ["---"] * len(heading), *([fault, *row.values()] for fault, row in TABLE.items())]
    assert "\n".join(f"| {' | '.join(row)} |" for row in rows) in page


@pytest.fixture
def make(bench_of: Callable[..., DriverBench]) -> Callable[..., DriverBench]:
    """Makes a bench whose device is connected and homed, and waits for answers no longer than it must."""
    return lambda kind, *faults, **options: bench_of(kind, *faults, **(PATIENCE[kind] | HASTE[kind] | options))


def upset(bench: DriverBench, what: str, way: str = "answered", *, after: int = 0, **details: Any) -> None:
    """Let something happen to the message after so many from now."""
    count = bench.world.wires[bench.role].count(way)  # type: ignore[arg-type]
    details = {"seconds": 0.03, **details}
    bench.world.faults.append(
        Glitch.model_validate(
            {"device": bench.role, "what": what, "way": way, "after_messages": count + after, **details}
        )
    )


def check_truth(bench: DriverBench, there: bool) -> None:
    """What the driver says has happened has happened."""
    world = bench.world
    match bench.role:
        case "turntable":
            wanted = 170.0 if there else 0.0
            assert (world.plate_deg() - wanted + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
            assert world.scene().plate_speed_deg_s == 0
        case "arm":
            point = (240.0, 120.0, 100.0) if there else (200.0, -120.0, 100.0)
            assert math.dist(world.cup_mm(), point) <= bench.device.config.tolerance_mm
        case "lightbox":
            (lamp,) = world.scene().lamps
            assert (lamp.azimuth_deg + 180) % 360 - 180 == pytest.approx(0)


def check_message(bench: DriverBench, error: DeviceError) -> None:
    """A technician knows which device failed and what to do."""
    assert error.device == f"{bench.role} on {bench.link.port}"
    assert error.problem.endswith(".")
    assert error.remedy.endswith(".") and len(error.remedy) > 15
    assert str(error).startswith(error.device)


def check_stopped(bench: DriverBench) -> None:
    """It moves no more, believes nothing, and works again once it was homed."""
    bench.clock.sleep(1.0)
    before = (bench.world.plate_deg(), bench.world.cup_mm())
    bench.clock.sleep(60.0)
    assert (bench.world.plate_deg(), bench.world.cup_mm()) == before
    if bench.role != "lightbox":
        with pytest.raises(AlarmError, match="not homed"):
            use(bench, there=True)
        bench.device.home()
    use(bench, there=True)
    check_truth(bench, there=True)


# On the wire: made good


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        pytest.param(kind, what, marks=() if what == "lost byte" or kind in USUAL else pytest.mark.slow)
        for what, fault in ONE_MESSAGE.items()
        for kind in kinds(fault, RETRIED)
    ],
)
def test_what_happens_to_one_message_is_made_good(make: Callable[..., DriverBench], kind: str, what: str) -> None:
    bench = make(kind)
    there = False
    for way in ("sent", "answered"):
        for after, at in ((0, 4), (1, -1)):
            there = not there
            upset(bench, what, way, after=after, at=at)
            use(bench, there)
            check_truth(bench, there)


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_comes_too_late_is_not_taken_for_another(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    upset(bench, "slow", seconds=0.15)
    for there in (True, False, True):
        use(bench, there)
        check_truth(bench, there)


@pytest.mark.parametrize("kind", usually(USUAL, kinds("no answer any more", STOPPED)))
def test_no_answer_at_all_is_reported(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    upset(bench, "silent", "answered", messages=FOREVER)
    with pytest.raises(NoAnswerError) as caught:
        use(bench, there=True)
    check_message(bench, caught.value)
    assert "answer" in caught.value.problem
    bench.world.repair()
    check_stopped(bench)


@pytest.mark.parametrize("kind", kinds("noise alone", STOPPED))
def test_a_line_of_noise_alone_is_reported(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    upset(bench, "replaced", "answered", messages=FOREVER, data="\x00\xff~{$1 \xaa\xaa\x02\n")
    with pytest.raises(DeviceError) as caught:
        use(bench, there=True)
    check_message(bench, caught.value)
    bench.world.repair()
    check_stopped(bench)


@pytest.mark.parametrize("kind", usually(USUAL, KINDS))
def test_a_device_that_is_silent_from_the_start_is_reported(make: Callable[..., DriverBench], kind: str) -> None:
    boot = {} if kind == "dmx" else {"boot_s": 0.4}
    bench = DriverBench(kind, **(PATIENCE[kind] | HASTE[kind] | boot))
    upset(bench, "silent", "answered", messages=FOREVER)
    with pytest.raises(NoAnswerError) as caught:
        bench.device.connect()
    check_message(bench, caught.value)


# Beyond the wire: stopped safe


ALARMS = {"grbl": (1, "alarm 1"), "marlin": (1, "halted"), "dobot": (0x42, "0x42")}


@pytest.mark.parametrize("kind", kinds("alarm", STOPPED))
def test_an_alarm_stops_it(make: Callable[..., DriverBench], kind: str) -> None:
    code, words = ALARMS[kind]
    bench = make(kind)
    bench.world.faults.append(Alarm(device=bench.role, after_moves=bench.world.moves[bench.role], code=code))
    with pytest.raises(AlarmError, match=words) as caught:
        use(bench, there=True)
    check_message(bench, caught.value)
    bench.world.repair()
    check_stopped(bench)


@pytest.mark.parametrize("kind", kinds("brown-out in mid-move", STOPPED))
def test_a_brownout_in_mid_move_stops_it(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    after = bench.world.moves[bench.role] + (5 if kind == "roarm" else 0)
    bench.world.faults.append(Brownout(device=bench.role, after_moves=after))
    with pytest.raises(AlarmError, match="restarted") as caught:
        use(bench, there=True)
    check_message(bench, caught.value)
    bench.world.repair()
    check_stopped(bench)


@pytest.mark.parametrize("kind", kinds("brown-out in mid-move", RETRIED))
def test_a_brownout_of_a_lightbox_ends_with_the_next_light(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    use(bench, there=True)
    bench.world.emulators["lightbox"].__init__(bench.world, *lamps(bench))  # type: ignore[misc]
    bench.world.emulators["lightbox"].reset()
    bench.clock.sleep(5.0)
    use(bench, there=True)
    check_truth(bench, there=True)


def lamps(bench: DriverBench) -> tuple[Any, ...]:
    return (bench.config.lightbox.leds,) if bench.kind == "wled" else (bench.config.lightbox,)


@pytest.mark.parametrize("kind", kinds("jam", STOPPED))
def test_a_jam_is_noticed_by_an_arm_with_sensors(make: Callable[..., DriverBench], kind: str) -> None:
    bench = make(kind)
    bench.world.faults.append(Jam(device="arm", after_moves=bench.world.moves["arm"] + (5 if kind == "roarm" else 0)))
    with pytest.raises(DeviceError, match=r"it stopped .* mm before|mm off its path|a joint lost steps") as caught:
        use(bench, there=True)
        bench.device.grip()  # by then it is noticed by each
    check_message(bench, caught.value)
    bench.world.repair()
    check_stopped(bench)


@pytest.mark.parametrize("kind", kinds("jam", CAMERA))
def test_a_jam_is_unknown_to_what_counts_steps(make: Callable[..., DriverBench], kind: str) -> None:
    """Why the angle is verified by the camera as well."""
    bench = make(kind)
    bench.world.faults.append(Jam(device=bench.role, after_moves=bench.world.moves[bench.role]))
    use(bench, there=True)
    with pytest.raises(AssertionError):
        check_truth(bench, there=True)


def test_an_error_code_of_grbl_is_tried_again_then_reported(
    make: Callable[..., DriverBench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = make("grbl")
    upset(bench, "replaced", data="error:33\r\n")
    use(bench, there=True)
    check_truth(bench, there=True)

    def refuse(line: str) -> Generator[float | None, None, int]:
        yield bench.clock.now()
        return 33

    monkeypatch.setattr(bench.world.emulators["turntable"], "_gcode", refuse)
    with pytest.raises(DeviceError, match=r"'G53 G1 X.*' was refused: error:33 \(invalid target\)") as caught:
        use(bench, there=False)
    check_message(bench, caught.value)
    monkeypatch.undo()
    check_stopped(bench)


@pytest.mark.parametrize(
    "answer",
    [
        'echo:Unknown command: "G1"\nok\n',
        "Error:Stopped by a switch\nok\n",
        "Printer stopped due to errors. Fix the error and use M999 to restart.\nok\n",
    ],
)
def test_an_error_of_marlin_is_tried_again_then_reported(make: Callable[..., DriverBench], answer: str) -> None:
    bench = make("marlin")
    upset(bench, "replaced", data='echo:Unknown command: "G1"\nok\n')
    use(bench, there=True)
    check_truth(bench, there=True)
    upset(bench, "replaced", data=answer, messages=FOREVER)
    with pytest.raises(DeviceError) as caught:
        use(bench, there=False)
    check_message(bench, caught.value)
    bench.world.repair()
    check_stopped(bench)


def test_an_error_code_of_the_uarm_is_reported(make: Callable[..., DriverBench]) -> None:
    (kind,) = kinds("error code", STOPPED)
    bench = make(kind)
    bench.world.emulators["arm"].work_mode = 8  # type: ignore[attr-defined]  # somebody set another tool meanwhile
    with pytest.raises(
        DeviceError, match=r"'G1 X335.00 Y0.00 Z90.00 .*' was refused: E22 \(out of its reach\)"
    ) as caught:
        bench.device.move_to(335.0, 0.0, 90.0)
    check_message(bench, caught.value)


def test_an_error_of_wled_is_asked_again(make: Callable[..., DriverBench]) -> None:
    (kind,) = kinds("error code", RETRIED)
    bench = make(kind)
    upset(bench, "replaced", data='{"error":3}\r\n')
    use(bench, there=True)
    check_truth(bench, there=True)


# The cable


@pytest.mark.parametrize("over", usually(("pty",), ("twin", "pty")))
@pytest.mark.parametrize("kind", kinds("cable pulled", STOPPED))
def test_unplugged_it_is_reported_and_plugged_in_again_it_works(kind: str, over: str, tmp_path: Path) -> None:
    bench = DriverBench(kind, cable_in=tmp_path if over == "pty" else None)
    bench.device.connect()
    if bench.role != "lightbox":
        bench.device.home()
    if bench.cable:
        bench.cable.pull_out()
    else:
        bench.world.faults.append(Unplugged(device=bench.role))
    with pytest.raises(NotConnectedError, match=r"connection was lost .* Plug the cable in") as caught:
        use(bench, there=True)
    check_message(bench, caught.value)
    with pytest.raises(NotConnectedError, match="could not be opened"):
        bench.device.connect()
    if bench.cable:
        bench.cable.plug_in()
    bench.world.repair()
    bench.device.connect()
    if bench.role != "lightbox":
        with pytest.raises(AlarmError, match="not homed"):
            use(bench, there=True)
        bench.device.home()
    use(bench, there=True)
    check_truth(bench, there=True)
    bench.close()
    twin_world.use(None)
