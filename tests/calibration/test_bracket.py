"""Brackets: sharp everywhere, clipped nowhere, and what they were merged of kept as it came."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.bracket import BracketImage, decode_sources, encode_sources, merge, stack_focus
from calibration.image import Image
from calibration.response import to_linear
from rig.twin.coins.procedural import procedural_side
from rig.twin.coins.surface import Surface
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene

# A lens wide open: a tenth of a millimetre out of focus blurs by a pixel.
OPTICS = CameraModel(width_px=640, height_px=480, focal_px=2650.0, centre_px=(322.7, 237.0), blur_px_per_mm=10.0)
LIT = (Lamp(60, 35, 1.0),)


class OneCoin:
    """A drawer with one coin in it, whose relief is twice as deep as usual."""

    def __init__(self) -> None:
        side = procedural_side("1", "obverse", 3, size_px=360)
        self.surface = Surface(**{**vars(side), "height_mm": 2 * side.height_mm})

    def side_texture(self, coin: str, side: str) -> Surface:
        return self.surface


DRAWER = OneCoin()
LOW_MM, HIGH_MM = (DRAWER.surface.thickness_mm + float(each(DRAWER.surface.height_mm)) for each in (np.min, np.max))
HEIGHTS_MM = [float(each) for each in np.linspace(LOW_MM, HIGH_MM, 5)]


def shoot(optics: CameraModel, focus_mm: float | None, exposure_us: int = 20_000) -> Image:
    scene = Scene(coins=(PlacedCoin("1", "obverse", 0.0, 0.0, 0.0),), lamps=LIT, focus_mm=focus_mm)
    return Renderer(optics, DRAWER).render(scene, exposure_us)  # type: ignore[arg-type]


def misses(image: Image, truth: Image) -> np.ndarray:
    """Error against the coin as a lens without blur shows it, in cells on the coin."""
    off = (image.astype(np.float32) - truth.astype(np.float32)) ** 2
    cells = cv2.resize(off.mean(axis=2), (32, 24), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[0:24, 0:32] * 20 + 10
    radius_px = DRAWER.surface.diameter_mm / 2 / OPTICS.mm_per_pixel
    return np.sqrt(cells[np.hypot(x - OPTICS.centre_px[0], y - OPTICS.centre_px[1]) < radius_px - 20])


def test_a_focus_bracket_is_sharper_than_the_best_of_its_images_everywhere_on_the_coin() -> None:
    truth = shoot(OPTICS.model_copy(update={"blur_px_per_mm": 0.0}), None)
    images = [shoot(OPTICS, height_mm) for height_mm in HEIGHTS_MM]
    merged = stack_focus(images, HEIGHTS_MM)
    best = min((misses(image, truth) for image in images), key=np.mean)
    stacked = misses(merged.image, truth)
    assert (stacked <= 1.05 * best + 0.3).all(), "nowhere worse, but for the sensor's noise"
    assert stacked.mean() < 0.8 * best.mean()
    assert merged.depth_mm is not None
    scale = DRAWER.surface.side_mm / 360 / OPTICS.mm_per_pixel
    height = cv2.warpAffine(
        DRAWER.surface.height_mm,
        np.array([[scale, 0, 322.7 - 180 * scale], [0, scale, 237 - 180 * scale]]),
        (640, 480),
    )
    on_coin = np.hypot(*(np.mgrid[0:480, 0:640] - np.array([237, 322.7])[:, None, None])) < 150
    assert np.corrcoef(merged.depth_mm[on_coin], height[on_coin])[0, 1] > 0.5


def test_an_image_that_a_lens_magnified_is_laid_on_the_others() -> None:
    image = shoot(OPTICS, 2.0)
    grow = np.array([[1.012, 0, -0.012 * 320], [0, 1.012, -0.012 * 240]])
    larger = np.asarray(cv2.warpAffine(image, grow, (640, 480), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    merged = stack_focus([larger, image], [1.0, 2.0]).image[100:380, 160:480].astype(float)
    before = np.abs(larger[100:380, 160:480] - image[100:380, 160:480].astype(float)).mean()
    assert np.abs(merged - image[100:380, 160:480]).mean() < 0.35 * before


def test_an_exposure_bracket_is_linear_and_clipped_nowhere() -> None:
    times_us = (4_000, 20_000, 100_000)
    images = [shoot(OPTICS, 2.0, each) for each in times_us]
    assert (images[2] == 255).mean() > 0.001 and images[0].max() < 255
    merged = merge([BracketImage(image, each) for image, each in zip(images, times_us, strict=True)]).image
    assert merged.max() < 254
    light = to_linear(merged)
    plain = ((images[0] > 30) & (images[1] > 40) & (images[1] < 200)).all(axis=2)
    of_short, of_middle = (np.median(light[plain] / to_linear(each)[plain]) for each in images[:2])
    assert plain.sum() > 500 and of_middle == pytest.approx(of_short / 5, rel=0.05)


def test_what_was_merged_comes_back_as_it_was_and_is_the_same_file_on_every_day() -> None:
    images = [shoot(OPTICS, height_mm) for height_mm in HEIGHTS_MM[:2]]
    sources = [BracketImage(image, 20_000, height) for image, height in zip(images, HEIGHTS_MM, strict=False)]
    merged = merge(sources)
    data = encode_sources(sources, merged.depth_mm)
    assert data == encode_sources(sources, merged.depth_mm)
    read, depth_mm = decode_sources(data)
    assert [(each.exposure_us, each.focus_mm) for each in read] == [(20_000, height) for height in HEIGHTS_MM[:2]]
    assert all((one.image == other.image).all() for one, other in zip(read, sources, strict=True))
    assert depth_mm is not None and np.array_equal(depth_mm, merged.depth_mm)
    assert np.array_equal(merge(read).image, merged.image), "made again of its sources, bit for bit"
