"""Shots are taken in the order that costs least on the rig at hand; each stays the same shot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture.engine.order import RigSetting, by_side_up, changes_s, order_shots
from capture.plan import Plan, Shot, Tray
from rig.clock import SystemClock
from rig.station import Station
from tests.capture.engine.bench import with_tilt

TRAY = Tray(id="3", slots={1: "2024.1.1"})
LIGHTS = ("az000", "az120", "az240")
RIG = Station(with_tilt(), SystemClock())


class Costs:
    """A rig whose every change costs the same, whatever its way."""

    def __init__(self, turn_s: float, tilt_s: float, light_s: float) -> None:
        self.turn_s, self.tilt_s, self.light_s = turn_s, tilt_s, light_s

    def estimate_s(self, *, turns_deg: Sequence[float] = (), tilts_deg: Sequence[float] = (), lights: int = 0) -> float:
        return len(turns_deg) * self.turn_s + len(tilts_deg) * self.tilt_s + lights * self.light_s


def shots(**plan: object) -> list[Shot]:
    return Plan.model_validate({"sides": ["obverse"], "lights": LIGHTS, **plan}).shots(TRAY)


def changes(ordered: list[Shot], setting: str) -> int:
    values = [getattr(shot, setting) for shot in ordered]
    return sum(after != before for before, after in pairwise(values))


@pytest.mark.parametrize(
    ("costs", "fewest"),
    [(Costs(1, 9, 0.1), "tilt_deg"), (Costs(9, 1, 0.1), "turntable_deg"), (Costs(1, 1, 9), "light")],
)
def test_what_costs_most_changes_least(costs: Costs, fewest: str) -> None:
    some = shots(turntable_deg=[0, 90, 180], tilt_deg=[0, 20, 40])
    ordered = order_shots(some, costs, RigSetting(0.0, 0.0))
    assert changes(ordered, fewest) == 2
    assert sorted(shot.id for shot in ordered) == sorted(shot.id for shot in some)


def test_it_begins_where_the_rig_stands() -> None:
    some = shots(turntable_deg=[0, 90], tilt_deg=[0, 20])
    first = order_shots(some, RIG, RigSetting(20.0, 90.0, "az240"))[0]
    assert (first.tilt_deg, first.turntable_deg, first.light) == (20.0, 90.0, "az240")
    assert order_shots([], RIG, RigSetting()) == []


@given(
    turns=st.lists(st.integers(0, 359), min_size=1, max_size=4, unique=True),
    tilts=st.lists(st.integers(0, 60), min_size=1, max_size=3, unique=True),
    start=st.tuples(st.integers(0, 60), st.integers(0, 359)),
)
def test_it_never_costs_more_than_the_order_of_the_plan(
    turns: list[int], tilts: list[int], start: tuple[int, int]
) -> None:
    some, here = shots(turntable_deg=turns, tilt_deg=tilts), RigSetting(float(start[0]), float(start[1]))
    assert changes_s(order_shots(some, RIG, here), RIG, here) <= changes_s(some, RIG, here) + 1e-6


def test_the_edge_is_taken_with_the_last_side_and_never_turns_a_coin_over() -> None:
    some = shots(sides=["edge", "obverse", "reverse"], tilt_deg=[0], edge_tilt_deg=[40])
    for up, last in (("obverse", "reverse"), ("reverse", "obverse")):
        first, second = by_side_up(some, up)
        assert (first[0], {shot.side for shot in first[1]}) == (up, {up})
        assert (second[0], {shot.side for shot in second[1]}) == (last, {last, "edge"})
    edge = [shot for shot in some if shot.side == "edge"]
    assert by_side_up(edge, "reverse") == [("reverse", edge)] and by_side_up([], "obverse") == []
