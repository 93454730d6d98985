"""Telling a coin's sides, and other coins, apart by an earlier picture of it."""

from __future__ import annotations

import pytest

from calibration.image import Image
from capture.recognise import SAME_SIDE, agreement
from rig.twin.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene, Side

RENDERER = Renderer(CameraModel(), ProceduralDrawer(0))


def picture(coin: str, side: Side, rotation_deg: float) -> Image:
    scene = Scene(coins=(PlacedCoin(coin, side, 0.6, -0.4, rotation_deg),), lamps=(Lamp(120, 35, 1.0),))
    return RENDERER.render(scene, 20_000)


@pytest.mark.parametrize("coin", ["2024.1.1", "2024.1.2", "2024.1.3"])
def test_same_side_other_side_other_coin(coin: str) -> None:
    known = picture(coin, "obverse", 30)
    assert agreement(picture(coin, "obverse", 30), known) > 0.8
    assert agreement(picture(coin, "obverse", 250), known) > SAME_SIDE
    assert agreement(picture(coin, "reverse", 30), known) < SAME_SIDE
    assert agreement(picture("2024.1.4", "obverse", 30), known) < SAME_SIDE
