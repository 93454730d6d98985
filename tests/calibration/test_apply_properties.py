"""What holds for every bundle and every frame: the same each time, monotone, never wrapped, no NaN; misfits refused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calibration.apply import apply
from calibration.bundle import Bundle
from calibration.colour_matrix import ColourMatrix
from calibration.errors import CalibrationError
from calibration.lens import Lens

SEEDS = st.integers(0, 2**32 - 1)
LIGHT = "az000"


def anything(seed: int, *, colour: bool = True) -> tuple[Bundle, np.random.Generator]:
    """A bundle of any values that a calibration could have, of a small camera."""
    chance = np.random.default_rng(seed)
    width, height = (int(size) for size in chance.integers(16, 90, 2))
    focal = chance.uniform(3, 6) * width
    matrix = np.array([[focal, 0, width / 2 + chance.uniform(-3, 3)], [0, focal, height / 2], [0, 0, 1]])
    lens = Lens(matrix, chance.normal(0, [0.5, 1, 0.003, 0.003]), 0.05, width, height)
    flat = chance.uniform(0.3, 8, (-(-height // 16), -(-width // 16), 3)).astype(np.float16)
    colours = {}
    if colour and chance.random() < 0.7:
        model, terms = ("linear", 3) if chance.random() < 0.5 else ("root-polynomial", 6)
        colours[LIGHT] = ColourMatrix(model, chance.normal(0, 0.8, (terms, 3)))  # type: ignore[arg-type]
    hot = np.argwhere(chance.random((height, width)) < 0.01)
    dark = chance.uniform(0, 0.05, 3).astype(np.float32) if chance.random() < 0.7 else None
    return Bundle("any", lens, 0.05, {LIGHT: flat}, dark=dark, hot=hot, colours=colours), chance


def frame(chance: np.random.Generator, bundle: Bundle, dtype: type) -> np.ndarray:
    top = np.iinfo(dtype).max
    shape = (bundle.lens.height_px, bundle.lens.width_px, 3)
    noise = chance.integers(0, top + 1, shape)
    extreme = chance.choice(np.array([0, 1, top - 1, top]), shape)
    return np.where(chance.random(shape) < 0.5, noise, extreme).astype(dtype)


@given(SEEDS, st.sampled_from([np.uint8, np.uint16]))
@example(268435456, np.uint16)  # the colour of the last columns of a row was rounded otherwise
@settings(max_examples=25, deadline=None)
def test_a_calibrated_frame_is_the_same_each_time_and_in_each_part(seed: int, dtype: type) -> None:
    bundle, chance = anything(seed)
    raw = frame(chance, bundle, dtype)
    before = raw.copy()
    done = apply(raw, bundle, LIGHT)
    assert done.dtype == dtype and done.shape == raw.shape and (raw == before).all()
    assert (apply(raw, bundle, LIGHT) == done).all()
    height, width = raw.shape[:2]
    left, top = int(chance.integers(0, width - 4)), int(chance.integers(0, height - 4))
    box = (left, top, int(chance.integers(left + 2, width + 1)), int(chance.integers(top + 2, height + 1)))
    assert (apply(raw, bundle, LIGHT, box) == done[box[1] : box[3], box[0] : box[2]]).all()


@given(SEEDS, st.sampled_from([np.uint8, np.uint16]))
@settings(max_examples=25, deadline=None)
def test_more_light_is_never_less_and_nothing_wraps(seed: int, dtype: type) -> None:
    """Of even frames: the lens's cubic interpolation overshoots at edges, and a colour matrix may take away."""
    bundle, chance = anything(seed, colour=False)
    top = np.iinfo(dtype).max
    shape = (bundle.lens.height_px, bundle.lens.width_px, 3)
    levels = np.sort(chance.integers(0, top + 1, 4))
    done = [apply(np.full(shape, level, dtype), bundle, LIGHT) for level in (0, *levels, top)]
    for darker, lighter in pairwise(done):
        assert (lighter >= darker).all()


@given(SEEDS)
@settings(max_examples=25, deadline=None)
def test_a_frame_that_does_not_fit_is_refused_with_the_reason(seed: int) -> None:
    bundle, chance = anything(seed)
    raw = frame(chance, bundle, np.uint8)
    with pytest.raises(CalibrationError, match="no flat field for az999"):
        apply(raw, bundle, "az999")
    for wrong in (raw[:-1], raw[:, 1:]):
        with pytest.raises(CalibrationError, match="pixels, calibration"):
            apply(np.ascontiguousarray(wrong), bundle, LIGHT)
    if raw.shape[0] != raw.shape[1]:
        with pytest.raises(CalibrationError, match="turned by 90 degrees"):
            apply(np.ascontiguousarray(np.rot90(raw)), bundle, LIGHT)
    for odd in (raw[..., 0], raw.astype(np.float32), raw.astype(np.int16)):
        with pytest.raises(CalibrationError, match="8 or 16 bits"):
            apply(odd, bundle, LIGHT)  # type: ignore[type-var]
