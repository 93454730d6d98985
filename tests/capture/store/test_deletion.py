"""Frames deleted for good leave a tombstone, and stay deleted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from capture.store import Store, StoreError
from capture.store.deletion import delete_frames, mark_for_deletion
from capture.store.journal_lines import FramesDeleted
from capture.store.record_kinds import FRAME
from capture.store.records import Frame, NewEntry
from tests.capture.conftest import PLAN, TRAY, add_frame, small_image


@pytest.fixture
def filled(folder: Path) -> tuple[str, list[Frame]]:
    """A closed store of six frames of coin 2024.1.1, and an entry that shows what frame 5 does."""
    with Store.open(folder) as store:
        session = store.sessions.begin_scan(TRAY, PLAN)
        frames = [
            add_frame(store, session.id, shot, seed)
            for seed, shot in enumerate(store.sessions.missing_shots(session.id)[:6])
        ]
        store.catalogue.add_entries([NewEntry("RIC 1", small_image(10), "a.jxl", "sale 12")])
        assert frames[5].sha256 == store.catalogue.entries()[0].sha256
    return session.id, frames


def test_what_is_deleted_is_gone_but_not_forgotten(folder: Path, filled: tuple[str, list[Frame]]) -> None:
    session_id, frames = filled
    with Store.open(folder, alone=True) as store:
        found = mark_for_deletion(store.storage, frames[4:])
        assert (found.coins, found.sessions) == (["2024.1.1"], [session_id])
        paths = [store.path(sha256) for frame in frames[4:] for sha256 in (frame.sha256, frame.calibrated_sha256 or "")]
        assert found.bytes == sum(path.stat().st_size for path in paths)
        delete_frames(store.storage, found.frames, "ada", "not ours")
        assert [path.exists() for path in paths] == [False, False, True, False]  # one is of the catalogue, too
        assert store.frames.find() == frames[:4]
        assert store.verify() == []
        line = store.journal.last(FramesDeleted)
        assert line is not None
        assert line.detail() == {"frames": [frame.id for frame in frames[4:]], "who": "ada", "why": "not ours"}
        assert [shot.id for shot in store.sessions.missing_shots(session_id)[:2]] == [
            frame.shot_id for frame in frames[4:]
        ]
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    with Store.open(folder) as store:
        assert store.frames.find() == frames[:4]
        tombstones = store.storage.database.read("SELECT frame_id, who, why FROM deletion ORDER BY number")
        assert [tuple(row) for row in tombstones] == [(frame.id, "ada", "not ours") for frame in frames[4:]]
        assert add_frame(store, session_id, PLAN.shots(TRAY)[4], 50).number > frames[-1].number
        assert store.verify() == []


def test_a_record_that_turns_up_again_is_deleted_again(folder: Path, filled: tuple[str, list[Frame]]) -> None:
    _, frames = filled
    with Store.open(folder, alone=True) as store:
        record = store.storage.files.record_path("frame", FRAME.record_name(vars(frames[0])))
        path = store.path(frames[0].sha256)
        backup = record.read_bytes(), path.read_bytes()
        delete_frames(store.storage, frames[:1], "ada", "why")
    record.write_bytes(backup[0])
    path.write_bytes(backup[1])
    (folder / "writers" / "999-dead").touch()
    with Store.open(folder) as store:
        assert store.frames.find() == frames[1:]
        assert not record.exists()
        assert store.verify() == []


def fail_to_unlink(patched: pytest.MonkeyPatch, allowed: int) -> None:
    """Let nothing of files and records be deleted, after so many that were allowed."""
    left = [allowed]
    unlink = Path.unlink

    def struck(path: Path, missing_ok: bool = False) -> None:
        if "files" in path.parts or "records" in path.parts:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(5, "Input/output error", str(path))
        unlink(path, missing_ok)

    patched.setattr(Path, "unlink", struck)


def test_it_is_finished_after_a_crash(
    folder: Path, filled: tuple[str, list[Frame]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, frames = filled
    for allowed in range(6):
        with Store.open(folder, alone=True) as store, monkeypatch.context() as patched:
            fail_to_unlink(patched, allowed)
            try:
                delete_frames(store.storage, store.frames.find()[:1], "ada", "why")
            except StoreError as error:
                assert "cannot be deleted" in str(error)
        with Store.open(folder) as store:
            assert store.frames.find() == frames[allowed + 1 :]
            assert store.verify() == []
            assert not list((folder / "leftovers").rglob("*.*"))


def test_nobody_else_may_be_writing(folder: Path, filled: tuple[str, list[Frame]]) -> None:
    with Store.open(folder), pytest.raises(StoreError, match=r"is in use by `.*` \(pid \d+\)"):
        Store.open(folder, alone=True)
    with Store.open(folder, alone=True), pytest.raises(StoreError, match=r"is being put in order by `.*` \(pid \d+\)"):
        Store.open(folder)
    with Store.open(folder) as store:
        assert store.repairs == []


def test_what_is_named_is_what_all_names_share(store: Store, fill: Callable[[int], tuple[str, list[Frame]]]) -> None:
    session_id, frames = fill(14)
    assert store.frames.select(coins=["2024.1.2"]) == frames[12:]
    assert store.frames.select([frames[0].id, frames[13].id], coins=["2024.1.1", "2024.1.2"]) == [
        frames[0],
        frames[13],
    ]
    assert store.frames.select(sessions=[session_id], trays=["3"]) == frames
    with pytest.raises(StoreError, match=r"no frame matches coin 2024\.1\.9"):
        store.frames.select(coins=["2024.1.1", "2024.1.9"])
