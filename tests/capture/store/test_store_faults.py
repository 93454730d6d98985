"""What fails under the store: full disk, failing disk, read-only file system, a busy index.

After each: the message says what and where and what to do, nothing that was kept is lost, reopening puts everything in
order, and going on every shot is there exactly once. Full and read-only file systems are mounted for real where that is
permitted; failures of single system calls are brought about by the process itself, at every one of them in turn.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from capture.store import Store, StoreError, database
from capture.store.records import NewEntry
from tests.capture.conftest import PLAN, TRAY, add_frame, note, small_image
from tests.processes import Process
from tests.variants import usually

ALL = sorted(shot.id for shot in PLAN.shots(TRAY))


def go_on(folder: Path) -> None:
    """Finish the scan, and see that everything is there exactly once."""
    with Store.open(folder) as store:
        assert list((folder / "tmp").iterdir()) == []
        assert store.verify() == []
        session = store.sessions.unfinished_scan("3") or store.sessions.begin_scan(TRAY, PLAN)
        for seed, shot in enumerate(store.sessions.missing_shots(session.id)):
            add_frame(store, session.id, shot, 500 + seed)
        assert sorted(frame.shot_id or "" for frame in store.frames.find(good=None)) == ALL
        assert store.verify() == []


def everything(store: Store) -> Iterator[None]:
    """One of each thing that is written; stops between them, and after the last."""
    session = store.sessions.begin_scan(TRAY, PLAN)
    yield
    for seed, shot in enumerate(store.sessions.missing_shots(session.id)[:2]):
        add_frame(store, session.id, shot, seed)
        yield
    store.journal.log(note("on its way"), session.id)
    yield
    store.catalogue.add_entries([NewEntry("RIC 1", small_image(70), "a.jxl", "sale 12", type="RIC")])
    yield
    store.catalogue.remove_entries(store.catalogue.entries("RIC 1"))
    yield


def fail_from(patched: pytest.MonkeyPatch, allowed: int, code: int) -> None:
    """Let every system call on files fail, after so many that were allowed."""
    left = [allowed]

    def strike(call: Callable[..., Any]) -> Callable[..., Any]:
        def struck(*args: Any, **kwargs: Any) -> Any:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(code, os.strerror(code))
            return call(*args, **kwargs)

        return struck

    for name in ("open", "fsync", "write", "rename"):
        patched.setattr(os, name, strike(getattr(os, name)))


FAILURES = ((errno.ENOSPC, "disk is full"), (errno.EIO, "disk or its cable failed"))


@pytest.mark.parametrize(("code", "message"), FAILURES)
@pytest.mark.parametrize("first", usually((2, 5), (2, 5, 0)))
def test_any_system_call_may_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, message: str, first: int
) -> None:
    failed = 0
    for at in range(first, 300, 29 if first else 1):
        folder = tmp_path / str(at)
        kept = 0
        with Store.open(folder) as store:
            steps = everything(store)
            with monkeypatch.context() as patched:
                fail_from(patched, at, code)
                try:
                    for _ in steps:
                        kept += 1
                except StoreError as error:
                    failed += 1
                    assert message in str(error) or os.strerror(code) in str(error)
                    assert str(folder) in str(error)
        if kept == 6:
            break
        with Store.open(folder) as store:
            assert len(store.frames.find()) >= min(max(kept - 1, 0), 2)
        go_on(folder)
    else:
        pytest.fail("there is no end to its system calls")
    assert failed >= (4 if first else 90)


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of one's own."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("spare_kb", [0, 8, 24, 60])
def test_a_disk_that_is_truly_full(tmp_path: Path, spare_kb: int) -> None:
    with mounted(tmp_path / "disk", "size=2m"):
        folder = tmp_path / "disk" / "store"
        ballast = tmp_path / "disk" / "ballast"
        with Store.open(folder) as store:
            session = store.sessions.begin_scan(TRAY, PLAN)
            shots = store.sessions.missing_shots(session.id)
            frames = [add_frame(store, session.id, shot, seed) for seed, shot in enumerate(shots[:2])]
            free = os.statvfs(folder)
            ballast.write_bytes(b"0" * (free.f_bavail * free.f_frsize - 1024 * spare_kb))
            with pytest.raises(StoreError, match=r"(?i)disk is full"):
                for seed, shot in enumerate(shots[2:]):
                    add_frame(store, session.id, shot, 50 + seed, raw=small_image(90 + seed, 64))
                    store.journal.log(note("x" * 400), session.id)
                for _ in range(50):
                    store.journal.log(note("x" * 4000), session.id)
            kept = store.frames.find()
            assert kept[:2] == frames
        ballast.unlink()
        with Store.open(folder) as store:
            assert store.frames.find()[: len(kept)] == kept  # one more, if all but its row could be written
        go_on(folder)


def test_a_full_index(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    with Store.open(folder) as store:
        session = store.sessions.begin_scan(TRAY, PLAN)
        frame = add_frame(store, session.id, PLAN.shots(TRAY)[0], 1)
        with store.storage.database.write() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"index\.sqlite cannot be written: the disk is full"):
            for _ in range(50):
                store.journal.log(note("x" * 2000), session.id)
        with pytest.raises(StoreError, match="the disk is full"):
            add_frame(store, session.id, PLAN.shots(TRAY)[1], 2, quality={"note": "x" * 20_000})
        assert store.frames.find() == [frame]
    go_on(folder)


def test_a_file_system_that_turned_read_only(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with mounted(disk, "size=8m"):
        folder = disk / "store"
        with Store.open(folder) as store:
            session = store.sessions.begin_scan(TRAY, PLAN)
            frame = add_frame(store, session.id, PLAN.shots(TRAY)[0], 1)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(StoreError, match="mounted read-only: mount it writable"):
            Store.open(folder)
        with Store.open(folder, writing=False) as store:
            assert store.frames.find() == [frame]
            assert store.verify() == []
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        go_on(folder)


def _hold(index: Path) -> None:
    connection = sqlite3.connect(index, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("UPDATE session SET software = 'held'")
    print("held", flush=True)
    time.sleep(60)


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Another process is in the middle of a long write."""
    process = Process(_hold, folder / "index.sqlite")
    process.wait_for_lines(1)
    yield
    process.kill()
    process.wait()


def test_an_index_that_another_process_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    folder = tmp_path / "store"
    with Store.open(folder) as store:
        session = store.sessions.begin_scan(TRAY, PLAN)
        shots = store.sessions.missing_shots(session.id)
        frame = add_frame(store, session.id, shots[0], 1)
        with held(folder):
            with pytest.raises(StoreError, match="another process has held it for more than"):
                add_frame(store, session.id, shots[1], 2)
            with pytest.raises(StoreError, match="another process has held it"):
                store.journal.log(note())
            with closing(Store.open(folder, writing=False)) as onlooker:  # readers do not wait
                assert onlooker.frames.find() == [frame]
                assert len(onlooker.sessions.missing_shots(session.id)) == len(shots) - 1
        assert store.frames.find() == [frame]
    go_on(folder)


def test_an_index_held_at_opening_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.2)
    folder = tmp_path / "store"
    Store.open(folder).close()
    (folder / "writers" / "999-dead").touch()  # so that opening it has to write
    with held(folder), pytest.raises(StoreError, match="another process has held it"):
        Store.open(folder)
    go_on(folder)
    with closing(sqlite3.connect(folder / "index.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
