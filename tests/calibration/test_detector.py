"""What holds for every correction, whatever it was made of: the same each time, monotone, without wrap or NaN."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.colour import MODELS, ColourCorrection
from calibration.detector import Correction, make_correction
from calibration.errors import CalibrationError
from calibration.flat import MAX_GAIN
from calibration.image import Image
from pipeline.measuring.apply import Corrections

SEEDS = st.integers(0, 2**32 - 1)


def correct(image: Image, correction: Correction) -> Image:
    return Corrections(None, correction, None).apply(image, "the image")


def correct_colour(image: Image, correction: ColourCorrection) -> Image:
    return Corrections(None, None, correction).apply(image, "the image")


def made_of(seed: int) -> Correction | None:
    """A correction of frames that are anything; None if they are refused."""
    chance = np.random.default_rng(seed)
    height, width = chance.integers(1, 200, 2)
    level, spread = chance.uniform(0, 255), chance.choice([0.0, 2.0, 60.0])
    flats, darks = (
        [
            np.clip(chance.normal(mean, spread, (height, width, 3)), 0, 255).astype(np.uint8)
            for _ in range(chance.integers(0, 3))
        ]
        for mean in (level, chance.uniform(0, 30))
    )
    try:
        return make_correction([], darks, flats)
    except CalibrationError:
        return None


@given(SEEDS)
def test_frames_give_a_bounded_correction_or_are_refused(seed: int) -> None:
    correction = made_of(seed)
    if correction is not None:
        assert np.isfinite(correction.gain).all() and correction.gain.min() > 0 and correction.gain.max() <= MAX_GAIN
        assert np.isfinite(correction.dark).all()


@given(SEEDS)
def test_a_corrected_image_is_monotone_the_same_each_time_and_never_wraps(seed: int) -> None:
    chance = np.random.default_rng(seed)
    height, width = (int(size) for size in chance.integers(1, 70, 2))
    cells = (-(-height // 16), -(-width // 16), 3)
    hot = np.argwhere(chance.random((height, width)) < 0.02)
    dark, gain = chance.uniform(0, 0.05, 3).astype(np.float32), chance.uniform(0.2, MAX_GAIN, cells).astype(np.float32)
    correction = Correction(dark, gain, hot, 0.0, width, height)
    image = chance.integers(0, 256, (height, width, 3)).astype(np.uint8)
    lighter = np.maximum(image, chance.integers(0, 256, image.shape)).astype(np.uint8)
    done = correct(image, correction)
    assert (done == correct(image, correction)).all()
    assert (correct(lighter, correction) >= done).all()
    assert (correct(np.full_like(image, 255), correction) >= correct(np.zeros_like(image), correction)).all()


@given(SEEDS, st.sampled_from(MODELS))
def test_colours_stay_within_their_range_whatever_the_matrix(seed: int, model: str) -> None:
    chance = np.random.default_rng(seed)
    terms = 3 if model == "linear" else 6
    matrix = chance.normal(0, 1, (terms, 3)) + np.eye(terms, 3)
    curve = np.sort(chance.uniform(0, 1, (256, 3)), axis=0)
    correction = ColourCorrection(curve, "fitted", model, chance.uniform(0.3, 4, 3), matrix)  # type: ignore[arg-type]
    image = chance.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    done = correct_colour(image, correction)
    assert done.shape == image.shape and done.dtype == np.uint8 and (done == correct_colour(image, correction)).all()
    exact = ColourCorrection(np.repeat(curve[:, :1], 3, axis=1), "fitted", "linear", np.ones(3), np.eye(3))
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert (np.diff(correct_colour(ramp, exact).astype(int), axis=1) >= 0).all(), "monotone, and no wrap at 255"


def test_another_size_is_refused() -> None:
    correction = Correction(np.zeros(3, np.float32), np.ones((2, 2, 3), np.float32), np.zeros((0, 2), int), 0.0, 20, 30)
    with pytest.raises(CalibrationError, match="20x30"):
        correct(np.zeros((20, 30, 3), np.uint8), correction)
