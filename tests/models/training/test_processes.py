"""Training by several processes is training by one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("train_in_processes.py")


@pytest.mark.parametrize(
    ("count", "loss"),
    [
        (2, "ntxent"),
        pytest.param(2, "arcface", marks=pytest.mark.slow),
        pytest.param(3, "ntxent", marks=pytest.mark.slow),  # parts of unequal size
    ],
)
def test_many_processes_reach_the_losses_of_one(random_weights: Path, count: int, loss: str) -> None:
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    with ThreadPoolExecutor() as pool:  # side by side: most of it is waiting for torch to start
        alone, together = pool.map(_run, ([str(SCRIPT), loss], [*torchrun, str(SCRIPT), loss]))
    assert (alone["processes"], together["processes"]) == (1, count)
    assert len(alone["losses"]) == 3 and len(set(alone["losses"])) == 3
    assert together["losses"] == pytest.approx(alone["losses"], abs=1e-4)


def _run(arguments: list[str]) -> dict:
    root = SCRIPT.parents[3]
    env = os.environ | {
        "PYTHONPATH": str(root),
        "ONEDNN_MAX_CPU_ISA": "AVX2",  # float32: in bfloat16 the size of a part shows in the last digits
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    ran = subprocess.run([sys.executable, *arguments], env=env, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])
