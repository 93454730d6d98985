"""`rig train`: the recipe runs from end to end, and what it makes identifies coins."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.pipeline.conftest import COINS, Rig
from tests.processes import environment


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights")
def test_a_small_recipe_makes_a_model_that_identify_takes(rig: Rig, lab: Path, photographs: Path) -> None:
    weights = str(Path(os.environ["RIG_SHARED"]) / "weights")
    recipe = lab / "small.yaml"
    recipe.write_text(
        "name: small\nsteps: 2\nchannels: 16\ncoins_per_batch: 4\n"
        f"data:\n  procedural_coins: 4\n  photographs: [{photographs}]\n  fitting_coins: 6\n"
    )
    made = rig("train", recipe, "--lab", lab, "--json", RIG_WEIGHTS=weights)
    assert made.code == 0, made.err
    assert made.json["step"] == 2 and 0.0 < made.json["busy"] <= 1.0
    curves = EventAccumulator(made.json["tensorboard"]).Reload()
    assert [each.step for each in curves.Scalars("loss")] == [2]
    card = json.loads((Path(made.json["model"]) / "card.json").read_text())["training"]
    assert card["config"]["data"]["photographs"] == [str(photographs)]
    assert card["code"].startswith(importlib.metadata.version("coinlab"))
    model = made.json["model"]
    asked = rig("identify", photographs / "one.jpg", "--model", model, "--lab", lab, "--json")
    assert asked.code == 1, "there is no such photograph"
    scanned = rig("scan", "--tray", 1, "--model", model, "--lab", lab, "--json")
    assert scanned.code == 0, scanned.err
    assert scanned.json["coins"][0]["candidates"][0]["coin"] in COINS
    again = rig("train", recipe, "--lab", lab, RIG_WEIGHTS=weights)
    assert again.code == 2 and "not written over" in again.err


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights")
def test_torchrun_trains_with_two_processes_and_one_speaks(lab: Path) -> None:
    recipe = lab / "two.yaml"
    recipe.write_text(
        "name: two\nbackbone: mobilenet_v3_small\nsteps: 2\nchannels: 16\ncoins_per_batch: 4\n"
        "data: {procedural_coins: 2, fitting_coins: 6}\n"
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ran = subprocess.run(
        [*torchrun, "-m", "pipeline.cli", "train", recipe, "--lab", lab, "--json"],
        env=environment() | {"RIG_WEIGHTS": str(Path(os.environ["RIG_SHARED"]) / "weights"), "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)["model"] == str(lab / "models" / "two"), "the answer, once"
    assert ran.stderr.count("step 2: loss") == 1
    assert not (lab / "models" / "two.unfinished").exists()


def test_a_bad_recipe_is_reported_with_its_line(rig: Rig, lab: Path) -> None:
    (lab / "bad.yaml").write_text("steps: 2\nlearning_rat: 1\n")
    ran = rig("train", lab / "bad.yaml", "--lab", lab)
    assert ran.code == 1 and "line 2" in ran.err and "learning_rate" in ran.err
