"""`rig calibrate lens` on photographs: of a known camera, and of OpenCV's real ones."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image import Image
from tests.pipeline.conftest import Rig
from tests.pipeline.measuring.conftest import FOCAL, POSES, Pose, charuco, photograph, residual_px, save_all

SHARED = os.environ.get("RIG_SHARED")
real = pytest.mark.skipif(SHARED is None, reason="RIG_SHARED is not set")
DATA = Path(SHARED or ".") / "data" / "calibration"
# Python tutorial of OpenCV on the same photographs: cv2.calibrateCamera on corners of its sample, 11 x 11 windows.
OPENCV_RMS_PX = 0.4080


@pytest.mark.slow
def test_the_lens_of_a_known_camera_is_found(rig: Rig, tmp_path: Path, boards: list[Image]) -> None:
    folder = save_all(boards, tmp_path / "boards")
    ran = rig("calibrate", "lens", "--images", folder, "--board", "chessboard:9x6:20", "--out", "lens.yaml", "--json")
    assert ran.code == 0, ran.err
    matrix, distortion = np.array(ran.json["matrix"]), np.array(ran.json["distortion"])
    assert matrix[0, 0] == pytest.approx(FOCAL, rel=0.01)
    assert residual_px(matrix, distortion) < 0.6
    assert len(ran.json["photographs"]) == 6 and (tmp_path / "lens.yaml").exists()
    straight = rig("calibrate", "apply", folder, "--lens", "lens.yaml", "--out", "straight")
    assert straight.code == 0 and len(list((tmp_path / "straight").iterdir())) == 6
    assert rig("calibrate", "apply", folder, "--lens", "lens.yaml", "--out", folder).code == 2, (
        "where the originals are"
    )


@pytest.mark.slow
def test_views_that_do_not_determine_a_lens_are_refused_with_the_reason(
    rig: Rig, tmp_path: Path, boards: list[Image]
) -> None:
    left = [photograph(chessboard_half(), Pose(pose.turn, (-1.3, pose.place[1])), 5.5) for pose in POSES]
    cases = {
        "too few": (boards[:3], "3 views of the board are too few"),
        "the same": ([boards[0]] * 7, "6 more are nearly the same"),
        "one side": (left, "at the left of the image"),
        "nothing": ([np.full((480, 640, 3), 128, np.uint8)] * 4, "found in 0 of 4"),
    }
    for name, (images, reason) in cases.items():
        folder = save_all(images, tmp_path / name)
        ran = rig("calibrate", "lens", "--images", folder, "--board", "chessboard:9x6")
        assert ran.code == 1 and reason in ran.err, (name, ran.err)


def chessboard_half() -> Image:
    from tests.pipeline.measuring.conftest import chessboard

    return np.asarray(cv2.resize(np.pad(chessboard(), 200, constant_values=150), (700, 500)), np.uint8)


@pytest.mark.parametrize(
    "legacy",
    [pytest.param(False, id="new pattern", marks=pytest.mark.slow), pytest.param(True, id="legacy pattern")],
)
def test_a_charuco_board_half_hidden_beside_a_stray_marker_is_found(rig: Rig, tmp_path: Path, legacy: bool) -> None:
    stray = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_5X5_50), 3, 60)
    images = []
    for pose in POSES:
        image = photograph(charuco(legacy=legacy), pose, 4.5)
        image[380:480, :100], image[400:460, 20:80] = 220, stray[..., None]
        images.append(image)
    images[-1][:, 340:] = 90
    folder = save_all(images, tmp_path / "boards")
    ran = rig("calibrate", "lens", "--images", folder, "--board", "charuco:7x6", "--json")  # the rest is found out
    assert ran.code in (0, 3), ran.err
    assert ran.json["matrix"][0][0] == pytest.approx(FOCAL, rel=0.015)
    corners = [each["corners"] for each in ran.json["photographs"]]
    assert min(corners) >= 10 and corners[-1] < 20, corners


def test_a_board_that_is_named_wrongly_is_refused_with_the_way_to_name_it(rig: Rig, tmp_path: Path) -> None:
    folder = save_all([np.full((480, 640, 3), 128, np.uint8)], tmp_path / "boards")
    for board in ("chess", "chessboard:9", "chessboard:9x6:big", "charuco:11x8:5:6", "charuco:7x6"):
        ran = rig("calibrate", "lens", "--images", folder, "--board", board)
        assert ran.code == 1 and ("charuco:11x8" in ran.err or "marker" in ran.err), ran.err
    missing = rig("calibrate", "lens", "--images", tmp_path / "board", "--board", "chessboard:9x6")
    assert missing.code == 2 and "boards" in missing.err


@real
@pytest.mark.slow
def test_opencvs_photographs_fit_better_than_in_its_own_sample(rig: Rig) -> None:
    ran = rig("calibrate", "lens", "--images", DATA / "chessboard", "--board", "chessboard:9x6:25", "--json")
    assert ran.code == 0 and len(ran.json["photographs"]) == 13, ran.err
    assert ran.json["rms_px"] < 0.25 < OPENCV_RMS_PX
    assert ran.json["matrix"][0][0] == pytest.approx(535, rel=0.01)


@real
@pytest.mark.slow
def test_opencvs_charuco_photographs_are_seen_and_refused_for_their_tilts(rig: Rig) -> None:
    ran = rig("calibrate", "lens", "--images", DATA / "charuco", "--board", "charuco:5x7")
    assert ran.code == 1 and "6 of 6 images" in ran.err and "tilted in the same way" in ran.err
    assert "chocclusion_original.jpg: 16 of 24 corners" in ran.err
