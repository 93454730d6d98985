"""The lens that calibration finds against the one the twin has, and against OpenCV's real chessboard photographs."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.board import BoardSpec, BoardView, find_board
from calibration.errors import CalibrationError
from calibration.image import read_image
from calibration.lens import Lens, calibrate_lens, fit_lens, mm_per_pixel
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.render import CameraModel, Renderer
from rig.twin.scene import BoardPose, Lamp, Scene

SHARED = os.environ.get("RIG_SHARED")


def test_true_lens_is_recovered(lens: Lens, camera: CameraModel) -> None:
    assert lens.rms_px < 0.15
    assert lens.matrix[0, 0] == pytest.approx(camera.focal_px, rel=0.005)
    assert lens.matrix[1, 1] == pytest.approx(camera.focal_px, rel=0.005)
    assert lens.matrix[:2, 2] == pytest.approx(np.array(camera.centre_px), abs=8)
    assert lens.distortion[0] == pytest.approx(camera.k1, rel=0.05)


def test_straight_lines_come_out_straight(lens: Lens, camera: CameraModel) -> None:
    # Where the found lens puts each pixel against where the true one does, up to the pose that no image can tell.
    columns, rows = np.meshgrid(np.arange(0.0, 1280, 64), np.arange(0.0, 960, 64))
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 1, 2)
    truth = cv2.undistortPoints(pixels, camera.matrix, camera.distortion)
    found = cv2.undistortPoints(pixels, lens.matrix, lens.distortion)
    homography, _ = cv2.findHomography(found, truth)
    error_px = np.linalg.norm(cv2.perspectiveTransform(found, homography) - truth, axis=2) * camera.focal_px
    assert error_px.max() < 0.2


def test_scale_is_true_within_half_a_percent(lens: Lens, views: list[BoardView], camera: CameraModel) -> None:
    assert mm_per_pixel(lens, views[0]) == pytest.approx(camera.mm_per_pixel, rel=0.005)


def test_scale_does_not_depend_on_where_the_board_lies(lens: Lens, renderer: Renderer, camera: CameraModel) -> None:
    pose = BoardPose(x_mm=7, y_mm=-5, rotation_deg=33)
    image = renderer.render(Scene(target="charuco", lamps=(Lamp(0, 35, 0.8),), board=pose), 20_000)
    assert mm_per_pixel(lens, find_board(image, BoardSpec())) == pytest.approx(camera.mm_per_pixel, rel=0.005)


def fisheye(from_axis: np.ndarray) -> np.ndarray:
    """How far from the middle a direction is seen, in focal lengths."""
    return np.asarray(from_axis * (1 + 0.02 * from_axis**2 - 0.005 * from_axis**4))


def fisheye_views(focal: float) -> list[BoardView]:
    """Views of a board by a fisheye lens, 960 x 720 pixels; with 370, the image's corners are 180 degrees apart."""
    centre, square = np.array([483.0, 355.0]), 30.0
    grid = np.stack([*np.meshgrid(np.arange(-4.0, 5), np.arange(-3.0, 3)), np.zeros((6, 9))], axis=-1).reshape(-1, 3)
    chance, views = np.random.default_rng(3), []
    for tilt_x in (-25.0, 0.0, 25.0):
        for x, y, tilt_y in ((0, 0, 0.0), (220, 40, 20.0), (-220, -40, -20.0), (40, -90, 10.0)):
            turn, _ = cv2.Rodrigues(np.radians([tilt_x, tilt_y, 0.0]))
            seen = (grid * square) @ turn.T + (x, y, 230.0)
            from_axis = np.arctan2(np.hypot(seen[:, 0], seen[:, 1]), seen[:, 2])
            around = seen[:, :2] / np.maximum(np.hypot(seen[:, 0], seen[:, 1]), 1e-9)[:, None]
            px = centre + focal * fisheye(from_axis)[:, None] * around + chance.normal(0, 0.05, (len(grid), 2))
            views.append(BoardView(px.astype(np.float32), (grid * square).astype(np.float32), 960, 720))
    return views


def test_a_wide_angle_image_is_straightened_as_far_as_the_straight_one_reaches() -> None:
    focal = 370.0
    lens = fit_lens(fisheye_views(focal)).lens
    assert lens.rms_px < 0.08 and lens.matrix[0, 0] == pytest.approx(focal, rel=0.002)
    from_axis = np.radians(np.linspace(0, 57, 20))
    for turn in np.radians([0, 45, 90, 180, 250]):
        way = np.array([np.cos(turn), np.sin(turn)])
        seen = lens.straightened(np.array([483.0, 355.0]) + focal * fisheye(from_axis)[:, None] * way)
        true = lens.matrix[:2, 2] + lens.matrix[0, 0] * np.tan(from_axis)[:, None] * way
        assert np.abs(seen - true).max() < 0.5


def test_a_fisheye_is_refused_and_not_fitted_by_what_does_not_fit() -> None:
    with pytest.raises(CalibrationError, match="as a fisheye does"):
        fit_lens(fisheye_views(250.0))


def test_one_tilt_again_and_again_is_not_enough(camera: CameraModel) -> None:
    renderer = Renderer(camera, ProceduralDrawer(), seed=9)
    poses = [BoardPose(n, -n, rotation_deg=6.0 * n, tilt_deg=18.0, tilt_azimuth_deg=30.0) for n in range(-3, 4)]
    images = [
        renderer.render(Scene(target="charuco", lamps=(Lamp(90, 35, 0.8),), board=pose), 20_000) for pose in poses
    ]
    with pytest.raises(CalibrationError, match="tilted in the same way"):
        calibrate_lens([find_board(image, BoardSpec()) for image in images])


def test_views_that_fit_no_lens_are_refused(views: list[BoardView], fuzz_rounds: int) -> None:
    chance = np.random.default_rng(5)
    for number in range(max(3, fuzz_rounds // 100)):
        spoilt = []
        for view in views:
            corners = view.corners_px[:12] if number % 3 == 0 else view.corners_px
            moved = (
                corners * chance.uniform(0, 2, 2) if number % 2 else corners[:1] + chance.normal(0, 1, corners.shape)
            )
            spoilt.append(
                replace(view, corners_px=moved.astype(np.float32), corners_mm=view.corners_mm[: len(corners)])
            )
        with suppress(CalibrationError):
            assert np.isfinite(calibrate_lens(spoilt).matrix).all()


def test_too_few_views(views: list[BoardView]) -> None:
    with pytest.raises(CalibrationError, match="at least 6"):
        calibrate_lens(views[:4])


def test_views_of_different_sizes(views: list[BoardView]) -> None:
    with pytest.raises(CalibrationError, match="different sizes"):
        calibrate_lens([*views[1:], replace(views[0], width_px=640)])


@pytest.mark.slow
def test_flat_views_alone_cannot_tell_the_focal_length(renderer: Renderer) -> None:
    poses = [BoardPose(x_mm=x, rotation_deg=12 * x) for x in range(-3, 4)]
    scenes = [Scene(target="charuco", lamps=(Lamp(0, 35, 0.8),), board=pose) for pose in poses]
    with pytest.raises(CalibrationError, match="edge of the board raised"):
        calibrate_lens([find_board(renderer.render(scene, 20_000), BoardSpec()) for scene in scenes])


def test_wrong_corners_do_not_pass(views: list[BoardView]) -> None:
    rng = np.random.default_rng(2)
    shaken = [replace(v, corners_px=v.corners_px + rng.normal(0, 3, v.corners_px.shape).astype("f4")) for v in views]
    with pytest.raises(CalibrationError, match="pixels"):
        calibrate_lens(shaken)


def test_tilted_board_gives_no_scale(lens: Lens, views: list[BoardView]) -> None:
    with pytest.raises(CalibrationError, match="tilted"):
        mm_per_pixel(lens, views[2])
    with pytest.raises(CalibrationError, match="another size"):
        mm_per_pixel(lens, replace(views[0], width_px=640))


@pytest.mark.skipif(SHARED is None, reason="RIG_SHARED is not set")
def test_real_chessboard_photographs() -> None:
    # OpenCV's own tutorial on these thirteen images arrives at a focal length of about 535 pixels.
    grid = np.zeros((54, 3), np.float32)
    grid[:, :2] = np.mgrid[0:9, 0:6].T.reshape(-1, 2) * 25.0
    views = []
    for path in sorted((Path(str(SHARED)) / "data" / "calibration" / "chessboard").glob("*.jpg")):
        grey = cv2.cvtColor(read_image(path), cv2.COLOR_RGB2GRAY)
        found, corners = cv2.findChessboardCornersSB(grey, (9, 6))
        if found:
            views.append(BoardView(corners.reshape(-1, 2).astype(np.float32), grid, grey.shape[1], grey.shape[0]))
    assert len(views) >= 11
    real = calibrate_lens(views)
    assert real.rms_px < 0.5
    assert real.matrix[0, 0] == pytest.approx(535, rel=0.02)
    assert real.distortion[0] == pytest.approx(-0.28, abs=0.05)
