"""What the record says of a coin: it lowers where it contradicts, and says nothing where it is silent."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.matching.facts import (
    Facts,
    axis_ratio,
    compare_facts,
    diameter_ratio,
    log_ratio_of,
    weigh_facts,
    weight_ratio,
)

CHANCES = st.lists(st.floats(0.0, 1.0), min_size=1, max_size=6).map(
    lambda all_: [p / max(1.0, sum(all_)) for p in all_]
)
WHOLE = Facts(weight_g=3.87, diameter_mm=18.4, axis_h=6.0, type="RRC 44/5")
GRAMS = st.floats(1.0, 40.0).map(lambda grams: round(grams, 2))


@given(CHANCES)
def test_a_fact_that_either_side_lacks_changes_nothing(chances: list[float]) -> None:
    for own, recorded in ((WHOLE, Facts()), (Facts(), WHOLE), (Facts(weight_g=3.87), Facts(axis_h=6.0))):
        compared = compare_facts(own, recorded)
        assert compared == () and log_ratio_of([compared]) == 0.0
    assert weigh_facts(chances, [0.0] * len(chances)) == pytest.approx(chances, abs=1e-9)


@given(CHANCES, GRAMS, st.floats(1.2, 3.0))
def test_a_coin_is_never_a_fifth_heavier_than_it_was_sold(chances: list[float], grams: float, heavier: float) -> None:
    ratio = weight_ratio(grams * heavier, grams)
    assert 0.0 < ratio < 0.1, "a misprint is possible"
    weighed = weigh_facts(chances, [math.log(ratio)])
    assert weighed[0] <= chances[0] + 1e-12
    assert all(after >= before - 1e-12 for after, before in zip(weighed[1:], chances[1:], strict=True))
    assert sum(weighed) <= 1.0 + 1e-9


@given(GRAMS, st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_the_further_a_weight_is_from_the_recorded_one_the_less_it_speaks_for_it(
    grams: float, one: float, other: float
) -> None:
    nearer, further = sorted((one, other))
    for away in (1.0, -1.0):
        near, far = (weight_ratio(grams * math.exp(away * by), grams) for by in (nearer, further))
        assert far <= near * 1.02 + 1e-9
    lighter, heavier = (weight_ratio(grams * math.exp(way * further), grams) for way in (-1.0, 1.0))
    assert lighter >= heavier - 1e-9, "coins are cleaned and worn"


def test_what_agrees_speaks_for_the_coin_and_what_does_not_against_it() -> None:
    same = {each.fact: each.ratio for each in compare_facts(WHOLE, WHOLE)}
    assert set(same) == {"weight_g", "diameter_mm", "axis_h", "type"} and all(ratio > 1.0 for ratio in same.values())
    cleaned, other = weight_ratio(3.84, 3.87), weight_ratio(3.40, 3.87)
    assert 1.0 < cleaned < same["weight_g"] and other < 0.2
    assert weight_ratio(3.86, 3.9) > 1.0 > weight_ratio(3.86, 3.95), "3.9 g is any weight from 3.85 to 3.95"
    assert diameter_ratio(21.0, 18.0) < 0.1 < 1.0 < diameter_ratio(18.4, 18.0)
    assert axis_ratio(12.0, 6.0) < 0.1 and axis_ratio(0.3, 11.8) > 1.0
    assert compare_facts(Facts(type="RRC 44/5"), Facts(type="RRC 44/6"))[0].ratio < 0.2
    assert compare_facts(Facts(type="RRC 44/5"), Facts(type="RIC 207")) == (), "two works say nothing of each other"


def test_sales_of_one_coin_do_not_count_twice() -> None:
    once = compare_facts(WHOLE, WHOLE)
    assert log_ratio_of([once, once]) == pytest.approx(log_ratio_of([once]))
