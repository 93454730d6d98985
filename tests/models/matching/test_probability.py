"""Scores to probabilities and words."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.embedding.embedder import STARTER_DIR, Embedder
from models.matching.fusion import ScoredCoin
from models.matching.probability import Probability, evidence, fit, verdict


def searches(count: int, seed: int) -> list[tuple[list[ScoredCoin], str | None]]:
    """Half of the coins are in the catalogue and stand out from the thirty others."""
    rng = np.random.default_rng(seed)
    made: list[tuple[list[ScoredCoin], str | None]] = []
    for number in range(count):
        scores = rng.normal(0.5, 0.03, 30)
        known = number % 2 == 0
        if known:
            scores[0] = rng.normal(0.66, 0.03)
        candidates = [ScoredCoin(str(n), float(score), (), ()) for n, score in enumerate(scores)]
        made.append((sorted(candidates, key=lambda c: -c.score), "0" if known else None))
    return made


FITTED = fit(searches(60, seed=3))


def test_fitted_probabilities_mean_what_they_say() -> None:
    fitted = fit(searches(300, seed=1))
    tops, rights = [], []
    for candidates, coin in searches(400, seed=2):
        tops.append(fitted.of(candidates)[0])
        rights.append(candidates[0].coin == coin)
    top, right = np.array(tops), np.array(rights)
    assert abs(top.mean() - right.mean()) < 0.05
    assert right[top > 0.9].mean() > 0.9
    assert right[top < 0.1].mean() < 0.1


@given(st.lists(st.floats(-1, 1), min_size=0, max_size=40))
def test_probabilities_are_probabilities(scores: list[float]) -> None:
    candidates = [ScoredCoin(str(n), score, (), ()) for n, score in enumerate(sorted(scores, reverse=True))]
    each = FITTED.of(candidates)
    assert len(each) == len(scores)
    assert all(0.0 <= p <= 1.0 for p in each)
    assert sum(each) <= 1.0 + 1e-9


def test_a_large_catalogue_is_its_own_measure() -> None:
    """Scores of another kind of coin or print: lower than those fitted on, all alike."""
    fitted = fit(searches(200, seed=4))
    others = [ScoredCoin(str(n), float(score), (), ()) for n, score in enumerate(np.linspace(0.38, 0.30, 200))]
    assert fitted.of([ScoredCoin("top", 0.48, (), ()), *others])[0] > 0.9
    assert fitted.of(others)[0] < 0.1
    few = [ScoredCoin("top", 0.48, (), ()), *others[:1]]
    assert fitted.of(few)[0] < 0.5, "of a catalogue of two coins little is known"


def test_standing_out_raises_the_probability() -> None:
    fitted = fit(searches(200, seed=4))
    others = [ScoredCoin(str(n), 0.5 + 0.001 * n, (), ()) for n in range(20)]
    rising = [fitted.of([ScoredCoin("top", score, (), ()), *others[::-1]])[0] for score in (0.53, 0.57, 0.61, 0.7)]
    assert rising == sorted(rising)


def test_in_a_catalogue_of_one_the_usual_impostor_is_the_measure() -> None:
    fitted = fit(searches(200, seed=7))
    assert fitted.of([ScoredCoin("a", 0.5, (), ())])[0] < 0.3
    assert fitted.of([ScoredCoin("a", 0.7, (), ())])[0] > 0.7
    like, unlike = evidence([ScoredCoin("a", 0.9, (), ()), ScoredCoin("b", 0.1, (), ())], (0.5, 0.03), 2)
    assert like[0] == pytest.approx(0.4) and unlike[0] == pytest.approx(-0.8)
    assert like[1] > 0 > unlike[1]


def test_parameters_survive_the_card() -> None:
    fitted = fit(searches(60, seed=5))
    assert Probability.from_card({"probability": fitted.as_card()}) == fitted


def test_one_photograph_is_judged_by_a_fit_of_its_own() -> None:
    single = fit(searches(60, seed=8))
    both = dataclasses.replace(FITTED, single=single)
    assert Probability.from_card({"probability": both.as_card()}) == both
    photograph = [ScoredCoin(str(n), 0.6 - 0.01 * n, side_scores=(0.6 - 0.01 * n,)) for n in range(9)]
    scan = [ScoredCoin(str(n), 0.6 - 0.01 * n, side_scores=(0.6 - 0.01 * n, 0.59)) for n in range(9)]
    assert both.of(photograph) == single.of(photograph) != FITTED.of(photograph)
    assert both.of(scan) == FITTED.of(scan)


def test_fitting_needs_both_ends() -> None:
    with pytest.raises(ValueError, match="not"):
        fit([(candidates, None) for candidates, _ in searches(10, seed=6)])


def test_words() -> None:
    words = [verdict(p) for p in (None, 0.0, 0.29, 0.3, 0.89, 0.9, 1.0)]
    assert words == ["not in catalogue"] * 3 + ["possible"] * 2 + ["match"] * 2


def test_the_starters_fit_is_of_the_right_sign(starter: Embedder) -> None:
    fitted = Probability.from_card(starter.card)
    flat = [ScoredCoin(str(n), 0.5 - 0.002 * n, (), ()) for n in range(50)]
    clear = [ScoredCoin("same", 0.9, (), ()), *flat]
    assert fitted.of(flat)[0] < 0.3
    assert fitted.of(clear)[0] > 0.9


def test_the_untuned_backbones_are_fitted_too() -> None:
    fits = json.loads((STARTER_DIR / "fits.json").read_text())
    assert set(fits) >= {"resnet18", "resnet50"}
    for fit_of_one in fits.values():
        fitted = Probability.from_card({"probability": fit_of_one})
        usual, spread = fitted.impostors
        flat = [ScoredCoin(str(n), usual - 0.1 * spread * n, (), ()) for n in range(20)]
        assert fitted.of(flat)[0] < 0.3
        assert fitted.of([ScoredCoin("same", usual + 9 * spread, (), ()), *flat])[0] > 0.9
