"""Who has a store open for writing: a killed writer is noticed by the next, a living one is left alone.

Shared and exclusive locks on one file, which `filelock` does not have.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from calibration.durable_files import make_folder, parse_json, sync_folder, write_synced
from capture.names import printable
from capture.store.errors import StoreError

RETRY_S = 0.05
_MARK = re.compile(r"(\d+)-\w+")  # in writers/: process, and what tells apart how often it opened the store


class WriterLock:
    """The right to write to the store in a folder.

    Every writer holds a shared lock for as long as it lives, and has a file in ``writers/`` that only `release`
    removes. Whoever finds nobody else holding the lock, but such files, knows that a process was killed. Whoever
    repairs the store, or needs it for itself, holds the lock exclusively.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writers = folder / "writers"
        make_folder(self._writers)
        self._descriptor = os.open(folder / "writers.lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._mark: Path | None = None

    def acquire(self) -> bool:
        """Wait until no other writer is just opening the store; return whether there is no other writer at all.

        Raises
        ------
        StoreError
            If another process has the store for itself.
        """
        while True:
            if self._try(fcntl.LOCK_EX):
                self._note(alone=False)
                return True
            if self._try(fcntl.LOCK_SH):
                return False
            holder = self._holder()
            if holder is not None:
                self._close()
                raise StoreError(
                    f"{self._folder} is being put in order by {holder}. Wait until that has ended, then run the same "
                    "command again."
                )
            time.sleep(RETRY_S)

    def acquire_alone(self) -> None:
        """Have the store for oneself, until `release`.

        Raises
        ------
        StoreError
            If another process is writing; the message names it.
        """
        if not self._try(fcntl.LOCK_EX):
            others = ", ".join(writers(self._folder)) or self._holder() or "another process"
            self._close()
            raise StoreError(
                f"{self._folder} is in use by {others}. This needs the store for itself: wait until that has ended, or "
                "stop it, then run the same command again."
            )
        self._note(alone=True)

    def found_killed_writer(self) -> bool:
        """Whether a writer ended without `release`. Ask only when there is no other."""
        return any(self._marks())

    def register(self, is_only: bool, stay_alone: bool = False) -> None:
        """Count as a writer from here on, and let others in unless `stay_alone`; `is_only`: there is no other yet."""
        mark = self._writers / f"{os.getpid()}-{secrets.token_hex(4)}"
        write_synced(mark, _command().encode())
        sync_folder(self._writers)  # or after a power cut nobody would know that something was left unfinished
        self._mark = mark
        if is_only:  # only now, or a kill in between would leave no trace of who was killed before
            for former in set(self._marks()) - {mark}:
                former.unlink()
        if not stay_alone:
            _flock(self._descriptor, fcntl.LOCK_SH, self._folder / "writers.lock")

    def release(self, in_order: bool = True) -> None:
        """Stop writing; if not `in_order`, the next writer looks for what was left unfinished. Safe to call twice."""
        if self._mark is not None and in_order:
            self._mark.unlink(missing_ok=True)
        self._mark = None
        self._close()

    def _marks(self) -> Iterator[Path]:
        return (path for path in self._writers.iterdir() if _MARK.fullmatch(path.name) and path.is_file())

    def _try(self, kind: int) -> bool:
        try:
            _flock(self._descriptor, kind | fcntl.LOCK_NB, self._folder / "writers.lock")
        except BlockingIOError:
            return False
        return True

    def _note(self, alone: bool) -> None:
        note = json.dumps({"pid": os.getpid(), "what": _command(), "alone": alone}).encode()
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, note, 0)

    def _holder(self) -> str | None:
        """Who has the store for itself; None if that is not known, as while a writer is just opening it."""
        try:
            note = parse_json(os.pread(self._descriptor, 4096, 0))
            is_held = note["alone"] and _is_alive(note["pid"])
        except (ValueError, KeyError, TypeError):
            return None
        if not is_held:
            return None
        return f"`{note['what']}` (pid {note['pid']})"

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def writers(folder: Path, *, but_us: bool = False) -> list[str]:
    """Who has a store open for writing, as "`rig scan --tray 3` (pid 1234)"; all, or all but this process."""
    present = []
    for mark in sorted((folder / "writers").iterdir()) if (folder / "writers").is_dir() else ():
        found = _MARK.fullmatch(mark.name)  # what else lies there is nobody's
        if found is None or not _is_alive(int(found[1])) or (but_us and int(found[1]) == os.getpid()):
            continue
        with suppress(OSError):  # it has just ended
            present.append(f"`{mark.read_text(errors='replace')}` (pid {found[1]})")
    return present


@contextmanager
def rows_pending(folder: Path) -> Iterator[None]:
    """Mark that files are being written whose rows are still to come, so that `wait_for_rows` waits for them."""
    descriptor = os.open(folder / "writing.lock", os.O_RDONLY | os.O_CREAT, 0o644)
    try:
        _flock(descriptor, fcntl.LOCK_SH, folder / "writing.lock")
        yield
    finally:
        os.close(descriptor)


def wait_for_rows(folder: Path) -> None:
    """Return when every file now on disk has its row, or never will: whoever was just writing it has ended.

    Writers are held up for no longer than it takes to let go again.
    """
    try:
        descriptor = os.open(folder / "writing.lock", os.O_RDONLY)
    except FileNotFoundError:
        return  # nothing was ever written
    try:
        _flock(descriptor, fcntl.LOCK_EX, folder / "writing.lock")
    finally:
        os.close(descriptor)


def _flock(descriptor: int, kind: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, kind)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # it names the file, too


def _command() -> str:
    return printable(" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]))[:200] if sys.argv else "python"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
