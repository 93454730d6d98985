"""Losses by name: each pulls images of one coin together."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from models.training.losses import CENTRED, LossConfig, LossError, Name, make_loss

DIM, COINS = 8, 6


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two images each of some coins, very similar."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2 * COINS, DIM, generator=generator), torch.arange(COINS).repeat(2)


@pytest.mark.parametrize("name", get_args(Name))
@pytest.mark.parametrize("memory", [0, 24])
def test_a_few_steps_bring_images_of_one_coin_together(name: Name, memory: int) -> None:
    if memory and name in CENTRED:
        pytest.skip("centres need no memory")
    torch.manual_seed(0)
    vectors, labels = batch()
    vectors.requires_grad_()
    loss_of = make_loss(LossConfig(name=name, memory=memory, margin=0.3, mining="all"), COINS, DIM)
    optimiser = torch.optim.Adam([vectors, *loss_of.parameters()], 0.05)

    def together() -> float:
        unit = torch.nn.functional.normalize(vectors.detach(), dim=1)
        return float((unit[:COINS] * unit[COINS:]).sum(dim=1).mean())

    before = together()
    for _ in range(40):
        optimiser.zero_grad()
        loss_of(vectors, labels).backward()
        optimiser.step()
    assert together() > before + 0.3


def test_only_losses_with_centres_have_parameters_of_their_own() -> None:
    trained = {name for name in get_args(Name) if list(make_loss(LossConfig(name=name), COINS, DIM).parameters())}
    assert trained == set(CENTRED)
    sub = next(iter(make_loss(LossConfig(name="subcentre_arcface", centres=4), COINS, DIM).parameters()))
    assert sorted(sub.shape) == [DIM, 4 * COINS]


def test_a_memory_remembers_earlier_batches() -> None:
    loss_of = make_loss(LossConfig(name="ntxent", memory=24), 2 * COINS, DIM)
    vectors, labels = batch()
    alone = float(loss_of(vectors, labels))
    others, _ = batch(1)
    assert float(loss_of(others, labels + COINS)) > 0.0
    assert float(loss_of(vectors, labels)) != pytest.approx(alone)


def test_what_cannot_be_made_is_reported() -> None:
    with pytest.raises(LossError, match="memory"):
        make_loss(LossConfig(name="arcface", memory=8), COINS, DIM)
    with pytest.raises(LossError, match="two coins"):
        make_loss(LossConfig(), 1, DIM)
    assert LossConfig(memory=8).needs_classes and LossConfig(name="arcface").needs_classes
    assert not LossConfig().needs_classes
