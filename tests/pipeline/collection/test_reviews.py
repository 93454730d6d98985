"""What a person decides is kept with name and reason, and datasets are made by it."""

from __future__ import annotations

import getpass
import json
from pathlib import Path
from typing import Any

import pytest

from capture.store import Store, StoreError
from capture.store.labels import Labels
from pipeline.errors import LabError, UsageError
from tests.pipeline.conftest import COINS
from tests.pipeline.loop import album, run


@pytest.fixture
def filled(lab: Path, tmp_path: Path) -> Path:
    """A lab with three photographs each of six coins, beside a catalogue of six others."""
    labels = album(tmp_path / "album", [f"a{number}" for number in range(6)])
    assert run("import", tmp_path / "album", "--labels", labels, "--lab", lab).code == 0
    return lab


def rows(lab: Path) -> list[dict[str, Any]]:
    """The frames of the newest version of a dataset."""
    folder = Path(run("dataset", "build", "coins", "--lab", lab, "--json").json["folder"])
    return list(json.loads((folder / "manifest.json").read_text())["frames"])


@pytest.mark.slow
def test_a_confirmed_match_makes_the_catalogues_images_train(filled: Path, photographs: Path) -> None:
    before = rows(filled)
    trains = next(row["coin"] for row in before if row["part"] == "train")
    why = ("--why", "the same crack at 4 o'clock", "--by", "Anna")
    confirmed = run("confirm", trains, COINS[0], *why, "--lab", filled, "--json").json
    assert (confirmed["verdict"], confirmed["who"], len(confirmed["entries"])) == ("confirmed", "Anna", 2)
    added = [row for row in rows(filled) if row not in before]
    assert {row["frame"] for row in added} == set(confirmed["entries"])
    assert {(row["coin"], row["part"], row["placement"]) for row in added} == {
        (trains, "train", f"catalogue {photographs.name}")
    }
    assert len({tuple(row["box"]) for row in added}) == 2, "each side its half of the image"
    assert run("reject", trains, confirmed["entries"][0], "--why", "another flan", "--lab", filled).code == 0
    assert {row["frame"] for row in rows(filled) if row not in before} == {confirmed["entries"][1]}
    listed = run("reviews", "--lab", filled).out.splitlines()
    assert f"Anna: {trains} is the coin of {'; '.join(confirmed['entries'])}. the same crack at 4 o'clock" in listed[0]
    assert f"{getpass.getuser()}: {trains} is not the coin of {confirmed['entries'][0]}. another flan" in listed[1]
    assert run("reject", trains, COINS[0], "--by", "Ben", "--why", "Ludwig's eyes", "--lab", filled).code == 0
    assert not [row for row in rows(filled) if row not in before], "of two persons the latest counts"
    counted = [each["counts"] for each in run("reviews", "--lab", filled, "--json").json]
    assert counted == [False, False, True]
    assert run("reviews", "--coin", "a9", "--lab", filled, "--json").json == []
    with pytest.raises(LabError, match=r"no good frame is of coin z1"):
        run("confirm", "z1", COINS[0], "--lab", filled)
    with pytest.raises(LabError, match=r"Did you mean a1\?"):
        run("confirm", "a1.", COINS[0], "--lab", filled)
    with pytest.raises(LabError, match="Did you mean"):
        run("confirm", trains, confirmed["entries"][0][:-2], "--lab", filled)


def test_a_corrected_label_counts_and_the_old_one_stays(filled: Path) -> None:
    with Store.open(filled / "store") as store:
        first, other, _ = store.frames.find(coin="a3")
    args = ("--frame", first.id, "--side", "reverse", "--why", "mixed up", "--lab", filled)
    corrected = run("label", "a7", *args, "--json").json
    assert (corrected["verdict"], corrected["coin"], corrected["was"]) == ("relabelled", "a7", ["a3"])
    with Store.open(filled / "store") as store:
        assert store.frames.select([first.id])[0].coin_id == "a3", "a record never changes"
        labels = Labels.read(store)
        assert [frame.id for frame in labels.find(store, "a7", "reverse")] == [first.id]
        corrected = labels.apply(store.frames.find(coin="a3"))
        assert first.id not in [frame.id for frame in corrected if frame.coin_id == "a3"]
    coins = {row["frame"]: (row["coin"], row["side"]) for row in rows(filled)}
    assert coins.get(first.id, ("a7", "reverse")) == ("a7", "reverse") and coins.get(other.id, ("a3", None))[0] == "a3"
    assert "1 frame of a3 shows a7, reverse." in run("reviews", "--lab", filled).out
    assert "a8 is a new coin." in run("label", "a8", "--frame", other.id, "--lab", filled).err
    assert run("label", "a3", "--frame", other.id, "--lab", filled).err == "", "and back again"
    typed = "Ko\u0308ln\u200b [/]  'A'"  # as pasted: a combining letter, an invisible one, two spaces
    odd = run("label", typed, "--frame", other.id, "--by", "[b]Ben", "--json", "--lab", filled).json
    assert (odd["coin"], odd["who"]) == ("K\u00f6ln [/] 'A'", "[b]Ben")
    assert "shows K\u00f6ln [/] 'A'" in run("reviews", "--lab", filled).out
    with pytest.raises(UsageError, match="control character"):
        run("label", "a\x1b[31m", "--frame", other.id, "--lab", filled)
    with pytest.raises(UsageError, match="name the frames"):
        run("label", "a7", "--lab", filled)
    with pytest.raises(StoreError, match="no frame"):
        run("label", "a7", "--coin", "a99", "--lab", filled)
