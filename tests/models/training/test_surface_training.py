"""Training the network that compares surfaces."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from models.matching.surface_network import SURFACE_PX, judge_places, mean_of_places
from models.training.surface_training import SurfacePair, train_network


def noise(seed: int) -> np.ndarray:
    image = np.random.default_rng(seed).normal(128, 60, (SURFACE_PX, SURFACE_PX)).astype(np.float32)
    return np.asarray(np.clip(cv2.GaussianBlur(image, (0, 0), 2.0) * 4 - 384, 0, 255), np.uint8)


def pairs(seeds: range) -> list[SurfacePair]:
    """One image twice, the second time of another contrast; and two images."""
    return [
        SurfacePair(np.stack([noise(seed), noise(seed + 500 * is_other) // 2 + 40]), relation, "made")
        for seed in seeds
        for is_other, relation in ((0, 0), (1, 1), (1, None))
    ]


@pytest.mark.slow
def test_it_learns_to_tell_one_image_from_two() -> None:
    network = train_network(pairs(range(8)), 25, 0, lambda done, total: None)
    judged = [mean_of_places(judge_places(network, pair.laid)) for pair in pairs(range(100, 104))]
    speaks = [float(each[0] - np.logaddexp.reduce(each[1:])) for each in judged]
    assert min(speaks[0::3]) > max(speaks[1::3])


def test_it_takes_pairs_of_one_coin_and_of_two() -> None:
    with pytest.raises(ValueError, match="of one coin, and of two"):
        train_network([pair for pair in pairs(range(2)) if pair.relation == 0], 1, 0, lambda done, total: None)
