"""The surface of the first candidates, with what coins of one design share removed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pytest

from calibration.image import Image
from models.embedding.embedder import Embedder
from models.matching.grid import compare
from models.matching.index import FaissIndex, GalleryEntry
from models.matching.matcher import CoinMatcher
from models.matching.probability import Probability, fit
from models.matching.verification import OTHERS, VERIFIED, Turned, compare_surfaces, surface_scores
from models.matching.views import View
from tests.models.model_coins import crop_of

COINS = range(30)


def unit(grids: npt.NDArray[np.floating]) -> npt.NDArray[np.float16]:
    return (grids / np.linalg.norm(grids, axis=-3, keepdims=True)).astype(np.float16)


def test_what_all_share_does_not_count() -> None:
    rng = np.random.default_rng(4)
    design = rng.normal(size=(32, 14, 14))
    own = rng.normal(size=(VERIFIED + OTHERS, 32, 14, 14))
    coins = unit(design + 0.3 * own)
    query = unit(design + 0.3 * own[2] + 0.2 * rng.normal(size=design.shape))
    by_grid = compare(query[None], coins)[0]
    assert by_grid.min() > 0.8  # the design makes all of them similar
    surfaces = surface_scores(query, coins[:VERIFIED, None], coins[VERIFIED:])
    others = [score for place, score in enumerate(surfaces) if place != 2]
    assert surfaces[2] > 0.6
    assert max(others) < 0.1
    unknown = surface_scores(unit(design + 0.3 * rng.normal(size=design.shape)), coins[:VERIFIED, None], coins[6:])
    assert max(unknown) < 0.1


def test_a_turn_between_two_steps_is_refined(plain: Embedder) -> None:
    crops = [crop_of(coin) for coin in COINS]
    others = [Turned(crop, 0.0) for crop in crops[10:]]
    query = plain.embed([crop_of(3)]).grid[0]
    at_deg = {
        off_deg: compare_surfaces(plain, query, [Turned(crops[3], off_deg)], others)[0] for off_deg in (0.0, 5.0, 20.0)
    }
    assert at_deg[0.0] == pytest.approx(1.0, abs=0.01)
    assert at_deg[5.0] > at_deg[20.0] + 0.1


@pytest.fixture(scope="module")
def catalogue(plain: Embedder) -> FaissIndex:
    index = FaissIndex(plain.id)
    for side, offset in (("obverse", 0), ("reverse", 500)):
        entries = [GalleryEntry(f"{coin + offset}", str(coin), side) for coin in COINS]
        index.add(entries, plain.embed([crop_of(coin + offset) for coin in COINS]))
    return index


def read_crops(entry_ids: Sequence[str]) -> dict[str, Image]:
    return {entry_id: crop_of(int(entry_id)) for entry_id in entry_ids}


def views(coin: int) -> list[View]:
    return [
        View(crop_of(coin + offset, lamp_deg=lamp, turn_deg=70.0), side, 70.0, lamp)
        for side, offset in (("obverse", 0), ("reverse", 500))
        for lamp in (0.0, 120.0, 240.0)
    ]


def test_the_first_candidates_are_verified_on_every_side(plain: Embedder, catalogue: FaissIndex) -> None:
    matcher = CoinMatcher(plain, catalogue, read_crops=read_crops)
    found = matcher.rank_verified(views(11))
    assert found[0].coin == "11"
    assert [len(each.surfaces) for each in found[:VERIFIED]] == [2] * VERIFIED
    assert not any(each.surfaces for each in found[VERIFIED:])
    both = [(each.surface or 0.0) + each.score for each in found[:VERIFIED]]
    assert both == sorted(both, reverse=True)
    alone = matcher.rank_verified([View(crop_of(11, turn_deg=33.0))])
    assert alone[0].coin == "11" and len(alone[0].surfaces) == 1


def test_nothing_is_verified_where_too_few_others_show_the_design(plain: Embedder, catalogue: FaissIndex) -> None:
    small = FaissIndex(plain.id)
    rows = np.arange(10)
    small.add([catalogue.entries[row] for row in rows], plain.embed([crop_of(coin) for coin in range(10)]))
    matcher = CoinMatcher(plain, small, read_crops=read_crops)
    assert matcher.rank_verified(views(3)[:3]) == matcher.rank(views(3)[:3])


def test_an_entry_whose_image_cannot_be_read_keeps_its_place(plain: Embedder, catalogue: FaissIndex) -> None:
    def all_but_one(entry_ids: Sequence[str]) -> dict[str, Image]:
        return {entry_id: crop for entry_id, crop in read_crops(entry_ids).items() if entry_id != "511"}

    found = CoinMatcher(plain, catalogue, read_crops=all_but_one).rank_verified(views(11))
    assert not next(each for each in found if each.coin == "11").surfaces


def test_a_surface_raises_the_probability(plain: Embedder, catalogue: FaissIndex) -> None:
    matcher = CoinMatcher(plain, catalogue, read_crops=read_crops)
    searches = [(matcher.rank_verified(views(coin)), str(coin)) for coin in range(0, 30, 3)]
    fitted = fit(searches)
    assert fitted.verifies
    assert Probability.from_card({"probability": fitted.as_card()}) == fitted
    ranked, coin = searches[1]
    assert ranked[0].coin == coin
    assert fitted.of(ranked)[0] > 0.5
    absent = [each for each in ranked if each.coin != coin]
    assert fitted.of_first(absent) < 0.1
