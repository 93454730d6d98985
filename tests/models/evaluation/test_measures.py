"""Figures of merit, on scores whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.evaluation.measures import Tally, interval_over_coins, reliability, tar_at_far
from models.evaluation.open_set import Searches, fnir_at_fpir, fnir_interval


def tally(scores: np.ndarray) -> Tally:
    counted = Tally()
    for part in np.array_split(scores.astype(np.float32), 7):
        counted.add(part)
    return counted


def test_tar_at_far_is_that_of_the_sorted_scores() -> None:
    rng = np.random.default_rng(0)
    genuine, impostor = rng.normal(0.7, 0.1, 4000), rng.normal(0.3, 0.1, 20000)
    for far in (0.1, 0.01, 0.001):
        threshold = np.sort(impostor)[::-1][int(far * len(impostor))]
        assert tar_at_far(genuine, tally(impostor), far) == pytest.approx(np.mean(genuine > threshold), abs=2e-3)
    assert tar_at_far(genuine, tally(impostor[:50]), 0.001) is None
    assert tally(impostor).share_above(np.array([0.3]))[0] == pytest.approx(0.5, abs=0.02)
    assert tar_at_far(np.array([0.4, 0.5]), tally(np.full(100, 0.5)), 0.1) == 0.0, "ties are accepted on neither side"


def searches(values: list[float], right: list[bool], impostors: list[float]) -> Searches:
    return Searches(
        tuple(f"c{n}" for n in range(len(values))),
        np.array(values),
        np.array(right),
        tuple(f"s{n}" for n in range(len(impostors))),
        np.array(impostors),
    )


def test_a_mated_search_counts_only_if_right_and_above_the_impostors() -> None:
    some = searches([0.9, 0.8, 0.95, 0.3], [True, True, False, True], [0.1, 0.2, 0.85, 0.4])
    assert fnir_at_fpir(some, 0.25) == 0.5, "the threshold is above 0.4: 0.95 is wrong, 0.3 too low"
    assert fnir_at_fpir(some, 0.01) == 0.75, "no impostor may come through: above 0.85"
    assert fnir_at_fpir(some, 1.0) == 0.25, "whatever is found counts"
    low, high = fnir_interval(some, 0.25)
    assert 0.0 <= low <= 0.5 <= high <= 1.0


def test_a_probability_that_is_what_it_says_has_no_calibration_error() -> None:
    rng = np.random.default_rng(1)
    predicted = rng.uniform(0, 1, 200_000)
    honest = reliability(predicted, rng.uniform(0, 1, len(predicted)) < predicted)
    assert honest.ece < 0.005
    assert reliability(np.full(100, 0.9), np.arange(100) < 50).ece == pytest.approx(0.4)
    assert sum(honest.count) == len(predicted)


def test_a_paired_difference_has_a_narrower_interval_than_its_parts() -> None:
    rng = np.random.default_rng(2)
    hard = rng.uniform(0, 1, 200)
    first, second = hard > 0.4, hard > 0.35
    coins = [f"{number // 2}" for number in range(200)]
    low, high = interval_over_coins(second.astype(float) - first.astype(float), coins)
    assert 0.0 < low < high < 0.15
    wide = interval_over_coins(second, coins)
    assert high - low < wide[1] - wide[0]
