"""The network that compares surfaces place by place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.embedding.backbones import WeightsError
from models.matching.surface_network import (
    JUDGED,
    SURFACE_PX,
    SurfaceNetwork,
    judge_places,
    mean_of_places,
)
from models.matching.verification import shipped_verification


@pytest.fixture
def laid() -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 255, (2, SURFACE_PX // 8, SURFACE_PX // 8), np.uint8)
    return image.repeat(8, axis=1).repeat(8, axis=2)


def test_the_order_of_two_images_does_not_count(laid: np.ndarray) -> None:
    network = shipped_verification().verifier.network
    assert judge_places(network, laid) == pytest.approx(judge_places(network, laid[::-1]), abs=1e-4)


def test_it_says_the_same_read_from_its_file(laid: np.ndarray, tmp_path: Path) -> None:
    network = shipped_verification().verifier.network
    network.save(tmp_path / "network.safetensors")
    read = SurfaceNetwork.load(tmp_path / "network.safetensors")
    assert judge_places(read, laid) == pytest.approx(judge_places(network, laid), abs=1e-6)


def test_an_image_is_one_coin_with_itself_and_two_with_noise(laid: np.ndarray) -> None:
    network = shipped_verification().verifier.network
    itself = mean_of_places(judge_places(network, np.stack([laid[0], laid[0]])))
    noise = mean_of_places(judge_places(network, laid))
    assert itself[0] - itself[1:].max() > noise[0] - noise[1:].max()
    assert itself.shape == (JUDGED,)


def test_a_damaged_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="damaged or missing"):
        SurfaceNetwork.load(path)
