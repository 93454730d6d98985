"""A few steps of training, alone or as one of torchrun's processes; the first prints the loss of each step as JSON."""

from __future__ import annotations

import json
import sys

from models.training import processes
from models.training.batches import TrainingCoin
from models.training.config import TrainingConfig
from models.training.losses import LossConfig
from models.training.training import train
from tests.models.model_coins import crop_of

if __name__ == "__main__":
    coins = [TrainingCoin(str(n), "", (crop_of(n), crop_of(n, 200.0))) for n in range(5)]
    config = TrainingConfig(
        backbone="mobilenet_v3_small",
        channels=16,
        steps=3,
        coins_per_batch=5,
        learning_rate=1e-3,
        warm_up_steps=1,
        loss=LossConfig(name=sys.argv[1]),  # type: ignore[arg-type]
    )
    losses: list[float] = []
    with processes.joined():
        embedder = train(config, coins, lambda step: losses.append(step.loss), every=1)
        if processes.is_first():
            print(json.dumps({"processes": processes.count(), "losses": losses}))
