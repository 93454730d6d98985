"""However a network is run, it gives the same features."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from models.embedding.backbones import BACKBONES, build
from models.embedding.embedder import Embedder, EmbedderNetwork, to_tensor
from models.embedding.forward import bf16_pays, by_torch
from tests.models.model_coins import crop_of

NEEDS_OPENVINO = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
CROPS = [crop_of(number) for number in range(3)]


def unit(grids: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(grids.float(), dim=1).numpy()


def test_an_embedder_gives_the_cells_of_its_network(plain: Embedder) -> None:
    exact = unit(by_torch(plain.network, is_half=False)(to_tensor(CROPS)))
    assert (plain.embed(CROPS).grid * exact).sum(axis=1).min() > 0.99


@NEEDS_OPENVINO
def test_openvino_gives_what_torch_gives_for_any_number_of_crops(starter: Embedder) -> None:
    assert "openvino" in starter.forward.__qualname__
    one, two = (unit(run(to_tensor(CROPS))) for run in (starter.forward, by_torch(starter.network, bf16_pays())))
    assert (one * two).sum(axis=1).min() > 0.99
    assert np.array_equal(unit(starter.forward(to_tensor(CROPS[:1]))), one[:1])


@pytest.mark.slow
@NEEDS_OPENVINO
def test_what_openvino_cannot_take_is_run_by_torch() -> None:
    card = {"name": "one", "backbone": "vit_b_16", "channels": BACKBONES["vit_b_16"].channels}
    embedder = Embedder(EmbedderNetwork("vit_b_16", build("vit_b_16")), card)
    exact = unit(by_torch(embedder.network, bf16_pays())(to_tensor(CROPS)))
    assert (embedder.embed(CROPS).grid * exact).sum(axis=1).min() > 0.999
