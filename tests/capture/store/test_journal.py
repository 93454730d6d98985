"""The journal: lines that outlive the index, and half a line that harms nobody."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from capture.store import Store, StoreError, append_only
from capture.store.journal_lines import (
    BatchBegan,
    BatchLine,
    BatchSession,
    CoinLine,
    CoinMove,
    CoinSkipped,
    JournalLine,
    Judgement,
    LaidOnPlate,
    Lifting,
    ModelFigures,
    ModelPromoted,
    ModelRefused,
    Returned,
    ScanAbandoned,
    TurningOver,
    UnknownLine,
)
from capture.store.records import Frame
from tests.capture.conftest import note

Fill = Callable[[int], tuple[str, list[Frame]]]


def journal_file(folder: Path) -> Path:
    (path,) = (folder / "records" / "journal").glob("*.jsonl")
    return path


def drop_index(folder: Path) -> None:
    for path in folder.glob("index.sqlite*"):
        path.unlink()


def test_lines_keep_number_and_order_without_the_index(folder: Path) -> None:
    with Store.open(folder) as store:
        for number in range(5):
            store.journal.log(note(f"süß\nzwei {number}"))
        before = store.journal.lines(JournalLine)
    drop_index(folder)
    with Store.open(folder) as store:
        assert store.journal.lines(JournalLine)[:5] == before
        assert store.journal.log(note()).number == len(store.journal.lines(JournalLine))
        assert store.verify() == []


def test_half_a_line_is_passed_over_and_its_number_given_again(folder: Path) -> None:
    with Store.open(folder) as store:
        store.journal.log(note("whole"))
    whole = journal_file(folder).read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 1):
        journal_file(folder).write_bytes(whole + whole.replace(b'"number":1', b'"number":2')[:cut])
        with Store.open(folder) as store:
            assert store.verify() == []
            store.journal.log(note("after"))
            assert store.verify() == []
            lines = store.journal.lines(JournalLine)
            assert [line.number for line in lines] == list(range(1, len(lines) + 1))
        drop_index(folder)
        with Store.open(folder) as store:
            assert [line.why for line in store.journal.lines(ScanAbandoned)] == ["whole", "after"]
        drop_index(folder)
        journal_file(folder).write_bytes(whole)


def test_a_line_whose_row_was_never_written_counts(store: Store, folder: Path) -> None:
    store.journal.log(Lifting(slot=1, coin="a"))
    with store.storage.database.write() as connection:  # as if killed before the commit
        connection.execute("DELETE FROM event")
    assert [problem.kind for problem in store.verify()] == ["orphan"]
    assert store.journal.log(LaidOnPlate(slot=1, coin="a", side="obverse")).number == 2
    assert [line.kind for line in store.journal.lines(JournalLine)] == ["lifting", "on plate"]
    assert store.verify() == []


def test_a_flipped_bit_in_a_line_is_found(store: Store, folder: Path) -> None:
    for number in range(3):
        store.journal.log(note(str(number)))
    path = journal_file(folder)
    whole = path.read_bytes()
    for byte in [*range(0, len(whole), 7), len(whole) - 1]:
        flipped = bytearray(whole)
        flipped[byte] ^= 1 << byte % 8
        path.write_bytes(flipped)
        assert {problem.kind for problem in store.verify()} == {"damaged"}, byte
    path.write_bytes(whole)
    assert store.verify() == []


def test_several_writers_never_give_a_number_twice(folder: Path) -> None:
    with Store.open(folder) as first, Store.open(folder) as second:
        threads = [
            threading.Thread(target=lambda store: [store.journal.log(note()) for _ in range(20)], args=(store,))
            for store in (first, second, first)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [line.number for line in second.journal.lines(JournalLine)] == list(range(1, 61))
        assert first.verify() == []


def test_a_session_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="no session nobody"):
        store.journal.log(note(), "nobody")
    assert store.journal.lines(JournalLine) == []
    assert store.verify() == []


def detail_on_disk(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line)["content"]["detail"] for line in journal_file(folder).read_text().splitlines()]


FIGURES = ModelFigures(rank1=0.5, rank1_interval95=(0.25, 0.75), map=0.625)
JUDGEMENT = Judgement(
    version=1,
    dataset_id="d1",
    test_set="aa",
    trained_coins=3,
    trained_frames=4,
    test_coins=5,
    queries=6,
    before=FIGURES,
    after=FIGURES,
    difference=0.0,
    interval95=(-0.5, 0.5),
    verdict="no sure difference",
)


def test_lines_are_on_disk_as_earlier_versions_wrote_them(store: Store, folder: Path) -> None:
    judged = {"model": "euro-v1", "id": "m1", "instead_of": "starter"}
    figures = {"rank1": 0.5, "rank1_interval95": [0.25, 0.75], "map": 0.625}
    written: list[tuple[JournalLine, dict[str, Any]]] = [
        (Returned(slot=1, coin="a", side=None), {"slot": 1, "coin": "a", "side": None}),
        (Returned(slot=1, coin="a", found="arm"), {"slot": 1, "coin": "a", "side": None, "found": "arm"}),
        (
            CoinSkipped(slot=1, coin="a", reason="time", why="Slow."),
            {"slot": 1, "coin": "a", "reason": "time", "why": "Slow.", "looks_like": None, "diameter_mm": None},
        ),
        (
            BatchBegan(batch="b", trays=("1", "2"), plan="default", estimate_s=1.5, estimate_bytes=2, free_bytes=3),
            {
                "batch": "b",
                "trays": ["1", "2"],
                "plan": "default",
                "until": None,
                "estimate_s": 1.5,
                "estimate_bytes": 2,
                "free_bytes": 3,
            },
        ),
        (ModelPromoted(**judged, forced=True), {**judged, "dataset": None, "forced": True}),
        (
            ModelRefused(**judged, dataset="euro", judgement=JUDGEMENT),
            {
                **judged,
                "dataset": "euro",
                "version": 1,
                "dataset_id": "d1",
                "test_set": "aa",
                "trained_coins": 3,
                "trained_frames": 4,
                "test_coins": 5,
                "queries": 6,
                "before": figures,
                "after": figures,
                "difference": 0.0,
                "interval95": [-0.5, 0.5],
                "verdict": "no sure difference",
            },
        ),
    ]
    logged = [store.journal.log(line) for line, _ in written]
    assert detail_on_disk(folder) == [detail for _, detail in written]
    assert store.journal.lines(JournalLine) == logged


def test_lines_are_asked_for_by_what_they_are(store: Store) -> None:
    session = store.sessions.begin_import("euros").id
    moves: list[CoinMove] = [Lifting(slot=1, coin="a"), TurningOver(slot=1, coin="a", side="obverse")]
    for line in moves:
        store.journal.log(line, session)
    store.journal.log(CoinSkipped(slot=2, coin="b", reason="empty slot", why="Nothing was gripped."), session)
    store.journal.log(BatchSession(batch="n", tray="3"))
    assert [line.kind for line in store.journal.lines(CoinMove)] == ["lifting", "turning over"]
    assert [line.coin for line in store.journal.lines(CoinLine, session_id=session)] == ["a", "a", "b"]
    assert [line.batch for line in store.journal.lines(BatchLine)] == ["n"]
    assert store.journal.lines(BatchLine, session_id=session) == []
    last = store.journal.last(CoinLine, coin="a")
    assert isinstance(last, TurningOver) and last.number == 2
    assert store.journal.last(Returned) is None


def test_what_another_version_wrote_is_read(store: Store) -> None:
    def write(kind: str, detail: str) -> None:
        with store.storage.database.write() as connection:
            sql = "INSERT INTO event (at, kind, detail) VALUES ('2026-11-20T10:40:26.670349+00:00', ?, ?)"
            connection.execute(sql, (kind, detail))

    write("lifting", '{"coin": "a", "side": "obverse", "slot": 1}')  # as version 0.1.0 did
    write("returned", '{"coin": "a", "side": "obverse", "slot": 1, "later": [1]}')
    write("plate cleaned", '{"cloth": "soft"}')
    lifting, returned, unknown = store.journal.lines(JournalLine)
    assert isinstance(lifting, Lifting) and lifting.coin == "a"
    assert isinstance(returned, Returned) and returned.found is None
    assert isinstance(unknown, UnknownLine) and unknown.detail() == {"cloth": "soft"}
    write("lifting", '{"coin": "a"}')
    with pytest.raises(StoreError, match=r"line 4 cannot be understood: slot of 'lifting'"):
        store.journal.lines(CoinLine)


def test_the_name_of_a_file_that_a_killed_writer_made_is_forced_onto_the_disk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "records" / "journal" / "000000.jsonl"
    path.parent.mkdir(parents=True)
    path.touch()  # made, and killed before its folder was synced
    synced: list[Path] = []
    monkeypatch.setattr(append_only, "sync_folder", synced.append)
    with Store.open(folder) as store:
        store.journal.log(note())
        store.journal.log(note())
    assert synced == [path.parent], "once, with the first line"
