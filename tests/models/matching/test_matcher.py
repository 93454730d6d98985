"""Which catalogue coin is this: the search over turns, lights and sides."""

from __future__ import annotations

import numpy as np
import pytest

from models.embedding.embedder import Embedder
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import GalleryEntry, Where
from models.matching.matcher import CoinMatcher
from models.matching.views import CATALOGUE_LAMP_DEG, View, crops_at_turns
from tests.models.model_coins import crop_of

COINS = range(24)


@pytest.fixture(scope="module")
def catalogue(plain: Embedder) -> FaissIndex:
    """Both sides of each coin, upright, lit as catalogues do; the reverse is another relief."""
    index = FaissIndex(plain.id)
    for side, offset in (("obverse", 0), ("reverse", 500)):
        entries = [GalleryEntry(f"{coin}-{side}", str(coin), side) for coin in COINS]
        index.add(entries, plain.embed([crop_of(coin + offset) for coin in COINS]))
    return index


@pytest.mark.parametrize("turn_deg", [0.0, 50.0, 213.0])
def test_one_photograph_at_any_turn(plain: Embedder, catalogue: FaissIndex, turn_deg: float) -> None:
    found = CoinMatcher(plain, catalogue).rank([View(crop_of(7, turn_deg=turn_deg, lamp_deg=120.0 + turn_deg))])
    assert found[0].coin == "7"
    assert found[0].entries == ("7-obverse",)
    back = (found[0].turns_deg[0] + turn_deg + 180.0) % 360.0 - 180.0
    assert abs(back) <= 10.0
    assert sorted((candidate.score for candidate in found), reverse=True) == [c.score for c in found]
    assert len({candidate.coin for candidate in found}) == len(found) == len(COINS)


def test_the_lamp_that_suits_the_turn_is_chosen() -> None:
    lamps = [0.0, 60.0, 120.0, 180.0, 240.0, 300.0]
    marked = [View(np.full((224, 224, 3), n, np.uint8), "obverse", 90.0, lamp) for n, lamp in enumerate(lamps)]
    for step, crop in enumerate(crops_at_turns(marked)):
        lamp = lamps[crop[112, 112, 0]] + 10.0 * step - 90.0
        assert abs((lamp - CATALOGUE_LAMP_DEG + 180.0) % 360.0 - 180.0) <= 30.0


def test_many_lights_and_both_sides_say_more_than_one(plain: Embedder, catalogue: FaissIndex) -> None:
    views = [
        View(crop_of(11 + offset, lamp_deg=lamp, turn_deg=70.0 + table), side, table, lamp)
        for side, offset in (("obverse", 0), ("reverse", 500))
        for table in (0.0, 90.0)
        for lamp in (0.0, 90.0, 180.0, 270.0)
    ]
    fused = CoinMatcher(plain, catalogue).rank(views)
    assert fused[0].coin == "11"
    assert set(fused[0].entries) == {"11-obverse", "11-reverse"}
    assert len(fused[0].turns_deg) == 2
    worst = CoinMatcher(plain, catalogue).rank([views[0]])
    assert fused[0].score - fused[1].score > 0
    assert fused[0].score >= worst[0].score - 0.1


def test_photographs_of_unknown_turn_are_all_heard(plain: Embedder, catalogue: FaissIndex) -> None:
    hard = View(crop_of(3, noise=60.0))
    clear = View(crop_of(5, turn_deg=130.0, lamp_deg=265.0))
    reverse = View(crop_of(505, turn_deg=40.0, lamp_deg=175.0))
    found = CoinMatcher(plain, catalogue).rank([hard, clear, reverse])
    assert found[0].coin == "5"
    assert len(found[0].side_scores) == 3
    assert found[0].score == pytest.approx(np.mean(found[0].side_scores))


def test_sides_are_only_compared_with_their_own(plain: Embedder, catalogue: FaissIndex) -> None:
    found = CoinMatcher(plain, catalogue).rank([View(crop_of(3), "reverse")])
    assert all(entry.endswith("reverse") for candidate in found for entry in candidate.entries)


def test_only_what_is_asked_for_is_a_candidate(plain: Embedder, catalogue: FaissIndex) -> None:
    found = CoinMatcher(plain, catalogue).rank([View(crop_of(3))], Where(side="reverse", but_coin="3"))
    assert {candidate.coin for candidate in found} == {str(coin) for coin in COINS if coin != 3}
    assert all(entry.endswith("reverse") for candidate in found for entry in candidate.entries)


def test_a_short_shortlist_keeps_the_likely(plain: Embedder, catalogue: FaissIndex) -> None:
    found = CoinMatcher(plain, catalogue, shortlist=6).rank([View(crop_of(9), "obverse")])
    assert len(found) == 6
    assert found[0].coin == "9"


def test_nothing_to_compare(plain: Embedder, catalogue: FaissIndex) -> None:
    assert CoinMatcher(plain, FaissIndex(plain.id)).rank([View(crop_of(1))]) == []
    assert CoinMatcher(plain, catalogue).rank([]) == []
