"""`Store.verify` finds whatever is wrong with a store, and names it."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from capture.records import Frame, Photograph
from capture.store import Store
from tests.capture.conftest import picture

Fill = Callable[[int], tuple[str, list[Frame]]]


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_store_in_order_has_no_problems(store: Store, fill: Fill) -> None:
    fill(6)
    store.add_photographs(store.begin_import("euros").id, [Photograph("c7", picture(50), "1.jxl")])
    assert store.verify() == []


def test_any_one_flipped_bit_is_found(store: Store, fill: Fill) -> None:
    session_id, frames = fill(1)
    chance = random.Random(4)
    paths = [store.path(frames[0].sha256), store.path(frames[0].calibrated_sha256 or "")]
    paths += [store.files.record_path("frame", f"{session_id}/{frames[0].id}")]
    paths += [store.files.record_path("session", session_id)]
    for path in paths:
        whole = path.read_bytes()
        for bit in [0, 8 * len(whole) - 1, *(chance.randrange(8 * len(whole)) for _ in range(20))]:
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            damage(path, bytes(flipped))
            problems = store.verify()
            assert [(problem.kind, problem.what) for problem in problems] == [("damaged", str(path))], bit
        damage(path, whole)
    assert store.verify() == []


def test_missing_files_are_found(store: Store, fill: Fill) -> None:
    session_id, frames = fill(2)
    picture_path = store.path(frames[0].sha256)
    record_path = store.files.record_path("frame", f"{session_id}/{frames[1].id}")
    picture_path.unlink()
    record_path.unlink()
    assert [(problem.kind, problem.what) for problem in store.verify()] == [
        ("missing", str(picture_path)),
        ("missing", f"the record of frame {frames[1].id}"),
    ]


def test_orphans_are_found(store: Store, fill: Fill) -> None:
    fill(1)
    kept = store.files.keep(picture(99))[0]
    store.files.keep_records("frame", {"nobody/0123": {"row": {}}})
    assert {(problem.kind, Path(problem.what).name) for problem in store.verify()} == {
        ("orphan", f"{kept.sha256[2:]}.jxl"),
        ("orphan", "0123.json"),
    }


def test_a_file_that_was_stored_broken_is_found(store: Store, fill: Fill) -> None:
    session_id, _ = fill(0)
    from tests.capture.conftest import add_frame

    frame = add_frame(store, session_id, store.missing_shots(session_id)[0], 1, raw=picture(3)[:-20])
    assert [(problem.kind, problem.what) for problem in store.verify()] == [
        ("damaged", str(store.path(frame.sha256))),
    ]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE frame SET light = 'az999'", "differs from"),
        ("INSERT INTO slot (tray_id, number, coin_id) VALUES ('3', 9, 'ghost')", "names a missing coin"),
    ],
)
def test_a_row_that_was_changed_is_found(store: Store, fill: Fill, sql: str, said: str) -> None:
    fill(1)
    with store.database._lock:
        writer = store.database._writer
        assert writer is not None
        writer.execute("PRAGMA foreign_keys = OFF")
        writer.execute(sql)
    problems = store.verify()
    assert len(problems) == 1
    assert said in str(problems[0])
