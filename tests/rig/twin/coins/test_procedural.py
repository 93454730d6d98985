"""Coins out of nothing: the same ones everywhere, alike within a type, each its own."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.procedural import coin_type, procedural_side
from rig.twin.coins.surface import MARGIN, Surface
from tests.variants import usually

TRAY = [f"2024.1.{number}" for number in range(1, 206)]


def _similarity(one: Surface, other: Surface) -> float:
    """Correlation of two reliefs inside both coins, with the rounding of the flan kept out."""
    size = one.height_mm.shape[0]
    axis = np.linspace(-MARGIN, MARGIN, size)
    inside = np.hypot(axis[None, :], axis[:, None]) < 0.8
    return float(np.corrcoef(one.height_mm[inside], other.height_mm[inside])[0, 1])


def test_same_name_same_coin() -> None:
    one, again = procedural_side("2024.1.11", "obverse", seed=4), procedural_side("2024.1.11", "obverse", seed=4)
    assert (one.albedo == again.albedo).all()
    assert (one.height_mm == again.height_mm).all()
    assert one.diameter_mm == again.diameter_mm


def test_seed_and_name_make_another_coin() -> None:
    one = procedural_side("2024.1.11", "obverse")
    for other in (procedural_side("2024.1.11", "obverse", seed=1), procedural_side("2024.1.12", "obverse")):
        assert _similarity(one, other) < 0.9


def test_two_hundred_coins_share_some_sixty_types() -> None:
    types = Counter(coin_type(coin) for coin in TRAY)
    assert 50 <= len(types) <= 60
    assert max(types.values()) >= 4


@pytest.mark.slow
def test_coins_of_a_type_look_alike_and_yet_differ() -> None:
    by_type: dict[int, list[str]] = {}
    for coin in TRAY:
        by_type.setdefault(coin_type(coin), []).append(coin)
    largest = sorted(by_type.values(), key=len)[-4:]
    within, between = [], []
    for coins in largest:
        surfaces = [procedural_side(coin, "reverse") for coin in coins[:3]]
        within += [_similarity(surfaces[0], surfaces[1]), _similarity(surfaces[0], surfaces[2])]
        between += [
            _similarity(surfaces[0], procedural_side(other[0], "reverse")) for other in largest if other != coins
        ]
    assert np.mean(within) > np.mean(between) + 0.1
    assert max(within) < 0.97


@pytest.mark.parametrize("coin", usually(TRAY[:2], TRAY[:6]))
def test_surface_is_whole(coin: str) -> None:
    obverse, reverse = procedural_side(coin, "obverse"), procedural_side(coin, "reverse")
    for surface in (obverse, reverse):
        assert np.linalg.norm(surface.normals, axis=2) == pytest.approx(1, abs=1e-3)
        assert np.isfinite(surface.height_mm).all()
        assert surface.albedo.min() > 0
        assert surface.albedo.max() <= 0.9
        assert 0.55 < surface.coverage.mean() < 0.75
        assert 16 < surface.diameter_mm < 28
        relief = surface.height_mm[surface.coverage > 0.9]
        assert np.percentile(relief, 99) - np.percentile(relief, 30) > 0.15
    # One flan: its two sides are each other's mirror image, about one axis or the other.
    mirrored = (reverse.coverage[:, ::-1], reverse.coverage[::-1])
    assert min(float(np.abs(obverse.coverage - side).mean()) for side in mirrored) < 1e-6
    assert obverse.diameter_mm == reverse.diameter_mm


def test_drawer_names_types() -> None:
    drawer = ProceduralDrawer(seed=2)
    assert drawer.coin_type("a") == f"type {coin_type('a', 2):02d}"
    assert drawer.side_texture("a", "obverse") is drawer.side_texture("a", "obverse")
