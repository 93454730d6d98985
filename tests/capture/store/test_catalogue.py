"""Entries, embeddings and rankings in the store."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import ANY

import numpy as np
import pytest

from capture.store import Store, StoreError
from capture.store.lot_details import LotDetails
from capture.store.lots import NewLot
from capture.store.records import Candidate, NewEntry
from tests.capture.conftest import PLAN, TRAY, small_image

ENTRIES = [
    NewEntry("RIC 7", small_image(1), "a.jxl", "sale 12", side="obverse", box=(0, 0, 12, 24), type="RIC"),
    NewEntry("RIC 7", small_image(1), "a.jxl", "sale 12", side="reverse", box=(12, 0, 24, 24), type="RIC"),
    NewEntry("RIC 8", small_image(2), "b.jxl", "sale 12"),
]


def test_entries_are_kept_once_and_taken_out(store: Store) -> None:
    catalogue = store.catalogue
    entries = catalogue.add_entries(ENTRIES)
    assert catalogue.add_entries(ENTRIES) == []
    assert catalogue.entries() == entries
    assert entries[0].sha256 == entries[1].sha256
    assert entries[1].box == [12, 0, 24, 24]
    assert catalogue.entries("RIC 8") == entries[2:]
    catalogue.remove_entries(catalogue.entries("RIC 7"))
    assert catalogue.entries() == entries[2:]
    assert store.verify() == []
    assert catalogue.add_entries(ENTRIES) == []  # what was taken out does not come back by itself
    assert catalogue.entries("RIC 7", removed=True) == [replace(entry, removed_at=ANY) for entry in entries[:2]]
    catalogue.restore_entries(catalogue.entries("RIC 7", removed=True))
    assert catalogue.entries() == entries


def test_entries_outlive_the_index(store: Store) -> None:
    entries = store.catalogue.add_entries(ENTRIES)
    store.catalogue.remove_entries(store.catalogue.entries("RIC 8"))
    store.close()
    for path in store.folder.glob("index.sqlite*"):
        path.unlink()
    with Store.open(store.folder) as again:
        assert sorted(entry.id for entry in again.catalogue.entries()) == sorted(entry.id for entry in entries[:2])
        assert again.coins.types() == {"RIC 7": "RIC", "RIC 8": None}


def test_what_a_sale_says_is_kept_in_every_version_and_outlives_the_index(store: Store) -> None:
    first = LotDetails(lot="231", weight_g=3.8)
    store.catalogue.add_entries(ENTRIES, lots=[NewLot("RIC 7", "sale 12", first, "sale.csv, line 2", "0" * 64)])
    corrected = LotDetails(lot="231", weight_g=3.87, type="RIC 7a", date="1936-03-18")
    store.catalogue.add_entries((), lots=[NewLot("RIC 7", "sale 12", corrected, "sale.csv, line 2", "1" * 64)])
    store.close()
    for path in store.folder.glob("index.sqlite*"):
        path.unlink()
    with Store.open(store.folder) as again:
        assert [lot.details for lot in again.catalogue.lots("sale 12")] == [first, corrected]
        assert [entry.lot for entry in again.catalogue.entries()] == [corrected, corrected, None]
        assert again.coins.types()["RIC 7"] == "RIC 7a" and again.verify() == []


def test_embeddings_come_back_in_the_order_asked_for(store: Store) -> None:
    embeddings = store.embeddings
    ids = [entry.id for entry in store.catalogue.add_entries(ENTRIES)]
    embeddings.add_model("m1", "starter", {"note": "for a test"})
    embeddings.add_model("m1", "starter", {"note": "again"})
    chance = np.random.default_rng(0)
    pooled = chance.normal(size=(3, 8)).astype(np.float32)
    grid = chance.normal(size=(3, 4, 5, 6)).astype(np.float16)
    embeddings.add("m1", ids, pooled, grid)
    back, back_grid = embeddings.get("m1", [ids[2], ids[0]])
    np.testing.assert_array_equal(back, pooled[[2, 0]])
    assert back_grid is not None
    np.testing.assert_array_equal(back_grid, grid[[2, 0]])
    embeddings.add("m1", ids[:1], pooled[1:2])
    assert embeddings.get("m1", ids)[1] is None
    assert embeddings.image_ids("m1") == set(ids)
    assert embeddings.image_ids("m2") == set()
    assert embeddings.get("m1", [])[0].shape[0] == 0
    with pytest.raises(StoreError, match="has no embedding by model m1"):
        embeddings.get("m1", ["nobody"])
    assert store.verify() == []


def test_the_latest_ranking_counts(store: Store) -> None:
    session = store.sessions.begin_scan(TRAY, PLAN)
    ids = [entry.id for entry in store.catalogue.add_entries(ENTRIES)]
    store.embeddings.add_model("m1", "starter", {})
    assert store.rankings.latest(session.id, "2024.1.1") is None
    first = [Candidate("RIC 7", ids[0], 0.7, 0.95, {"cells": 12}), Candidate("RIC 8", ids[2], 0.5, 0.02)]
    store.rankings.add(session.id, "2024.1.1", "m1", "match", first)
    ranking = store.rankings.latest(session.id, "2024.1.1")
    assert ranking is not None
    assert (ranking.verdict, ranking.model_id, list(ranking.candidates)) == ("match", "m1", first)
    store.rankings.add(session.id, "2024.1.1", "m1", "not in catalogue", first[1:])
    ranking = store.rankings.latest(session.id, "2024.1.1")
    assert ranking is not None
    assert (ranking.verdict, list(ranking.candidates)) == ("not in catalogue", first[1:])
