"""A store that has something of everything."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capture.store import Store
from capture.store.journal_lines import Lifting
from capture.store.lot_details import LotDetails
from capture.store.lots import NewLot
from capture.store.records import Candidate, NewEntry, Photograph
from tests.capture.conftest import BLURRED, PLAN, TRAY, add_frame, small_image


@pytest.fixture
def filled(folder: Path) -> Path:
    """A closed store with something in every table."""
    with Store.open(folder) as store:
        store.calibrations.add("cal1", "2026-01-01T00:00:00Z", "20260101T000000Z_cal1")
        store.coins.add("a/b .. ü", "10c", 19.75)
        scan = store.sessions.begin_scan(TRAY.model_copy(update={"id": "4"}), PLAN, [{"kind": "grbl"}], "cal1")
        for seed, shot in enumerate(store.sessions.missing_shots(scan.id)[:4]):
            add_frame(
                store, scan.id, shot, seed, calibration_id="cal1", quarantine_reasons=BLURRED if seed == 2 else ()
            )
        other = store.sessions.begin_import("euros")
        store.frames.add_photographs(other.id, [Photograph("c7", small_image(50), "1.jxl", type="10c", placement="2")])
        store.frames.add_photographs(other.id, [Photograph("c7", small_image(51), "2.jxl", type="20c")])
        store.sessions.finish(other.id)
        entries = store.catalogue.add_entries(
            [NewEntry(f"RIC {n}", small_image(60 + n), f"{n}.jxl", "sale") for n in (9, 1)],
            lots=[NewLot("RIC 9", "sale", LotDetails(lot="9", weight_g=3.87, type="RIC 9"), "sale.csv, line 2")],
        )
        store.catalogue.remove_entries(store.catalogue.entries("RIC 1"))
        store.embeddings.add_model("m1", "starter", {"layers": 3})
        store.embeddings.add("m1", [entries[0].id], np.zeros((1, 4), np.float32))
        for verdict in ("match", "possible"):
            candidate = Candidate("RIC 9", entries[0].id, 0.5, 0.9, {"turns_deg": [1.5]})
            store.rankings.add(scan.id, "2024.1.1", "m1", verdict, [candidate])
        store.coins.add("2024.2.1")
        store.rankings.add(scan.id, "2024.2.1", "m1", "match", [candidate])
        store.sessions.begin_scan(TRAY, PLAN)
        store.journal.log(Lifting(slot=1, coin="2024.1.1", side="obverse"), scan.id)
    return folder
