"""Light on relief."""

from __future__ import annotations

import numpy as np
import pytest

from rig.twin.coins.drawer import Drawer
from rig.twin.coins.surface import beam_from, lit_fraction, shade


def test_flat_matte_disc_follows_lambert(known_coins: Drawer) -> None:
    coin = known_coins.side_texture("flat", "obverse")
    for elevation_deg in (20, 45, 90):
        light = shade(coin, [beam_from(30, elevation_deg, (1.0, 0.5, 0.25))])
        expected = 0.2 * np.sin(np.radians(elevation_deg)) * np.array([1.0, 0.5, 0.25])
        assert light[120, 60] == pytest.approx(expected, rel=1e-3)


def test_lamps_add_up(known_coins: Drawer) -> None:
    coin = known_coins.side_texture("domed", "obverse")
    one, other = beam_from(0, 40, (1, 1, 1)), beam_from(120, 40, (1, 1, 1))
    apart = shade(coin, [one]) + shade(coin, [other])
    assert np.abs(shade(coin, [one, other]) - apart).max() < 1e-5


def test_wall_shades_what_lies_behind_it() -> None:
    height = np.zeros((100, 100), np.float32)
    height[:, 50:53] = 1.0
    lit = lit_fraction(height, 0.1, beam_from(0, 45, (1, 1, 1)).direction)  # light from the right
    assert lit[50, 70] == pytest.approx(1)
    assert lit[50, 45] == pytest.approx(0)
    assert lit[50, 20] == pytest.approx(1)  # 3 mm away, a wall of 1 mm at 45 degrees shades 1 mm
