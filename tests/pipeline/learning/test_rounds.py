"""`rig models improve`: rounds of newly labelled coins, and what may never happen in any of them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from calibration.image import Image
from capture.store import Store
from models.embedding.backbones import build
from models.embedding.embedder import STARTER_DIR, Embedder, EmbedderNetwork
from pipeline.errors import LabError, UsageError
from pipeline.lab import open_lab
from pipeline.learning.dataset import Dataset, open_dataset
from tests.pipeline.loop import album, photograph, run
from tests.processes import Command, Ran

QUICK = """\
backbone: mobilenet_v3_small
steps: 30
channels: 16
coins_per_batch: 4
save_every: 2
data: {procedural_coins: 0, fitting_coins: 4}
"""


@pytest.fixture(scope="module")
def made_first(made_lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lab with six labelled coins, of which three judge, and a model in use that knows nothing; not to be changed."""
    folder = tmp_path_factory.mktemp("rounds")
    lab = Path(shutil.copytree(made_lab, folder / "lab"))
    bring(lab, folder / "first", [f"a{number}" for number in range(6)])
    assert run("dataset", "build", "days", "--test", 0.5, "--validation", 0, "--lab", lab).code == 0
    know_nothing(lab / "models" / "blind", {})
    assert run("models", "promote", "blind", "--force", "--lab", lab).code == 0
    return lab


@pytest.fixture
def first(made_first: Path, tmp_path: Path) -> Path:
    """Such a lab of one's own."""
    return Path(shutil.copytree(made_first, tmp_path / "lab"))


def bring(lab: Path, folder: Path, coins: list[str], more: dict[str, Image] | None = None) -> None:
    """Import an album of coins, and further photographs of them or others, by coin."""
    labels = album(folder, coins)
    for coin, image in (more or {}).items():
        cv2.imwrite(str(folder / f"more-{coin}.jpg"), image)
        labels.write_text(f"{labels.read_text()}more-{coin}.jpg,{coin},denarius,9\n")
    assert run("import", folder, "--labels", labels, "--lab", lab).code == 0


def know_nothing(folder: Path, training: dict[str, Any]) -> None:
    torch.manual_seed(6)
    fit = json.loads((STARTER_DIR / "card.json").read_text())["probability"]
    card = {"name": folder.name, "backbone": "mobilenet_v3_small", "channels": 8, "probability": fit}
    network = EmbedderNetwork("mobilenet_v3_small", build("mobilenet_v3_small"), 8)
    Embedder(network, {**card, "training": training}).save(folder)


def trained_before(lab: Path, knows: bool) -> Dataset:
    """Build the next version, and put a model where a round would have trained it: the round resumes from there."""
    assert run("dataset", "build", "days", "--lab", lab).code == 0
    dataset = open_dataset(open_lab(lab), "days")
    folder = lab / "models" / f"days-{dataset.folder.name}"
    if knows:
        shutil.copytree(STARTER_DIR, folder)
        card = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps({**card, "training": {"dataset": dataset.id}}))
    else:
        know_nothing(folder, {"dataset": dataset.id})
    return dataset


def improve(lab: Path, *more: object) -> Ran:
    return run("models", "improve", "days", "--lab", lab, "--json", *more)


def in_use_and_indexes(lab: Path) -> dict[str, bytes]:
    """What says which model is in use, and every file of the catalogue's indexes."""
    files = [lab / "models" / "in-use.json", *(path for path in (lab / "catalogue").rglob("*") if path.is_file())]
    return {str(path): path.read_bytes() for path in files}


def test_a_round_that_makes_nothing_better_changes_neither_model_nor_index(first: Path) -> None:
    trained_before(first, knows=False)
    kept = in_use_and_indexes(first)
    refused = improve(first)
    assert refused.code == 3 and not refused.json["round"]["promoted"]
    assert refused.json["round"]["verdict"] == "no sure difference"
    assert in_use_and_indexes(first) == kept


@pytest.mark.slow
def test_three_rounds_of_new_coins_end_in_promotion_or_refusal(first: Path, tmp_path: Path) -> None:
    one = trained_before(first, knows=True)
    ahead = improve(first, "--dry-run").json
    assert ahead["goes_on"] and ahead["model"] == "days-v1" and ahead["in_use"] == "blind"
    promoted = improve(first)
    assert promoted.code == 0 and promoted.json["round"]["promoted"]
    assert promoted.json["round"]["before"]["model"] == "blind" and promoted.json["round"]["verdict"] == "better"
    kept = in_use_and_indexes(first)
    assert json.loads(kept[str(first / "models" / "in-use.json")])["model"] == "days-v1"
    assert improve(first).json == {"round": None}, "nothing is new"
    tested = one.coins("test")

    blank, turned = np.full((200, 200, 3), 240, np.uint8), np.ascontiguousarray(np.rot90(photograph(tested[0])))
    bring(first, tmp_path / "second", ["b0", "b1"], {tested[0]: turned, "b0": blank})
    ahead = improve(first, "--dry-run").json
    assert (ahead["goes_on"], ahead["version"], ahead["new_frames"], ahead["new_coins"]) == (False, 2, 6, 2)
    two = trained_before(first, knows=False)
    refused = improve(first)
    assert refused.code == 3 and not refused.json["round"]["promoted"] and refused.json["round"]["verdict"] == "worse"
    assert in_use_and_indexes(first) == kept, "a refused round changes neither the model in use nor its index"

    bring(first, tmp_path / "third", ["c0"])
    three = trained_before(first, knows=True)
    equal = improve(first)
    assert equal.code == 3 and equal.json["round"]["verdict"] == "no sure difference"
    assert in_use_and_indexes(first) == kept

    for dataset in (one, two, three):
        assert dataset.rows("test") == one.rows("test"), "test coins keep their first frames"
        assert not {*dataset.coins("train"), *dataset.coins("validation")} & set(tested)
    frames = {row["frame"] for row in three.manifest["frames"]}
    with Store.open(first / "store", writing=False) as store:
        every = [frame for session in store.sessions.find() for frame in store.frames.find(session.id, good=None)]
    quarantined = {frame.id for frame in every if not frame.is_good}
    assert len(quarantined) == 1 and not quarantined & frames
    assert len(every) - len(frames) == 2, "what is in quarantine, and a test coin's later photograph"
    printed = run("models", "rounds", "days", "--lab", first, "--json").json
    assert [each["promoted"] for each in printed["rounds"]] == [True, False, False]
    assert len({each["test_set"] for each in printed["rounds"]}) == 1
    assert [each["trained_coins"] for each in printed["rounds"]] == [3, 5, 6]
    assert Path(printed["plot"]).read_text().count("days-v") == 3
    table = run("models", "rounds", "days", "--lab", first).out
    assert table.count("refused") == 2 and table.count("promoted") == 1
    listed = {each["model"]: each["card"] for each in run("models", "list", "--lab", first, "--json").json}
    assert listed["days-v2"]["figures"]["rank1"] == refused.json["round"]["after"]["rank1"]


@pytest.mark.slow
def test_a_promotion_that_was_killed_before_the_swap_is_ended(first: Path) -> None:
    trained_before(first, knows=True)
    before = (first / "models" / "in-use.json").read_bytes()
    assert improve(first).code == 0
    after = (first / "models" / "in-use.json").read_bytes()
    (first / "models" / "in-use.json").write_bytes(before)  # as it lay there when the journal had its line
    assert improve(first).json == {"round": None}
    assert (first / "models" / "in-use.json").read_bytes() == after != before


def test_what_would_be_judged_unfairly_is_reported(made_first: Path, first: Path) -> None:
    with (first / "models" / "improve.lock").open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(LabError, match="another process"):
            improve(first)
    know_nothing(first / "models" / "days-v1", {"dataset": "another"})
    with pytest.raises(LabError, match="Rename that folder"):
        improve(first)
    with pytest.raises(UsageError, match="no name"):
        run("models", "improve", "../days", "--lab", first)
    with pytest.raises(UsageError, match="stay so"):
        run("dataset", "build", "days", "--test", 0.2, "--lab", first)
    other = run("dataset", "build", "other", "--test", 0.9, "--validation", 0, "--lab", first, "--json").json
    assert other["test"]["coins"] == 5
    taught = open_dataset(open_lab(first), "days")
    know_nothing(first / "models" / "taught", {"dataset": taught.id})
    with pytest.raises(LabError, match="trained on 2"):
        run("models", "compare", "blind", "taught", "--dataset", "other", "--lab", first)
    recipe, labels = first / "recipe.yaml", made_first.parent / "first" / "labels.csv"
    recipe.write_text(f"data: {{procedural_coins: 0, labelled: {{labels: {labels}}}}}")
    with pytest.raises(LabError, match="test coin of days v1"):
        run("train", recipe, "--from", "days/v1", "--name", "leaking", "--lab", first)


@pytest.mark.slow
@pytest.mark.skipif("RIG_SHARED" not in os.environ, reason="$RIG_SHARED is not set: training starts from its weights")
def test_a_round_killed_while_it_trains_resumes(first: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIG_WEIGHTS", str(Path(os.environ["RIG_SHARED"]) / "weights"))
    recipe, state = first / "quick.yaml", first / "models" / "days-v1.unfinished" / "state.pt"
    recipe.write_text(QUICK)
    for how in (signal.SIGKILL, signal.SIGINT):
        saved = state.stat().st_mtime_ns if state.is_file() else 0
        begun = Command("models", "improve", "days", "--recipe", recipe, "--lab", first)
        while not state.is_file() or state.stat().st_mtime_ns == saved:
            assert begun.poll() is None, begun.communicate()
            time.sleep(0.05)
        begun.send_signal(how)
        printed = begun.communicate()[1]
        assert not (first / "models" / "days-v1").exists()
    assert "run the same command again to resume" in printed and begun.returncode == 3
    ended = improve(first, "--recipe", recipe)
    assert ended.json["round"]["after"]["model"] == "days-v1"
    assert ended.code == (0 if ended.json["round"]["promoted"] else 3)
    assert not state.exists() and improve(first).json == {"round": None}
