"""`Store.verify` finds whatever is wrong with a store, and names it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from calibration.image import decode_image, encode_jpeg
from capture.store import Store
from capture.store.deletion import delete_frames
from capture.store.journal_lines import Lifting
from capture.store.lot_details import LotDetails
from capture.store.lots import NewLot
from capture.store.record_kinds import KINDS
from capture.store.records import Candidate, Frame, NewEntry, Photograph
from tests.capture.conftest import BLURRED, PLAN, TRAY, add_frame, note, small_image
from tests.processes import Process
from tests.variants import usually

Fill = Callable[[int], tuple[str, list[Frame]]]


def damage(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


def test_a_store_in_order_has_no_problems(store: Store, fill: Fill) -> None:
    fill(6)
    store.frames.add_photographs(store.sessions.begin_import("euros").id, [Photograph("c7", small_image(50), "1.jxl")])
    assert store.verify() == []


def fill_every_kind(store: Store) -> None:
    """Something in every kind of file the store has."""
    store.calibrations.add("cal1", "2026-01-01T00:00:00Z", "20260101T000000Z_cal1")
    session = store.sessions.begin_scan(TRAY, PLAN, [{"kind": "grbl"}], "cal1")
    shots = store.sessions.missing_shots(session.id)
    add_frame(store, session.id, shots[0], 1, calibration_id="cal1")
    add_frame(store, session.id, shots[1], 2, quarantine_reasons=BLURRED, calibrated=None)
    other = store.sessions.begin_import("euros")
    jpeg = encode_jpeg(decode_image(small_image(50), ""))
    store.frames.add_photographs(other.id, [Photograph("c7", jpeg, "1.jpg", type="10c")])
    store.sessions.finish(other.id)
    entries = store.catalogue.add_entries(
        [NewEntry(f"RIC {n}", small_image(60 + n), f"{n}.jxl", "sale") for n in (9, 1)],
        lots=[NewLot("RIC 9", "sale", LotDetails(lot="9"), "sale.csv, line 2")],
    )
    store.catalogue.remove_entries(store.catalogue.entries("RIC 1"))
    store.embeddings.add_model("m1", "starter", {"layers": 3})
    store.rankings.add(session.id, shots[0].coin, "m1", "match", [Candidate("RIC 9", entries[0].id, 0.5, 0.9)])
    store.journal.log(Lifting(slot=1, coin=shots[0].coin), session.id)
    delete_frames(store.storage, [add_frame(store, session.id, shots[2], 3)], "ada", "why")


@pytest.mark.parametrize("bits", usually((1,), (1, 300)))
def test_any_one_flipped_bit_is_found(store: Store, folder: Path, bits: int) -> None:
    fill_every_kind(store)
    assert store.verify() == []
    chance = random.Random(bits)
    paths = [path for kind in ("files", "records") for path in sorted((folder / kind).rglob("*")) if path.is_file()]
    assert {path.relative_to(folder).parts[1] for path in paths if "records" in path.parts} == {
        *(kind.name for kind in KINDS),
        "journal",
    }
    for path in paths:
        whole = path.read_bytes()
        for bit in [8 * len(whole) - 1, *(chance.randrange(8 * len(whole)) for _ in range(bits))]:
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            damage(path, bytes(flipped))
            problems = store.verify()
            assert {problem.kind for problem in problems} == {"damaged"}, bit
            assert all(problem.what.startswith(str(path)) for problem in problems), bit
        damage(path, whole)
    assert store.verify() == []


def _write_for_ever(folder: Path) -> None:
    with Store.open(folder) as store:
        print("writing", flush=True)
        for seed in itertools.count():
            session = store.sessions.unfinished_scan("3") or store.sessions.begin_scan(TRAY, PLAN)
            store.journal.log(note(str(seed)), session.id)
            missing = store.sessions.missing_shots(session.id)
            if missing:
                add_frame(store, session.id, missing[0], seed)
            else:
                store.sessions.finish(session.id)


def test_a_store_that_another_process_writes_has_no_problems(folder: Path) -> None:
    process = Process(_write_for_ever, folder)
    process.wait_for_lines(1)
    try:
        with Store.open(folder, writing=False) as onlooker:
            seen = [0]
            while len(seen) < 12 or seen[-1] == seen[1]:  # until something was written between two looks
                assert onlooker.verify() == []
                seen.append(len(onlooker.frames.find()))
            assert sorted(seen) == seen
    finally:
        process.kill()
        process.wait()
    with Store.open(folder) as store:
        assert store.verify() == []


def test_missing_files_are_found(store: Store, fill: Fill) -> None:
    session_id, frames = fill(2)
    image_path = store.path(frames[0].sha256)
    record_path = store.storage.files.record_path("frame", f"{session_id}/{frames[1].id}")
    image_path.unlink()
    record_path.unlink()
    assert [(problem.kind, problem.what) for problem in store.verify()] == [
        ("missing", str(image_path)),
        ("missing", f"the record of frame {frames[1].id}"),
    ]


def test_orphans_are_found(store: Store, fill: Fill) -> None:
    fill(1)
    kept = store.storage.files.keep(small_image(99))[0]
    store.storage.files.keep_records("frame", {"nobody/0123": {"row": {}}})
    assert {(problem.kind, Path(problem.what).name) for problem in store.verify()} == {
        ("orphan", f"{kept.sha256[2:]}.jxl"),
        ("orphan", "0123.json"),
    }


def test_a_file_that_was_stored_broken_is_found(store: Store, fill: Fill) -> None:
    session_id, _ = fill(0)
    frame = add_frame(store, session_id, store.sessions.missing_shots(session_id)[0], 1, raw=small_image(3)[:-20])
    assert [(problem.kind, problem.what) for problem in store.verify()] == [
        ("damaged", str(store.path(frame.sha256))),
    ]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("UPDATE frame SET light = 'az999'", "differs from"),
        ("INSERT INTO slot (tray_id, number, coin_id) VALUES ('3', 9, 'ghost')", "names a missing coin"),
    ],
)
def test_a_row_that_was_changed_is_found(store: Store, fill: Fill, sql: str, message: str) -> None:
    fill(1)
    with store.storage.database._lock:
        writer = store.storage.database._writer
        assert writer is not None
        writer.execute("PRAGMA foreign_keys = OFF")
        writer.execute(sql)
    problems = store.verify()
    assert len(problems) == 1
    assert message in str(problems[0])
