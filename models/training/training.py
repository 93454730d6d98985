"""Training an embedder to find the same coin again in another light and another print.

Two images of each of a few coins make a batch; each image has to find its partner among all the others, once by its
grid cell by cell, once by pooled features. The loss is NT-Xent (Chen et al., "A simple framework for contrastive
learning of visual representations", ICML 2020) unless the recipe names another of `models.training.losses`.

A run can be interrupted at any step: with a folder for its state, the same call resumes it and ends with the same
weights. What decides when to stop and which step is kept is the figure on real images, where one is given,
never the loss. Several processes (`models.training.processes`) take the steps that one would, each with its
part of the images.
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
from torch import nn

from models.embedding.backbones import backbone, build, pretrained
from models.embedding.embedder import Embedder, EmbedderNetwork, disc, to_tensor
from models.training import processes
from models.training.batches import (
    Batch,
    Numbers,
    TrainingCoin,
    TrainingError,
    ahead,
    align_crops,
    companions,
    make_batch,
    stream,
)
from models.training.config import TrainingConfig
from models.training.log import curves
from models.training.losses import make_loss
from models.training.state import STATE_FILE, Run
from models.training.steps import StepTimes, take_step

_NEAREST = 16  # a coin of unknown type is put into one batch with some of so many that are most similar to it


@dataclass(frozen=True)
class Step:
    """Progress.

    Attributes
    ----------
    loss, retrieved
        Mean of the last steps, and the share of images that found their partner.
    busy
        Share of the time of all steps so far in which the network computed; in the rest it waited for images.
    real
        The figure on real images, at the steps where it was taken.
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
        Folder for the state of the run and its log (tensorboard); a run that is there already is resumed.
    real_figure
        How well real coins are found, the higher the better, on coins that are neither trained nor tested on. Taken
        before the first step and every ``config.validate_every`` steps; the best step's weights are the result.

    Raises
    ------
    TrainingError
        If there are fewer than two coins, or too few images in a batch for so many processes, or too many for the
        memory of the loss; memory runs out, or the state cannot be written or resumed.
    """
    _check(config, coins)
    run, coins, near = _begin(config, coins)
    card, about = _card(config, coins), config.model_dump(mode="json")
    if state is not None:
        run.load(state / STATE_FILE, about)
    times = StepTimes(time.monotonic())

    def now() -> Embedder:
        return Embedder(_between(run, config), card)

    with curves(state, run.step) as log, closing(_batches(run, config, coins, near)) as batches:
        if real_figure is not None and not run.figures:
            log(0, {"real": _take_figure(run, real_figure, now)})
        while run.step < config.steps and not _stops(run, config):
            with _naming_lack_of_memory(config):
                run.recent.append(take_step(run, config, batches, times))
            run.step += 1
            last = run.step == config.steps
            real = None
            if real_figure is not None and (run.step % config.validate_every == 0 or last):
                real = _take_figure(run, real_figure, now)
            if run.step % every == 0 or last or real is not None:
                progress = _progress(run, config, times, real)
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
    images = 2 * min(config.coins_per_batch, len(coins))
    if images < processes.count():
        raise TrainingError(
            f"a batch has {images} images, too few for {processes.count()} processes. Start fewer processes, or "
            "raise `coins_per_batch` in the recipe."
        )
    if 0 < config.loss.memory < images:
        raise TrainingError(
            f"`memory: {config.loss.memory}` of the loss holds less than a batch of {images} images. Raise it, or "
            "set it to 0."
        )


def _begin(config: TrainingConfig, coins: Sequence[TrainingCoin]) -> tuple[Run, list[TrainingCoin], list[Numbers]]:
    """The run before its first step, the coins with all crops of each the same way up, and `companions` of each."""
    torch.manual_seed(config.seed)
    network = EmbedderNetwork(config.backbone, pretrained(config.backbone), config.channels)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    _start_projection(network, coins, np.random.default_rng(config.seed))
    untrained = Embedder(network, _card(config, coins))
    near = companions(coins, untrained.embed([coin.crops[0] for coin in coins]).pooled, _NEAREST)
    coins = [align_crops(coin, untrained) for coin in coins]
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


@contextmanager
def _naming_lack_of_memory(config: TrainingConfig) -> Iterator[None]:
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if "alloc" not in str(error).lower() and not isinstance(error, MemoryError):
            raise
        raise TrainingError(
            f"memory ran out with {config.coins_per_batch} coins a batch. Lower `coins_per_batch` in the recipe."
        ) from error


def _progress(run: Run, config: TrainingConfig, times: StepTimes, real: float | None) -> Step:
    """The figures of the steps since the last report."""
    loss, retrieved = np.mean(run.recent, axis=0).tolist()
    run.recent = []
    rate = run.optimiser.param_groups[0]["lr"]
    return Step(run.step, config.steps, loss, retrieved, rate, times.busy, time.monotonic() - times.started_s, real)


def _take_figure(run: Run, real_figure: Callable[[Embedder], float], now: Callable[[], Embedder]) -> float:
    """Take the figure on real images, in the first process, and keep the weights if it is the best so far."""
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
        "rotation_invariant_share": config.rotation_invariant_share,
        "training": {
            "coin_sides": len(coins),
            "pictures": sum(len(coin.crops) for coin in coins),
            "types": len({coin.group for coin in coins if coin.group}),
            "config": config.model_dump(mode="json"),
        },
    }


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
