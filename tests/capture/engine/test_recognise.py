"""A coin's sides are recognised by earlier images of it, and other coins are not."""

from __future__ import annotations

import pytest

from capture.engine.recognise import SAME_SIDE, Portrait, mean_of, portrait, similarity
from rig.sides import Side
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene

OPTICS = CameraModel(width_px=640, height_px=480, focal_px=2650.0, centre_px=(322.7, 237.0))
RENDERER = Renderer(OPTICS, ProceduralDrawer(0))
ALL_ROUND = (0.0, 120.0, 240.0)


def seen(coin: str, side: Side, rotation_deg: float, lights_deg: tuple[float, ...] = ALL_ROUND) -> Portrait:
    scene = Scene(coins=(PlacedCoin(coin, side, 0.6, -0.4, rotation_deg),))
    lit = [Scene(coins=scene.coins, lamps=(Lamp(azimuth_deg, 35, 1.0),)) for azimuth_deg in lights_deg]
    return portrait(mean_of([RENDERER.render(each, 20_000) for each in lit]))


@pytest.mark.parametrize("coin", ["2024.1.1", "2024.1.2"])
def test_same_side_other_side_other_coin(coin: str) -> None:
    known = seen(coin, "obverse", 30)
    assert similarity(seen(coin, "obverse", 30), known) > 0.98
    assert similarity(seen(coin, "obverse", 251), known) > SAME_SIDE + 0.1
    assert similarity(seen(coin, "reverse", 30), known) < SAME_SIDE - 0.1
    assert similarity(seen("2024.1.4", "obverse", 30), known) < SAME_SIDE - 0.1


def test_coins_of_one_type_are_distinguished() -> None:
    drawer = ProceduralDrawer(0)
    names = [f"1994.{number}" for number in range(600)]
    alike = [name for name in names if drawer.coin_type(name) == drawer.coin_type(names[0])]
    assert len(alike) >= 3
    known = seen(alike[0], "obverse", 0)
    for other in alike[1:3]:
        assert similarity(seen(other, "obverse", 100), known) < SAME_SIDE - 0.1


def test_a_single_light_tells_only_where_it_comes_from_the_same_side() -> None:
    known = seen("2024.1.1", "obverse", 0, (0.0,))
    assert similarity(seen("2024.1.1", "obverse", 12, (0.0,)), known) > SAME_SIDE
    assert similarity(seen("2024.1.1", "obverse", 180, (0.0,)), known) < SAME_SIDE
    assert similarity(seen("2024.1.1", "obverse", 180, (180.0,)), known) > SAME_SIDE
