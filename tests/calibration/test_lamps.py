"""Which lamp is lit shows in how the plate is lit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from calibration.flat import Flat, flat_field
from calibration.image import Image
from calibration.lamps import likely_light, lit_from
from calibration.outline import Outline, find_coins
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.ring import Led, lamps
from rig.twin.scene import PlacedCoin, Scene

LEDS = 60
SECTORS_DEG = tuple(range(0, 360, 60))


def ring(azimuths_deg: Sequence[int], dead: Sequence[int] = ()) -> list[Led]:
    """The ring of LEDs with some sectors of 60 degrees lit."""

    def lit(led: int) -> bool:
        return led not in dead and any((3 + 6 * led - azimuth + 30) % 360 < 60 for azimuth in azimuths_deg)

    return [(1.0, 5000) if lit(led) else (0.0, 0) for led in range(LEDS)]


@pytest.fixture(scope="module")
def bench() -> Renderer:
    return Renderer(CameraModel(), ProceduralDrawer(), seed=4)


def frame(
    bench: Renderer, leds: list[Led], number: int = 0, exposure_us: float = 20_000
) -> tuple[Image, Outline | None]:
    chance = np.random.default_rng(number)
    x_mm, y_mm = chance.normal(0, 1, 2)
    coin = PlacedCoin(f"2024.1.{number}", "obverse", x_mm, y_mm, chance.uniform(0, 360))
    scene = Scene(plate_angle_deg=chance.uniform(0, 360), coins=(coin,), lamps=lamps(leds, 3.0, 35.0))
    image = bench.render(scene, exposure_us)
    return image, next(iter(find_coins(image)), None)


@pytest.fixture(scope="module")
def flats(bench: Renderer) -> dict[str, Flat]:
    lights = {f"az{azimuth:03d}": ([azimuth], 12_000) for azimuth in SECTORS_DEG} | {"all": (SECTORS_DEG, 2_500)}
    cards = {
        light: bench.render(Scene(target="white card", lamps=lamps(ring(azimuths), 3.0, 35.0)), exposure_us)
        for light, (azimuths, exposure_us) in lights.items()
    }
    return {light: flat_field([card], light) for light, card in cards.items()}


@pytest.mark.parametrize("azimuth_deg", SECTORS_DEG)
def test_where_the_light_comes_from(bench: Renderer, flats: dict[str, Flat], azimuth_deg: int) -> None:
    image, outline = frame(bench, ring([azimuth_deg]), azimuth_deg)
    slope = lit_from(image, outline)
    assert slope is not None
    assert abs((slope.azimuth_deg - azimuth_deg + 180) % 360 - 180) < 12
    assert slope.strength > 0.2
    left = lit_from(image, outline, flats[f"az{azimuth_deg:03d}"])
    assert left is not None
    assert left.strength < 0.05
    found = likely_light(image, outline, flats)
    assert found is not None
    assert found[0] == f"az{azimuth_deg:03d}"
    assert found[1] == left.strength


@pytest.mark.parametrize("other_deg", [60, 120, 180, 300])
def test_another_sector_leaves_a_slope(bench: Renderer, flats: dict[str, Flat], other_deg: int) -> None:
    for number, exposure_us in enumerate((10_000, 40_000)):
        image, outline = frame(bench, ring([other_deg]), number, exposure_us)
        slope = lit_from(image, outline, flats["az000"])
        assert slope is not None
        assert slope.strength > 0.2


def test_dead_leds_leave_a_slope(bench: Renderer, flats: dict[str, Flat]) -> None:
    image, outline = frame(bench, ring([0], dead=[0, 1, 2, 3, 4]))  # half of its sector
    half = lit_from(image, outline, flats["az000"])
    assert half is not None
    assert half.strength > 0.05
    image, outline = frame(bench, ring(SECTORS_DEG, dead=range(20, 40)), exposure_us=4_500)  # a third of all
    third = lit_from(image, outline, flats["all"])
    assert third is not None
    assert third.strength > 0.05
    image, outline = frame(bench, ring(SECTORS_DEG), exposure_us=4_500)
    none = lit_from(image, outline, flats["all"])
    assert none is not None
    assert none.strength < 0.05


def test_it_says_when_it_cannot_tell(bench: Renderer, flats: dict[str, Flat]) -> None:
    image, outline = frame(bench, ring([0]))
    assert lit_from(np.zeros_like(image), None) is None
    assert likely_light(np.zeros_like(image), None, flats) is None
    assert likely_light(image, outline, {}) is None
    everywhere = Outline((640, 480), 900.0, np.ones(image.shape[:2], bool), 1.0)
    assert lit_from(image, everywhere) is None
    with pytest.raises(ValueError, match="another size"):
        lit_from(image[:400], None, flats["az000"])


@pytest.mark.parametrize("size", [(479, 641), (600, 800)])
def test_any_size_and_no_slope_without_light_from_a_side(size: tuple[int, int]) -> None:
    even = np.full((*size, 3), 60, np.uint8)
    slope = lit_from(even, None, flat_field([np.full((*size, 3), 120, np.uint8)], "all"))
    assert slope is not None
    assert slope.strength < 0.005
