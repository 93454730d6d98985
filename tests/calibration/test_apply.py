"""Calibrated frames: even, neutral, straight, to scale; measured on what the twin truly showed."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from calibration.apply import apply
from calibration.board import BoardSpec, BoardView, find_board
from calibration.bundle import Bundle
from calibration.errors import CalibrationError
from calibration.flat import flat_field
from calibration.lens import Lens, mm_per_pixel
from calibration.response import to_linear
from rig.twin.render import Renderer
from rig.twin.scene import BoardPose, Lamp, PlacedCoin, Scene

LIGHTS = {"az000": (Lamp(0, 35, 0.9, 4000),), "az120": (Lamp(120, 35, 0.9, 4000),)}
Shown = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def bundle(renderer: Renderer, lens: Lens, views: list[BoardView]) -> Bundle:
    flats = {
        name: flat_field([renderer.render(Scene(target="white card", lamps=lamps), 20_000)], name)
        for name, lamps in LIGHTS.items()
    }
    return Bundle("twin", lens, mm_per_pixel(lens, views[0]), flats)


def test_white_card_is_even_and_neutral(renderer: Renderer, bundle: Bundle) -> None:
    for light, lamps in LIGHTS.items():
        raw = renderer.render(Scene(target="white card", lamps=lamps), 20_000)
        calibrated = apply(raw, bundle, light)
        assert calibrated.shape == raw.shape
        assert calibrated.dtype == np.uint8
        cells = to_linear(calibrated)[40:-40, 40:-40].reshape(22, 40, 30, 40, 3).mean(axis=(1, 3))
        assert np.ptp(cells) / cells.mean() < 0.02


def test_board_is_straight_and_to_scale_everywhere(renderer: Renderer, bundle: Bundle) -> None:
    pose = BoardPose(x_mm=3, y_mm=2, rotation_deg=17)
    raw = renderer.render(Scene(target="charuco", lamps=LIGHTS["az000"], board=pose), 20_000)
    view = find_board(apply(raw, bundle, "az000"), BoardSpec())
    seen_mm = view.corners_px * bundle.mm_per_pixel
    # A rotation and a shift alone take the printed corners to the seen ones.
    print_mm = view.corners_mm[:, :2] - view.corners_mm[:, :2].mean(axis=0)
    centred = seen_mm - seen_mm.mean(axis=0)
    u, _, vt = np.linalg.svd(print_mm.T @ centred)
    error_mm = np.linalg.norm(centred - print_mm @ (u @ vt), axis=1)
    assert error_mm.max() < 0.05  # about a pixel, over 50 mm


def test_a_grey_coin_looks_the_same_wherever_it_lies(renderer: Renderer, bundle: Bundle) -> None:
    levels = []
    for x_mm in (-14.0, 14.0):
        scene = Scene(coins=(PlacedCoin("2024.1.5", "obverse", x_mm, 0, 0),), lamps=LIGHTS["az000"])
        calibrated = to_linear(apply(renderer.render(scene, 20_000), bundle, "az000"))
        column = round(640 + x_mm / bundle.mm_per_pixel)
        levels.append(calibrated[400:560, column - 80 : column + 80].mean())
    assert levels[0] == pytest.approx(levels[1], rel=0.12)


def test_sharpness_survives(renderer: Renderer, bundle: Bundle) -> None:
    raw = renderer.render(Scene(target="charuco", lamps=LIGHTS["az000"]), 20_000)
    steepest = [
        float(np.percentile(np.abs(np.diff(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(int), axis=1)), 99.9))
        for image in (raw, apply(raw, bundle, "az000"))
    ]
    assert steepest[1] > 0.85 * steepest[0]


def test_wrong_size_and_unknown_light(bundle: Bundle) -> None:
    with pytest.raises(CalibrationError, match="640x480 pixels, calibration"):
        apply(np.zeros((480, 640, 3), np.uint8), bundle, "az000")
    with pytest.raises(CalibrationError, match="no flat field for all, only for az000, az120"):
        apply(np.zeros((960, 1280, 3), np.uint8), bundle, "all")


@pytest.mark.parametrize("box", [(500, 300, 900, 700), (0, 0, 40, 30), (1200, 880, 1280, 960), (0, 400, 1280, 401)])
def test_a_part_is_calibrated_as_it_is_in_the_whole(
    renderer: Renderer, bundle: Bundle, box: tuple[int, int, int, int]
) -> None:
    scene = Scene(coins=(PlacedCoin("2024.1.5", "obverse", 2.0, 1.0, 0),), lamps=LIGHTS["az000"])
    raw = renderer.render(scene, 20_000)
    left, top, right, bottom = box
    assert (apply(raw, bundle, "az000", box) == apply(raw, bundle, "az000")[top:bottom, left:right]).all()
