"""A disk that fills, breaks or cannot be written, a busy index, a clock that is set back: nothing is lost.

Every time: the coin is put back into its slot, the message says what to do, and when that was done the same command
resumes and ends with every shot once.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.kills.check import check_lab, check_readers, check_scans, lies_in_order
from tests.kills.faults import Fault
from tests.kills.jobs import SCAN
from tests.kills.processes import run
from tests.pipeline.conftest import COINS, SHORT_PLAN, lay_out
from tests.processes import Ran

STORE = ("open store/tmp", "rename store", "make store", "fsync store")
MID_SCAN = 150  # of these steps; a whole scan has about 500


def check_failed(ran: Ran, lab: Path, words: tuple[str, ...]) -> None:
    assert ran.code in (1, 3), ran.err
    assert "Traceback" not in ran.err and "mistake in the program" not in ran.err
    message = ran.err.strip().splitlines()[-1]
    assert all(word in message for word in words), message
    assert lies_in_order(lab, "1"), ran.err
    check_readers(lab)


def check_heals(lab: Path) -> None:
    ran = run(lab, *SCAN)
    assert ran.code == 0, ran.err
    check_scans(lab, "1")
    check_lab(lab)


FULL_INDEX_WORDS = ("index", "full", "same command")
FAULTS = {
    "the disk is full": (
        Fault("files", "ENOSPC", STORE, MID_SCAN),
        ("free some space", "same command"),
    ),
    "the disk is full once": (Fault("files", "ENOSPC", STORE, MID_SCAN, MID_SCAN), ("No space left", "same command")),
    "an image cannot be written": (
        Fault("files", "EIO", ("open store/tmp",), 40, 40),
        ("Input/output error", "same command"),
    ),
    "an image cannot be synced": (
        Fault("files", "EIO", ("fsync store/tmp",), 40, 40),
        ("Input/output error", "same command"),
    ),
    "a folder cannot be synced": (
        Fault("files", "EIO", ("fsync store/files",), 40, 40),
        ("Input/output error", "same command"),
    ),
    "an image cannot be renamed": (
        Fault("files", "EIO", ("rename store/files",), 20, 20),
        ("Input/output error", "same command"),
    ),
    "a record cannot be renamed": (
        Fault("files", "EIO", ("rename store/records/frame",), 10, 10),
        ("Input/output error", "same command"),
    ),
    "the file system is read-only": (Fault("files", "EROFS", STORE, MID_SCAN), ("Read-only file system",)),
    "the index is full": (Fault("index", "ENOSPC", ("COMMIT",), 30), FULL_INDEX_WORDS),
    "the index is broken": (Fault("index", "EIO", ("COMMIT",), 30), ("index", "I/O error", "same command")),
    "the index is read-only": (Fault("index", "EROFS", ("COMMIT",), 30), ("index", "same command")),
}


def test_a_full_index_stops_even_a_short_scan_safely(own_lab: Path) -> None:
    fault = Fault("index", "ENOSPC", ("COMMIT",), 12)
    check_failed(run(lay_out(own_lab, SHORT_PLAN, COINS[:2]), *SCAN, fault=fault), own_lab, FULL_INDEX_WORDS)
    check_heals(own_lab)


@pytest.mark.slow
@pytest.mark.parametrize(("fault", "words"), FAULTS.values(), ids=FAULTS)
def test_what_cannot_be_kept_stops_the_scan_safely(fault: Fault, words: tuple[str, ...], own_lab: Path) -> None:
    check_failed(run(own_lab, *SCAN, fault=fault), own_lab, words)
    check_heals(own_lab)


@pytest.mark.slow
@pytest.mark.parametrize("commits", [5, 20, 40])
def test_a_clock_that_is_set_back_an_hour_confuses_nothing(commits: int, own_lab: Path) -> None:
    ran = run(own_lab, *SCAN, fault=Fault("clock", "", ("COMMIT",), commits))
    assert ran.code == 0, ran.err
    check_scans(own_lab, "1")
    check_lab(own_lab)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, and full soon."""
    before = folder.rename(folder.with_name("before"))
    folder.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    shutil.copytree(before, folder, dirs_exist_ok=True)
    shutil.rmtree(before)
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", folder), check=True)


@pytest.mark.slow
def test_a_truly_full_disk_stops_the_scan_safely(own_lab: Path) -> None:
    with small_disk(own_lab / "store", "12m") as disk:
        ran = run(own_lab, *SCAN)
        check_failed(ran, own_lab, ("free some space", "same command"))
        subprocess.run(("mount", "-o", "remount,size=100m", disk), check=True)
        check_heals(own_lab)


@contextmanager
def held_index(lab: Path, frames: int, seconds: float) -> Iterator[None]:
    """Another process writes to the index for so long, from when a scan has kept so many frames."""
    is_over = threading.Event()

    def hold() -> None:
        with closing(sqlite3.connect(lab / "store" / "index.sqlite", isolation_level=None, timeout=30)) as index:
            while not is_over.wait(0.02):
                if index.execute("SELECT count(*) FROM frame").fetchone()[0] >= frames:
                    index.execute("BEGIN IMMEDIATE")
                    is_over.wait(seconds)
                    index.execute("ROLLBACK")
                    return

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


@pytest.mark.slow
def test_an_index_that_is_held_for_ten_seconds_is_waited_for(own_lab: Path) -> None:
    with held_index(own_lab, 8, 10):
        ran = run(own_lab, *SCAN)
    assert ran.code == 0, ran.err
    check_scans(own_lab, "1")
    check_lab(own_lab)


@pytest.mark.slow
def test_an_index_that_stays_held_stops_the_scan_safely(own_lab: Path) -> None:
    with held_index(own_lab, 8, 600):
        ran = run(own_lab, *SCAN)
    check_failed(ran, own_lab, ("index.sqlite", "another process", "same command"))
    check_heals(own_lab)
