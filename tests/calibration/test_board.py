"""Finding the board, and saying why it is not found."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.board import BoardSpec, BoardView, find_board
from calibration.errors import CalibrationError
from calibration.image import read_image
from rig.twin.optics import to_pixel
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import STRAIGHT_DOWN, BoardPose, Lamp, Scene
from rig.twin.targets import PrintedBoard

SHARED = os.environ.get("RIG_SHARED")
LAMPS = (Lamp(90, 35, 0.4), Lamp(270, 35, 0.4))


def test_the_twins_board_is_the_one_calibration_expects() -> None:
    assert PrintedBoard().model_dump() == BoardSpec().model_dump()


def test_corners_are_found_where_the_camera_truly_sees_them(views: list[BoardView], camera: CameraModel) -> None:
    flat, spec = views[0], BoardSpec()
    assert len(flat.corners_px) == (spec.squares_x - 1) * (spec.squares_y - 1)
    middle = np.array([spec.squares_x, spec.squares_y]) * spec.square_mm / 2
    bench = (flat.corners_mm[:, :2] - middle) * (1, -1)  # the board's own y runs down, the bench's up
    truth = to_pixel(camera, STRAIGHT_DOWN, np.column_stack([bench, np.zeros(len(bench))]))
    error = np.linalg.norm(flat.corners_px - truth, axis=1)
    assert error.max() < 0.25
    assert np.sqrt((error**2).mean()) < 0.1


def test_board_partly_out_of_the_image_still_counts(renderer: Renderer) -> None:
    scene = Scene(target="charuco", lamps=LAMPS, board=BoardPose(x_mm=22, rotation_deg=30))
    view = find_board(renderer.render(scene, 20_000), BoardSpec())
    assert 12 <= len(view.corners_px) < 70


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda image: (image * 0.02).astype(np.uint8), "it is dark"),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 25), "blurred"),
        (lambda image: np.where(np.arange(1280)[None, :, None] < 1060, np.uint8(128), image), "at least 12 are needed"),
    ],
)
def test_useless_image_says_why(renderer: Renderer, spoil: object, message: str) -> None:
    image = renderer.render(Scene(target="charuco", lamps=LAMPS), 20_000)
    with pytest.raises(CalibrationError, match=message):
        find_board(spoil(image), BoardSpec(), "view 3")  # type: ignore[operator]


def test_another_board_is_named_as_such(camera: CameraModel) -> None:
    from rig.twin.coins.drawer import ProceduralDrawer

    other = PrintedBoard(squares_x=6, squares_y=5, square_mm=8, marker_mm=5)
    image = Renderer(camera, ProceduralDrawer(), board=other).render(Scene(target="charuco", lamps=LAMPS), 20_000)
    with pytest.raises(CalibrationError, match="another board"):
        find_board(image, BoardSpec(squares_x=9, squares_y=10))


def test_stray_markers_and_a_second_board_do_not_hide_it(camera: CameraModel) -> None:
    from rig.twin.coins.drawer import ProceduralDrawer

    renderer = Renderer(camera, ProceduralDrawer(), seed=9)
    image = renderer.render(Scene(target="charuco", lamps=LAMPS, board=BoardPose(rotation_deg=8)), 20_000)
    strays = image.copy()
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    for number, (row, column) in {17: (10, 10), 40: (860, 1180)}.items():
        strays[row : row + 84, column : column + 84] = 255
        tile = cv2.aruco.generateImageMarker(dictionary, number, 60)
        strays[row + 12 : row + 72, column + 12 : column + 72] = tile[:, :, None]
    assert len(find_board(strays, BoardSpec()).corners_px) == 70
    two = np.full_like(image, 128)
    half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    two[200:680, :640] = two[300:780, 640:] = half
    view = find_board(two, BoardSpec())
    assert len(view.corners_px) == 70
    assert np.ptp(view.corners_px[:, 0]) < 640, "the corners are of one of them"


@pytest.mark.parametrize("legacy", [False, True])
def test_boards_printed_by_older_opencv_are_found(legacy: bool) -> None:
    spec = BoardSpec()
    printed = spec.opencv(legacy=legacy).generateImage((880, 640))
    page = cv2.copyMakeBorder(cv2.GaussianBlur(printed, (0, 0), 1), 60, 60, 60, 60, cv2.BORDER_CONSTANT, value=255)
    assert len(find_board(cv2.cvtColor(page, cv2.COLOR_GRAY2RGB), spec).corners_px) == 70


def test_a_board_of_more_markers_than_its_dictionary_has_is_refused_with_one_that_has() -> None:
    with pytest.raises(ValueError, match=r"take 96 markers, and DICT_4X4_50 has 50. Give dictionary: DICT_5X5_100"):
        BoardSpec(squares_x=16, squares_y=12)
    assert BoardSpec(squares_x=16, squares_y=12, dictionary="DICT_5X5_100").markers == 96


@pytest.mark.parametrize(
    "changed", [{"squares_x": 2}, {"marker_mm": 6.0}, {"dictionary": "DICT_9X9"}, {"square_cm": 0.5}]
)
def test_impossible_boards_are_refused(changed: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changed)) if "square_cm" in changed else "."):
        BoardSpec.model_validate(changed)


def test_any_image_shows_the_board_or_is_refused(fuzz_rounds: int) -> None:
    chance, spec = np.random.default_rng(4), BoardSpec(squares_x=7, squares_y=5)
    page = cv2.copyMakeBorder(spec.opencv().generateImage((168, 120)), 12, 12, 12, 12, cv2.BORDER_CONSTANT, value=255)
    for _ in range(fuzz_rounds):
        image = page.copy()
        for _ in range(chance.integers(0, 5)):
            top, left = chance.integers(0, page.shape[0]), chance.integers(0, page.shape[1])
            image[top : top + chance.integers(1, 60), left : left + chance.integers(1, 60)] = chance.integers(0, 256)
        if chance.random() < 0.3:
            image = np.clip(image + chance.normal(0, chance.uniform(1, 90), image.shape), 0, 255).astype(np.uint8)
        if chance.random() < 0.3:
            image = image[: chance.integers(1, page.shape[0]), : chance.integers(1, page.shape[1])]
        with suppress(CalibrationError):
            view = find_board(cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_GRAY2RGB), spec)
            assert len(view.corners_px) == len(view.corners_mm) >= 8 and np.isfinite(view.corners_px).all()


@pytest.mark.skipif(SHARED is None, reason="RIG_SHARED is not set")
def test_real_photographs_of_a_board() -> None:
    folder = Path(str(SHARED)) / "data" / "calibration" / "charuco"
    spec = BoardSpec(squares_x=5, squares_y=7, square_mm=40, marker_mm=20, dictionary="DICT_6X6_250")
    view = find_board(read_image(folder / "choriginal.jpg"), spec)
    assert len(view.corners_px) == 24
