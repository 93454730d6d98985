"""What the surface says is weighed by searches whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from models.matching.weighing import LIMIT, Compared, Weights


def searches(count: int, trust: float) -> list[Compared]:
    """Searches for three candidates each, half of them with the coin, of which the surface says so much on average."""
    rng, made = np.random.default_rng(4), []
    for number in range(count):
        right = int(rng.integers(3)) if number % 2 else None
        surface = rng.normal([trust if place == right else -trust for place in range(3)], 1.0)
        made.append(Compared(np.full(3, 0.2), surface, 0.4, right))
    return made


def test_what_the_surface_says_counts_as_much_as_it_was_right() -> None:
    sure, unsure = (Weights.fit(searches(400, trust)) for trust in (2.0, 0.3))
    assert sure.terms[1] > unsure.terms[1] > 0 and sure.terms[2] > unsure.terms[2] > 0
    found = sure.log_ratios(np.array([3.0, 0.0, -3.0, 900.0]))
    assert found[0] > found[1] > found[2] and found[3] <= LIMIT
    assert Weights.from_card(sure.as_card()).terms == pytest.approx(sure.terms, abs=1e-5)


def test_searches_that_all_have_their_coin_teach_nothing() -> None:
    with pytest.raises(ValueError, match="that are not"):
        Weights.fit([each for each in searches(10, 2.0) if each.right is not None])
