"""A coin years later: what it was struck as stays, what wore and stained it does not."""

from __future__ import annotations

import numpy as np

from rig.twin.coins.ageing import aged
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.surface import Array


def correlation(one: Array, other: Array) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_an_aged_coin_keeps_its_relief_and_not_its_colour() -> None:
    drawer = ProceduralDrawer(5)
    coin = drawer.side_texture("a", "obverse")
    later, again = aged(coin, np.random.default_rng(1)), aged(coin, np.random.default_rng(1))
    assert np.array_equal(later.height_mm, again.height_mm) and np.array_equal(later.albedo, again.albedo)
    on_coin = coin.coverage > 0.9
    assert correlation(later.height_mm[on_coin], coin.height_mm[on_coin]) > 0.8
    assert np.abs(later.albedo - coin.albedo)[on_coin].mean() > 0.01
    assert np.linalg.norm(later.normals, axis=2).max() <= 1.0 + 1e-3
    assert (
        later.albedo.min() > 0 and later.albedo.max() <= 0.9 and 0 <= later.specular.min() <= later.specular.max() <= 1
    )
    assert np.array_equal(later.coverage, coin.coverage)


def test_what_stood_highest_has_worn_most() -> None:
    coin = ProceduralDrawer(5).side_texture("b", "obverse")
    lost = np.mean([coin.height_mm - aged(coin, np.random.default_rng(seed)).height_mm for seed in range(4)], axis=0)
    on_coin = coin.coverage > 0.9
    high = np.quantile(coin.height_mm[on_coin], 0.95)
    assert lost[on_coin & (coin.height_mm > high)].mean() > lost[on_coin].mean()
