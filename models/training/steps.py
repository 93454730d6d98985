"""One step of training: a batch through the network, its loss, and the step of the optimiser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from models.embedding.backbones import freeze_statistics
from models.embedding.embedder import disc
from models.embedding.forward import bf16_pays
from models.training import processes
from models.training.batches import Batch, stream
from models.training.config import TrainingConfig
from models.training.state import Run


@dataclass
class StepTimes:
    """Where the time of the steps went: waiting for images, or computing on them."""

    started_s: float
    waiting_s: float = 0.0
    computing_s: float = 0.0

    @property
    def busy(self) -> float:
        """Share of the time in which the network computed."""
        return self.computing_s / (self.waiting_s + self.computing_s)


def take_step(run: Run, config: TrainingConfig, batches: Iterator[Batch], times: StepTimes) -> tuple[float, float]:
    """Take one step of the optimiser; return its loss, and the share of images that found their partner."""
    asked = time.monotonic()
    batch = next(batches)
    given = time.monotonic()
    for group in run.optimiser.param_groups:
        group["lr"] = config.learning_rate * _rate_share(run.step, config)
    run.network.train()
    freeze_statistics(run.network)
    # What the network itself draws (stochastic depth, dropout) is of the step too, and each process's own.
    torch.manual_seed(int(stream(config.seed, run.step, processes.place()).generate_state(1)[0]))
    device = processes.device()
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda" or bf16_pays()):
        grids = run.network(batch.images.to(device))
    labels = batch.labels.to(device)
    flat, pooled = _split_vectors(processes.gathered(grids.float(), len(labels)))
    share = config.pooled_share
    loss = (1.0 - share) * run.losses[0](flat, labels) + share * run.losses[1](pooled, labels)
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    processes.average_gradients([*run.network.parameters(), *run.losses.parameters()])
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimiser.step()
    result = float(loss.detach()), _retrieved_share(flat.detach(), labels)
    times.waiting_s += given - asked
    times.computing_s += time.monotonic() - given
    return result


def _rate_share(step: int, config: TrainingConfig) -> float:
    """What share of the learning rate a step takes: a warm-up, then a cosine down to a tenth."""
    if step < config.warm_up_steps:
        return (step + 1) / config.warm_up_steps
    done = (step - config.warm_up_steps) / max(1, config.steps - config.warm_up_steps)
    return float(0.55 + 0.45 * np.cos(np.pi * done))


def _split_vectors(grids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The grid as one vector, its cells of unit length, and the pooled features."""
    inside = torch.from_numpy(disc(grids.shape[-1]).ravel()).to(grids.device)
    cells = grids.flatten(2)[:, :, inside]
    return nn.functional.normalize(cells, dim=1).flatten(1), cells.mean(dim=2)


def _retrieved_share(flat: torch.Tensor, labels: torch.Tensor) -> float:
    """Share of images whose nearest other image is of the same coin."""
    scores = flat @ flat.T
    scores.fill_diagonal_(-torch.inf)
    return float((labels[scores.argmax(dim=1)] == labels).float().mean())
