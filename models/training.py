"""Training an embedder to find the same coin again in another light and another print.

Two pictures of each of a few coins make a batch; each picture has to find its partner among all the others, once by its
grid cell by cell, once by pooled features. The loss is NT-Xent (Chen et al., "A simple framework for contrastive
learning of visual representations", ICML 2020) unless the recipe names another of `models.losses`.

A run can be broken off at any step: with a folder for its state, the same call takes it up where it was and ends with
the same weights. What decides when to stop and which step is kept is the figure on real pictures, where one is given,
never the loss.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.augmentation import Augmentation
from models.backbones import backbone, build, freeze_statistics, pretrained
from models.batches import Numbers, TrainingCoin, TrainingError, aligned, companions, draw_coins, draw_pictures
from models.embedder import Embedder, EmbedderNetwork, bf16_pays, disc, to_tensor
from models.losses import LossConfig, make_loss

STATE_FILE = "state.pt"
_MOST_ALIKE = 16  # coins of unknown type that are put into one batch are among each other's so many likest


class TrainingConfig(BaseModel):
    """How to train; `models/recipes` holds whole recipes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = "starter"
    backbone: str = "resnet18"
    channels: int = Field(default=128, ge=8, le=2048)
    steps: int = Field(default=600, ge=1)
    coins_per_batch: int = Field(default=24, ge=2)
    coins_per_group: int = Field(default=8, ge=1, description="coins of one type in a batch, where types are known")
    loss: LossConfig = LossConfig()
    turnless_share: float = Field(
        default=0.0, ge=0.0, lt=1.0, description="of a score, see `models.matching.embed_entries`"
    )
    pooled_share: float = Field(default=0.1, ge=0.0, le=1.0, description="of the loss")
    learning_rate: float = Field(default=5e-5, gt=0.0)
    weight_decay: float = Field(default=1e-4, ge=0.0)
    keep: float = Field(
        default=0.25, ge=0.0, lt=1.0, description="share of the starting weights in the result (see `train`)"
    )
    warm_up_steps: int = Field(default=50, ge=0)
    save_every: int = Field(default=50, ge=1, description="steps between states that a run can be taken up from")
    validate_every: int = Field(default=100, ge=1, description="steps between figures on real pictures")
    patience: int = Field(default=4, ge=1, description="figures without a better one after which training stops")
    seed: int = 0
    augmentation: Augmentation = Augmentation()


@dataclass(frozen=True)
class Step:
    """Progress.

    Attributes
    ----------
    loss, retrieved
        Mean of the last steps, and the share of pictures that found their partner.
    real
        The figure on real pictures, at the steps where it was taken.
    """

    step: int
    steps: int
    loss: float
    retrieved: float
    seconds: float
    real: float | None = None


@dataclass
class _Run:
    """All that changes while training."""

    network: EmbedderNetwork
    losses: nn.ModuleList  # of the grid and of the pooled features
    optimiser: torch.optim.Optimizer
    rng: np.random.Generator
    start: dict[str, torch.Tensor]
    near: list[Numbers]
    step: int = 0
    recent: list[tuple[float, float]] = field(default_factory=list)  # loss and retrieved, of the steps not told of yet
    best: dict[str, torch.Tensor] | None = None
    figures: list[tuple[int, float]] = field(default_factory=list)  # step and figure on real pictures

    def save(self, path: Path, config: TrainingConfig) -> None:
        """Write everything to a file, replacing what is there at once."""
        state = {
            "config": config.model_dump(mode="json"),
            "network": self.network.state_dict(),
            "losses": self.losses.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "rng": self.rng.bit_generator.state,
            "spawned": self.rng.bit_generator.seed_seq.n_children_spawned,  # type: ignore[attr-defined]
            "start": self.start,
            "step": self.step,
            "recent": self.recent,
            "best": self.best,
            "figures": self.figures,
        }
        fresh = path.with_suffix(".new")
        torch.save(state, fresh)
        fresh.replace(path)

    def load(self, path: Path, config: TrainingConfig) -> None:
        """Take a run up again.

        Raises
        ------
        TrainingError
            If the file is damaged, or of a run with another recipe.
        """
        try:
            state = torch.load(path, weights_only=True)
            if state["config"] != config.model_dump(mode="json"):
                raise TrainingError(
                    f"{path} holds a run of another recipe. Give the recipe another name, or delete {path.parent}."
                )
            self.network.load_state_dict(state["network"])
            self.losses.load_state_dict(state["losses"])
            self.optimiser.load_state_dict(state["optimiser"])
            sequence = np.random.SeedSequence(config.seed, n_children_spawned=state["spawned"])
            self.rng = np.random.Generator(np.random.PCG64(sequence))
            self.rng.bit_generator.state = state["rng"]
            self.start, self.step, self.best = state["start"], state["step"], state["best"]
            self.recent = [tuple(each) for each in state["recent"]]
            self.figures = [tuple(each) for each in state["figures"]]
        except (OSError, KeyError, ValueError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{path} is damaged ({error}). Delete {path.parent} to begin again.") from error


def train(
    config: TrainingConfig,
    coins: Sequence[TrainingCoin],
    on_step: Callable[[Step, Embedder], None] | None = None,
    every: int = 20,
    *,
    state: Path | None = None,
    real_figure: Callable[[Embedder], float] | None = None,
) -> Embedder:
    """Train an embedder from ImageNet weights.

    The result lies between the starting and the trained weights (Wortsman et al., "Robust fine-tuning of zero-shot
    models", CVPR 2022): the trained ones alone know the coins and prints of the training set best, and others worse
    than the network did before.

    Parameters
    ----------
    on_step
        Called every ``every`` steps and at the last, with the embedder as it is then.
    state
        Folder for the state of the run; one that is there already is taken up at its step.
    real_figure
        How well real coins are found, the higher the better, on coins that are neither trained nor tested on. Taken
        before the first step and every ``config.validate_every`` steps; the best step's weights are the result.

    Raises
    ------
    TrainingError
        If there are fewer than two coins, memory runs out, or the state cannot be taken up.
    """
    if len(coins) < 2:
        raise TrainingError(f"training takes at least two coin sides; {len(coins)} given.")
    run, coins = _begin(config, coins)
    card = _card(config, coins)
    path = state / STATE_FILE if state else None
    if path is not None and path.is_file():
        run.load(path, config)
    elif path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    if real_figure is not None and not run.figures:
        _take_figure(run, real_figure, Embedder(_between(run, config), card))
    while run.step < config.steps and not _stops(run, config):
        try:
            run.recent.append(_step(run, config, coins))
        except (MemoryError, RuntimeError) as error:
            if "alloc" not in str(error).lower() and not isinstance(error, MemoryError):
                raise
            raise TrainingError(
                f"memory ran out with {config.coins_per_batch} coins a batch. Lower `coins_per_batch` in the recipe."
            ) from error
        run.step += 1
        last = run.step == config.steps
        real = None
        if real_figure is not None and (run.step % config.validate_every == 0 or last):
            real = _take_figure(run, real_figure, Embedder(_between(run, config), card))
        if on_step is not None and (run.step % every == 0 or last or real is not None):
            loss, retrieved = np.mean(run.recent, axis=0).tolist()
            run.recent = []
            progress = Step(run.step, config.steps, loss, retrieved, time.monotonic() - started, real)
            on_step(progress, Embedder(_between(run, config), card))
        if path is not None and (run.step % config.save_every == 0 or last):
            run.save(path, config)
    if run.best is None:
        return Embedder(_between(run, config), card)
    run.network.load_state_dict(run.best)
    kept = max(run.figures, key=lambda figure: figure[1])
    card["training"] |= {"kept_step": kept[0], "real_figures": run.figures}
    return Embedder(_between(run, config), card)


def _begin(config: TrainingConfig, coins: Sequence[TrainingCoin]) -> tuple[_Run, list[TrainingCoin]]:
    """The run before its first step, and the coins with all crops of each the same way up."""
    torch.manual_seed(config.seed)
    rng = np.random.default_rng(config.seed)
    network = EmbedderNetwork(config.backbone, pretrained(config.backbone), config.channels)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _start_projection(network, coins, rng)
    cells = int(disc(backbone(config.backbone).cells).sum())
    losses = nn.ModuleList(make_loss(config.loss, len(coins), config.channels * n) for n in (cells, 1))
    parameters = [*network.parameters(), *losses.parameters()]
    optimiser = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)
    start = {key: value.clone() for key, value in network.state_dict().items()}
    untrained = Embedder(network, _card(config, coins))
    near = companions(coins, untrained.embed([coin.crops[0] for coin in coins]).pooled, _MOST_ALIKE)
    return _Run(network, losses, optimiser, rng, start, near), [aligned(coin, untrained) for coin in coins]


def _step(run: _Run, config: TrainingConfig, coins: Sequence[TrainingCoin]) -> tuple[float, float]:
    """One step of the optimiser; its loss, and the share of pictures that found their partner."""
    for group in run.optimiser.param_groups:
        group["lr"] = config.learning_rate * _schedule(run.step, config)
    run.network.train()
    freeze_statistics(run.network)
    chosen = draw_coins(run.near, config.coins_per_batch, config.coins_per_group, run.rng)
    batch = draw_pictures(coins, chosen, config.augmentation, run.rng)
    labels = torch.tensor(chosen).repeat(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays()):
        grids = run.network(batch)
    flat, pooled = _vectors(grids.float())
    share = config.pooled_share
    loss = (1.0 - share) * run.losses[0](flat, labels) + share * run.losses[1](pooled, labels)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimiser.step()
    return float(loss.detach()), _retrieved(flat.detach(), labels)


def _take_figure(run: _Run, real_figure: Callable[[Embedder], float], embedder: Embedder) -> float:
    """Take the figure on real pictures, and keep the weights if it is the best so far."""
    figure = real_figure(embedder)
    if not run.figures or figure > max(before for _, before in run.figures):
        run.best = {key: value.clone() for key, value in run.network.state_dict().items()}
    run.figures.append((run.step, figure))
    return figure


def _stops(run: _Run, config: TrainingConfig) -> bool:
    """Whether the last ``config.patience`` figures were all no better than one before them."""
    figures = [figure for _, figure in run.figures]
    return len(figures) > config.patience and max(figures[-config.patience :]) <= max(figures[: -config.patience])


def _between(run: _Run, config: TrainingConfig) -> EmbedderNetwork:
    """A copy of the network with the part ``config.keep`` of the starting weights in it."""
    copy = EmbedderNetwork(config.backbone, build(config.backbone), config.channels)
    copy.load_state_dict(
        {
            key: torch.lerp(value, run.start[key], config.keep) if value.is_floating_point() else value
            for key, value in run.network.state_dict().items()
        }
    )
    return copy


def _card(config: TrainingConfig, coins: Sequence[TrainingCoin]) -> dict[str, Any]:
    return {
        "name": config.name,
        "backbone": config.backbone,
        "channels": config.channels,
        "turnless_share": config.turnless_share,
        "training": {
            "coin_sides": len(coins),
            "pictures": sum(len(coin.crops) for coin in coins),
            "types": len({coin.group for coin in coins if coin.group}),
            "config": config.model_dump(mode="json"),
        },
    }


def _schedule(step: int, config: TrainingConfig) -> float:
    """Warm up, then a cosine down to a tenth."""
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    done = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    return float(0.55 + 0.45 * np.cos(np.pi * done))


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
