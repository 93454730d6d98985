"""`rig tune`: short trainings judged by real pairs, and a recipe of the best."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
import yaml

from calibration.image import encode_jpeg
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.pipeline.conftest import Rig


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of one step, and five coins photographed twice to judge by."""
    drawer, rows = ProceduralDrawer(seed=21), []
    for number in range(5):
        for session in ("first", "second"):
            file = f"{number}-{session}.jpg"
            image = reproduction(
                drawer.side_texture(f"r{number}", "obverse"), 2 * number + (session == "second"), "photograph"
            )
            (tmp_path / file).write_bytes(encode_jpeg(image, 95))
            rows.append({"file": file, "coin": f"r{number}", "type": "one", "session": session})
    with (tmp_path / "labels.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    path = tmp_path / "small.yaml"
    path.write_text(
        "name: small\nbackbone: mobilenet_v3_small\nchannels: 16\ncoins_per_batch: 4\n"
        "augmentation: {kind: reproduction}\n"
        f"data: {{procedural_coins: 2, fitting_coins: 4}}\nreal: {{labels: {tmp_path / 'labels.csv'}}}\n"
    )
    return path


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights")
def test_the_best_of_some_trials_makes_a_recipe(rig: Rig, lab: Path, recipe: Path) -> None:
    weights = {"RIG_WEIGHTS": str(Path(os.environ["RIG_SHARED"]) / "weights")}
    first = rig("tune", recipe, "--trials", 1, "--steps", 1, "--lab", lab, **weights)
    assert first.code == 0, first.err
    tuned = rig("tune", recipe, "--trials", 5, "--steps", 1, "--lab", lab, "--json", **weights)
    assert tuned.code == 0, tuned.err
    assert "trial 1 of" not in tuned.err and "trial 5 of 5" in tuned.err, "the first was kept"
    assert tuned.json["trials"] == 5 and tuned.json["first"]["numbers"]["brightness"] == 30.0
    assert sum(tuned.json["importances"].values()) == pytest.approx(1.0)
    assert "<svg" in Path(tuned.json["page"]).read_text()
    document = yaml.safe_load(Path(tuned.json["recipe"]).read_text())
    assert document["name"] == "small-tuned" and document["data"]["procedural_coins"] == 2
    best = document["augmentation"]
    assert best["kind"] == "reproduction" and best["halftone"] == 0.15
    assert {name: best[name] for name in tuned.json["best"]["numbers"]} == tuned.json["best"]["numbers"]
    other = rig("tune", recipe, "--trials", 6, "--steps", 2, "--lab", lab, **weights)
    assert other.code == 1 and "other steps" in other.err
    made = rig("train", _short(Path(tuned.json["recipe"])), "--lab", lab, "--json", **weights)
    assert made.code == 0, made.err
    card = json.loads((Path(made.json["model"]) / "card.json").read_text())
    assert card["training"]["config"]["augmentation"] == best


def _short(recipe: Path) -> Path:
    recipe.write_text(recipe.read_text() + "steps: 1\n")
    return recipe


def test_without_real_coins_it_says_what_is_missing(rig: Rig, lab: Path) -> None:
    recipe = lab / "tune.yaml"
    recipe.write_text("data: {procedural_coins: 4}\n")
    ran = rig("tune", recipe, "--lab", lab)
    assert ran.code == 2 and "real:" in ran.err and "--from" in ran.err
