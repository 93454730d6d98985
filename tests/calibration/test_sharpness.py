"""Sharpness by slanted edges, against edges whose blur is known; and what guidelines make of a value."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from calibration.board import BoardSpec, find_board
from calibration.guidelines import CRITERIA, STARS
from calibration.sharpness import measure_sharpness, slant_to_turn_deg

SPEC = BoardSpec(squares_x=5, squares_y=4)
SIZE, FINER, PRINTED = (340, 280), 4, 240  # a square has 60 pixels
BLUR_PX = 0.7


def photographed(slant_deg: float, red_to_the_right_px: float = 0.0) -> np.ndarray:
    """Light of a board, blurred by a Gaussian and a pixel's aperture; red beside the other channels by a bit."""
    printed = SPEC.opencv().generateImage((5 * PRINTED, 4 * PRINTED)).astype(np.float32) / 255 * 0.8 + 0.05
    turn = np.radians(slant_deg)
    turned = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    middle = FINER * np.array(SIZE) / 2 - turned @ (2.5 * PRINTED, 2 * PRINTED)
    large = (SIZE[0] * FINER, SIZE[1] * FINER)
    fine = cv2.warpAffine(printed, np.column_stack([turned, middle]), large, borderValue=0.85)
    fine = cv2.GaussianBlur(fine, (0, 0), BLUR_PX * FINER)
    aside = np.roll(fine, round(red_to_the_right_px * FINER), axis=1)
    light = np.stack([cv2.resize(each, SIZE, interpolation=cv2.INTER_AREA) for each in (aside, fine, fine)], axis=-1)
    return np.clip(light + np.random.default_rng(1).normal(0, 0.003, light.shape), 0, 1).astype(np.float32)


def test_the_response_of_a_known_blur_is_found_and_colours_beside_each_other() -> None:
    light = photographed(5.0)
    view = find_board((255 * light).astype(np.uint8), SPEC)
    found = measure_sharpness(light, view, SPEC)
    assert found is not None and abs(slant_to_turn_deg(view)) < 0.2
    frequencies = np.linspace(0.001, 1, 1000)
    true = np.exp(-2 * (np.pi * BLUR_PX * frequencies) ** 2) * np.sinc(frequencies)
    assert found.mtf50 == pytest.approx(frequencies[true < 0.5][0], rel=0.05)
    assert found.mtf10 == pytest.approx(frequencies[true < 0.1][0], rel=0.05)
    assert found.greatest < 1.02 and found.misregistration_px < 0.02
    apart = measure_sharpness(photographed(5.0, red_to_the_right_px=0.5), view, SPEC)
    assert apart is not None and apart.misregistration_px == pytest.approx(0.5, abs=0.05)


def test_edges_that_lie_along_the_pixels_are_not_measured_and_say_how_far_to_turn() -> None:
    light = photographed(0.3)
    view = find_board((255 * light).astype(np.uint8), SPEC)
    assert measure_sharpness(light, view, SPEC) is None
    assert slant_to_turn_deg(view) == pytest.approx(4.7, abs=0.2)
    assert slant_to_turn_deg(replace(view, corners_px=view.corners_px[:, ::-1])) == pytest.approx(5.3, abs=0.2)


def test_a_value_gets_the_best_grade_whose_limit_it_keeps_and_none_below_the_last() -> None:
    by_key = {criterion.key: criterion for criterion in CRITERIA}
    colour = by_key["ciede2000_mean"].asked[0]
    assert [colour.grade(value, "less") for value in (1.9, 3.0, 9.0)] == [
        ("4 stars", 2.0),
        ("3 stars", 3.5),
        ("below 1 star", 6.5),
    ]
    sampling = by_key["sampling_efficiency_percent"].asked[0]
    assert sampling.grade(85.0, "more") == ("3 stars", 80.0) and sampling.grades == STARS
    scale = by_key["scale_percent"].asked[0]
    assert scale.grade(3.5, "less") == ("below 1 star", 3.0), "of one star no limit was read"
