from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.twin.motion import StraightMove, Trapezoid, at_rest

positive = st.floats(min_value=0.01, max_value=1e4)


def test_a_long_way_is_accelerated_cruised_and_braked() -> None:
    way = Trapezoid(distance=100, speed=10, acceleration=5)
    assert way.duration_s == pytest.approx(12)
    assert [way.travelled(at_s) for at_s in (0, 2, 6, 10, 12)] == pytest.approx([0, 10, 50, 90, 100])
    assert [way.speed_at(at_s) for at_s in (0, 1, 6, 11, 12)] == pytest.approx([0, 5, 10, 5, 0])


def test_a_short_way_never_reaches_its_speed() -> None:
    way = Trapezoid(distance=5, speed=1000, acceleration=5)
    assert way.duration_s == pytest.approx(2)
    assert way.peak_speed == pytest.approx(5)


@given(distance=st.just(0.0) | st.floats(1e-9, 1e5), speed=positive, acceleration=positive, part=st.floats(0, 1))
def test_it_goes_forward_all_the_time_and_arrives(
    distance: float, speed: float, acceleration: float, part: float
) -> None:
    way = Trapezoid(distance, speed, acceleration)
    here = way.travelled(part * way.duration_s)
    assert -1e-6 <= here <= distance + 1e-6 * max(1, distance)
    assert way.travelled((part + 0.1) * way.duration_s) >= here - 1e-6 * max(1, distance)
    assert way.travelled(way.duration_s) == pytest.approx(distance)
    assert way.speed_at(part * way.duration_s) <= speed + 1e-9


def test_a_move_goes_straight_and_can_be_ended_dead() -> None:
    move = StraightMove(start_s=5, origin=(0, 0), target=(30, 40), speed=10, acceleration=100)
    half_s = (move.start_s + move.end_s) / 2
    assert move.at(4) == (0, 0)
    assert move.at(half_s) == pytest.approx((15, 20))
    assert move.stopped_at(half_s).at(math.inf) == pytest.approx((15, 20))
    assert move.stopped_at(half_s).speed_at(half_s + 0.1) == 0
    assert at_rest((1, 2)).at(0) == (1, 2)
