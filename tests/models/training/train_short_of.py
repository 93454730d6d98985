"""A step of training with little of something: `memory` or `disk`, so many MiB of it more than there is in use."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from models.training.batches import TrainingCoin, TrainingError
from models.training.config import TrainingConfig
from models.training.training import train
from tests.models.model_coins import crop_of

if __name__ == "__main__":
    what, mib, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    coins = [TrainingCoin(str(n), "", (crop_of(n % 3),)) for n in range(64)]
    config = TrainingConfig(backbone="mobilenet_v3_small", channels=16, steps=1, coins_per_batch=64)
    if what == "memory":
        in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (in_use + mib * 2**20,) * 2)
    else:
        resource.setrlimit(resource.RLIMIT_FSIZE, (mib * 2**20,) * 2)
    try:
        train(config, coins, state=folder)
    except TrainingError as error:
        print(error)
