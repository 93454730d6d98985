"""The quality check passes what is good and says why the rest is not, on frames the twin renders."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from calibration.image import Image
from capture.quality import Limits, check
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene
from tests.variants import usually

COINS = [f"2024.1.{number}" for number in range(5)]


@cache
def renderer(focus_height_mm: float = 2.0) -> Renderer:
    return Renderer(CameraModel(focus_height_mm=focus_height_mm), ProceduralDrawer(0), seed=1)


def frame(
    *coins: str, azimuth_deg: float = 60.0, exposure_us: int = 20_000, focus_mm: float = 2.0, **place: float
) -> Image:
    lying = [
        PlacedCoin(
            coin, "obverse", **({"x_mm": 26.0 * n - 13 * (len(coins) - 1), "y_mm": 0.5, "rotation_deg": 40} | place)
        )
        for n, coin in enumerate(coins)
    ]
    scene = Scene(coins=tuple(lying), lamps=(Lamp(azimuth_deg, 35.0, 1.0),))
    return renderer(focus_mm).render(scene, exposure_us)


@pytest.mark.parametrize("coin", usually(COINS[:2], COINS))
@pytest.mark.parametrize("azimuth_deg", [0.0, 120.0, 240.0])
def test_a_good_frame_under_any_lamp(coin: str, azimuth_deg: float) -> None:
    quality = check(frame(coin, azimuth_deg=azimuth_deg), frame(coin))
    assert quality.is_good, quality.reasons
    assert quality.outline is not None
    assert quality.metrics["coins"] == 1
    x, y = quality.metrics["centre_px"]
    assert np.hypot(x - 645.5, y - 474 + 0.5 / CameraModel().mm_per_pixel) < 15


@pytest.mark.parametrize("coin", usually(COINS[:2], COINS))
def test_out_of_focus(coin: str) -> None:
    assert check(frame(coin, focus_mm=14.0)).reasons == ("blur",)


@pytest.mark.parametrize("coin", usually(COINS[:2], COINS))
def test_sharpness_does_not_depend_on_brightness_or_pixels(coin: str) -> None:
    image = frame(coin)
    sharp = check(image).metrics["sharpness"]
    dim = check(frame(coin, exposure_us=7_000)).metrics["sharpness"]
    large = check(cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)).metrics["sharpness"]
    assert dim == pytest.approx(sharp, rel=0.25)
    assert large == pytest.approx(sharp, rel=0.25)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda: frame(), "no coin"),
        (lambda: frame("a", "b"), "two coins"),
        (lambda: frame("a", exposure_us=200_000), "clipping"),
        (lambda: frame("a", exposure_us=50), "dark"),
        (lambda: frame("a", x_mm=-24.0), "cut off"),
        (lambda: renderer().render(Scene(coins=(PlacedCoin("a", "obverse", 0, 0, 0),)), 20_000), "dark"),
        (lambda: np.zeros((960, 1280, 3), np.uint8), "dark"),
    ],
)
def test_what_is_wrong_is_named(made: Any, reason: str) -> None:
    quality = check(made())
    assert reason in quality.reasons
    assert not quality.is_good


def test_the_same_frame_twice_is_stale() -> None:
    image = frame("a")
    quality = check(image, image.copy())
    assert quality.reasons == ("stale",)
    assert check(image, frame("a")).is_good


def test_a_turntable_that_stands_elsewhere() -> None:
    assert check(frame("a"), angle_error_deg=-1.5).reasons == ("wrong angle",)
    assert check(frame("a"), angle_error_deg=0.4).is_good


def test_limits_can_be_set() -> None:
    assert check(frame("a"), limits=Limits(min_mean=250)).reasons == ("dark",)
