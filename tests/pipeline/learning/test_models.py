"""`rig models` and `rig evaluate`: which model is better, and which is in use."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import torch

from models.embedding.backbones import WeightsError, build
from models.embedding.embedder import STARTER_DIR, Embedder, EmbedderNetwork
from pipeline.errors import LabError, UsageError
from tests.pipeline.loop import album, run

COINS = [f"e{number}" for number in range(6)]


def weak_model(folder: Path) -> None:
    """A network that knows nothing, with the starter's fit."""
    torch.manual_seed(6)
    card = {"name": folder.name, "backbone": "mobilenet_v3_small", "channels": 8}
    card["probability"] = json.loads((STARTER_DIR / "card.json").read_text())["probability"]
    Embedder(EmbedderNetwork("mobilenet_v3_small", build("mobilenet_v3_small"), 8), card).save(folder)


def journal(lab: Path, kind: str) -> list[dict[str, Any]]:
    with sqlite3.connect(lab / "store" / "index.sqlite") as connection:
        rows = connection.execute("SELECT detail FROM event WHERE kind = ? ORDER BY id", (kind,)).fetchall()
    return [json.loads(detail) for (detail,) in rows]


@pytest.fixture
def labelled(lab: Path, tmp_path: Path) -> Path:
    """A lab with six coins in a dataset, of which three judge, and two models: the starter again, a useless one."""
    labels = album(tmp_path / "days", COINS)
    assert run("import", tmp_path / "days", "--labels", labels, "--lab", lab).code == 0
    assert run("dataset", "build", "days", "--test", 0.5, "--validation", 0, "--lab", lab).code == 0
    shutil.copytree(STARTER_DIR, lab / "models" / "good")
    weak_model(lab / "models" / "weak")
    return lab


@pytest.mark.slow  # by default a round of learning is refused
def test_only_a_model_that_is_surely_better_is_put_in_use(labelled: Path) -> None:
    judged = ("--dataset", "days", "--lab", labelled, "--json")
    refused = run("models", "promote", "weak", *judged)
    assert refused.code == 1
    assert not refused.json["promoted"] and refused.json["comparison"]["verdict"] == "worse"
    assert refused.json["comparison"]["difference"] < 0
    assert journal(labelled, "model refused")[0]["model"] == "weak"

    forced = run("models", "promote", "weak", "--force", "--lab", labelled, "--json").json
    assert forced["promoted"] and forced["forced"] and forced["entries"] == 12
    assert journal(labelled, "model promoted")[0]["forced"] is True
    listed = run("models", "list", "--lab", labelled, "--json").json
    assert {each["model"]: each["in_use"] for each in listed} == {"starter": False, "good": False, "weak": True}

    better = run("models", "promote", "good", *judged).json
    assert better["promoted"] and not better["forced"]
    assert better["comparison"]["verdict"] == "better" and better["comparison"]["interval95"][0] > 0
    assert {path.name for path in (labelled / "catalogue").iterdir()} >= {each["id"] for each in listed[1:]}
    built = run("catalogue", "build", "--lab", labelled, "--json").json
    assert built["model"] == Embedder.load("starter").id, "what is in use is what --model means"
    with pytest.raises(LabError, match="in use already"):
        run("models", "promote", "good", "--force", "--lab", labelled)


@pytest.mark.slow
def test_a_model_is_judged_on_test_coins_with_the_synthetic_figure_beside(labelled: Path) -> None:
    result = run(
        *("evaluate", "--model", "weak", "--dataset", "days", "--synthetic", 2, "--lab", labelled, "--json")
    ).json
    assert result["labels"] == 3 and result["queries"] == 6 and "days v1" in result["data"]
    assert result["gap"] == pytest.approx(result["synthetic"]["rank1"] - result["rank1"])
    assert 0.0 <= result["fnir_at_fpir"]["0.01"] <= 1.0 and 0.0 <= result["ece"] <= 1.0
    page = Path(result["page"]).read_text()
    assert page.count("<svg") == 1 and "Worst cases" in page and "http" not in page.replace("http://www.w3.org", "")


def test_what_cannot_be_promoted_is_reported(lab: Path) -> None:
    with pytest.raises(UsageError, match="--dataset"):
        run("models", "promote", "good", "--lab", lab)
    with pytest.raises(LabError, match="no model good"):
        run("models", "promote", "good", "--force", "--lab", lab)
    weak_model(lab / "models" / "unfitted")
    card = json.loads((lab / "models" / "unfitted" / "card.json").read_text())
    (lab / "models" / "unfitted" / "card.json").write_text(
        json.dumps({key: value for key, value in card.items() if key != "probability"})
    )
    with pytest.raises(LabError, match="no calibrated probability"):
        run("models", "promote", "unfitted", "--force", "--lab", lab)
    (lab / "models" / "in-use.json").write_text('{"model": "gone"}')
    with pytest.raises(WeightsError, match="gone"):
        run("catalogue", "build", "--lab", lab)


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights")
def test_a_model_trained_on_a_dataset_says_so(labelled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_WEIGHTS", str(Path(os.environ["RIG_SHARED"]) / "weights"))
    recipe = labelled / "small.yaml"
    data = "data: {procedural_coins: 0, fitting_coins: 6}"
    recipe.write_text(f"backbone: mobilenet_v3_small\nsteps: 2\nchannels: 16\ncoins_per_batch: 4\n{data}\n")
    trained = run("train", recipe, "--from", "days", "--name", "round1", "--lab", labelled, "--json")
    assert trained.code == 0 and Path(trained.json["model"]).name == "round1"
    listed = {each["model"]: each for each in run("models", "list", "--lab", labelled, "--json").json}
    made_of = listed["round1"]["card"]["training"]
    built = json.loads((labelled / "datasets" / "days" / "v1" / "manifest.json").read_text())
    assert made_of["dataset_title"] == "days v1"
    assert made_of["coin_sides"] == len({row["coin"] for row in built["frames"] if row["part"] == "train"})
    judged = run("models", "compare", "starter", "round1", "--dataset", "days", "--lab", labelled, "--json").json
    assert judged["second"]["model"].startswith("round1 ")
