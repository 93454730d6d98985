from __future__ import annotations

import pytest
from pydantic import ValidationError

from rig.bench import BenchLayout
from rig.errors import AlarmError, EnvelopeError, NoAnswerError
from rig.safety import Envelope, Interlock

BENCH = BenchLayout()
X, Y, Z = BENCH.plate_mm
ABOVE_PLATE = (X, Y, BENCH.safe_z_mm)


@pytest.fixture
def interlock() -> Interlock:
    """Homed, the cup at rest."""
    made = Interlock(BENCH, Envelope())
    made.cup_mm = BENCH.rest_mm
    made.turntable_homed = True
    return made


def go(interlock: Interlock, *way: tuple[float, float, float]) -> None:
    for point in way:
        with interlock.moving(point):
            pass


def test_nothing_moves_before_homing() -> None:
    interlock = Interlock(BENCH, Envelope())
    with pytest.raises(AlarmError, match="not homed"), interlock.turning():
        pytest.fail("it turned")
    with pytest.raises(AlarmError, match="not homed"):
        go(interlock, ABOVE_PLATE)


def test_the_plate_does_not_turn_under_a_low_cup(interlock: Interlock) -> None:
    go(interlock, ABOVE_PLATE, BENCH.plate_mm)
    with pytest.raises(EnvelopeError, match="may not turn while the arm is low"), interlock.turning():
        pytest.fail("it turned")
    go(interlock, ABOVE_PLATE)
    with interlock.turning():
        pass


def test_the_cup_does_not_go_down_on_a_turning_plate(interlock: Interlock) -> None:
    go(interlock, ABOVE_PLATE)
    with interlock.turning(), pytest.raises(EnvelopeError, match="may be turning"):
        go(interlock, BENCH.plate_mm)
    go(interlock, BENCH.plate_mm)


def test_a_turn_that_failed_leaves_the_plate_in_doubt(interlock: Interlock) -> None:
    go(interlock, ABOVE_PLATE)
    with pytest.raises(NoAnswerError), interlock.turning():
        raise NoAnswerError("turntable", "it is silent.", "")
    with pytest.raises(EnvelopeError, match="may be turning"):
        go(interlock, BENCH.plate_mm)
    with pytest.raises(AlarmError, match="not homed"), interlock.turning():
        pytest.fail("it turned")


def test_a_move_refused_by_its_driver_changes_nothing(interlock: Interlock) -> None:
    before = interlock.cup_mm
    with pytest.raises(EnvelopeError), interlock.moving((200.0, 0.0, 100.0)):
        raise EnvelopeError("arm", "it is out of its reach.", "Stay closer.")
    assert before is not None and interlock.cup_mm == before and not interlock.hands_off


def test_a_turn_refused_by_its_driver_changes_nothing(interlock: Interlock) -> None:
    with pytest.raises(EnvelopeError, match="out of range"), interlock.turning():
        raise EnvelopeError("turntable", "out of range.", "")
    with interlock.turning():
        pass


@pytest.mark.parametrize("point", [(99, 0, 90), (301, 0, 90), (220, 221, 90), (220, 0, -1), (220, 0, 171)])
def test_the_cup_stays_in_its_envelope(interlock: Interlock, point: tuple[float, float, float]) -> None:
    with pytest.raises(EnvelopeError, match="outside its envelope"):
        go(interlock, point)


def test_the_cup_goes_across_only_at_a_safe_height(interlock: Interlock) -> None:
    with pytest.raises(EnvelopeError, match="below the safe height"):
        go(interlock, (X, Y, 50))
    go(interlock, ABOVE_PLATE, (X, Y, 50))
    with pytest.raises(EnvelopeError, match="below the safe height"):
        go(interlock, (X + 20, Y, 50))


def test_an_arm_that_failed_is_not_to_be_moved_and_an_interrupted_one_may(interlock: Interlock) -> None:
    with pytest.raises(KeyboardInterrupt), interlock.moving(ABOVE_PLATE):
        raise KeyboardInterrupt
    assert (interlock.cup_mm, interlock.hands_off) == (None, False)
    interlock.cup_mm = BENCH.rest_mm
    with pytest.raises(NoAnswerError), interlock.moving(ABOVE_PLATE):
        raise NoAnswerError("arm", "it is silent.", "")
    assert (interlock.cup_mm, interlock.hands_off) == (None, True)


def test_an_envelope_has_an_inside() -> None:
    with pytest.raises(ValidationError, match="low_mm"):
        Envelope(low_mm=(0, 0, 0), high_mm=(10, 0, 10))
