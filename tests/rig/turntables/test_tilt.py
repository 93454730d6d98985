"""A second motor on the turntable's controller tilts the camera: every firmware, and what it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import ValidationError

from rig.errors import AlarmError, DeviceError, EnvelopeError
from rig.turntables.grbl import GrblTurntable
from rig.turntables.grbl_emulator import STOCK_HOMING
from rig.turntables.grbl_protocol import GrblConfig
from rig.turntables.marlin import MarlinTurntable
from rig.turntables.marlin_emulator import MarlinEmulator
from rig.turntables.motor_axis import TiltConfig
from rig.twin import world as twin_world
from rig.twin.faults import Glitch, Jam
from tests.rig.turntables.boards import BOARDS, TurntableBench

TILT = TiltConfig()


@pytest.fixture
def make() -> Iterator[Callable[..., TurntableBench]]:
    made: list[TurntableBench] = []

    def build(board: str = "grbl", **options: Any) -> TurntableBench:
        which = (MarlinEmulator, MarlinTurntable) if board == "marlin" else (BOARDS[board], GrblTurntable)
        made.append(TurntableBench(*which, **{"tilt": TILT, **options}))
        return made[-1]

    yield build
    for bench in made:
        bench.turntable.close()
    twin_world.use(None)


@pytest.mark.parametrize("board", [*BOARDS, "marlin"])
def test_it_homes_both_motors_and_goes_to_its_tilts(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board)
    for tilt_deg, angle_deg in ((0.0, 0.0), (40.0, 90.0), (20.0, 90.0), (60.0, 10.0), (0.0, 350.0)):
        assert bench.turntable.tilt_to(tilt_deg) == pytest.approx(tilt_deg, abs=0.01)
        assert bench.turntable.rotate_to(angle_deg) == pytest.approx(angle_deg, abs=0.01)
        assert bench.world.camera_tilt_deg() == pytest.approx(tilt_deg, abs=0.01)
    before_s = bench.clock.now()
    bench.turntable.tilt_to(60.0)
    assert bench.turntable.tilt_s(60.0) == pytest.approx(bench.clock.now() - before_s, abs=0.5)


@pytest.mark.parametrize("board", ["grbl", "FluidNC"])
def test_a_stop_while_it_tilts_stops_it_there(make: Callable[..., TurntableBench], board: str) -> None:
    bench = make(board, tilt=TILT, **({"single_axis": True} if board == "grbl" else {}))
    bench.turntable.tilt_to(0.0)
    bench.clock.once(lambda: 1 < bench.world.camera_tilt_deg() < 50, bench.turntable.stop)
    with pytest.raises(AlarmError, match="it was stopped"):
        bench.turntable.tilt_to(60.0)
    stopped_deg = bench.world.camera_tilt_deg()
    bench.clock.sleep(5)
    bench.controller.poll()
    assert bench.world.camera_tilt_deg() == stopped_deg < 50
    with pytest.raises(AlarmError, match="not homed"):
        bench.turntable.tilt_to(20.0)
    bench.turntable.home()
    assert bench.turntable.tilt_to(20.0) == pytest.approx(20.0, abs=0.01)
    assert bench.world.camera_tilt_deg() == pytest.approx(20.0, abs=0.01)


def test_an_answer_lost_while_it_tilts_is_made_good(make: Callable[..., TurntableBench]) -> None:
    bench = make()
    bench.turntable.tilt_to(0.0)
    answers = bench.world.wires["turntable"].count("answered")
    bench.world.faults.append(Glitch(device="turntable", way="answered", after_messages=answers, what="silent"))
    assert bench.turntable.tilt_to(60.0) == pytest.approx(60.0, abs=0.01)
    assert bench.turntable.rotate_to(90.0) == pytest.approx(90.0, abs=0.01)
    assert bench.world.camera_tilt_deg() == pytest.approx(60.0, abs=0.01)


def test_a_tilt_out_of_range_is_refused_before_a_byte_is_sent(make: Callable[..., TurntableBench]) -> None:
    bench = make()
    bench.turntable.link.recent.clear()
    with pytest.raises(EnvelopeError, match="range of 0 to 60; nothing was sent"):
        bench.turntable.tilt_to(61.0)
    assert not bench.turntable.link.recent
    fixed = make(tilt=None)
    with pytest.raises(EnvelopeError, match="has no tilt axis"):
        fixed.turntable.tilt_to(20.0)


def test_a_motor_that_jams_while_it_homes_is_an_alarm(make: Callable[..., TurntableBench]) -> None:
    bench = make(home=False)
    bench.world.faults.append(Jam(device="tilt"))
    with pytest.raises(AlarmError, match="alarm 9"):
        bench.turntable.home()


@pytest.mark.parametrize(
    ("board", "options", "remedy"),
    [
        ("grbl", {"homing": STOCK_HOMING}, r"HOMING_CYCLE_0 \(1<<Y_AXIS\) and HOMING_CYCLE_1 \(1<<X_AXIS\)"),
        ("grblHAL", {"stock": True}, r"\$44=2, \$45=1 and \$46=0 \(first Y, then X\)"),
    ],
)
def test_firmware_as_sold_is_refused_with_the_settings_that_home_two_axes(
    make: Callable[..., TurntableBench], board: str, options: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(DeviceError, match=remedy):
        make(board, **options)


@pytest.mark.parametrize(
    ("tilt", "problem"),
    [
        ({"axis": "X"}, "axis X turns the plate already"),
        ({"axis": "Y", "range_deg": [10, 40]}, "must include 0"),
        ({"axis": "Y", "range_deg": [0, 0]}, "below the second"),
        ({"axis": "Y", "home_deg": 80}, "home_deg 80"),
    ],
)
def test_an_impossible_tilt_axis_is_refused(tilt: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        GrblConfig(tilt=tilt)  # type: ignore[arg-type]
