"""`rig train`: the recipe runs from end to end, and what it makes identifies coins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.pipeline.conftest import COINS, Rig


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights")
def test_a_small_recipe_makes_a_model_that_identify_takes(rig: Rig, lab: Path, photographs: Path) -> None:
    weights = str(Path(os.environ["RIG_SHARED"]) / "weights")
    recipe = lab / "small.yaml"
    recipe.write_text(
        "name: small\nsteps: 2\nchannels: 16\ncoins_per_batch: 4\ndata:\n  procedural_coins: 4\n  fitting_coins: 6\n"
    )
    made = rig("train", recipe, "--lab", lab, "--json", RIG_WEIGHTS=weights)
    assert made.code == 0, made.err
    model = made.json["model"]
    asked = rig("identify", photographs / "one.jpg", "--model", model, "--lab", lab, "--json")
    assert asked.code == 1, "there is no such photograph"
    scanned = rig("scan", "--tray", 1, "--model", model, "--lab", lab, "--json")
    assert scanned.code == 0, scanned.err
    assert scanned.json["coins"][0]["candidates"][0]["coin"] in COINS
    again = rig("train", recipe, "--lab", lab, RIG_WEIGHTS=weights)
    assert again.code == 2 and "not written over" in again.err


def test_a_bad_recipe_is_told_with_its_line(rig: Rig, lab: Path) -> None:
    (lab / "bad.yaml").write_text("steps: 2\nlearning_rat: 1\n")
    ran = rig("train", lab / "bad.yaml", "--lab", lab)
    assert ran.code == 1 and "line 2" in ran.err and "learning_rate" in ran.err
