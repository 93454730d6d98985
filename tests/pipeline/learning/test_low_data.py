"""`rig types`: the low-data experiment on generated types, from the command to its curve."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from calibration.image import read_image
from pipeline.errors import UsageError
from tests.pipeline.loop import run

TINY = ("--steps", 3, "--types", 2, "--coins", 5)


@pytest.mark.slow
def test_the_experiment_runs_and_keeps_its_curve(lab: Path) -> None:
    small = ("--network", "mobilenet_v3_small", "--image-px", 48)
    printed = run("types", *TINY, *small, "--from-scratch", "--shares", "1,0.25", "--lab", lab, "--json").json
    assert [(point["share"], point["coins"]) for point in printed["points"]] == [(1.0, 8), (0.25, 2)]
    kept = json.loads(Path(printed["result"]).read_text())
    assert kept["points"] == printed["points"] and kept["test_pictures"] == 2
    assert Path(printed["result"]).with_suffix(".svg").read_text().startswith("<svg xmlns")
    assert read_image(Path(printed["result"]).with_suffix(".png")).shape == (2 * 224, 2 * 224, 3), "one type a column"


def test_shares_that_are_none_are_reported(lab: Path) -> None:
    for shares in ("0.5,much", "0.5,1.5", "0"):
        with pytest.raises(UsageError, match="--shares"):
            run("types", "--shares", shares, "--lab", lab)
    with pytest.raises(UsageError, match="224"):
        run("types", "--network", "vit_b_16", "--image-px", 64, "--lab", lab)


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: it starts from ImageNet weights")
def test_more_coins_to_learn_from_tell_types_apart_better(lab: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_WEIGHTS", str(Path(os.environ["RIG_SHARED"]) / "weights"))
    network = ("--network", "resnet18", "--tuning", "partial", "--image-px", 96, "--steps", 60)
    args = (*network, "--types", 10, "--coins", 25, "--shares", "0.8,0.2,0.1,0.05", "--lab", lab, "--json")
    accuracies = [point["accuracy"] for point in run("types", *args).json["points"]]
    print(accuracies)
    assert accuracies[0] >= 0.7 and accuracies[0] >= accuracies[-1] + 0.15
