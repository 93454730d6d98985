"""Plans and trays: every shot once, in the order that moves least, under an id that depends on its content alone."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from capture.plan import Plan, Shot, Tray
from rig.sides import SIDES

angles = st.integers(0, 359_999).map(lambda thousandths: thousandths / 1000)
plans = st.builds(
    Plan,
    sides=st.lists(st.sampled_from(SIDES), min_size=1, max_size=2, unique=True),
    lights=st.lists(st.text("abc0", min_size=1, max_size=3), min_size=1, max_size=4, unique=True),
    turntable_deg=st.lists(angles, min_size=1, max_size=5, unique=True),
    tilt_deg=st.lists(st.integers(0, 60), min_size=1, max_size=3, unique=True),
    exposure_us=st.integers(10, 10_000_000),
)
KNOWN_ID = "7c1dd12d7a3e03b9"  # of version 0.1.0
trays = st.builds(
    Tray,
    id=st.just("3"),
    slots=st.dictionaries(
        st.integers(1, 20), st.none() | st.integers(1, 9).map(lambda n: f"2024.1.{n}"), max_size=5
    ).filter(lambda slots: len([c for c in slots.values() if c]) == len({c for c in slots.values() if c})),
)


@given(plans, trays)
def test_every_shot_once(plan: Plan, tray: Tray) -> None:
    shots = plan.shots(tray)
    per_coin = len(plan.sides) * len(plan.lights) * len(plan.turntable_deg) * len(plan.tilt_deg)
    assert len(shots) == per_coin * len(tray.coins)
    assert len({shot.id for shot in shots}) == len(shots)
    for coin in tray.coins.values():
        poses = {(s.side, s.light, s.turntable_deg, s.tilt_deg) for s in shots if s.coin == coin}
        assert len(poses) == per_coin


@given(plans, trays)
def test_order_moves_least(plan: Plan, tray: Tray) -> None:
    shots = plan.shots(tray)
    coins, sides, tilts, turns = len(tray.coins), len(plan.sides), len(plan.tilt_deg), len(plan.turntable_deg)

    def changes(*names: str) -> int:
        return sum(any(getattr(a, name) != getattr(b, name) for name in names) for a, b in pairwise(shots))

    if coins:
        assert changes("coin") == coins - 1
        assert changes("coin", "side") == coins * sides - 1
        assert changes("tilt_deg") == coins * sides * (tilts - 1)  # never because a coin or side changed
        assert changes("turntable_deg") == coins * sides * tilts * (turns - 1)
        travel = sum(abs(a.turntable_deg - b.turntable_deg) for a, b in pairwise(shots))
        span = max(plan.turntable_deg) - min(plan.turntable_deg)
        assert travel == pytest.approx(coins * sides * tilts * span)


@given(plans, trays)
def test_ids_depend_on_content_alone(plan: Plan, tray: Tray) -> None:
    again = Plan.model_validate_json(plan.replace(name="other", retakes=0).model_dump_json())
    moved = Tray(id="7", slots={slot + 1: coin for slot, coin in tray.slots.items()})
    assert [shot.id for shot in again.shots(moved)] == [shot.id for shot in plan.shots(tray)]
    for shot in plan.shots(tray)[:3]:
        assert Shot.model_validate_json(shot.model_dump_json()).id == shot.id
        assert shot.model_copy(update={"exposure_us": shot.exposure_us + 1}).id != shot.id


def test_id_is_the_same_for_ever() -> None:
    shot = Shot(
        coin="2024.1.11", side="obverse", turntable_deg=90, tilt_deg=0, light="az060", exposure_us=20000, gain=1
    )
    assert shot.id == "17a537b3b3b3cf6d"


def test_default_plan_is_48_frames_a_coin() -> None:
    shots = Plan().shots(Tray(id="3", slots={1: "2024.1.11", 2: None}))
    assert len(shots) == 48
    assert [shot.light for shot in shots[:6]] == ["az000", "az060", "az120", "az180", "az240", "az300"]
    assert {shot.turntable_deg for shot in shots} == {0, 90, 180, 270}


@pytest.mark.parametrize("count", [8, "8"])
def test_a_count_of_angles_spreads_them(count: object) -> None:
    assert Plan.model_validate({"turntable_deg": count}).turntable_deg == (0, 45, 90, 135, 180, 225, 270, 315)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"turntable_deg": [0, 360]}, "360 is out of range"),
        ({"turntable_deg": [-90]}, "-90 is out of range"),
        ({"turntable_deg": [10, 10.0]}, "angle 10.0 is given twice"),
        ({"turntable_deg": ["45deg"]}, "valid number"),
        ({"turntable_deg": 45.5}, "is not a list of angles"),
        ({"turntable_deg": 0}, "count from 1 to 360"),
        ({"turntable_deg": [float("nan")]}, "out of range"),
        ({"tilt_deg": [75]}, "tilt 75 is out of range"),
        ({"lights": ["az000", "az000"]}, "az000 is given twice"),
        ({"sides": ["front"]}, "'obverse', 'reverse' or 'edge'"),
        ({"edge_tilt_deg": [45]}, "for the edge, which is not among the sides"),
        ({"sides": ["edge"], "edge_tilt_deg": [70]}, "tilt 70 is out of range"),
        ({"exposure_us": "20ms"}, "valid integer"),
        ({"exposure_us": 0.02}, "valid integer"),
        ({"exposure_us": 5}, "greater than or equal to 10"),
        ({"exposure": 20000}, "Extra inputs"),
        ({"gain": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_plan_says_what_is_wrong(fields: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Plan.model_validate(fields)


@pytest.mark.parametrize(
    ("slots", "message"),
    [
        ({1: "2024.1.11", 5: "2024.1.11"}, "in slot 1 and in slot 5"),
        ({1: 2024.1}, 'put it in quotes, "2024.1"'),
        ({0: "2024.1.11"}, "greater than or equal to 1"),
        ({1: " 2024.1.11"}, "accession number"),
    ],
)
def test_a_wrong_tray_says_what_is_wrong(slots: dict, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Tray.model_validate({"id": "3", "slots": slots})


def test_a_bracket_is_one_shot_and_a_plan_without_one_has_the_ids_it_always_had() -> None:
    tray = Tray(id="3", slots={1: "2024.1.1"})
    plain = Plan(sides=("obverse",), lights=("az000",), turntable_deg=(0.0,))
    (shot,) = plain.shots(tray)
    assert shot.id == KNOWN_ID
    values = {**plain.model_dump(), "exposure_us": ["80000", "5000", "20000"], "focus_mm": ["2", "0.5"]}
    plan = Plan.model_validate(values)
    (bracket,) = plan.shots(tray)
    assert (plan.exposure_us, bracket.bracket_us, bracket.focus_mm) == (20_000, (5_000, 20_000, 80_000), (0.5, 2.0))
    assert bracket.images == 6 and bracket.time_us == 210_000
    assert bracket.id != shot.id
    assert Plan.model_validate(plan.model_dump()) == plan
    assert Shot.model_validate_json(bracket.model_dump_json()) == bracket
    for wrong in ({"focus_mm": [1]}, {"focus_mm": [1, 1]}, {"exposure_us": [20_000]}, {"exposure_us": ["1", "long"]}):
        with pytest.raises(ValidationError):
            Plan.model_validate({**plain.model_dump(), **wrong})


def test_the_edge_is_shot_at_its_own_tilts_and_changes_no_other_shot() -> None:
    tray = Tray(id="3", slots={1: "2024.1.1"})
    plain = Plan(tilt_deg=(0.0, 20.0), turntable_deg=(0.0, 180.0))
    plan = Plan.model_validate({**plain.model_dump(), "sides": ["obverse", "reverse", "edge"], "edge_tilt_deg": [50]})
    shots = plan.shots(tray)
    edge = [shot for shot in shots if shot.side == "edge"]
    assert {shot.id for shot in plain.shots(tray)} == {shot.id for shot in shots} - {shot.id for shot in edge}
    assert {(shot.tilt_deg, shot.turntable_deg) for shot in edge} == {(50.0, 0.0), (50.0, 180.0)}
    assert len(edge) == 12 and "edge_tilt_deg" not in plain.model_dump()
    steepest = plan.replace(edge_tilt_deg=()).shots(tray)
    assert {shot.tilt_deg for shot in steepest if shot.side == "edge"} == {20.0}
    assert Plan.model_validate(plan.model_dump()) == plan
