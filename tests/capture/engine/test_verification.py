"""Pose and light are believed only where the frame shows them."""

from __future__ import annotations

from functools import cache

import pytest

from calibration.flat import Flat, flat_field
from calibration.image import Image
from capture.quality import Expected, Limits, check
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene
from tests.variants import usually

AZIMUTHS_DEG = range(0, 360, 60)


@cache
def renderer() -> Renderer:
    return Renderer(CameraModel(), ProceduralDrawer(0), seed=1)


@cache
def flats() -> dict[str, Flat]:
    cards = {
        f"az{azimuth:03d}": renderer().render(Scene(target="white card", lamps=(Lamp(azimuth, 35, 1.0),)), 14_000)
        for azimuth in AZIMUTHS_DEG
    }
    return {light: flat_field([card], light) for light, card in cards.items()}


def frame(plate_deg: float, azimuth_deg: float, coin: str = "2024.1.1", x_mm: float = 0.8) -> Image:
    coins = (PlacedCoin(coin, "obverse", x_mm, -0.5, 40),)
    return renderer().render(Scene(plate_angle_deg=plate_deg, coins=coins, lamps=(Lamp(azimuth_deg, 35, 1.0),)), 20_000)


@pytest.mark.parametrize("plate_deg", usually((0.0, 359.8), (0.0, 90.0, 179.9, 359.8)))
@pytest.mark.parametrize("azimuth_deg", [0, 180, 300])
def test_what_was_asked_for_is_good(plate_deg: float, azimuth_deg: int) -> None:
    expected = Expected(plate_deg, f"az{azimuth_deg:03d}", flats())
    quality = check(frame(plate_deg, azimuth_deg), expected=expected)
    assert quality.is_good, quality.reasons
    assert (quality.metrics["plate_deg"] - plate_deg + 180) % 360 - 180 == pytest.approx(0, abs=0.1)
    assert quality.metrics["light_slope"] < 0.05
    assert "likely_light" not in quality.metrics


@pytest.mark.parametrize("stands_deg", [88.7, 45.0, 270.0])
def test_a_plate_that_stands_elsewhere_though_the_turntable_says_otherwise(stands_deg: float) -> None:
    quality = check(frame(stands_deg, 60), angle_error_deg=0.02, expected=Expected(90.0, "az060", flats()))
    assert quality.reasons == ("wrong angle",)
    assert quality.metrics["plate_deg"] == pytest.approx(stands_deg, abs=0.1)


def test_the_tolerance_can_be_set() -> None:
    image, expected = frame(90.5, 60), Expected(90.0, "az060", flats())
    assert check(image, expected=expected).is_good
    assert check(image, expected=expected, limits=Limits(max_angle_error_deg=0.3)).reasons == ("wrong angle",)


def test_a_ring_that_was_glued_on_at_another_angle() -> None:
    limits = Limits(ring_zero_deg=-30.0)
    assert check(frame(330.0, 60), expected=Expected(0.0, "az060", flats()), limits=limits).is_good
    assert check(frame(0.0, 60), expected=Expected(0.0, "az060", flats()), limits=limits).reasons == ("wrong angle",)


@pytest.mark.parametrize("lit_deg", [0, 120, 240])
def test_another_lamp_is_named(lit_deg: int) -> None:
    quality = check(frame(0, lit_deg), expected=Expected(0.0, "az060", flats()))
    assert quality.reasons == ("wrong light",)
    assert quality.metrics["likely_light"] == f"az{lit_deg:03d}"


def test_both_wrong() -> None:
    quality = check(frame(10, 180), expected=Expected(0.0, "az060", flats()))
    assert quality.reasons == ("wrong angle", "wrong light")


def test_nothing_is_held_against_what_cannot_be_seen() -> None:
    image = frame(0, 60)
    image[:190], image[-190:], image[:, :290], image[:, -290:] = 20, 20, 20, 20  # the ring is hidden
    quality = check(image, expected=Expected(90.0, "az060", {}))
    assert quality.is_good, quality.reasons
    assert quality.metrics["plate_markers"] == 0
    assert "plate_deg" not in quality.metrics
    assert "light_slope" not in quality.metrics


def test_a_bare_plate_shows_its_angle_too() -> None:
    bare = renderer().render(Scene(plate_angle_deg=20, lamps=(Lamp(60, 35, 1.0),)), 20_000)
    assert check(bare, expected=Expected(0.0, "az060", flats())).reasons == ("wrong angle", "no coin")


def test_nothing_is_measured_unasked() -> None:
    assert "plate_markers" not in check(frame(45, 60)).metrics
