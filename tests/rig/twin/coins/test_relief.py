"""Relief: normals of known shapes, and relief guessed from an image of a known one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rig.twin.coins.lettering import arched_text, straight_text, text_width
from rig.twin.coins.procedural import procedural_side
from rig.twin.coins.relief import Die, fractal_noise, normals_of, relief_from_photo, smooth_curve
from rig.twin.coins.surface import beam_from, shade


def test_normals_of_a_slope() -> None:
    columns, rows = np.meshgrid(np.arange(50, dtype=np.float32), np.arange(50, dtype=np.float32))
    normals = normals_of(0.05 * columns + 0.02 * rows, 0.1)  # rises 0.5 per mm to the right, 0.2 per mm downwards
    expected = np.array([-0.5, 0.2, 1.0]) / np.linalg.norm([-0.5, 0.2, 1.0])
    assert normals[25, 25] == pytest.approx(expected, abs=1e-4)


def test_photographed_relief_is_guessed_to_a_correlation_of_seven_tenths() -> None:
    scores = []
    for coin, side in (("q1", "obverse"), ("q2", "reverse"), ("q3", "obverse"), ("q4", "reverse")):
        truth = procedural_side(coin, side)
        photo = shade(truth, [beam_from(135, 40, (1.6, 1.6, 1.6))], (0.35, 0.35, 0.35))
        guess = relief_from_photo(photo.mean(axis=2), truth.coverage)
        inside = cv2.erode((truth.coverage > 0.5).astype(np.uint8), np.ones((25, 25))) > 0
        guessed = normals_of(0.15 * guess, truth.side_mm / guess.shape[0])
        for axis in (0, 1):
            smooth = [cv2.GaussianBlur(normals[..., axis], (0, 0), 1.5)[inside] for normals in (guessed, truth.normals)]
            scores.append(np.corrcoef(*smooth)[0, 1])
    assert np.mean(scores) > 0.7


def test_curve_passes_through_its_points() -> None:
    points = [(0.0, 0.0), (1.0, 0.2), (0.7, 1.0), (-0.2, 0.8)]
    for closed in (True, False):
        curve = smooth_curve(points, closed=closed)
        for point in points:
            assert np.abs(curve - point).sum(axis=1).min() < 1e-9


def test_legend_runs_clockwise_within_its_ring() -> None:
    strokes = arched_text("CONSTANTINVS", 0.75, 0.12, 200, -20)
    radii = np.concatenate([np.hypot(*stroke.T) for stroke in strokes])
    assert radii.min() > 0.74
    assert radii.max() < 0.88
    first, last = strokes[0].mean(axis=0), strokes[-1].mean(axis=0)
    assert first[0] < 0 < last[0]


def test_line_of_text_is_centred() -> None:
    strokes = np.concatenate(straight_text("VOT", 0.1, -0.2, 0.2))
    assert strokes[:, 0].mean() == pytest.approx(0.1, abs=0.05)
    assert np.ptp(strokes[:, 0]) < text_width("VOT") * 0.2


def test_die_is_raised_where_it_is_cut() -> None:
    die = Die(200)
    die.limb((-0.5, 0.0), (0.5, 0.0), (0.1, 0.1), 0.8)
    die.dots([(0.0, 0.8)], 0.05, 0.5)
    assert die.height[100, 100] == pytest.approx(0.8, abs=0.05)
    row = round((Die.REACH - 0.8) * die.scale)
    assert die.height[row, 100] > 0.2
    assert die.height[180, 20] == 0


def test_noise_has_unit_spread() -> None:
    noise = fractal_noise(np.random.default_rng(1), 256, 8, 4)
    assert noise.std() == pytest.approx(1, abs=0.25)
