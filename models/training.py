"""Training an embedder to find the same coin again in another light and another print.

Two pictures of each of a few coins make a batch; each picture has to find its partner among all the others (NT-Xent,
Chen et al., "A simple framework for contrastive learning of visual representations", ICML 2020), once by its grid cell
by cell, once by pooled features. All pictures of a batch are turned by one random angle: turned each by its own, they
could be told apart by that alone, and the rotation search aligns them when it matters. Coins of one type are put into
the same batch, so that the type does not find the partner either.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from pytorch_metric_learning.losses import NTXentLoss
from torch import nn

from calibration.image import IMAGE_SUFFIXES, Image, read_image
from calibration.outline import NoCoinError, find_coin, normalise
from models.augmentation import Augmentation
from models.backbones import build, freeze_statistics, pretrained
from models.embedder import Embedder, EmbedderNetwork, bf16_pays, disc, to_tensor


class TrainingError(Exception):
    """The pictures given cannot be trained on."""


class TrainingConfig(BaseModel):
    """How to train; the defaults made the starter."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "starter"
    backbone: str = "resnet18"
    channels: int = Field(default=128, ge=8, le=2048)
    steps: int = Field(default=600, ge=1)
    coins_per_batch: int = Field(default=24, ge=2)
    coins_per_group: int = Field(default=8, ge=1, description="coins of one type in a batch, where types are known")
    temperature: float = Field(default=0.08, gt=0.0)
    pooled_share: float = Field(default=0.1, ge=0.0, le=1.0, description="of the loss")
    learning_rate: float = Field(default=5e-5, gt=0.0)
    weight_decay: float = Field(default=1e-4, ge=0.0)
    keep: float = Field(
        default=0.25, ge=0.0, lt=1.0, description="share of the starting weights in the result (see `train`)"
    )
    warm_up_steps: int = Field(default=50, ge=0)
    seed: int = 0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True)
class TrainingCoin:
    """Normalised crops of one coin side, all the same way up; ``group`` is its type, empty where unknown."""

    label: str
    group: str
    crops: tuple[Image, ...]


@dataclass(frozen=True)
class Step:
    """Progress: ``loss`` is the mean of the last steps, ``retrieved`` the share that found their partner."""

    step: int
    steps: int
    loss: float
    retrieved: float
    seconds: float


def read_folder(folder: Path) -> list[TrainingCoin]:
    """Read ``<coin side>/<picture>`` or ``<type>/<coin side>/<picture>``; pictures without a coin are left out.

    Raises
    ------
    TrainingError
        If fewer than two coin sides remain.
    """
    by_label: dict[tuple[str, str], list[Image]] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if path.suffix.lower() not in IMAGE_SUFFIXES or len(parts) not in (2, 3):
            continue
        picture = read_image(path)
        try:
            crop = normalise(picture, find_coin(picture))
        except NoCoinError:
            continue
        by_label.setdefault((parts[0] if len(parts) == 3 else "", parts[-2]), []).append(crop)
    if len(by_label) < 2:
        raise TrainingError(
            f"{folder} holds pictures of {len(by_label)} coin sides; training takes at least two. "
            "Put each side's pictures into a folder of its own, upright."
        )
    return [TrainingCoin(label, group, tuple(crops)) for (group, label), crops in by_label.items()]


def train(
    config: TrainingConfig,
    coins: Sequence[TrainingCoin],
    on_step: Callable[[Step, Embedder], None] | None = None,
    every: int = 20,
) -> Embedder:
    """Train an embedder from ImageNet weights.

    The result lies between the starting and the trained weights (Wortsman et al., "Robust fine-tuning of zero-shot
    models", CVPR 2022): the trained ones alone know the coins and prints of the training set best, and others worse
    than the network did before.

    Parameters
    ----------
    on_step
        Called every ``every`` steps and at the last, with the embedder as it is then.

    Raises
    ------
    TrainingError
        If there are fewer than two coins.
    """
    if len(coins) < 2:
        raise TrainingError(f"training takes at least two coin sides; {len(coins)} given.")
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = EmbedderNetwork(config.backbone, pretrained(config.backbone), config.channels)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _start_projection(network, coins, rng)
    start = {key: value.clone() for key, value in network.state_dict().items()}
    card = _card(config, coins)
    optimiser = torch.optim.AdamW(network.parameters(), config.learning_rate, weight_decay=config.weight_decay)
    loss_of = NTXentLoss(temperature=config.temperature)
    started, losses, found = time.monotonic(), [], []
    half = bf16_pays()
    for step in range(config.steps):
        for group in optimiser.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config)
        network.train()
        freeze_statistics(network)
        batch, labels = _batch(config, coins, rng)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            grids = network(batch)
        flat, pooled = _vectors(grids.float())
        share = config.pooled_share
        loss = (1.0 - share) * loss_of(flat, labels) + share * loss_of(pooled, labels)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        losses.append(float(loss.detach()))
        found.append(_retrieved(flat.detach(), labels))
        if on_step is not None and ((step + 1) % every == 0 or step + 1 == config.steps):
            progress = Step(
                step + 1,
                config.steps,
                float(np.mean(losses[-every:])),
                float(np.mean(found[-every:])),
                time.monotonic() - started,
            )
            on_step(progress, Embedder(_between(start, network, config), card))
    return Embedder(_between(start, network, config), card)


def _between(start: Mapping[str, torch.Tensor], network: EmbedderNetwork, config: TrainingConfig) -> EmbedderNetwork:
    """A copy of a network with the part ``config.keep`` of the starting weights in it."""
    copy = EmbedderNetwork(config.backbone, build(config.backbone), config.channels)
    copy.load_state_dict(
        {
            key: torch.lerp(value, start[key], config.keep) if value.is_floating_point() else value
            for key, value in network.state_dict().items()
        }
    )
    return copy


def _card(config: TrainingConfig, coins: Sequence[TrainingCoin]) -> dict[str, Any]:
    return {
        "name": config.name,
        "backbone": config.backbone,
        "channels": config.channels,
        "training": {
            "coin_sides": len(coins),
            "pictures": sum(len(coin.crops) for coin in coins),
            "types": len({coin.group for coin in coins if coin.group}),
            "config": config.model_dump(),
        },
    }


def _schedule(step: int, config: TrainingConfig) -> float:
    """Warm up, then a cosine down to a tenth."""
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    done = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    return float(0.55 + 0.45 * np.cos(np.pi * done))


def _batch(
    config: TrainingConfig, coins: Sequence[TrainingCoin], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Two changed pictures of each of some coins, and their labels."""
    groups: dict[str, list[int]] = {}
    for number, coin in enumerate(coins):
        groups.setdefault(coin.group or coin.label, []).append(number)
    names = list(groups)
    chosen: list[int] = []
    for place in rng.permutation(len(names)):
        members = groups[names[place]]
        take = min(config.coins_per_group, len(members), config.coins_per_batch - len(chosen))
        chosen += [int(number) for number in rng.choice(members, take, replace=False)]
        if len(chosen) >= config.coins_per_batch:
            break
    first, second = [], []
    turn = float(rng.uniform(0.0, 360.0))
    for number in chosen:
        crops = coins[number].crops
        one, other = rng.choice(len(crops), 2, replace=len(crops) < 2)
        first.append(config.augmentation.apply(crops[one], turn, rng))
        second.append(config.augmentation.apply(crops[other], turn, rng))
    return to_tensor(first + second), torch.arange(len(chosen)).repeat(2)


def _vectors(grids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The grid as one vector, its cells of unit length, and the pooled features."""
    inside = torch.from_numpy(disc(grids.shape[-1]).ravel())
    cells = grids.flatten(2)[:, :, inside]
    return nn.functional.normalize(cells, dim=1).flatten(1), cells.mean(dim=2)


def _retrieved(flat: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of pictures whose nearest other picture is of the same coin."""
    scores = flat @ flat.T
    scores.fill_diagonal_(-torch.inf)
    return float((labels[scores.argmax(dim=1)] == labels).float().mean())


@torch.no_grad()
def _start_projection(network: EmbedderNetwork, coins: Sequence[TrainingCoin], rng: np.random.Generator) -> None:
    """Start the projection at the principal components of the backbone's cells: nothing is lost that can be kept."""
    if not isinstance(network.projection, nn.Conv2d):
        return
    drawn = rng.choice(len(coins), min(48, len(coins)), replace=False)
    network.eval()
    grids = network.backbone(to_tensor([coins[number].crops[0] for number in drawn]))
    inside = torch.from_numpy(disc(grids.shape[-1]).ravel())
    cells = nn.functional.normalize(grids, dim=1).flatten(2)[:, :, inside].permute(0, 2, 1).flatten(0, 1)
    # Uncentred: the cosine of two cells is kept, not their difference from the mean cell.
    _, directions = torch.linalg.eigh(cells.T @ cells)
    kept = directions.flip(1)[:, : network.projection.out_channels]
    network.projection.weight.copy_(kept.T[:, :, None, None])
    assert network.projection.bias is not None
    network.projection.bias.zero_()
