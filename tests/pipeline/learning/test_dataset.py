"""`rig dataset build`: versions that grow, test coins that never train, and the same bytes again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from capture.plan import Plan
from capture.store import Store
from pipeline.errors import LabError, UsageError
from pipeline.lab import open_lab
from pipeline.learning.dataset import open_dataset
from pipeline.learning.sources import read_sources
from tests.capture.conftest import TRAY, add_frame
from tests.pipeline.loop import album, run


def coins_of(manifest: dict[str, Any], part: str) -> set[str]:
    return {row["coin"] for row in manifest["frames"] if row["part"] == part}


@pytest.fixture(scope="module")
def made_filled(made_lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the photographs and the lab of `filled`, never to be changed."""
    folder = tmp_path_factory.mktemp("filled")
    lab = shutil.copytree(made_lab, folder / "lab")
    labels = album(folder / "first", [f"a{number}" for number in range(6)])
    cv2.imwrite(str(folder / "first" / "blank.jpg"), np.full((200, 200, 3), 240, np.uint8))
    labels.write_text(labels.read_text() + "blank.jpg,a0,denarius,9\n")
    assert run("import", folder / "first", "--labels", labels, "--lab", lab).code == 0
    return folder


@pytest.fixture
def filled(made_filled: Path, tmp_path: Path) -> Path:
    """A lab with three images each of six coins, and one on which there is no coin; the photographs lie beside it."""
    shutil.copytree(made_filled, tmp_path, dirs_exist_ok=True)
    return tmp_path / "lab"


def test_a_dataset_is_divided_by_coin_and_rebuilt_to_the_byte(filled: Path) -> None:
    built = run("dataset", "build", "coins", "--test", 0.34, "--validation", 0.17, "--lab", filled, "--json").json
    assert built["is_new"] and built["version"] == 1
    assert [built[part] for part in ("train", "validation", "test")] == [
        {"coins": 3, "frames": 9},
        {"coins": 1, "frames": 3},
        {"coins": 2, "frames": 6},
    ], "what is in quarantine is in no part"
    folder = Path(built["folder"])
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for name in ("train.npy", "test.npy"):
        (folder / name).unlink()
    with pytest.raises(LabError, match="--from"):
        open_dataset(open_lab(filled), "coins")
    assert run("dataset", "build", "coins", "--from", folder / "manifest.json", "--lab", filled).code == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    again = run("dataset", "build", "coins", "--lab", filled, "--json").json
    assert not again["is_new"] and again["id"] == built["id"], "shares are those of the version before"
    document = json.loads((folder / "manifest.json").read_text())
    document["files"]["train.npy"] = "0" * 64
    (folder / "manifest.json").write_text(json.dumps(document))
    with pytest.raises(LabError, match=r"train\.npy"):
        run("dataset", "build", "coins", "--from", folder / "manifest.json", "--lab", filled)


@pytest.mark.slow
def test_the_same_photographs_make_the_same_crops_in_any_lab(filled: Path, made_lab: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(made_lab, tmp_path / "other"))
    assert run("import", tmp_path / "first", "--labels", tmp_path / "first" / "labels.csv", "--lab", other).code == 0
    files = []
    for lab in (filled, other):
        folder = Path(run("dataset", "build", "coins", "--test", 0.34, "--lab", lab, "--json").json["folder"])
        files.append(json.loads((folder / "manifest.json").read_text())["files"])
    assert files[0] == files[1]


def test_what_comes_later_trains_and_test_coins_stay(filled: Path, tmp_path: Path) -> None:
    assert run("dataset", "build", "coins", "--test", 0.34, "--lab", filled).code == 0
    opened = open_lab(filled)
    first = open_dataset(opened, "coins").manifest
    tested = sorted(coins_of(first, "test"))
    labels = album(tmp_path / "later", ["b0", "b1"])
    # The photograph of a test coin once more, smaller and under another name; and a new one of it under its own.
    image = cv2.imread(str(tmp_path / "first" / f"{tested[0]}-0.jpg"))
    cv2.imwrite(str(tmp_path / "later" / "twin.jpg"), cv2.resize(image, None, fx=0.8, fy=0.8))
    own = cv2.imread(str(tmp_path / "first" / f"{tested[1]}-0.jpg"))
    cv2.imwrite(str(tmp_path / "later" / "more.jpg"), np.ascontiguousarray(np.rot90(own)))
    labels.write_text(f"{labels.read_text()}twin.jpg,lot 7,denarius,0\nmore.jpg,{tested[1]},denarius,8\n")
    assert run("import", tmp_path / "later", "--labels", labels, "--lab", filled).code == 0
    mates = tmp_path / "dies.csv"
    mates.write_text(f"coin,group\n{tested[0]},die 1\nb1,die 1\nb-1,die 1\n")
    with pytest.raises(LabError, match=r"line 4: no coin is called b-1. Did you mean b1\?"):
        run("dataset", "build", "coins", "--test", 0.34, "--together", mates, "--lab", filled)
    mates.write_text(f"coin,group\n{tested[0]},die 1\nb1,die 1\n")
    built = run("dataset", "build", "coins", "--test", 0.34, "--together", mates, "--lab", filled, "--json").json
    second = open_dataset(opened, "coins").manifest
    assert built["version"] == 2 and built["near_duplicates"] == 1
    frames = [{row["frame"] for row in each["frames"] if row["part"] == "test"} for each in (first, second)]
    assert frames[0] == frames[1], "the test set is frozen"
    assert "b0" in coins_of(second, "train") | coins_of(second, "validation")
    assert "b1" not in coins_of(second, "train") | coins_of(second, "validation"), "it is a test coin's die-mate"
    assert "lot 7" not in coins_of(second, "train"), "it is a test coin's image"
    other = run("dataset", "build", "other", "--test", 0.2, "--seed", 5, "--lab", filled, "--json").json
    kept = open_dataset(opened, f"other/v{other['version']}")
    assert not set(tested) & set(kept.coins("train")), "what tests anywhere trains nowhere"
    crops, rows = kept.crops("train"), kept.rows("train")
    assert crops.shape == (len(rows), 224, 224) and crops.dtype == np.uint8
    assert sum(len(coin.crops) for coin in kept.training_coins()) == len(rows)
    assert len(kept.samples("test")) == len(kept.rows("test"))


def test_what_cannot_be_built_is_reported(lab: Path) -> None:
    with pytest.raises(LabError, match="0 coins"):
        run("dataset", "build", "coins", "--lab", lab)
    with pytest.raises(UsageError, match="no name"):
        run("dataset", "build", "../coins", "--lab", lab)
    with pytest.raises(LabError, match="rig dataset build"):
        open_dataset(open_lab(lab), "coins")
    assert not list((lab / "datasets" / "coins").iterdir())


def test_the_edge_of_a_coin_is_neither_trained_on_nor_given_the_name_of_a_side(lab: Path) -> None:
    plan = Plan(sides=("obverse", "edge"), lights=("az060",), turntable_deg=(0.0,), edge_tilt_deg=(45.0,))
    with Store.open(lab / "store") as store:
        session = store.sessions.begin_scan(TRAY, plan)
        shots = store.sessions.missing_shots(session.id)[:2]
        face, edge = (add_frame(store, session.id, shot, seed) for seed, shot in enumerate(shots))
        assert (face.side, edge.side) == ("obverse", "edge")
        assert [source.id for source in read_sources(store).sources] == [face.id]
    with pytest.raises(UsageError, match="shows the edge, which is no reverse"):
        run("label", "2024.1.9", "--session", session.id, "--side", "reverse", "--why", "swapped", "--lab", lab)
