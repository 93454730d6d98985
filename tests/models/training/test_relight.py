"""Relief, guessed and measured, and the same relief under another lamp."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.outline import GREY_MEAN
from models.training.relight import Grey, guessed_relief, measured_relief, on_coin, relit
from tests.models.model_coins import crop_of

INSIDE = on_coin(224)


def grey_of(number: int, lamp_deg: float) -> Grey:
    return crop_of(number, lamp_deg, noise=2.0)[:, :, 0].astype(np.float32)


def similarity(one: Grey, other: Grey) -> float:
    return float(np.corrcoef(one[INSIDE], other[INSIDE])[0, 1])


@pytest.mark.parametrize("lamp_deg", [45.0, 170.0, 290.0])
def test_a_measured_relief_shows_what_a_lamp_never_used_would(lamp_deg: float) -> None:
    lamps_deg = (0.0, 90.0, 135.0, 225.0)
    relief = measured_relief([grey_of(3, lamp) for lamp in lamps_deg], lamps_deg)
    relit_there = relit(relief, lamp_deg, gloss=0.0)
    assert similarity(relit_there, grey_of(3, lamp_deg)) > 0.8
    assert similarity(relit_there, grey_of(3, lamp_deg)) > similarity(relit_there, grey_of(3, lamp_deg + 120.0)) + 0.3


def test_a_guess_from_one_photograph_is_better_than_the_photograph_itself() -> None:
    for number in range(5):
        photograph, turned_lamp = grey_of(number, 135.0), grey_of(number, 315.0)
        guessed = relit(guessed_relief(photograph), 315.0, gloss=0.0)
        assert similarity(guessed, turned_lamp) > similarity(photograph, turned_lamp) + 0.3


def test_lit_from_where_it_was_it_stays_what_it_was() -> None:
    photograph = grey_of(2, 135.0)
    assert similarity(relit(guessed_relief(photograph), 135.0, gloss=0.0), photograph) > 0.65


@given(
    lamp_deg=st.floats(-720, 720),
    elevation_deg=st.floats(5, 90),
    gloss=st.floats(0, 3),
    paint=st.floats(0, 1),
    contrast=st.sampled_from([0.0, 1.0]),
)
def test_what_comes_out_is_a_normalised_crop(
    lamp_deg: float, elevation_deg: float, gloss: float, paint: float, contrast: float
) -> None:
    grey = np.float32(GREY_MEAN) + np.float32(contrast) * (grey_of(1, 135.0) - np.float32(GREY_MEAN))
    out = relit(guessed_relief(grey), lamp_deg, elevation_deg, gloss, paint)
    assert out.shape == (224, 224) and out.dtype == np.float32
    assert np.isfinite(out).all() and out.min() >= 0.0 and out.max() <= 255.0
    assert (out[~INSIDE] == np.float32(GREY_MEAN)).all()


def test_two_lamps_or_lamps_in_one_place_are_too_few() -> None:
    for lamps_deg in ((0.0, 90.0), (10.0, 10.0, 10.0)):
        with pytest.raises(ValueError, match="three lamps"):
            measured_relief([grey_of(1, lamp) for lamp in lamps_deg], lamps_deg)
