"""Brackets: sharp everywhere, clipped nowhere, and what they were merged of kept as it came."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from calibration.bracket import BracketImage, Merged, decode_sources, encode_sources, merge
from calibration.image import Image
from calibration.response import to_linear
from rig.twin.coins.procedural import procedural_side
from rig.twin.coins.surface import Surface
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene

# It breathes by 0.3 % for each millimetre.
OPTICS = CameraModel(width_px=640, height_px=480, focal_px=2650.0, centre_px=(322.7, 237.0), breathing_per_mm=0.003)
SMALL = OPTICS.model_copy(update={"width_px": 320, "height_px": 240, "focal_px": 1325.0, "centre_px": (160.2, 119.1)})
CELL_PX = 20


class OneCoin:
    """A drawer with one coin in it, whose relief is as many times as deep as usual."""

    def __init__(self, seed: int, deep: float) -> None:
        side = procedural_side("1", "obverse", seed, size_px=360)
        self.surface = Surface(**{**vars(side), "height_mm": deep * side.height_mm})

    def side_texture(self, coin: str, side: str) -> Surface:
        return self.surface

    def heights_mm(self, count: int) -> list[float]:
        relief = self.surface.height_mm
        low, high = (self.surface.thickness_mm + float(each(relief)) for each in (np.min, np.max))
        return [float(each) for each in np.linspace(low, high, count)]


DRAWER = OneCoin(3, 1.0)


def shoot(
    optics: CameraModel,
    focus_mm: float | None,
    exposure_us: int = 20_000,
    drawer: OneCoin = DRAWER,
    azimuth_deg: float = 60.0,
) -> Image:
    lit = (Lamp(azimuth_deg, 35, 1.0),)
    scene = Scene(coins=(PlacedCoin("1", "obverse", 0.0, 0.0, 0.0),), lamps=lit)
    renderer = Renderer(optics, drawer)  # type: ignore[arg-type]
    return renderer.focused_on(focus_mm).render(scene, exposure_us)


def bracket(optics: CameraModel, heights_mm: list[float], drawer: OneCoin, azimuth_deg: float) -> list[BracketImage]:
    return [
        BracketImage(
            shoot(optics, each, drawer=drawer, azimuth_deg=azimuth_deg),
            20_000,
            each,
            optics.focused_on(each).focal_px / optics.focal_px,
        )
        for each in heights_mm
    ]


def misses(image: Image, truth: Image, drawer: OneCoin) -> np.ndarray:
    """Error against the coin as a lens without blur shows it, in each cell that lies on the coin."""
    off = (image.astype(np.float32) - truth.astype(np.float32)) ** 2
    cells = cv2.resize(off.mean(axis=2), (640 // CELL_PX, 480 // CELL_PX), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[0 : 480 // CELL_PX, 0 : 640 // CELL_PX] * CELL_PX + CELL_PX / 2
    radius_px = drawer.surface.diameter_mm / 2 / OPTICS.mm_per_pixel
    return np.sqrt(cells[np.hypot(x - OPTICS.centre_px[0], y - OPTICS.centre_px[1]) < radius_px - CELL_PX])


def test_each_place_comes_from_the_image_that_is_sharp_there_at_the_size_of_the_usual_focus() -> None:
    rng = np.random.default_rng(5)
    truth = cv2.GaussianBlur(rng.integers(0, 256, (240, 320, 3), np.uint8), (0, 0), 1.2)
    truth = np.asarray(cv2.normalize(truth, None, 20, 235, cv2.NORM_MINMAX), np.uint8)
    blurred = cv2.GaussianBlur(truth, (0, 0), 3.0)
    low, high = truth.copy(), truth.copy()
    low[:, 160:], high[:, :160] = blurred[:, 160:], blurred[:, :160]
    zoom = 1.012
    grow = np.array([[zoom, 0, (1 - zoom) * 159.5], [0, zoom, (1 - zoom) * 119.5]])
    nearer = np.asarray(cv2.warpAffine(high, grow, (320, 240), flags=cv2.INTER_LANCZOS4), np.uint8)
    merged = merge([BracketImage(nearer, 20_000, 2.0, zoom), BracketImage(low, 20_000, 1.0)])
    inside = (slice(20, 220), np.r_[20:150, 170:300])
    off = np.abs(merged.image[inside].astype(float) - truth[inside])
    assert off.mean() < 0.1 * np.abs(blurred[inside].astype(float) - truth[inside]).mean()
    assert merged.depth_mm is not None
    assert merged.depth_mm[20:220, 20:150].max() < 1.3 and merged.depth_mm[20:220, 170:300].min() > 1.7


@pytest.mark.slow
@pytest.mark.parametrize(
    ("seed", "deep", "blur", "count", "azimuth_deg"),
    [(3, 2.0, 10.0, 5, 60.0), (4, 1.0, 10.0, 5, 60.0), (5, 1.0, 5.0, 5, 180.0), (6, 2.0, 4.0, 7, 300.0)],
)
def test_a_focus_bracket_is_sharper_than_the_best_of_its_images_everywhere_on_the_coin(
    seed: int, deep: float, blur: float, count: int, azimuth_deg: float
) -> None:
    drawer = OneCoin(seed, deep)
    optics = OPTICS.model_copy(update={"blur_px_per_mm": blur})
    sources = bracket(optics, drawer.heights_mm(count), drawer, azimuth_deg)
    truth = shoot(optics.model_copy(update={"blur_px_per_mm": 0.0}), None, drawer=drawer, azimuth_deg=azimuth_deg)
    merged = merge(sources)
    # against images that breathing has not moved: each cell's best of these is what a stack can reach at most
    still = optics.model_copy(update={"breathing_per_mm": 0.0})
    images = [each.image for each in bracket(still, drawer.heights_mm(count), drawer, azimuth_deg)]
    singles = [misses(image, truth, drawer) for image in images]
    best, stacked = min(singles, key=np.mean), misses(merged.image, truth, drawer)
    print(f"mean {stacked.mean() / best.mean():.2f}, worst cell {(stacked / best).max():.3f} of the best image's error")
    print(f"of each cell's best: worst {(stacked / np.min(singles, axis=0)).max():.3f}, {len(stacked)} cells")
    assert (stacked <= 1.05 * best + 0.3).all(), "nowhere worse, but for the sensor's noise"
    assert (stacked <= 1.05 * np.min(singles, axis=0) + 0.3).all(), "not even than each cell's own best image"
    assert stacked.mean() < 0.8 * best.mean()
    height = seen_heights(drawer)
    assert merged.depth_mm is not None
    on_coin = np.hypot(*(np.mgrid[0:480, 0:640] - np.array([237, 322.7])[:, None, None])) < 150
    assert np.corrcoef(merged.depth_mm[on_coin], height[on_coin])[0, 1] > 0.5


def seen_heights(drawer: OneCoin) -> np.ndarray:
    scale = drawer.surface.side_mm / 360 / OPTICS.mm_per_pixel
    grow = np.array([[scale, 0, 322.7 - 180 * scale], [0, scale, 237 - 180 * scale]])
    return cv2.warpAffine(drawer.surface.height_mm, grow, (640, 480))


def test_an_exposure_bracket_is_linear_and_clipped_nowhere() -> None:
    times_us = (4_000, 20_000, 100_000)
    images = [shoot(SMALL, 2.0, each) for each in times_us]
    assert (images[2] == 255).mean() > 0.001 and images[0].max() < 255
    merged = merge([BracketImage(image, each) for image, each in zip(images, times_us, strict=True)])
    assert merged.image.max() < 254
    light = to_linear(merged.image)
    plain = ((images[0] > 30) & (images[1] > 40) & (images[1] < 200)).all(axis=2)
    of_short, of_middle = (np.median(light[plain] / to_linear(each)[plain]) for each in images[:2])
    assert plain.sum() > 100 and of_middle == pytest.approx(of_short / 5, rel=0.05)
    assert merged.exposure_us == pytest.approx(20_000 * of_middle, rel=0.02)
    for level in (0.05, 0.2, 0.5):  # one factor from dark to light
        there = plain & (np.abs(to_linear(images[1]).mean(axis=2) - level) < 0.2 * level)
        if there.sum() > 20:
            assert np.median(light[there] / to_linear(images[1])[there]) == pytest.approx(of_middle, rel=0.05)


def test_what_even_the_shortest_exposure_clips_stays_clipped() -> None:
    images = [shoot(SMALL, 2.0, each) for each in (100_000, 400_000)]
    clipped = images[0] == 255
    assert clipped.any() and not clipped.all()
    merged = merge([BracketImage(images[0], 100_000), BracketImage(images[1], 400_000)]).image
    assert (merged[clipped] == 255).all() and (merged == 255).sum() < 1.2 * clipped.sum()


def test_what_was_merged_comes_back_as_it_was_and_is_the_same_file_on_every_day() -> None:
    sources = bracket(SMALL, DRAWER.heights_mm(2), DRAWER, 60.0)
    merged = merge(sources)
    data = encode_sources(sources, merged.depth_mm)
    assert data == encode_sources(sources, merged.depth_mm)
    read, depth_mm = decode_sources(data)
    assert [(each.exposure_us, each.focus_mm, each.zoom) for each in read] == [
        (20_000, each.focus_mm, each.zoom) for each in sources
    ]
    assert all((one.image == other.image).all() for one, other in zip(read, sources, strict=True))
    assert depth_mm is not None and np.array_equal(depth_mm, merged.depth_mm)
    again: Merged = merge(read)
    assert np.array_equal(again.image, merged.image), "made again of its sources, bit for bit"
