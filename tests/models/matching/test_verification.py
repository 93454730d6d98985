"""What candidates that were laid on the query say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.matching.registration import Registration
from models.matching.verification import Registrations, is_open, weigh


def laid(*inliers: int) -> Registrations:
    """Registrations with so many points each."""
    points = (np.zeros((each, 2), np.float32) for each in inliers)
    return tuple(Registration(np.eye(2, 3), each, each) for each in points)


def test_the_candidate_that_more_points_speak_for_gains() -> None:
    first, second, third = weigh([0.4, 0.4, 0.05], {0: laid(8), 1: laid(240), 2: laid(12)})
    assert second > 0.7 and first < 0.1 and third < 0.01


def test_points_that_all_candidates_have_are_the_design_and_name_none() -> None:
    alike = weigh([0.4, 0.3, 0.2], {0: laid(150), 1: laid(150), 2: laid(150)})
    assert alike == sorted(alike, reverse=True) and alike[0] < 0.4
    assert weigh([0.5, 0.1], {0: laid(150), 1: laid(12)})[0] > weigh([0.5, 0.1], {0: laid(150), 1: laid(140)})[0]


def test_a_coin_on_which_no_point_agrees_is_hardly_the_same() -> None:
    assert weigh([0.6], {0: laid(5)})[0] < 0.1
    assert weigh([0.6], {0: laid(0, 0)})[0] < 0.1


def test_what_was_not_verified_keeps_its_weight() -> None:
    assert weigh([0.5, 0.2], {}) == [0.5, 0.2]
    assert weigh([0.5, 0.2], {0: (None,)}) == [0.5, 0.2], "an image that cannot be read is no evidence"
    assert weigh([0.5], {0: (None, *laid(300))}) == weigh([0.5], {0: laid(300)})
    assert is_open(0.3) and not is_open(0.001)


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 400)), max_size=6), st.floats(0.01, 1.0))
def test_probabilities_stay_probabilities(drawn: list[tuple[float, int]], known: float) -> None:
    total = max(1.0, sum(chance for chance, _ in drawn) / known)
    chances = [chance / total for chance, _ in drawn]
    weighed = weigh(chances, {place: laid(inliers) for place, (_, inliers) in enumerate(drawn)})
    assert all(0.0 <= chance <= 1.0 for chance in weighed) and sum(weighed) <= 1.0 + 1e-9
