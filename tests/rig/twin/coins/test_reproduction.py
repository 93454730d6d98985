"""Catalogue images: grey, on white, small, and yet of that coin."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rig.twin.coins.procedural import procedural_side
from rig.twin.coins.reproduction import Manner, reproduction
from rig.twin.coins.surface import beam_from, shade


@pytest.mark.parametrize("manner", ["photograph", "halftone", "cast"])
def test_looks_like_a_catalogue(manner: Manner) -> None:
    image = reproduction(procedural_side("a", "obverse"), 5, manner)
    height, width, _ = image.shape
    assert 220 <= width == height <= 320
    assert image.dtype == np.uint8
    assert (image[..., 0] == image[..., 2]).all()
    corners = np.concatenate([image[:12, :12].ravel(), image[-12:, -12:].ravel()])
    assert corners.mean() > 225
    assert image[width // 3 : -width // 3, width // 3 : -width // 3].std() > 8


def test_shows_its_coin_better_than_another() -> None:
    size = 200

    def crop(grey: np.ndarray) -> np.ndarray:
        small = cv2.GaussianBlur(cv2.resize(grey.astype(np.float32), (size, size)), (0, 0), 2.0)
        return (small - cv2.GaussianBlur(small, (0, 0), 15))[40:160, 40:160].ravel()

    coins = ["a", "b", "c", "d", "e"]
    surfaces = [procedural_side(coin, "obverse") for coin in coins]
    printed = [crop(reproduction(surface, 9, "photograph")[..., 0]) for surface in surfaces]
    seen = []
    for surface in surfaces:
        light = shade(surface, [beam_from(120, 35, (1, 1, 1))]).mean(axis=2)
        border = round(surface.coverage.shape[0] / 0.9 * 0.05)
        seen.append(crop(cv2.copyMakeBorder(light, border, border, border, border, cv2.BORDER_CONSTANT)))
    similarity = np.corrcoef(seen, printed)[: len(coins), len(coins) :]
    assert (similarity.argmax(axis=1) == np.arange(len(coins))).sum() >= 4


def test_seed_repeats_and_varies() -> None:
    surface = procedural_side("a", "obverse")
    assert (reproduction(surface, 1) == reproduction(surface, 1)).all()
    assert len({reproduction(surface, seed).shape for seed in range(6)}) > 1
