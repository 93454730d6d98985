"""The journal: lines that outlive the index, and half a line that harms nobody."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.store import Store
from capture.store.files import StoreError
from capture.store.records import Frame

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
            store.journal.log("note", None, number=number, text="süß\nzwei")
        before = store.journal.events()
    drop_index(folder)
    with Store.open(folder) as store:
        assert store.journal.events()[:5] == before
        assert store.journal.log("note").id == len(store.journal.events())
        assert store.verify() == []


def test_half_a_line_is_passed_over_and_its_number_given_again(folder: Path) -> None:
    with Store.open(folder) as store:
        store.journal.log("note", None, text="whole")
    whole = journal_file(folder).read_bytes()
    for cut in (1, len(whole) // 2, len(whole) - 1):
        journal_file(folder).write_bytes(whole + whole.replace(b'"number":1', b'"number":2')[:cut])
        with Store.open(folder) as store:
            assert store.verify() == []
            store.journal.log("note", None, text="after")
            assert store.verify() == []
            assert [event.id for event in store.journal.events()] == list(range(1, len(store.journal.events()) + 1))
        drop_index(folder)
        with Store.open(folder) as store:
            assert [event.detail.get("text") for event in store.journal.events(kinds=["note"])] == ["whole", "after"]
        drop_index(folder)
        journal_file(folder).write_bytes(whole)


def test_a_line_whose_row_was_never_written_counts(store: Store, folder: Path) -> None:
    store.journal.log("lifting", None, coin="a")
    with store.database.write() as connection:  # as if killed before the commit
        connection.execute("DELETE FROM event")
    assert [problem.kind for problem in store.verify()] == ["orphan"]
    assert store.journal.log("on plate", None, coin="a").id == 2
    assert [event.kind for event in store.journal.events()] == ["lifting", "on plate"]
    assert store.verify() == []


def test_a_flipped_bit_in_a_line_is_found(store: Store, folder: Path) -> None:
    for number in range(3):
        store.journal.log("note", None, number=number)
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
            threading.Thread(target=lambda store: [store.journal.log("note") for _ in range(20)], args=(store,))
            for store in (first, second, first)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [event.id for event in second.journal.events()] == list(range(1, 61))
        assert first.verify() == []


def test_a_session_that_is_not_there_is_refused(store: Store) -> None:
    with pytest.raises(StoreError, match="no session nobody"):
        store.journal.log("note", "nobody")
    assert store.journal.events() == []
    assert store.verify() == []
