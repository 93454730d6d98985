"""The search index follows the store: what is embedded is not embedded again, by whomever it was embedded."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
from filelock import FileLock

from capture.store import Store
from models.matching.faiss_index import FaissIndex
from tests.pipeline.conftest import COINS, Rig
from tests.processes import Command

EMBEDDING = "Embedding the catalogue"


def index_of(lab: Path) -> FaissIndex:
    (folder,) = (lab / "catalogue").glob("*/")
    return FaissIndex.open(folder, folder.name)


def add(rig: Rig, lab: Path, photographs: Path, *coins: str, sale: str = "Hess 1936") -> None:
    """Photographs of the lab's coins once more, as lots of a sale, whose records say what each is."""
    folder = lab.with_name(sale)
    folder.mkdir(exist_ok=True)
    with (folder / "hess.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["lot", "image", "metal", "weight", "date"])
        for number, coin in enumerate(coins):
            (folder / f"lot {number}.jpg").write_bytes((photographs / f"{coin}.jpg").read_bytes())
            table.writerow([number, f"lot {number}.jpg", ("AR", "Gold")[number % 2], 3.5 + number, "1936-03-18"])
    ran = rig("catalogue", "add", folder / "hess.csv", "--sale", sale, "--lab", lab)
    assert ran.code == 0, ran.err


@pytest.mark.slow  # by default the index's own tests narrow it
def test_a_search_is_narrowed_by_what_is_recorded(rig: Rig, lab: Path, photographs: Path) -> None:
    add(rig, lab, photographs, *COINS[:2])
    asked = ("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab, "--json")
    ran = rig(*asked, "--sale", "Hess 1936", "--metal", "silver", "--weight", "3.45", "--date", "1930-1939")
    assert ran.code == 0 and "2 of 16 catalogue images are as you ask" in ran.err
    assert [candidate["coin"] for candidate in ran.json[0]["candidates"]] == ["lot 0"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--weight", "heavy", "3.7-4.1"),
        ("--weight", "4.1-3.7", "3.7-4.1"),
        ("--date", "spring", "1920-1939"),
        ("--date", "1936-13", "1920-1939"),
        ("--side", "front", "obverse or reverse"),
        ("--metal", " ", "silver"),
    ],
)
def test_what_cannot_be_asked_for_is_wrong_usage(rig: Rig, lab: Path, option: str, value: str, says: str) -> None:
    ran = rig("identify", "coin.jpg", option, value, "--lab", lab)
    assert ran.code == 2 and says in ran.err


@pytest.mark.slow
def test_where_nothing_is_as_asked_for_nothing_is_compared(rig: Rig, lab: Path, photographs: Path) -> None:
    asked = ("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab)
    ran = rig(*asked, "--metal", "gold")
    assert ran.code == 1 and "none of the 12 catalogue images" in ran.err
    ran = rig(*asked, "--sale", "Hess 1936")
    assert ran.code == 1 and "Hess 1936" in ran.err and "rig catalogue list" in ran.err


@pytest.mark.slow
def test_shares_that_other_machines_embedded_are_taken_over(rig: Rig, lab: Path, photographs: Path) -> None:
    add(rig, lab, photographs, *COINS)
    there, images = Path(shutil.copytree(lab, lab.with_name("there"))), list[int]()
    for machine, shard in ((lab, "1/2"), (there, "2/2")):
        ran = rig("catalogue", "build", "--shard", shard, "--lab", machine, "--json")
        assert ran.code == 0 and ran.json["embedded"] == ran.json["images"] > 0
        images.append(ran.json["images"])
        again = rig("catalogue", "build", "--shard", shard, "--lab", machine)
        assert EMBEDDING not in again.err and "rig catalogue build" in again.out
    assert sum(images) == 24
    assert rig("catalogue", "build", "--shard", "3/2", "--lab", lab).code == 2
    shutil.copytree(there / "catalogue", lab / "catalogue", dirs_exist_ok=True)
    built = rig("catalogue", "build", "--lab", lab, "--json")
    assert built.json["entries"] == 24 and EMBEDDING not in built.err


@pytest.mark.slow
def test_of_a_damaged_index_what_is_whole_is_kept(rig: Rig, lab: Path, photographs: Path) -> None:
    add(rig, lab, photographs, COINS[0])
    assert rig("catalogue", "build", "--lab", lab).code == 0
    (manifest,) = (lab / "catalogue").rglob("manifest.json")
    manifest.write_text("{")
    ran = rig("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab)
    assert ran.code == 0 and EMBEDDING not in ran.err and len(index_of(lab)) == 14
    part = min((lab / "catalogue").rglob("part.json"), key=lambda path: len((path.parent / "texts.bin").read_bytes()))
    (part.parent / "cells.npy").unlink()
    ran = rig("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab)
    assert ran.code == 0 and f"{EMBEDDING}: 0 of 2" in ran.err and len(index_of(lab)) == 14


@pytest.mark.slow
def test_what_leaves_the_catalogue_leaves_the_index_and_comes_back(rig: Rig, lab: Path, photographs: Path) -> None:
    query = ("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab, "--json")
    assert rig("catalogue", "remove", COINS[0], "--lab", lab).code == 0
    assert COINS[0] not in [each["coin"] for each in rig(*query).json[0]["candidates"]]
    assert rig("catalogue", "restore", COINS[0], "--lab", lab).code == 0
    assert rig(*query).json[0]["candidates"][0]["coin"] == COINS[0] and len(index_of(lab)) == 12


@pytest.mark.slow
def test_the_index_follows_a_store_that_was_put_back(rig: Rig, lab: Path, photographs: Path) -> None:
    shutil.copytree(lab / "store", lab.with_name("backup"))
    add(rig, lab, photographs, COINS[0])
    query = ("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab, "--json")
    assert rig(*query).code == 0 and len(index_of(lab)) == 14
    shutil.rmtree(lab / "store")
    shutil.copytree(lab.with_name("backup"), lab / "store")
    assert rig(*query).json[0]["candidates"][0]["coin"] == COINS[0] and len(index_of(lab)) == 12


@pytest.mark.slow
def test_a_corrected_record_is_searched_by_what_it_says_now(rig: Rig, lab: Path, photographs: Path) -> None:
    add(rig, lab, photographs, COINS[0])
    query = ("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab)
    assert rig(*query, "--metal", "silver").code == 0
    table = lab.with_name("Hess 1936") / "hess.csv"
    table.write_text(table.read_text().replace("AR", "Bronze"))
    assert rig("catalogue", "add", table, "--sale", "Hess 1936", "--lab", lab).code == 0
    ran = rig(*query, "--metal", "AE")
    assert ran.code == 0 and "2 of 14" in ran.err and EMBEDDING not in ran.err
    assert rig(*query, "--metal", "silver").code == 1


@pytest.mark.slow
def test_embeddings_of_version_0_1_0_are_taken_over(rig: Rig, lab: Path, photographs: Path) -> None:
    index = index_of(lab)
    rows = index.sample(12)
    entries = index.entries(rows)
    with Store.open(lab / "store") as store:
        pooled = index.vectors(rows)
        store.embeddings.add(index.model_id, [entry.entry_id for entry in entries], pooled, index.grids(rows))
    shutil.rmtree(lab / "catalogue" / index.model_id)
    ran = rig("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab, "--json")
    assert ran.json[0]["candidates"][0]["coin"] == COINS[0] and EMBEDDING not in ran.err
    with Store.open(lab / "store", writing=False) as store:
        assert store.embeddings.image_ids(index.model_id) == set(), "kept once"


@pytest.mark.slow
def test_adding_building_and_searching_while_a_scan_writes(rig: Rig, lab: Path, photographs: Path) -> None:
    scan = Command("scan", "--tray", 1, "--lab", lab)
    rounds = 0
    while scan.poll() is None or rounds == 0:
        add(rig, lab, photographs, COINS[rounds % 6], sale=f"Hess {1930 + rounds}")
        builds = [Command("catalogue", "build", "--shard", f"{n}/2", "--lab", lab) for n in (1, 2)]
        ran = rig("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab, "--json")
        assert ran.code == 0 and ran.json[0]["verdict"] == "match", ran.err
        assert [build.wait(120) for build in builds] == [0, 0]
        rounds += 1
    assert scan.wait() == 0, scan.err
    assert rig("catalogue", "build", "--lab", lab, "--json").json["entries"] == len(index_of(lab))
    assert rig("store", "verify", "--lab", lab).code == 0
    with Store.open(lab / "store", writing=False) as store:
        assert len(index_of(lab)) == len(store.catalogue.entries())
        assert len(store.frames.find()) == 3 * 6


@pytest.mark.slow
def test_while_another_command_embeds_what_is_there_is_searched(rig: Rig, lab: Path, photographs: Path) -> None:
    add(rig, lab, photographs, COINS[3])
    (folder,) = (lab / "catalogue").glob("*/")
    with FileLock(folder / "building.lock"):
        ran = rig("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab, "--json")
    assert ran.json[0]["candidates"][0]["coin"] == COINS[0]
    assert "2 more images" in ran.err and len(index_of(lab)) == 12


@pytest.mark.slow
def test_an_index_in_milvus_answers_as_the_labs_own_does(rig: Rig, lab: Path, photographs: Path) -> None:
    pytest.importorskip("milvus_lite", reason="Milvus is tried with `pip install 'coinlab[milvus]'`")
    query = ("identify", photographs / f"{COINS[0]}.jpg", "--coin", 1, "--lab", lab, "--json")
    (own,) = rig(*query).json
    with (lab / "rig.yaml").open("a") as stream:
        stream.write("\ncatalogue:\n  milvus: catalogue.db\n")
    add(rig, lab, photographs, COINS[3])
    built = rig("catalogue", "build", "--lab", lab, "--json")
    assert built.json["entries"] == 14, built.err
    (found,) = rig(*query, "--side", "obverse").json
    assert found["verdict"] == own["verdict"] == "match"
    assert found["candidates"][0]["coin"] == own["candidates"][0]["coin"]
    assert rig("catalogue", "remove", COINS[0], "--lab", lab).code == 0
    assert COINS[0] not in [each["coin"] for each in rig(*query).json[0]["candidates"]]
    text = (lab / "rig.yaml").read_text()
    (lab / "rig.yaml").write_text(text.replace("catalogue.db", "http://127.0.0.1:9"))
    ran = rig(*query)
    assert ran.code == 1 and "http://127.0.0.1:9 does not answer" in ran.err and "Traceback" not in ran.err
