"""What a training step costs over the bare forward and backward pass in it, and whether the network ever waits.

The bare pass is over a batch that is there already, of as many images, through the same network in the same
precision; the step adds making the images, the losses, clipping and the optimiser.
"""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from rich.console import Console
from rich.table import Table

from models.embedding.backbones import freeze_statistics, pretrained
from models.embedding.embedder import EmbedderNetwork, to_tensor
from models.embedding.forward import bf16_pays
from models.training.augmentation import Augmentation
from models.training.batches import TrainingCoin
from models.training.config import TrainingConfig
from models.training.training import Step, train
from tests.models.model_coins import crop_of

COINS, STEPS, EVERY, BARE = 48, 12, 4, 4
CONFIG = TrainingConfig(name="bench", steps=STEPS, warm_up_steps=1)


def bare_pass_s() -> float:
    """Seconds of a forward and backward pass, the best of some."""
    network = EmbedderNetwork(CONFIG.backbone, pretrained(CONFIG.backbone), CONFIG.channels)
    network.to(memory_format=torch.channels_last)
    network.train()
    freeze_statistics(network)
    batch = to_tensor([crop_of(number) for number in range(CONFIG.coins_per_batch)] * 2)
    times_s = []
    for _ in range(BARE):
        began_s = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16_pays()):
            grids = network(batch)
        grids.float().mean().backward()
        times_s.append(time.perf_counter() - began_s)
    return min(times_s)


def step_s(augmentation: Augmentation, coins: list[TrainingCoin]) -> tuple[float, float]:
    """Seconds of a step, and the share of them in which the network computes."""
    steps: list[Step] = []
    config = CONFIG.model_copy(update={"augmentation": augmentation})
    train(config, coins, steps.append, every=EVERY)
    steps_s = [(later.seconds - earlier.seconds) / EVERY for earlier, later in pairwise(steps)]
    return min(steps_s), steps[-1].busy


@pytest.mark.bench
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights")
def test_a_step_over_the_bare_pass_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_WEIGHTS", str(Path(os.environ["RIG_SHARED"]) / "weights"))
    coins = [TrainingCoin(str(number), "", (crop_of(number), crop_of(number, 200.0))) for number in range(COINS)]
    title = f"{2 * CONFIG.coins_per_batch} images a step, {torch.get_num_threads()} threads"
    table = Table(title, "bare pass s", "step s", "step over bare", "network busy")
    for kind in ("standard", "reproduction", "relight"):
        bare_s = bare_pass_s()  # each time, so that a busy machine is so for both
        took_s, busy = step_s(Augmentation(kind=kind), coins)
        bare_s = min(bare_s, bare_pass_s())
        table.add_row(kind, f"{bare_s:.2f}", f"{took_s:.2f}", f"{took_s / bare_s:.3f}", f"{busy:.1%}")
    Console(width=100).print(table)
