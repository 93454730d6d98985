"""Embedders for the tests of the models."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from models.embedding.backbones import build
from models.embedding.embedder import Embedder, EmbedderNetwork
from models.embedding.lean_imports import torchvision_models
from tests.models.model_coins import settled


@pytest.fixture(scope="session")
def plain() -> Embedder:
    """A small network that was never trained: enough to tell these coins apart."""
    torch.manual_seed(0)
    card = {"name": "plain", "backbone": "mobilenet_v3_small", "channels": 48}
    network = build("mobilenet_v3_small")
    settled(network)
    return Embedder(EmbedderNetwork("mobilenet_v3_small", network), card)


@pytest.fixture(scope="session")
def starter() -> Embedder:
    """The embedder shipped with the project."""
    return Embedder.load("starter")


@pytest.fixture
def random_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of weights as `$RIG_WEIGHTS` names one, with numbers drawn at random."""
    torch.manual_seed(1)
    network = torchvision_models().mobilenet_v3_small(weights=None)
    settled(network)
    state = {key: value.half() for key, value in network.state_dict().items() if not key.startswith("classifier.")}
    folder = tmp_path / "weights"
    folder.mkdir()
    save_file(
        {key: value.contiguous() for key, value in state.items()}, folder / "mobilenet_v3_small_imagenet.safetensors"
    )
    monkeypatch.setenv("RIG_WEIGHTS", str(folder))
    return folder
