"""The store: what is put in comes out again, whatever happens in between."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from calibration.image import ImageError, decode_image, encode_jpeg
from capture.store import Store, StoreError
from capture.store.journal_lines import JournalLine, StoreRepaired
from capture.store.rebuild import rebuild
from capture.store.records import Frame, Photograph
from rig.sides import SIDES
from tests.capture.conftest import BLURRED, PLAN, TRAY, add_frame, note, small_image
from tests.processes import Process

Fill = Callable[[int], tuple[str, list[Frame]]]


def test_a_frame_comes_back_as_it_was_kept(store: Store, fill: Fill) -> None:
    session_id, frames = fill(3)
    assert store.frames.find(session_id) == frames
    assert (store.image(frames[2].sha256) == decode_image(small_image(4), "")).all()
    assert (store.image(frames[2].calibrated_sha256 or "") == decode_image(small_image(5), "")).all()
    session = store.sessions.get(session_id)
    assert session.frozen_plan() == PLAN
    assert session.frozen_tray() == TRAY
    assert store.frames.find(coin="2024.1.1", side=SIDES[1]) == []


def test_files_are_read_only_and_named_after_their_content(store: Store, fill: Fill) -> None:
    path = store.path(fill(1)[1][0].sha256)
    assert path.stat().st_mode & 0o222 == 0
    assert path.suffix == ".jxl"
    assert path.parent.name + path.stem == fill(1)[1][0].sha256


def test_what_is_missing_is_a_set_difference(store: Store, fill: Fill) -> None:
    session_id, frames = fill(5)
    shots = PLAN.shots(TRAY)
    assert store.sessions.missing_shots(session_id) == shots[5:]
    failing = {"quarantine_reasons": BLURRED, "calibrated": None}
    for attempt in range(1, PLAN.retakes + 1):
        add_frame(store, session_id, shots[7], 100 + attempt, attempt=attempt, **failing)
        assert shots[7] in store.sessions.missing_shots(session_id)
    add_frame(store, session_id, shots[7], 200, attempt=PLAN.retakes + 1, **failing)
    assert store.sessions.missing_shots(session_id) == shots[5:7] + shots[8:]
    assert store.sessions.attempts(session_id)[shots[7].id] == PLAN.retakes + 1
    assert len(store.frames.find(session_id)) == len(frames)
    assert {frame.quarantine_reason for frame in store.frames.find(session_id, good=False)} == {"blur"}


def test_a_shot_has_one_good_frame_and_is_never_overwritten(store: Store, fill: Fill) -> None:
    session_id, frames = fill(1)
    shot = PLAN.shots(TRAY)[0]
    with pytest.raises(StoreError, match="stored already"):
        add_frame(store, session_id, shot, 77, attempt=2)
    assert store.frames.find(session_id) == frames
    assert store.verify() == []


def test_a_finished_session_is_not_gone_on_with(store: Store, fill: Fill) -> None:
    session_id, _ = fill(1)
    assert store.sessions.unfinished_scan("3") == store.sessions.get(session_id)
    assert store.sessions.unfinished_scan("4") is None
    store.sessions.finish(session_id)
    store.sessions.finish(session_id)
    assert store.sessions.unfinished_scan("3") is None
    assert store.sessions.get(session_id).finished_at is not None
    with pytest.raises(StoreError, match="there is no session nonsense"):
        store.sessions.get("nonsense")


def test_the_same_image_twice_is_one_file(store: Store, fill: Fill) -> None:
    session_id, _ = fill(0)
    first, second = store.sessions.missing_shots(session_id)[:2]
    a = add_frame(store, session_id, first, 1)
    b = add_frame(store, session_id, second, 1)
    assert a.sha256 == b.sha256
    assert store.verify() == []


def test_photographs_are_kept_byte_for_byte_and_once(store: Store) -> None:
    data = encode_jpeg(decode_image(small_image(1), ""))
    session = store.sessions.begin_import("euros")
    given = [
        Photograph("c7", data, "a/1.jpg", placement="2", type="10c"),
        Photograph("c8", small_image(2), "a/2.jxl", type="10c"),
    ]
    kept = store.frames.add_photographs(session.id, given)
    assert store.frames.add_photographs(session.id, given) == []
    assert store.frames.find(session.id) == kept
    assert store.path(kept[0].sha256).read_bytes() == data
    assert store.path(kept[0].sha256).suffix == ".jpg"
    assert (kept[0].placement, kept[0].side, kept[0].shot_id) == ("2", None, None)
    assert store.coins.types() == {"c7": "10c", "c8": "10c"}
    with pytest.raises(ImageError, match=r"a/3\.jpg is damaged, or not an image"):
        store.frames.add_photographs(session.id, [Photograph("c9", b"no image", "a/3.jpg")])
    assert store.frames.find(session.id) == kept
    assert store.verify() == []


def test_readers_never_wait_for_the_writer(store: Store, fill: Fill) -> None:
    session_id, frames = fill(3)
    seen: list[int] = []
    with store.storage.database.write() as connection:
        connection.execute("UPDATE frame SET light = 'other'")
        reader = threading.Thread(target=lambda: seen.append(len(store.frames.find(session_id))))
        reader.start()
        reader.join(20)
        with Store.open(store.folder, writing=False) as onlooker:
            seen.append(len(onlooker.frames.find(session_id)))
    assert seen == [len(frames)] * 2


def test_many_threads_may_write(store: Store, fill: Fill) -> None:
    session_id, _ = fill(0)
    shots = store.sessions.missing_shots(session_id)
    threads = [
        threading.Thread(
            target=lambda part: [add_frame(store, session_id, shot, shots.index(shot)) for shot in part],
            args=(shots[n::4],),
        )
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.sessions.missing_shots(session_id) == []
    assert store.verify() == []


def test_an_onlooker_changes_nothing(store: Store, fill: Fill) -> None:
    fill(1)
    with Store.open(store.folder, writing=False) as onlooker, pytest.raises(StoreError, match="reading only"):
        onlooker.journal.log(note())
    with pytest.raises(StoreError, match="does not exist"):
        Store.open(store.folder.parent / "nowhere", writing=False)
    assert not (store.folder.parent / "nowhere").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"file cannot be written: File exists"):
        Store.open(tmp_path / "file" / "store")


def test_a_damaged_index_says_how_it_is_rebuilt(folder: Path) -> None:
    with Store.open(folder) as store:
        session = store.sessions.begin_scan(TRAY, PLAN)
        frame = add_frame(store, session.id, store.sessions.missing_shots(session.id)[0], 1)
    (folder / "index.sqlite").write_bytes(b"not a database at all" * 100)
    for writing in (True, False):
        with pytest.raises(StoreError, match="rig store rebuild"):
            Store.open(folder, writing)
    rebuild(folder)
    with Store.open(folder) as store:
        assert store.frames.find(session.id) == [frame]


def test_the_index_is_rebuilt_from_the_files_alone(folder: Path) -> None:
    with Store.open(folder) as store:
        store.calibrations.add("cal1", "2026-01-01T00:00:00Z", "20260101T000000Z_cal1")
        scan = store.sessions.begin_scan(TRAY, PLAN, [{"kind": "grbl"}], "cal1")
        for seed, shot in enumerate(store.sessions.missing_shots(scan.id)[:4]):
            add_frame(store, scan.id, shot, seed, calibration_id="cal1")
        other = store.sessions.begin_import("euros")
        store.frames.add_photographs(other.id, [Photograph("c7", small_image(50), "1.jxl", type="10c", placement="2")])
        store.sessions.finish(other.id)
        before = (
            store.sessions.find(),
            store.frames.find(good=None),
            store.sessions.shots(scan.id),
            store.coins.types(),
        )
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    with Store.open(folder) as store:
        assert (
            store.sessions.find(),
            store.frames.find(good=None),
            store.sessions.shots(scan.id),
            store.coins.types(),
        ) == before
        assert len(store.repairs) == 5
        assert "1 calibration record was whole and is in the index again." in store.repairs
        assert "3 coin records were whole and are in the index again." in store.repairs
        assert store.verify() == []


def _scan(folder: Path) -> None:
    with Store.open(folder) as store:
        session = store.sessions.unfinished_scan("3") or store.sessions.begin_scan(TRAY, PLAN)
        taken = len(store.frames.find())
        for number, shot in enumerate(store.sessions.missing_shots(session.id)):
            add_frame(store, session.id, shot, taken + number)
            print(shot.id, flush=True)


@pytest.mark.parametrize("delay_s", [0.0, 0.0021, 0.0043, 0.0067, 0.009])
def test_killed_in_mid_write_nothing_is_lost_or_doubled(folder: Path, delay_s: float) -> None:
    reported: list[str] = []
    for kill_after in (1, 4):
        process = Process(_scan, folder)
        process.wait_for_lines(kill_after)
        time.sleep(delay_s)
        process.kill()
        process.wait()
        reported += process.out.split()
        with Store.open(folder) as store:
            kept = [frame.shot_id for frame in store.frames.find()]
            assert set(reported) <= set(kept)
            assert len(kept) == len(set(kept))
            assert store.verify() == []
    assert Process(_scan, folder).wait() == 0
    with Store.open(folder) as store:
        shots = [shot.id for shot in PLAN.shots(TRAY)]
        assert sorted(frame.shot_id or "" for frame in store.frames.find(good=None)) == sorted(shots)
        assert store.repairs == []
        assert store.verify() == []
        assert list((folder / "tmp").iterdir()) == []


def test_a_living_writer_is_not_swept(folder: Path) -> None:
    with Store.open(folder) as first:
        writing = folder / "tmp" / "half"
        writing.write_bytes(b"just being written")
        with Store.open(folder) as second:
            assert second.repairs == []
        assert writing.exists()
        writing.unlink()
        assert first.verify() == []


def test_a_frame_killed_before_its_row_counts_if_it_is_whole(folder: Path) -> None:
    with Store.open(folder) as store:
        session = store.sessions.begin_scan(TRAY, PLAN)
        shots = store.sessions.missing_shots(session.id)
        frames = [add_frame(store, session.id, shot, seed) for seed, shot in enumerate(shots[:3])]
    # as if killed: frame 1 has image and record but no row, frame 2 only its images
    with Store.open(folder) as store, store.storage.database.write() as connection:
        for frame in frames[1:]:
            connection.execute("DELETE FROM frame WHERE id = ?", (frame.id,))
            for sha256 in (frame.sha256, frame.calibrated_sha256):
                connection.execute("DELETE FROM file WHERE sha256 = ?", (sha256,))
    store.storage.files.record_path("frame", f"{session.id}/{frames[2].id}").unlink()
    (folder / "tmp" / "0123").write_bytes(b"half a pic")
    (folder / "writers" / "999-dead").touch()
    with Store.open(folder) as store:
        assert [frame.id for frame in store.frames.find()] == [frames[0].id, frames[1].id]
        assert shots[2] in store.sessions.missing_shots(session.id)
        assert len(store.repairs) == 4
        assert len(store.journal.lines(StoreRepaired)) == len(store.journal.lines(JournalLine)) == 4
        assert len(list((folder / "leftovers").rglob("*.jxl"))) == 2
        assert store.verify() == []
    with Store.open(folder) as store:
        assert store.repairs == []
