"""The index made anew: from the files alone, the old one kept, whatever state it is in."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from capture.store import Store, StoreError
from capture.store.files import Files
from capture.store.journal_lines import JournalLine, Lifting
from capture.store.rebuild import rebuild
from capture.store.records import Candidate, NewEntry
from tests.capture.conftest import PLAN, TRAY, add_frame, note, small_image
from tests.capture.store.test_migration import read_all
from tests.processes import Process

EVERYTHING = ("session", "shot", "frame", "file", "coin", "calibration", "entry", "lot", "model", "match", "event")


def test_all_but_embeddings_is_in_the_records(filled: Path) -> None:
    with Store.open(filled) as store:
        before = read_all(store)
        types = store.coins.types()
    rebuilt = rebuild(filled, dry_run=True)
    assert rebuilt.former is None
    assert {table: rebuilt.rows[table][0] for table in EVERYTHING} == {
        table: rebuilt.rows[table][1] for table in EVERYTHING
    }
    assert all(after for table, (_, after) in rebuilt.rows.items() if table != "deletion")
    assert (rebuilt.lost, rebuilt.unfit, rebuilt.embeddings) == ((), (), 1)
    assert len(list(filled.glob("index*.sqlite"))) == 1
    again = rebuild(filled)
    assert again.former is not None
    assert again.former.exists()
    assert again.rows == rebuilt.rows
    with Store.open(filled) as store:
        after = read_all(store)
        assert [event.kind for event in after.pop("events")[len(before["events"]) :]] == ["index made anew"]
        before.pop("events")
        assert after == before
        assert store.coins.types() == types
        assert store.embeddings.image_ids("m1") == set()
        assert store.verify() == []
        assert store.repairs == []


def test_the_clock_may_be_put_back(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = iter(range(23, 0, -1))

    def put_back() -> str:
        return f"2026-10-25T{next(hour):02}:00:00.000000+00:00"

    for module in ("sessions", "frames", "journal", "catalogue", "embeddings", "rankings"):
        monkeypatch.setattr(f"capture.store.{module}.now", put_back)
    with Store.open(folder) as store:
        scans = [
            store.sessions.begin_scan(TRAY, PLAN),
            store.sessions.begin_scan(TRAY.model_copy(update={"slots": {5: "x"}}), PLAN),
        ]
        frames = [
            add_frame(store, scans[0].id, shot, seed, taken_at=put_back())
            for seed, shot in enumerate(store.sessions.missing_shots(scans[0].id)[:4])
        ]
        entries = store.catalogue.add_entries(
            [NewEntry("b", small_image(90), "2.jxl", "x"), NewEntry("a", small_image(91), "1.jxl", "x")]
        )
        store.embeddings.add_model("m1", "starter", {})
        for verdict in ("match", "possible"):
            store.rankings.add(scans[0].id, "a", "m1", verdict, [Candidate("a", entries[1].id, 0.5, 0.9)])
        events = [store.journal.log(note(str(number))) for number in range(3)]
    for remake in (False, True):
        if remake:
            rebuild(folder)
        with Store.open(folder) as store:
            assert store.sessions.find() == scans
            assert store.sessions.unfinished_scan("3") == scans[1]
            assert store.frames.find(scans[0].id) == frames
            assert store.catalogue.entries() == entries
            ranking = store.rankings.latest(scans[0].id, "a")
            assert ranking is not None
            assert ranking.verdict == "possible"
            assert store.journal.lines(JournalLine)[:3] == events
            assert [tuple(row) for row in store.storage.database.read("SELECT * FROM slot")] == [("3", 5, "x")]


def test_a_damaged_index_is_replaced_and_kept(filled: Path) -> None:
    with Store.open(filled) as store:
        frames = store.frames.find(good=None)
    index = filled / "index.sqlite"
    index.write_bytes(index.read_bytes()[:4096] + b"\xff" * 40_000)
    (filled / "index.sqlite-wal").write_bytes(b"what was left of it")
    rebuilt = rebuild(filled)
    assert rebuilt.rows["frame"] == (None, len(frames))
    assert rebuilt.former is not None
    assert rebuilt.former.stat().st_size == 44_096
    with Store.open(filled) as store:
        assert store.frames.find(good=None) == frames
        assert store.verify() == []


def test_what_records_and_images_are_lost_is_named(filled: Path) -> None:
    with Store.open(filled) as store:
        frames = store.frames.find(good=None)
        images = [store.path(frame.sha256) for frame in frames[:2]]
    lost, damaged = (filled / "records" / "frame" / frame.session_id / f"{frame.id}.json" for frame in frames[:2])
    lost.unlink()
    damaged.write_bytes(damaged.read_bytes().replace(b"az", b"aZ"))
    for image in images:
        image.unlink()
    rebuilt = rebuild(filled)
    assert sorted(rebuilt.lost) == sorted(f"frame {frame.id}" for frame in frames[:2])
    assert len(rebuilt.unfit) == 1
    assert str(damaged) in rebuilt.unfit[0]
    assert damaged.exists()
    with Store.open(filled) as store:
        assert ("damaged", str(damaged)) in [(problem.kind, problem.what) for problem in store.verify()]


def test_a_record_that_is_damaged_or_gone_is_written_again_from_a_good_row(filled: Path) -> None:
    with Store.open(filled) as store:
        before = read_all(store)
        frames = store.frames.find(good=None)
    gone, damaged = (filled / "records" / "frame" / frame.session_id / f"{frame.id}.json" for frame in frames[:2])
    whole = gone.read_bytes(), damaged.read_bytes()
    gone.unlink()
    damaged.write_bytes(whole[1].replace(b"az", b"aZ"))
    coin = next((filled / "records" / "coin").glob("2024.2.1.json"))
    coin.write_bytes(b"")
    names = {f"frame {frame.id}" for frame in frames[:2]} | {"coin 2024.2.1"}
    tried = rebuild(filled, dry_run=True)
    assert (set(tried.salvaged), tried.lost, tried.unfit) == (names, (), ())
    assert not gone.exists()
    rebuilt = rebuild(filled)
    assert (set(rebuilt.salvaged), rebuilt.lost, rebuilt.unfit) == (names, (), ())
    assert (gone.read_bytes(), damaged.read_bytes()) == whole
    with Store.open(filled) as store:
        assert store.verify() == []
        assert {**read_all(store), "events": 0} == {**before, "events": 0}


def test_an_index_of_a_later_version_is_never_replaced(filled: Path) -> None:
    with closing(sqlite3.connect(filled / "index.sqlite")) as index, index:
        name = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('store', 'm999_later', '2030')"
        index.execute(name)
    before = (filled / "index.sqlite").read_bytes()
    for dry_run in (True, False):
        with pytest.raises(StoreError, match="written by a later version"):
            rebuild(filled, dry_run=dry_run)
    assert (filled / "index.sqlite").read_bytes() == before


def test_a_dry_run_beside_a_writer_reports_no_losses(filled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame is stored while the dry run reads the records, after the session's were read."""
    with Store.open(filled) as store:
        session = store.sessions.unfinished_scan("3")
        assert session is not None
        shots = iter(store.sessions.missing_shots(session.id))
        all_records = Files.all_records

        def meanwhile(files: Files, kind: str) -> Iterator[tuple[str, Path]]:
            found = list(all_records(files, kind))
            if kind == "frame":
                add_frame(store, session.id, next(shots), 700)
            yield from found

        monkeypatch.setattr(Files, "all_records", meanwhile)
        assert rebuild(filled, dry_run=True).lost == ()


def test_no_store_and_a_busy_store_are_refused(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a store"):
        rebuild(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()
    with Store.open(filled), pytest.raises(StoreError, match=r"is in use by .* \(pid \d+\)"):
        rebuild(filled)


def _report_and_rebuild(folder: Path) -> None:
    print(".", flush=True)
    rebuild(folder)


@pytest.mark.parametrize("delay_s", [0.0, 0.02])
def test_killed_while_it_is_rebuilt_there_is_always_an_index(filled: Path, delay_s: float) -> None:
    with Store.open(filled) as store:
        before = read_all(store)
    for attempt in range(3):
        process = Process(_report_and_rebuild, filled)
        process.wait_for_lines(1)
        time.sleep(delay_s + 0.02 * random.Random(attempt).random())
        process.kill()
        process.wait()
        assert (filled / "index.sqlite").exists()
        with Store.open(filled) as store:
            after = read_all(store)
            assert list((filled / "tmp").iterdir()) == []
            assert store.verify() == []
        assert {**after, "events": 0} == {**before, "events": 0}
        assert after["events"][: len(before["events"])] == before["events"]


def test_a_line_of_the_journal_that_is_damaged_is_written_again_from_a_good_row(filled: Path) -> None:
    with Store.open(filled) as store:
        for _ in range(4):
            store.journal.log(note())
    (path,) = (filled / "records" / "journal").glob("*.jsonl")
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0][:40] + b"X" + lines[0][41:], *lines[1:-2], lines[-1]]))  # and one is gone
    numbers = [json.loads(line)["content"]["number"] for line in (lines[0], lines[-2])]
    with Store.open(filled, writing=False) as store:
        found = [problem for problem in store.verify() if problem.kind == "damaged"]
    assert len(found) == 2 and all("`rig store rebuild`: it is written again" in problem.remedy for problem in found)
    tried = rebuild(filled, dry_run=True)
    assert tried.salvaged == tuple(f"event {number}" for number in numbers)
    assert tried.rows["event"][0] == tried.rows["event"][1]
    rebuilt = rebuild(filled)
    assert (rebuilt.salvaged, rebuilt.lost, rebuilt.unfit) == (tried.salvaged, (), ())
    assert path.read_bytes().startswith(whole), "and a line about the rebuilding"
    path.unlink()
    assert len(rebuild(filled).salvaged) == len(lines) + 1
    with Store.open(filled) as store:
        assert store.verify() == []
        assert store.journal.log(Lifting(slot=1, coin="2024.1.1", side="obverse")).number == len(lines) + 3
    assert path.read_bytes().startswith(whole)
