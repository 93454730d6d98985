"""Names of the catalogue that are one coin: found among each other, and never each other's rivals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.matching.fusion import Hit, ScoredCoin, fuse
from models.matching.index import GalleryEntry
from models.matching.probability import fit
from models.matching.same_coin import (
    LINKED,
    CoinLinks,
    group_names,
    link_candidates,
    link_names,
    names_to_compare,
    weigh_rival,
)
from tests.models.matching.test_probability import searches

FITTED = fit(searches(120, seed=3))
OTHERS = np.random.default_rng(1).normal(0.5, 0.03, 30)


def ranked(lots: dict[str, float], others: np.ndarray = OTHERS) -> list[ScoredCoin]:
    scores = lots | {f"other {n}": float(score) for n, score in enumerate(others)}
    return sorted((ScoredCoin(name, score) for name, score in scores.items()), key=lambda each: -each.score)


def both_ways(*names: str) -> CoinLinks:
    return CoinLinks({name: {other: 0.95 for other in names if other != name} for name in names})


def test_of_a_coin_sold_six_times_every_lot_is_linked() -> None:
    lots = {f"lot {n}": 0.71 - 0.01 * n for n in range(5)}
    found = link_candidates(ranked(lots), FITTED)
    assert all(found[lot] >= LINKED for lot in lots)
    assert all(chance < LINKED for name, chance in found.items() if name not in lots)
    assert names_to_compare(ranked(lots), FITTED) == list(lots)


def test_nothing_is_linked_where_nothing_stands_out_nor_in_a_catalogue_of_few() -> None:
    assert all(chance < LINKED for chance in link_candidates(ranked({}), FITTED).values())
    assert link_candidates([], FITTED) == {} and names_to_compare([], FITTED) == []
    few = ranked({"a": 0.52}, OTHERS[:3])
    assert len(link_candidates(few, FITTED)) == 2, "the last would be compared with nothing"


def test_a_lot_that_shows_one_side_is_judged_by_that_side() -> None:
    both, one = (
        {f"other {n}": Hit(float(score), GalleryEntry(f"{n}", f"other {n}"), 0.0) for n, score in enumerate(scores)}
        for scores in (OTHERS, OTHERS[::-1])
    )
    both["lot"] = Hit(0.68, GalleryEntry("obverse", "lot"), 0.0)
    assert link_names([both, one], FITTED)["lot"] == link_names([both], FITTED)["lot"] >= LINKED


def test_both_directions_count() -> None:
    links = CoinLinks({"a": {"b": 0.9}, "b": {"a": 0.7}, "c": {"a": 0.9}})
    assert links.probability("a", "b") == links.probability("b", "a") == pytest.approx(0.8)
    assert links.probability("a", "c") == pytest.approx(0.45)
    assert links.pairs() == (("a", "b", pytest.approx(0.8)),)


def test_a_second_sale_does_not_lower_the_probability_and_is_named() -> None:
    once, twice = ranked({"lot 1": 0.66}), ranked({"lot 1": 0.66, "lot 2": 0.65})
    assert FITTED.of(twice)[0] < 0.6 < FITTED.of(once)[0], "as rivals they would lower it"
    groups = group_names(twice, both_ways("lot 1", "lot 2"), FITTED)
    assert groups["lot 1"] == {"lot 2": pytest.approx(0.95)} and "lot 2" not in groups
    assert len(groups) == 31


def test_a_query_that_two_names_resemble_links_them_where_they_may_be_one_coin() -> None:
    both = ranked({"lot 1": 0.66, "lot 2": 0.65})
    likely, unlikely = (CoinLinks({"lot 1": {"lot 2": p}, "lot 2": {"lot 1": p}}) for p in (0.4, 0.0))
    assert "lot 2" in group_names(both, likely, FITTED)["lot 1"]
    assert group_names(both, unlikely, FITTED)["lot 1"] == {}
    alone = ranked({"lot 1": 0.66, "lot 2": 0.51})
    assert group_names(alone, likely, FITTED)["lot 1"] == {}, "the query resembles only one of them"


def test_what_may_be_another_lot_is_a_rival_only_as_far_as_it_is_not() -> None:
    both, alone = ranked({"lot 1": 0.66, "lot 2": 0.65}), FITTED.of(ranked({"lot 1": 0.66}))[0]
    rivals = FITTED.of(both)

    def weighed(known: float, decided: bool | None = None) -> list[float]:
        decisions = {} if decided is None else {frozenset(("lot 1", "lot 2")): decided}
        links = CoinLinks({"lot 1": {"lot 2": known}, "lot 2": {"lot 1": known}}, decisions)
        return weigh_rival(both, {each.coin: {} for each in both}, links, FITTED)

    assert rivals[0] < weighed(0.05)[0] < weighed(0.2)[0] < alone + 1e-9
    assert all(sum(weighed(known)) <= 1.0 + 1e-9 for known in (0.0, 0.2, 0.5, 1.0))
    assert weighed(0.5, decided=False) == rivals, "a person knows that they are two coins"
    assert FITTED.of([]) == weigh_rival([], {}, CoinLinks(), FITTED) == []


@given(first=st.floats(0.4, 0.9), later=st.lists(st.floats(0.3, 0.9), min_size=1, max_size=5))
def test_no_further_sale_ever_lowers_the_probability(first: float, later: list[float]) -> None:
    names = ["lot 0", *(f"lot {n}" for n in range(1, len(later) + 1))]
    hits = {name: Hit(score, GalleryEntry(name, name), 0.0) for name, score in zip(names, [first, *later], strict=True)}
    hits |= {f"other {n}": Hit(float(s), GalleryEntry(f"o{n}", f"other {n}"), 0.0) for n, s in enumerate(OTHERS)}
    links = both_ways(*names)

    def chance(searched: dict[str, Hit]) -> float:
        groups = group_names(fuse([searched]), links, FITTED)
        coins = fuse([searched], {name: best for best, others in groups.items() for name in others})
        return max(p for coin, p in zip(coins, FITTED.of(coins), strict=True) if coin.coin in names)

    assert chance(hits) >= chance({name: hit for name, hit in hits.items() if name not in names[1:]}) - 1e-9


def test_a_coin_whose_sides_were_printed_in_two_sales_is_seen_whole() -> None:
    obverse = {"lot 1": Hit(0.7, GalleryEntry("1o", "lot 1"), 10.0), "x": Hit(0.5, GalleryEntry("xo", "x"), 0.0)}
    reverse = {"lot 2": Hit(0.7, GalleryEntry("2r", "lot 2"), 20.0), "x": Hit(0.5, GalleryEntry("xr", "x"), 0.0)}
    best = fuse([obverse, reverse], {"lot 2": "lot 1"})[0]
    assert (best.coin, best.entries, best.turns_deg) == ("lot 1", ("1o", "2r"), (10.0, 20.0))
    assert best.score == pytest.approx(0.7) and fuse([obverse, reverse])[0].score == pytest.approx(0.6)
