"""A store that an earlier version wrote is brought forward, with nothing lost, whatever stops it on the way."""

from __future__ import annotations

import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from capture.store import Store, StoreError
from capture.store.journal_lines import JournalLine
from capture.store.rebuild import rebuild
from tests.capture.conftest import PLAN, TRAY, add_frame
from tests.capture.store.old_store import unpack
from tests.processes import Process

TABLES = ("coin", "calibration", "session", "shot", "frame", "entry", "model", "embedding", "match", "event", "slot")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return unpack("0.1.0", tmp_path)


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    """Rows of a table, without what version 0.1 had no column for."""
    with closing(sqlite3.connect(folder / "index.sqlite")) as connection:
        connection.row_factory = sqlite3.Row
        found = [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY rowid")]
    later = {"number", "tilt_read_deg", "sources_sha256"}
    return [{name: value for name, value in row.items() if name not in later} for row in found]


def read_all(store: Store) -> dict[str, Any]:
    sessions = store.sessions.find()
    return {
        "sessions": sessions,
        "frames": [store.frames.find(session.id, good=None) for session in sessions],
        "missing": [store.sessions.missing_shots(session.id) for session in sessions if session.kind == "scan"],
        "events": store.journal.lines(JournalLine),
        "entries": store.catalogue.entries(),
        "ranking": store.rankings.latest(sessions[0].id, "2024.2.1"),
        "coins": [tuple(row) for row in store.storage.database.read("SELECT * FROM coin ORDER BY id")],
        "models": [tuple(row) for row in store.storage.database.read("SELECT * FROM model")],
        "slots": [tuple(row) for row in store.storage.database.read("SELECT * FROM slot ORDER BY tray_id, number")],
    }


def test_every_row_is_there_again(old: Path) -> None:
    before = {table: rows(old, table) for table in TABLES}
    with Store.open(old) as store:
        assert store.verify() == []
        assert [session.name for session in store.sessions.find()] == ["4", "euros", "3"]
        assert len(store.sessions.missing_shots(store.sessions.find()[2].id)) == 7
        ranking = store.rankings.latest(store.sessions.find()[0].id, "2024.2.1")
        assert ranking is not None
        assert ranking.verdict == "possible"
        pooled, grid = store.embeddings.get("m1", [entry.id for entry in store.catalogue.entries()])
        assert pooled.shape == (3, 8)
        assert grid is not None
    assert {table: rows(old, table)[: len(before[table])] for table in TABLES} == before


def test_from_then_on_it_keeps_frames_of_the_edge_as_well(old: Path) -> None:
    plan = PLAN.replace(sides=("edge",), edge_tilt_deg=(45.0,))
    with Store.open(old) as store:
        session = store.sessions.begin_scan(TRAY, plan)
        frame = add_frame(store, session.id, store.sessions.missing_shots(session.id)[0], seed=7)
        assert frame.side == "edge" and frame.tilt_deg == 45.0
        with pytest.raises(sqlite3.IntegrityError), store.storage.database.write() as connection:
            connection.execute("UPDATE frame SET side = 'rim'")
    for path in old.glob("index.sqlite*"):
        path.unlink()
    with Store.open(old) as store:
        assert store.frames.find(side="edge") == [frame] and store.verify() == []


def test_all_of_it_outlives_the_index_from_then_on(old: Path) -> None:
    with Store.open(old) as store:
        before = read_all(store)
    with Store.open(old) as store:
        assert store.repairs == []
    for path in old.glob("index.sqlite*"):
        path.unlink()
    with Store.open(old) as store:
        after = read_all(store)
        assert store.verify() == []
    events = after.pop("events")
    assert events[: len(before["events"])] == before.pop("events")
    assert after == before


def test_without_its_index_what_version_0_1_wrote_down_is_read_in_order(old: Path) -> None:
    frames = rows(old, "frame")
    (old / "index.sqlite").unlink()
    with Store.open(old) as store:
        assert [frame.id for frame in store.frames.find(good=None)] == [row["id"] for row in frames]
        assert [session.name for session in store.sessions.find()] == ["4", "euros", "3"]
        assert store.verify() == []
    for path in old.glob("index.sqlite*"):
        path.unlink()
    with Store.open(old) as store:
        assert [frame.id for frame in store.frames.find(good=None)] == [row["id"] for row in frames]


def test_an_onlooker_sees_it_brought_forward(old: Path) -> None:
    with Store.open(old, writing=False) as store:
        assert store.verify() == []


def test_a_store_of_a_later_version_is_left_alone(old: Path) -> None:
    Store.open(old).close()
    with closing(sqlite3.connect(old / "index.sqlite")) as connection, connection:
        connection.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('store', 'm999_later', '2031')"
        )
    for writing in (True, False):
        with pytest.raises(StoreError, match="later version of this program"):
            Store.open(old, writing)


def _report_and_open(folder: Path) -> None:
    print(".", flush=True)
    Store.open(folder)


@pytest.mark.slow
@pytest.mark.parametrize("delay_s", [0.0, 0.01, 0.03])
def test_killed_on_the_way_it_resumes(old: Path, delay_s: float) -> None:
    before = {table: rows(old, table) for table in TABLES}
    for attempt in range(3):
        process = Process(_report_and_open, old)
        process.wait_for_lines(1)
        time.sleep(delay_s + random.Random(attempt).random() * 0.02)
        process.kill()
        process.wait()
    with Store.open(old) as store:
        assert store.verify() == []
        assert list((old / "tmp").iterdir()) == []
    assert {table: rows(old, table)[: len(before[table])] for table in TABLES} == before
    rebuilt = rebuild(old)
    assert (rebuilt.lost, rebuilt.unfit) == ((), ())
