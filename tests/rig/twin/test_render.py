"""What the camera sees of scenes whose answer is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rig.twin.coins.drawer import Drawer, ProceduralDrawer
from rig.twin.lamps import merged
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import BoardPose, CameraPose, Lamp, PlacedCoin, Scene

CAMERA = CameraModel(k1=0, k2=0, p1=0, p2=0, centre_px=(640.0, 480.0), vignetting=0.0)
SECTOR = (Lamp(60, 35, 1.0),)
EVEN = tuple(Lamp(azimuth, 60, 0.12) for azimuth in range(0, 360, 60))


@pytest.fixture(scope="module")
def renderer(known_coins: Drawer) -> Renderer:
    return Renderer(CAMERA, known_coins, seed=3)


def _spot_mm(renderer: Renderer, scene: Scene) -> np.ndarray:
    """Where the flat coin's white spot is, in bench mm."""
    grey = cv2.cvtColor(renderer.render(scene, 20_000), cv2.COLOR_RGB2GRAY)
    rows, columns = np.nonzero(cv2.GaussianBlur(grey, (0, 0), 3) > 0.8 * float(np.percentile(grey, 99.9)))
    mm_per_pixel = (CAMERA.height_mm - 2.0) / CAMERA.focal_px
    return np.array([columns.mean() - 640, 480 - rows.mean()]) * mm_per_pixel


@pytest.mark.parametrize(
    ("plate_deg", "rotation_deg", "x_mm", "y_mm", "expected"),
    [
        (0, 0, 0, 0, (5, 0)),
        (0, 90, 0, 0, (0, 5)),
        (90, 0, 0, 0, (0, 5)),
        (0, 0, 6, -4, (11, -4)),
        (90, 0, 6, -4, (4, 11)),
        (180, 45, 6, 0, (-6 - 3.54, -3.54)),
    ],
)
def test_coin_lies_and_turns_as_the_scene_says(
    renderer: Renderer, plate_deg: float, rotation_deg: float, x_mm: float, y_mm: float, expected: tuple[float, float]
) -> None:
    coin = PlacedCoin("flat", "obverse", x_mm, y_mm, rotation_deg)
    scene = Scene(plate_angle_deg=plate_deg, coins=(coin,), lamps=EVEN)
    assert _spot_mm(renderer, scene) == pytest.approx(np.array(expected), abs=0.08)


def test_coin_has_its_true_size(renderer: Renderer) -> None:
    scene = Scene(coins=(PlacedCoin("flat", "obverse", 0, 0, 0),), lamps=EVEN)
    grey = cv2.cvtColor(renderer.render(scene, 20_000), cv2.COLOR_RGB2GRAY)
    area_px = int((cv2.GaussianBlur(grey, (0, 0), 1.5) > 80).sum())
    diameter_px = 2 * np.sqrt(area_px / np.pi)
    assert diameter_px * (CAMERA.height_mm - 2.0) / CAMERA.focal_px == pytest.approx(20.0, rel=0.01)


@pytest.mark.parametrize("azimuth_deg", [0, 60, 135, 250])
@pytest.mark.parametrize("turned_deg", [0, 110])
def test_relief_is_bright_towards_the_lamp_however_the_coin_is_turned(
    renderer: Renderer, azimuth_deg: float, turned_deg: float
) -> None:
    coin = PlacedCoin("domed", "obverse", 0, 0, turned_deg)
    scene = Scene(coins=(coin,), lamps=(Lamp(azimuth_deg, 40, 0.8),))
    grey = renderer.render(scene, 20_000).astype(np.float32).mean(axis=2)
    rows, columns = np.mgrid[-180:181, -180:181]
    inside = np.hypot(rows, columns) < 180
    coin_grey = grey[300:661, 460:821]
    weights = (coin_grey - coin_grey[inside].mean()) * inside
    brighter_deg = np.degrees(np.arctan2(-(weights * rows).sum(), (weights * columns).sum()))
    assert (brighter_deg - azimuth_deg + 180) % 360 - 180 == pytest.approx(0, abs=6)


def test_shadow_falls_away_from_the_lamp(renderer: Renderer) -> None:
    scene = Scene(coins=(PlacedCoin("flat", "obverse", 0, 0, 0),), lamps=(Lamp(0, 30, 1.0),))
    grey = renderer.render(scene, 60_000).astype(np.float32).mean(axis=2)
    radius_px = round(10 / CAMERA.mm_per_pixel)
    left = grey[460:500, 640 - radius_px - 40 : 640 - radius_px - 12].mean()
    right = grey[460:500, 640 + radius_px + 12 : 640 + radius_px + 40].mean()
    assert left < 0.7 * right


def test_no_lamp_no_image(renderer: Renderer) -> None:
    dark = renderer.render(Scene(coins=(PlacedCoin("flat", "obverse", 0, 0, 0),)), 20_000)
    assert dark.mean() < 2


def test_a_sector_at_20_ms_exposes_well() -> None:
    renderer = Renderer(CameraModel(), ProceduralDrawer(), seed=1)
    for coin in ("a", "b", "c", "d"):
        frame = renderer.render(Scene(coins=(PlacedCoin(coin, "obverse", 0, 0, 0),), lamps=SECTOR), 20_000)
        middle = frame[360:600, 520:760]
        assert 50 < middle.mean() < 190
        assert (frame == 255).mean() < 0.01
        plate = np.concatenate([frame[:60].ravel(), frame[-60:].ravel()])
        assert plate.mean() < 0.7 * middle.mean()


def test_white_card_at_20_ms_is_bright_but_not_clipped() -> None:
    card = Renderer(CameraModel(), ProceduralDrawer(), seed=1).render(Scene(target="white card", lamps=SECTOR), 20_000)
    assert 140 < card.mean() < 220
    assert (card >= 254).mean() < 0.001


def test_light_falls_off_away_from_the_lamp(renderer: Renderer) -> None:
    card = renderer.render(Scene(target="white card", lamps=(Lamp(0, 30, 1.0),)), 20_000).astype(np.float32)
    assert card[:, -100:].mean() > 1.15 * card[:, :100].mean()


def test_colour_temperature_tints(renderer: Renderer) -> None:
    warm, cold = (
        renderer.render(Scene(target="white card", lamps=(Lamp(0, 35, 0.8, kelvin),)), 20_000).mean(axis=(0, 1))
        for kelvin in (2700, 6500)
    )
    assert warm[0] > 1.1 * warm[2]
    assert cold[2] > cold[0]


def test_frames_differ_by_noise_and_the_seed_repeats_them(known_coins: Drawer) -> None:
    scene = Scene(coins=(PlacedCoin("flat", "obverse", 0, 0, 0),), lamps=SECTOR)
    one, other = Renderer(CAMERA, known_coins, seed=5), Renderer(CAMERA, known_coins, seed=5)
    first, second = one.render(scene, 20_000), one.render(scene, 20_000)
    assert (first != second).mean() > 0.2
    assert (other.render(scene, 20_000) == first).all()


def test_turning_plate_smears_along_the_turn(renderer: Renderer) -> None:
    coins = (PlacedCoin("flat", "obverse", 0, 0, 0),)
    still = renderer.render(Scene(coins=coins, lamps=EVEN), 20_000)
    moving = renderer.render(Scene(coins=coins, lamps=EVEN, plate_speed_deg_s=400.0), 20_000)

    def edge(frame: np.ndarray, axis: int) -> float:
        # The spot is on the right of the centre: its upper edge lies along the turn, its outer edge across it.
        patch = cv2.GaussianBlur(frame[420:540, 690:810].mean(axis=2), (0, 0), 1.5)
        return float(np.abs(np.diff(patch, axis=axis)).max())

    assert edge(moving, 0) < 0.6 * edge(still, 0)
    assert edge(moving, 1) > 0.7 * edge(still, 1)


def test_out_of_focus_is_softer(known_coins: Drawer) -> None:
    scene = Scene(coins=(PlacedCoin("flat", "obverse", 0, 0, 0),), lamps=EVEN)

    def sharpness(focus_height_mm: float) -> float:
        camera = CAMERA.model_copy(update={"focus_height_mm": focus_height_mm})
        grey = Renderer(camera, known_coins, seed=1).render(scene, 20_000).mean(axis=2)
        return float(np.abs(np.diff(cv2.GaussianBlur(grey, (0, 0), 0.8), axis=1)).max())

    assert sharpness(12.0) < 0.6 * sharpness(2.0)


@pytest.mark.parametrize(
    ("lamps", "height_mm"),
    [
        (EVEN, 20 * np.cos(np.radians(30))),
        ((Lamp(270, 45, 0.9),), 20 * np.cos(np.radians(30)) + 2 * np.sin(np.radians(30))),
    ],
    ids=["from above", "from where the camera is, so that the edge is bright as well"],
)
def test_tilted_camera_foreshortens_and_sees_the_edge(
    renderer: Renderer, lamps: tuple[Lamp, ...], height_mm: float
) -> None:
    coins = (PlacedCoin("flat", "obverse", 0, 0, 0),)
    frame = renderer.render(Scene(coins=coins, lamps=lamps, camera=CameraPose(30)), 20_000)
    stands_out = (cv2.GaussianBlur(frame.mean(axis=2), (0, 0), 1.5) > 80).astype(np.uint8)
    outlines, _ = cv2.findContours(stands_out, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    _, _, width, height = cv2.boundingRect(max(outlines, key=cv2.contourArea))
    assert height / width == pytest.approx(height_mm / 20, abs=0.02)


def test_board_turns_with_the_plate_and_tilts(renderer: Renderer) -> None:
    detector = cv2.aruco.ArucoDetector(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50))

    def marker_0(scene: Scene) -> np.ndarray:
        corners, ids, _ = detector.detectMarkers(renderer.render(scene, 10_000))
        return corners[ids.ravel().tolist().index(0)].reshape(4, 2)

    upright = marker_0(Scene(target="charuco", lamps=EVEN, board=BoardPose(x_mm=4)))
    turned = marker_0(Scene(target="charuco", lamps=EVEN, board=BoardPose(x_mm=4), plate_angle_deg=180))
    assert upright.mean(axis=0)[0] < 640  # marker 0 is at the upper left of the board
    assert upright.mean(axis=0)[1] < 480
    assert turned.mean(axis=0) == pytest.approx(2 * np.array([640, 480]) - upright.mean(axis=0), abs=1.0)


def test_coin_beyond_the_field_is_not_seen(renderer: Renderer) -> None:
    far = PlacedCoin("flat", "obverse", 200, 0, 0)
    assert renderer.render(Scene(coins=(far,), lamps=EVEN), 20_000).mean() < 60


def test_many_small_lamps_light_as_their_sectors() -> None:
    small = tuple(Lamp(5 + 10 * n, 35, 1 / 6) for n in range(36))
    groups = merged(small)
    assert len(groups) <= 7
    assert sum(lamp.intensity for lamp in groups) == pytest.approx(6.0)
