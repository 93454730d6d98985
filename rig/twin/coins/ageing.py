"""A coin years later: worn further, scratched, cleaned or toned or dirty. What it was struck as stays."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from rig.twin.coins.procedural import scratches
from rig.twin.coins.relief import fractal_noise, normals_of
from rig.twin.coins.surface import Array, Surface, as_array

_EARTHS = ((0.14, 0.24, 0.18), (0.25, 0.14, 0.08), (0.34, 0.30, 0.23))  # verdigris, rust, clay


def aged(surface: Surface, rng: np.random.Generator) -> Surface:
    """One side as it would be after it was handled, kept and cleaned by others.

    High points rub down and everything softens a little, unevenly; new scratches; the metal's colour is evened out by
    cleaning or stained by toning; earth or verdigris may lie in patches, more of it in hollows.
    """
    size_px = surface.height_mm.shape[0]
    pitch_mm = surface.side_mm / size_px
    wear = np.float32(rng.uniform(0.1, 0.6)) * (1 + np.float32(0.35) * fractal_noise(rng, size_px, 3, 2))
    field = cv2.GaussianBlur(surface.height_mm, (0, 0), size_px / 24)
    standing = surface.height_mm - field
    spread = np.float32(standing[surface.coverage > 0.5].std() + 1e-6)
    ceiling = spread * (np.float32(2.6) - np.float32(2.0) * np.clip(wear, 0, 1))
    rubbed = np.where(standing > 0, ceiling * np.tanh(standing / ceiling), standing)
    soft = cv2.GaussianBlur(as_array(rubbed), (0, 0), float(rng.uniform(0.6, 1.4)))
    height_mm = as_array(field + soft) + scratches(rng, size_px)
    albedo, specular = _recoloured(surface, standing / spread, rng)
    return replace(
        surface, height_mm=height_mm, normals=normals_of(height_mm, pitch_mm), albedo=albedo, specular=specular
    )


def _recoloured(surface: Surface, standing: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Albedo and gloss: cleaned by some share, toned in clouds, and with deposits or without."""
    size_px = standing.shape[0]
    colour = surface.albedo[surface.coverage > 0.9].mean(axis=0)
    cleaned = np.float32(rng.uniform(0.0, 0.7))
    albedo = surface.albedo * (1 - cleaned) + colour * cleaned
    clouds = 1 + np.float32(rng.uniform(0.05, 0.2)) * fractal_noise(rng, size_px, 6, 4)
    albedo = albedo * clouds[..., None] * rng.normal(1, 0.06, 3)
    specular = surface.specular * (1 - cleaned) + np.float32(rng.uniform(0.1, 0.5)) * cleaned
    if rng.random() < 0.5:
        patches = fractal_noise(rng, size_px, 7, 5, 0.7) - np.float32(0.5) * np.clip(standing, -1.5, 1.5)
        covered = np.clip((patches - np.float32(rng.uniform(1.0, 1.7))) * 2, 0, 1)
        earth = np.asarray(_EARTHS[int(rng.integers(len(_EARTHS)))], np.float32)
        albedo = albedo + covered[..., None] * (earth - albedo)
        specular = specular * (1 - covered)
    return as_array(np.clip(albedo, 0.015, 0.9)), as_array(np.clip(specular, 0.0, 1.0))
