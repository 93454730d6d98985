"""Coins of known shape, so that what the camera sees can be worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from rig.sides import Side
from rig.twin.coins.relief import normals_of
from rig.twin.coins.surface import MARGIN, Surface


def flat_coin(diameter_mm: float = 20.0, thickness_mm: float = 2.0, size_px: int = 240) -> Surface:
    """A matte grey disc with a white spot on its right, half-way to the edge."""
    side_mm = diameter_mm * MARGIN
    axis = (np.arange(size_px) + 0.5) * side_mm / size_px - side_mm / 2
    x, y = axis[None, :], -axis[:, None]
    albedo = np.full((size_px, size_px, 3), 0.2, np.float32)
    albedo[np.hypot(x - diameter_mm / 4, y) < 1.5] = 0.8
    height = np.zeros((size_px, size_px), np.float32)
    return Surface(
        albedo=albedo,
        normals=normals_of(height, side_mm / size_px),
        height_mm=height,
        coverage=(np.hypot(x, y) < diameter_mm / 2).astype(np.float32),
        specular=np.zeros_like(height),
        shininess=10.0,
        diameter_mm=diameter_mm,
        thickness_mm=thickness_mm,
        side_mm=side_mm,
    )


def domed_coin(diameter_mm: float = 20.0, size_px: int = 240) -> Surface:
    """A matte disc that rises to a low dome: its side towards the lamp is the bright one."""
    side_mm = diameter_mm * MARGIN
    axis = (np.arange(size_px, dtype=np.float32) + 0.5) * np.float32(side_mm / size_px) - np.float32(side_mm / 2)
    away = np.hypot(axis[None, :], axis[:, None])
    height = (2.0 * (1 - (away / (diameter_mm / 2)) ** 2)).clip(0).astype(np.float32)
    return Surface(
        albedo=np.full((size_px, size_px, 3), 0.3, np.float32),
        normals=normals_of(height, side_mm / size_px),
        height_mm=height,
        coverage=(away < diameter_mm / 2).astype(np.float32),
        specular=np.zeros_like(height),
        shininess=10.0,
        diameter_mm=diameter_mm,
        thickness_mm=2.0,
        side_mm=side_mm,
    )


class KnownCoins:
    """A drawer of the two."""

    def side_texture(self, coin: str, side: Side) -> Surface:
        return {"flat": flat_coin, "domed": domed_coin}[coin]()


@pytest.fixture(scope="session")
def known_coins() -> KnownCoins:
    return KnownCoins()
