"""What candidates that were laid on the query say."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.matching.registration import Registration
from models.matching.relation import SideComparison
from models.matching.verification import Comparisons, is_open, judge, shipped_verification

COIN, DIE, TYPE, NOTHING = np.log(np.full((4, 4), 0.004) + 0.984 * np.eye(4))


def laid(*likelihoods: np.ndarray, points: int = 300) -> Comparisons:
    """Comparisons of so many sides, each of which says this."""
    agree = np.zeros((points, 2), np.float32)
    return tuple(SideComparison(Registration(np.eye(2, 3), agree, agree), each) for each in likelihoods)


def weigh(chances: list[float], compared: dict[int, Comparisons]) -> list[float]:
    return shipped_verification().weigh(chances, compared)


def test_the_candidate_that_the_surface_speaks_for_gains() -> None:
    first, second, third = weigh([0.4, 0.4, 0.05], {0: laid(TYPE), 1: laid(COIN), 2: laid(NOTHING)})
    assert second > 0.7 and first < 0.1 and third < 0.01
    by_surface = weigh([0.4, 0.4], {0: laid(DIE), 1: laid(COIN)})
    assert by_surface[1] > 10 * by_surface[0]


def test_points_that_agree_are_the_design_and_say_nothing_by_themselves() -> None:
    few, many = (weigh([0.5, 0.1], {0: laid(COIN, points=points)}) for points in (60, 600))
    assert few == many


def test_a_coin_of_one_die_is_no_match_however_sure_the_search_is() -> None:
    for sides in ((DIE, DIE), (DIE, TYPE), (TYPE, TYPE), (DIE,)):
        assert weigh([0.99999999], {0: laid(*sides, points=200)})[0] < 0.9
        assert weigh([0.9], {0: laid(*sides, points=200)})[0] < 0.5
    assert weigh([0.99999], {0: laid(COIN, COIN)})[0] > 0.99


def test_both_sides_say_more_than_one() -> None:
    for says, chance, direction in ((COIN, 0.5, 1), (DIE, 0.9, -1)):
        one, both = (weigh([chance], {0: laid(*sides)})[0] for sides in ((says,), (says, says)))
        assert direction * (both - one) > 0.02


def test_a_coin_on_which_no_point_agrees_is_hardly_the_same() -> None:
    assert weigh([0.6], {0: laid(NOTHING, points=5)})[0] < 0.1


def test_the_verdict_names_a_shared_die_but_only_of_another_coin() -> None:
    assert judge(0.05, laid(DIE)) == judge(0.05, laid(DIE, TYPE)) == "same die"
    assert judge(0.05, laid(TYPE, NOTHING)) == judge(0.05, ()) == judge(None, ()) == "not in catalogue"
    assert judge(0.95, laid(DIE)) == "match" and judge(0.5, laid(DIE)) == "possible"


def test_what_was_not_verified_keeps_its_weight() -> None:
    assert weigh([0.5, 0.2], {}) == [0.5, 0.2]
    assert weigh([0.5, 0.2], {0: (None,)}) == [0.5, 0.2], "an image that cannot be read is no evidence"
    assert weigh([0.5], {0: (None, *laid(COIN))}) == weigh([0.5], {0: laid(COIN)})
    assert is_open(0.3) and not is_open(0.001)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.sampled_from([COIN, DIE, TYPE, NOTHING])), max_size=6), st.floats(0.01, 1.0)
)
def test_probabilities_stay_probabilities(drawn: list[tuple[float, np.ndarray]], known: float) -> None:
    total = max(1.0, sum(chance for chance, _ in drawn) / known)
    chances = [chance / total for chance, _ in drawn]
    weighed = weigh(chances, {place: laid(likelihoods) for place, (_, likelihoods) in enumerate(drawn)})
    assert all(0.0 <= chance <= 1.0 for chance in weighed) and sum(weighed) <= 1.0 + 1e-9
