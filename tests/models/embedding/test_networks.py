"""Every network: it builds, a step lowers the loss, it is saved and loaded to the bit, and it can be explained."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from models.embedding.backbones import BACKBONES, CROP_PX, WeightsError, backbone, build, freeze_statistics
from models.embedding.embedder import Embedder, EmbedderNetwork, to_tensor
from models.explanation.explanation import explain
from models.training.losses import LossConfig, make_loss
from tests.models.model_coins import crop_of, settled
from tests.variants import usually

TIMM = importlib.util.find_spec("timm") is not None


def goes_the_whole_way(name: str, folder: Path) -> None:
    """Build, train for a step, save, load, explain."""
    torch.manual_seed(4)
    network = EmbedderNetwork(name, build(name), 16)
    settled(network)
    coins = [crop_of(number) for number in range(4)]
    labels = torch.arange(4).repeat(2)
    batch = to_tensor([*coins, *(np.ascontiguousarray(255 - crop) for crop in coins)])
    loss_of = make_loss(LossConfig(), 4, 16)
    network.train()
    freeze_statistics(network)

    def loss() -> torch.Tensor:
        torch.manual_seed(0)  # the same cells dropped before and after the step
        value: torch.Tensor = loss_of(network(batch).mean(dim=(2, 3)), labels)
        return value

    before = loss()
    before.backward()
    steepness = sum(float((p.grad**2).sum()) for p in network.parameters() if p.grad is not None)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= parameter.grad * (1e-3 * float(before) / steepness)
        assert float(loss()) < float(before)

    first = Embedder(network, {"name": "one", "backbone": name, "channels": 16})
    first.save(folder / "one")
    second = Embedder.load(folder / "one")
    assert second.id == first.id
    one, other = first.embed(coins), second.embed(coins)
    assert np.array_equal(one.grid, other.grid) and np.array_equal(one.pooled, other.pooled)

    method = "attention" if name.startswith("vit") else "gradcam"
    shown = explain(second, coins[0], coins[1], method, turns=1)  # type: ignore[arg-type]
    assert shown.first.shape == shown.second.shape == (224, 224)
    if name != "vit_b_16-base":
        exact = explain(second, coins[0], coins[1], reference=coins[2:], turns=1)
        assert exact.common is not None
        assert exact.common + sum(pair.part for pair in exact.pairs) == pytest.approx(exact.score, abs=1e-5)


@pytest.mark.parametrize("name", usually(("mobilenet_v3_small",), sorted(BACKBONES)))
def test_a_network_builds_learns_is_saved_and_explained(name: str, tmp_path: Path) -> None:
    goes_the_whole_way(name, tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(not TIMM, reason="timm is not installed")
@pytest.mark.parametrize("name", ["timm/resnet10t", "timm/vit_tiny_patch16_224"])
def test_any_network_of_timm_serves(name: str, tmp_path: Path) -> None:
    assert backbone(name).cells == 14
    goes_the_whole_way(name, tmp_path)
    with torch.inference_mode():
        assert build(f"{name}-base").eval()(torch.zeros(1, 3, CROP_PX, CROP_PX)).shape[2:] == (1, 1)


@pytest.mark.slow
@pytest.mark.skipif(not TIMM, reason="timm is not installed")
def test_a_network_that_timm_does_not_have_is_reported() -> None:
    with pytest.raises(WeightsError, match="resnet9000"):
        backbone("timm/resnet9000")


def test_a_network_in_training_is_not_rounded_under_its_optimiser() -> None:
    network = EmbedderNetwork("mobilenet_v3_small", build("mobilenet_v3_small"), 16)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    Embedder(network, {"name": "one", "backbone": "mobilenet_v3_small", "channels": 16})
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
