"""Training an embedder to find the same coin again in another light and another print.

Two pictures of each of a few coins make a batch; each picture has to find its partner among all the others, once by its
grid cell by cell, once by pooled features. The loss is NT-Xent (Chen et al., "A simple framework for contrastive
learning of visual representations", ICML 2020) unless the recipe names another of `models.training.losses`.

A run can be broken off at any step: with a folder for its state, the same call takes it up where it was and ends with
the same weights. What decides when to stop and which step is kept is the figure on real pictures, where one is given,
never the loss. Several processes (`models.training.processes`) take the steps that one would, each with its
part of the pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from models.embedding.backbones import backbone, build, freeze_statistics, pretrained
from models.embedding.embedder import Embedder, EmbedderNetwork, disc, to_tensor
from models.embedding.forward import bf16_pays
from models.training import processes
from models.training.augmentation import Augmentation
from models.training.batches import (
    Batch,
    Numbers,
    TrainingCoin,
    TrainingError,
    ahead,
    aligned,
    companions,
    make_batch,
    stream,
)
from models.training.log import curves
from models.training.losses import LossConfig, make_loss
from models.training.state import STATE_FILE, Run

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
        default=0.0, ge=0.0, lt=1.0, description="of a score, see `models.matching.grid.embed_entries`"
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
    busy
        Share of the time of all steps so far in which the network computed; in the rest it waited for pictures.
    real
        The figure on real pictures, at the steps where it was taken.
    """

    step: int
    steps: int
    loss: float
    retrieved: float
    learning_rate: float
    busy: float
    seconds: float
    real: float | None = None

    def scalars(self) -> dict[str, float | None]:
        """What a curve is drawn of."""
        return {name: getattr(self, name) for name in ("loss", "retrieved", "learning_rate", "busy", "real")}


@dataclass
class _Clock:
    """Where the time of the steps went: waiting for pictures, or computing on them."""

    started_s: float
    waiting_s: float = 0.0
    computing_s: float = 0.0

    @property
    def busy(self) -> float:
        return self.computing_s / (self.waiting_s + self.computing_s)


def train(
    config: TrainingConfig,
    coins: Sequence[TrainingCoin],
    on_step: Callable[[Step], None] | None = None,
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
        Called every ``every`` steps and at the last, in the first process only.
    state
        Folder for the state of the run and its log (tensorboard); one that is there already is taken up at its step.
    real_figure
        How well real coins are found, the higher the better, on coins that are neither trained nor tested on. Taken
        before the first step and every ``config.validate_every`` steps; the best step's weights are the result.

    Raises
    ------
    TrainingError
        If there are fewer than two coins, or too few pictures in a batch for so many processes, or too many for the
        memory of the loss; memory runs out, or the state cannot be written or taken up.
    """
    _check(config, coins)
    run, coins, near = _begin(config, coins)
    card, about = _card(config, coins), config.model_dump(mode="json")
    if state is not None:
        run.load(state / STATE_FILE, about)
    clock = _Clock(time.monotonic())

    def now() -> Embedder:
        return Embedder(_between(run, config), card)

    with curves(state, run.step) as log, closing(_batches(run, config, coins, near)) as batches:
        if real_figure is not None and not run.figures:
            log(0, {"real": _take_figure(run, real_figure, now)})
        while run.step < config.steps and not _stops(run, config):
            with _telling_of_memory(config):
                run.recent.append(_step(run, config, batches, clock))
            run.step += 1
            last = run.step == config.steps
            real = None
            if real_figure is not None and (run.step % config.validate_every == 0 or last):
                real = _take_figure(run, real_figure, now)
            if run.step % every == 0 or last or real is not None:
                progress = _progress(run, config, clock, real)
                log(run.step, progress.scalars())
                if on_step is not None and processes.is_first():
                    on_step(progress)
            if state is not None and processes.is_first() and (run.step % config.save_every == 0 or last):
                run.save(state / STATE_FILE, about)
    if run.best is None:
        return Embedder(_between(run, config), card)
    run.network.load_state_dict(run.best)
    kept = max(run.figures, key=lambda figure: figure[1])
    card["training"] |= {"kept_step": kept[0], "real_figures": run.figures}
    return Embedder(_between(run, config), card)


def _check(config: TrainingConfig, coins: Sequence[TrainingCoin]) -> None:
    if len(coins) < 2:
        raise TrainingError(f"training takes at least two coin sides; {len(coins)} given. Give it more coins.")
    pictures = 2 * min(config.coins_per_batch, len(coins))
    if pictures < processes.count():
        raise TrainingError(
            f"a batch has {pictures} pictures, too few for {processes.count()} processes. Start fewer processes, or "
            "raise `coins_per_batch` in the recipe."
        )
    if 0 < config.loss.memory < pictures:
        raise TrainingError(
            f"`memory: {config.loss.memory}` of the loss holds less than a batch of {pictures} pictures. Raise it, or "
            "set it to 0."
        )


def _begin(config: TrainingConfig, coins: Sequence[TrainingCoin]) -> tuple[Run, list[TrainingCoin], list[Numbers]]:
    """The run before its first step, the coins with all crops of each the same way up, and `companions` of each."""
    torch.manual_seed(config.seed)
    network = EmbedderNetwork(config.backbone, pretrained(config.backbone), config.channels)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _start_projection(network, coins, np.random.default_rng(config.seed))
    untrained = Embedder(network, _card(config, coins))
    near = companions(coins, untrained.embed([coin.crops[0] for coin in coins]).pooled, _MOST_ALIKE)
    coins = [aligned(coin, untrained) for coin in coins]
    start = {key: value.clone() for key, value in network.state_dict().items()}
    cells = int(disc(backbone(config.backbone).cells).sum())
    losses = nn.ModuleList(make_loss(config.loss, len(coins), config.channels * n) for n in (cells, 1))
    network.to(processes.device())
    losses.to(processes.device())
    parameters = [*network.parameters(), *losses.parameters()]
    optimiser = torch.optim.AdamW(parameters, config.learning_rate, weight_decay=config.weight_decay)
    return Run(network, losses, optimiser, start), coins, near


def _batches(
    run: Run, config: TrainingConfig, coins: Sequence[TrainingCoin], near: Sequence[Numbers]
) -> Generator[Batch]:
    """The batches of the steps to come, made while the network computes."""

    def make(step: int) -> Batch:
        rng = np.random.default_rng(stream(config.seed, step))
        return make_batch(coins, near, config.coins_per_batch, config.coins_per_group, config.augmentation, rng)

    return ahead(make, range(run.step, config.steps), processes.threads())


def _step(run: Run, config: TrainingConfig, batches: Iterator[Batch], clock: _Clock) -> tuple[float, float]:
    """One step of the optimiser; its loss, and the share of pictures that found their partner."""
    asked = time.monotonic()
    batch = next(batches)
    given = time.monotonic()
    for group in run.optimiser.param_groups:
        group["lr"] = config.learning_rate * _schedule(run.step, config)
    run.network.train()
    freeze_statistics(run.network)
    # What the network itself draws (stochastic depth, dropout) is of the step too, and each process's own.
    torch.manual_seed(int(stream(config.seed, run.step, processes.place()).generate_state(1)[0]))
    device = processes.device()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or bf16_pays()):
        grids = run.network(batch.pictures.to(device))
    labels = batch.labels.to(device)
    flat, pooled = _vectors(processes.gathered(grids.float(), len(labels)))
    share = config.pooled_share
    loss = (1.0 - share) * run.losses[0](flat, labels) + share * run.losses[1](pooled, labels)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    processes.average_gradients([*run.network.parameters(), *run.losses.parameters()])
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimiser.step()
    reached = float(loss.detach()), _retrieved(flat.detach(), labels)
    clock.waiting_s += given - asked
    clock.computing_s += time.monotonic() - given
    return reached


@contextmanager
def _telling_of_memory(config: TrainingConfig) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if "alloc" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        raise TrainingError(
            f"memory ran out with {config.coins_per_batch} coins a batch. Lower `coins_per_batch` in the recipe."
        ) from error


def _progress(run: Run, config: TrainingConfig, clock: _Clock, real: float | None) -> Step:
    """Tell of the last steps, each of them once."""
    loss, retrieved = np.mean(run.recent, axis=0).tolist()
    run.recent = []
    rate = run.optimiser.param_groups[0]["lr"]
    return Step(run.step, config.steps, loss, retrieved, rate, clock.busy, time.monotonic() - clock.started_s, real)


def _take_figure(run: Run, real_figure: Callable[[Embedder], float], now: Callable[[], Embedder]) -> float:
    """Take the figure on real pictures, in the first process, and keep the weights if it is the best so far."""
    figure = processes.from_first(lambda: real_figure(now()))
    if not run.figures or figure > max(before for _, before in run.figures):
        run.best = run.weights()
    run.figures.append((run.step, figure))
    return figure


def _stops(run: Run, config: TrainingConfig) -> bool:
    """Whether the last ``config.patience`` figures were all no better than one before them."""
    figures = [figure for _, figure in run.figures]
    return len(figures) > config.patience and max(figures[-config.patience :]) <= max(figures[: -config.patience])


def _between(run: Run, config: TrainingConfig) -> EmbedderNetwork:
    """A copy of the network with the part ``config.keep`` of the starting weights in it."""
    copy = EmbedderNetwork(config.backbone, build(config.backbone), config.channels)
    copy.load_state_dict(
        {
            key: torch.lerp(value, run.start[key], config.keep) if value.is_floating_point() else value
            for key, value in run.weights().items()
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
    inside = torch.from_numpy(disc(grids.shape[-1]).ravel()).to(grids.device)
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
