"""Procedural coins to evaluate on: the synthetic figure that is printed beside every real one.

Their names and seed are used nowhere else (see `pipeline.learning.training_coins`), so that no coin trained on is
judged here.
"""

from __future__ import annotations

import cv2
import numpy as np

from calibration.image import Image
from calibration.outline import crop_coin
from models.evaluation.samples import Sample
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from rig.twin.coins.surface import Surface, beam_from, shade

SEED = 9004
QUERIES = 2
_COINS_OF_A_TYPE = 8


def synthetic_samples(coins: int) -> list[Sample]:
    """A catalogue's photograph of so many coins, and frames of each under a lamp anywhere, turned at random."""
    drawer, rng = ProceduralDrawer(SEED), np.random.default_rng(SEED)
    types = max(1, coins // _COINS_OF_A_TYPE)
    samples: list[Sample] = []
    number = found = 0
    while found < coins:
        name = f"e{number}"
        number += 1
        if int(drawer.coin_type(name).split()[-1]) >= types:
            continue
        found += 1
        surface = drawer.side_texture(name, "obverse")
        images = [reproduction(surface, number, "photograph")]
        images += [_frame(surface, rng) for _ in range(QUERIES)]
        for place, image in enumerate(images):
            turned_deg = 0.0 if place == 0 else float(rng.uniform(0.0, 360.0))
            crop = crop_coin(image, turned_deg=turned_deg)
            samples.append(Sample(f"{name}-{place}", crop, name, str(place), drawer.coin_type(name)))
    return samples


def _frame(surface: Surface, rng: np.random.Generator) -> Image:
    beam = beam_from(float(rng.uniform(0.0, 360.0)), float(rng.uniform(28.0, 50.0)), (1.3, 1.3, 1.3))
    light = shade(surface, [beam], (0.1, 0.1, 0.1))
    light = light * np.float32(0.8 / float(np.percentile(light[surface.coverage > 0.9], 97)))
    coverage = surface.coverage[..., None]
    seen = cv2.GaussianBlur(light, (0, 0), 1.0) * coverage + np.float32(0.012) * (1 - coverage)
    seen = np.clip(seen + rng.normal(0, 0.008, seen.shape), 0, 1) ** (1 / 2.2)
    return np.asarray(seen * 255, np.uint8)
