"""The flat field evens out what the twin's lamps and lens make uneven, and refuses what is no flat field."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.errors import CalibrationError
from calibration.flat import flat_field, gain_at_size
from calibration.response import to_image, to_linear
from rig.twin.render import Renderer
from rig.twin.scene import Lamp, PlacedCoin, Scene


def _card(renderer: Renderer, azimuth_deg: float, kelvin: int = 5000, exposure_us: float = 20_000) -> np.ndarray:
    lamps = (Lamp(azimuth_deg, 35, 1.0, kelvin),)
    return renderer.render(Scene(target="white card", lamps=lamps), exposure_us)


@pytest.mark.parametrize("azimuth_deg", [0, 120, 210])
def test_card_comes_out_even_and_neutral(renderer: Renderer, azimuth_deg: float) -> None:
    flat = flat_field([_card(renderer, azimuth_deg, 3500, 14_000) for _ in range(2)], "az")
    seen = to_linear(_card(renderer, azimuth_deg, 3500, 14_000))
    before = seen[::40, ::40].std() / seen.mean()
    even = seen * gain_at_size(flat, 1280, 960)
    cells = even.reshape(24, 40, 32, 40, 3).mean(axis=(1, 3))
    assert before > 0.1
    assert np.ptp(cells) / cells.mean() < 0.02


def test_gain_leaves_the_middle_as_bright_as_it_was(renderer: Renderer) -> None:
    gain = gain_at_size(flat_field([_card(renderer, 60)], "az060"), 1280, 960)
    assert gain[470:490, 630:650].mean() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("size", [(1280, 960), (641, 479), (33, 50)])
def test_any_size(size: tuple[int, int]) -> None:
    width, height = size
    card = np.full((height, width, 3), 150, np.uint8)
    gain = gain_at_size(flat_field([card], "all"), width, height)
    assert gain.shape == (height, width, 3)
    assert np.abs(gain - 1).max() < 0.01


def test_bad_cards_say_what_to_do(renderer: Renderer) -> None:
    card = _card(renderer, 0)
    with pytest.raises(CalibrationError, match="no image"):
        flat_field([], "az000")
    with pytest.raises(CalibrationError, match="az000 is over-exposed"):
        flat_field([_card(renderer, 0, exposure_us=80_000)], "az000")
    with pytest.raises(CalibrationError, match="lamp is lit"):
        flat_field([renderer.render(Scene(target="white card"), 20_000)], "az000")
    with pytest.raises(CalibrationError, match="different sizes"):
        flat_field([card, card[:400]], "az000")
    scene = Scene(coins=(PlacedCoin("a", "obverse", 0, 0, 0),), lamps=(Lamp(0, 35, 1.6),))
    with pytest.raises(CalibrationError, match="more than an even white card"):
        flat_field([renderer.render(scene, 20_000)], "az000")


def test_response_goes_there_and_back() -> None:
    codes = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    assert (to_image(to_linear(codes)) == codes).all()
    assert to_linear(codes)[0, 188, 0] == pytest.approx(0.5, abs=0.01)  # sRGB's middle grey of light
