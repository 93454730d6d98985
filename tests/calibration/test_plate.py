"""The plate's angle is read off its ring, whatever lies on it and whichever lamp is lit, and only where it is seen."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from calibration.board import BoardSpec
from calibration.image import Image
from calibration.lens import Lens
from calibration.outline import find_coins
from calibration.plate import PlateAngle, RingSpec, plate_angle_deg, ring_image
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import BoardPose, CameraPose, Lamp, PlacedCoin, Scene
from rig.twin.targets import PrintedRing

SECTORS = tuple(Lamp(azimuth_deg, 35, 1.0) for azimuth_deg in range(0, 360, 60))


def apart_deg(one_deg: float, other_deg: float) -> float:
    return abs((one_deg - other_deg + 180) % 360 - 180)


def random_frames(camera: CameraModel, count: int, seed: int) -> list[tuple[float, Image]]:
    """True angle and frame: any angle, coin, place, light and exposure."""
    renderer, chance = Renderer(camera, ProceduralDrawer(), seed=seed), np.random.default_rng(seed)
    frames = []
    for number in range(count):
        lamps = SECTORS if number % 7 == 6 else (SECTORS[number % 6],)
        exposure_us = chance.uniform(8_000, 50_000) / len(lamps)
        x_mm, y_mm = chance.normal(0, 1.2, 2)
        coin = PlacedCoin(f"2024.1.{number % 5}", "obverse", x_mm, y_mm, chance.uniform(0, 360))
        angle_deg = chance.uniform(0, 360)
        coins = () if number % 10 == 9 else (coin,)
        scene = Scene(plate_angle_deg=angle_deg, coins=coins, lamps=lamps)
        frames.append((angle_deg, renderer.render(scene, exposure_us)))
    return frames


def errors_deg(frames: list[tuple[float, Image]]) -> list[float]:
    seen = [(angle_deg, plate_angle_deg(image)) for angle_deg, image in frames]
    return [apart_deg(plate.angle_deg, angle_deg) if plate else 360.0 for angle_deg, plate in seen]


@pytest.mark.slow  # by default angles under one light
def test_any_angle_under_any_light() -> None:
    assert max(errors_deg(random_frames(CameraModel(), 14, seed=2))) < 0.1


def test_a_quarter_of_the_pixels_will_do() -> None:
    small = CameraModel(width_px=640, height_px=480, focal_px=2650, centre_px=(322.5, 237))
    assert max(errors_deg(random_frames(small, 14, seed=3))) < 0.3


@pytest.mark.slow
def test_two_hundred_poses_and_lights() -> None:
    errors = errors_deg(random_frames(CameraModel(), 200, seed=11))
    assert max(errors) < 0.1
    assert np.sqrt(np.mean(np.square(errors))) < 0.02


@pytest.mark.parametrize("tilt_deg", [15, 40])
def test_a_tilted_camera(renderer: Renderer, tilt_deg: float) -> None:
    for angle_deg in (10.0, 100.0, 222.2):
        frame = renderer.render(
            Scene(plate_angle_deg=angle_deg, lamps=SECTORS[:1], camera=CameraPose(tilt_deg)), 20_000
        )
        plate = plate_angle_deg(frame)
        assert plate is not None
        assert apart_deg(plate.angle_deg, angle_deg) < 0.1


def test_the_axis_is_found_once_the_lens_is_known(renderer: Renderer, camera: CameraModel, lens: Lens) -> None:
    plate = plate_angle_deg(renderer.render(Scene(plate_angle_deg=33, lamps=SECTORS[:1]), 20_000), lens)
    assert plate is not None
    # The fitted centre of the lens may lie off the true one; what is seen on the axis is not moved by that.
    assert plate.centre_px == pytest.approx(camera.centre_px, abs=1.0)
    assert plate.markers >= 18
    assert 0 < plate.error_deg < 0.1


def test_part_of_the_ring_is_enough(renderer: Renderer) -> None:
    frame = renderer.render(Scene(plate_angle_deg=75, lamps=SECTORS[:1]), 20_000)
    frame[:, 500:] = 160  # a sleeve
    plate = plate_angle_deg(frame)
    assert plate is not None
    assert plate.markers < 14
    assert apart_deg(plate.angle_deg, 75) < max(0.2, 3 * plate.error_deg)
    frame[200:760] = 160
    assert plate_angle_deg(frame) is None


def test_no_ring_no_angle(renderer: Renderer) -> None:
    assert plate_angle_deg(renderer.render(Scene(), 20_000)) is None  # dark
    assert plate_angle_deg(renderer.render(Scene(target="white card", lamps=SECTORS[:1]), 20_000)) is None
    board = Scene(target="charuco", lamps=SECTORS[:1], board=BoardPose(rotation_deg=20))
    assert plate_angle_deg(renderer.render(board, 20_000)) is None
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    assert plate_angle_deg(noise) is None
    mirrored = np.ascontiguousarray(renderer.render(Scene(lamps=SECTORS[:1]), 20_000)[:, ::-1])
    assert plate_angle_deg(mirrored) is None


def test_the_ring_as_printed_stands_at_0() -> None:
    ring = RingSpec(markers=16, radius_mm=30, marker_mm=5, first_id=7)
    image = ring_image(ring, px_per_mm=12)
    plate = plate_angle_deg(image, ring=ring)
    assert plate is not None
    assert apart_deg(plate.angle_deg, 0) < 0.1
    assert plate.markers == 16
    assert plate.centre_px == pytest.approx([(image.shape[0] - 1) / 2] * 2, abs=0.1)
    turned = plate_angle_deg(np.ascontiguousarray(np.rot90(image)), ring=ring)
    assert turned is not None
    assert turned.angle_deg == pytest.approx(90, abs=0.1)
    assert plate_angle_deg(image, ring=RingSpec(first_id=40)) is None


def test_the_twin_prints_the_same_ring_and_no_marker_of_it_is_on_the_board() -> None:
    assert PrintedRing().model_dump() == RingSpec().model_dump()
    board = BoardSpec().opencv()
    ring = RingSpec()
    assert len(board.getIds()) <= ring.first_id
    own = ring.opencv_dictionary.bytesList
    assert (own[: len(board.getDictionary().bytesList)] == board.getDictionary().bytesList).all()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"dictionary": "DICT_9X9"}, "is no ArUco dictionary"),
        ({"markers": 60}, "more than the 100 markers"),
        ({"marker_mm": 5.0}, "no space between them"),
    ],
)
def test_a_ring_that_cannot_be(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RingSpec.model_validate(wrong)


def test_a_coin_that_covers_the_ring_in_part() -> None:
    renderer = Renderer(CameraModel(), ProceduralDrawer(), seed=1)
    coin = PlacedCoin("2024.1.1", "obverse", 11, 4, 0)
    plate = plate_angle_deg(renderer.render(Scene(plate_angle_deg=200, coins=(coin,), lamps=SECTORS[2:3]), 20_000))
    assert isinstance(plate, PlateAngle)
    assert apart_deg(plate.angle_deg, 200) < 0.1


@pytest.mark.parametrize("lamp", SECTORS)
def test_the_ring_is_no_coin(renderer: Renderer, lamp: Lamp) -> None:
    assert find_coins(renderer.render(Scene(plate_angle_deg=7, lamps=(lamp,)), 20_000)) == []
