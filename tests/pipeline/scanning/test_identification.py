"""Coins are identified beside the scan: neither the catalogue nor a failure holds up the photographing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from calibration.image import encode_jpeg, read_image
from capture.store import Store
from capture.store.journal_lines import CoinWeighed
from capture.store.lot_details import LotDetails
from capture.store.lots import NewLot
from tests.pipeline.conftest import COINS, Rig, Scanned


def test_a_damaged_image_of_the_catalogue_holds_up_neither_a_scan_nor_its_matches(
    rig: Rig, tiny_lab: Path, photographs: Path, tmp_path: Path
) -> None:
    sale = tmp_path / "sale"
    sale.mkdir()
    both = read_image(photographs / f"{COINS[0]}.jpg")
    (sale / "lot7_obv.jpg").write_bytes(encode_jpeg(both[:, : both.shape[1] // 2], 70))
    assert rig("catalogue", "add", sale, "--lab", tiny_lab).code == 0
    with Store.open(tiny_lab / "store", writing=False) as store:
        (entry,) = store.catalogue.entries(sale="sale")
        path = store.path(entry.sha256)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    ran = rig("scan", "--tray", 1, "--lab", tiny_lab, "--json")
    assert ran.code == 0, ran.err
    assert [(coin["frames"], coin["verdict"]) for coin in ran.json["coins"]] == [(2, "match")]
    assert "Embedding the catalogue: 0 of 1" in ran.err and "Traceback" not in ran.err
    assert f"cannot be read: {entry.id}." in ran.err and "rig store verify" in ran.err
    verified = rig("store", "verify", "--lab", tiny_lab)
    assert verified.code == 1 and path.name[:12] in verified.out + verified.err


@pytest.mark.slow
def test_a_scan_that_was_not_identified_names_the_command_that_does_it(rig: Rig, short_lab: Path) -> None:
    scanned = rig("scan", "--tray", 1, "--no-identify", "--lab", short_lab, COLUMNS="400")
    assert scanned.code == 0
    assert f"2 coins are not identified: `rig identify --tray 1 --lab {short_lab}` does that" in scanned.out
    for wrong in ((), ("x.jpg", "--tray", "1"), ("--tray", "1", "--same-coin")):
        assert rig("identify", *wrong, "--lab", short_lab).code == 2
    assert "no session" in rig("identify", "--session", "x", "--lab", short_lab).err
    never = rig("identify", "--tray", 2, "--lab", short_lab)
    assert never.code == 1 and f"Scan first: `rig scan --tray 2 --lab {short_lab}`" in never.err


def test_an_empty_catalogue_is_reported_before_anything_moves(rig: Rig, short_lab: Path) -> None:
    assert rig("catalogue", "remove", *COINS, "--lab", short_lab).code == 0
    ran = rig("scan", "--tray", 1, "--lab", short_lab)
    assert ran.code == 1 and "is empty" in ran.err and "rig catalogue add" in ran.err
    with Store.open(short_lab / "store", writing=False) as store:
        assert store.sessions.find("scan") == []


@pytest.mark.parametrize("command", [("scan", "--tray", "1"), ("batch", "--trays", "1")])
def test_a_model_that_cannot_be_loaded_is_reported_before_anything_moves(
    rig: Rig, tiny_lab: Path, command: tuple[str, ...]
) -> None:
    ran = rig(*command, "--model", "resnet7000", "--lab", tiny_lab)
    assert ran.code == 1 and "there is no embedder 'resnet7000'" in ran.err and "Traceback" not in ran.err
    with Store.open(tiny_lab / "store", writing=False) as store:
        assert store.sessions.find("scan") == []


@pytest.mark.slow
def test_what_the_record_says_is_evidence(rig: Rig, scanned: Scanned, tmp_path: Path) -> None:
    lab = tmp_path / "lab"
    shutil.copytree(scanned.lab, lab)
    with Store.open(lab / "store") as store:
        (coin, *_) = store.sessions.find("scan")[0].frozen_tray().coins.values()
        (sale, *_) = {entry.catalogue for entry in store.catalogue.entries(coin)}
        store.catalogue.add_entries([], lots=[NewLot(coin, sale, LotDetails(weight_g=3.87), "by hand")])
    facts = []
    for grams in (3.81, 4.9):
        with Store.open(lab / "store") as store:
            store.journal.log(CoinWeighed(coin=coin, grams=grams))
        ran = rig("identify", "--tray", 1, "--lab", lab, "--json")
        assert ran.code == 0, ran.err
        (own,) = [answer for answer in ran.json if answer["image"] == coin]
        (found,) = [each for each in own["candidates"] if each["coin"] == coin]
        facts.append((found["facts"], found["probability"]))
    (lighter, before), (heavier, after) = facts
    assert [(each["fact"], each["own"], each["recorded"]) for each in lighter] == [("weight_g", 3.81, 3.87)]
    assert lighter[0]["ratio"] > 1.0 > 0.1 > heavier[0]["ratio"] and after < before
    shown = rig("identify", "--tray", 1, "--lab", lab, COLUMNS="400")
    assert "weight 4.9 g, recorded 3.87 g" in shown.out and "times less probable" in shown.out


@pytest.mark.slow
def test_a_frame_in_which_half_of_the_coin_is_dark_does_not_hide_it(rig: Rig, short_lab: Path) -> None:
    ran = rig("scan", "--tray", 2, "--lab", short_lab, "--json")
    assert ran.code == 0, ran.err
    ((best, *_),) = [coin["candidates"] for coin in ran.json["coins"]]
    assert best["coin"] == COINS[3] and best["probability"] > 0.8, "one of its four frames shows a fragment alone"
