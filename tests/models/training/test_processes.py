"""Training by several processes is training by one. That torchrun starts them is tested with `rig train`."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from models.training import processes
from models.training.batches import TrainingCoin
from models.training.config import TrainingConfig
from models.training.losses import LossConfig
from models.training.training import train
from tests.models.model_coins import crop_of
from tests.processes import Process


def _train(loss: str) -> None:
    """A few steps; the first process prints the loss of each as JSON."""
    coins = [TrainingCoin(str(n), "", (crop_of(n), crop_of(n, 200.0))) for n in range(5)]
    config = TrainingConfig(
        backbone="mobilenet_v3_small",
        channels=16,
        steps=3,
        coins_per_batch=5,
        learning_rate=1e-3,
        warm_up_steps=1,
        loss=LossConfig(name=loss),  # type: ignore[arg-type]
    )
    losses: list[float] = []
    with processes.joined():
        train(config, coins, lambda step: losses.append(step.loss), every=1)
        if processes.is_first():
            print(json.dumps({"processes": processes.count(), "losses": losses}))


@pytest.mark.parametrize(
    ("count", "loss"),
    [
        pytest.param(2, "ntxent", marks=pytest.mark.slow),
        pytest.param(2, "arcface", marks=pytest.mark.slow),
        pytest.param(3, "ntxent", marks=pytest.mark.slow),  # parts of unequal size
    ],
)
def test_many_processes_reach_the_losses_of_one(random_weights: Path, count: int, loss: str) -> None:
    alone, together = _losses(loss), _losses(loss, count)
    assert (alone["processes"], together["processes"]) == (1, count)
    assert len(alone["losses"]) == 3 and len(set(alone["losses"])) == 3
    assert together["losses"] == pytest.approx(alone["losses"], abs=1e-4)


def _losses(loss: str, count: int = 1) -> Any:
    env = {"ONEDNN_MAX_CPU_ISA": "AVX2", "OMP_NUM_THREADS": "1"}  # float32: bfloat16 shows the size of a part
    if count > 1:  # as torchrun sets them
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        env |= {"TORCHELASTIC_RUN_ID": "test", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        env |= {"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)}
    running = [Process(_train, loss, env=env | {"RANK": str(n), "LOCAL_RANK": str(n)}) for n in range(count)]
    printed = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0] * count, printed
    return json.loads(printed[0][0].splitlines()[-1])
