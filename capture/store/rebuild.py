"""The index rebuilt from the files alone, beside the old one, which stays until the new one is whole, and after."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from calibration.files import sync_folder
from capture.store.database import Database
from capture.store.deletion import finish_deletions
from capture.store.errors import StoreError, remedy
from capture.store.files import Files
from capture.store.journal import Journal
from capture.store.journal_lines import IndexRebuilt
from capture.store.locks import WriterLock
from capture.store.repair import Progress, Restored, restore_rows, write_missing_records
from capture.store.transaction import Storage

TABLES = ("session", "shot", "frame", "file", "coin", "calibration", "entry", "model", "match", "event", "deletion")
_NAMED = ("session", "frame", "entry", "calibration", "coin")


@dataclass(frozen=True)
class Rebuilt:
    """What the new index holds beside the old one.

    Attributes
    ----------
    rows
        Of each table: how many the old index had, None if it cannot be read, and how many the new one has.
    lost
        Rows of the old index whose records are gone, as "frame 0123".
    unfit
        Records that do not fit, a sentence each.
    embeddings
        How many embeddings the old index had: the new one has none, and they are computed again when needed.
    former
        Where the old index now lies; None if there was none, or nothing was changed.
    """

    rows: dict[str, tuple[int | None, int]]
    lost: tuple[str, ...]
    unfit: tuple[str, ...]
    embeddings: int
    former: Path | None


def rebuild(folder: Path, dry_run: bool = False, progress: Progress = lambda done, total: None) -> Rebuilt:
    """Rebuild ``index.sqlite`` of the store in `folder` from its records.

    Parameters
    ----------
    dry_run
        Build it elsewhere, compare, and throw it away.

    Raises
    ------
    StoreError
        If there is no store, another process is writing, or the new index cannot be written.
    """
    if not (folder / "records").is_dir():
        raise StoreError(f"{folder} is not a store: there are no records in it. Nothing was changed.")
    files = Files(folder)
    if dry_run:
        with tempfile.TemporaryDirectory() as elsewhere:
            new = Path(elsewhere) / "index.sqlite"
            with closing(Database(new)) as database:
                restored = restore_rows(Storage(files, database), progress, set_aside=False)
            return _compare(folder / "index.sqlite", new, restored, None)
    try:
        with _alone(folder):
            new = files.temporary / "index.sqlite"
            _remove(new)
            with closing(Database(new)) as database:
                storage = Storage(files, database)
                restored = restore_rows(storage, progress, set_aside=False)
                finish_deletions(storage)
                write_missing_records(storage)
                _check(database)
            rebuilt = _compare(folder / "index.sqlite", new, restored, _former(folder))
            _switch(folder, new, rebuilt.former)
            with closing(Database(folder / "index.sqlite")) as database:
                former = rebuilt.former.name if rebuilt.former else None
                Journal(Storage(files, database)).log(IndexRebuilt(former=former, lost=len(rebuilt.lost)))
            return rebuilt
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror}. {remedy(error)}") from error


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    lock = WriterLock(folder)
    lock.acquire_alone()
    has_leftovers = lock.found_killed_writer()  # the next opening repairs what is theirs
    lock.register(is_only=True, stay_alone=True)
    try:
        yield
    except BaseException:
        lock.release(in_order=False)
        raise
    lock.release(in_order=not has_leftovers)


def _check(database: Database) -> None:
    for problem in ("integrity_check", "foreign_key_check"):
        found = [row for row in database.read(f"PRAGMA {problem}") if row[0] != "ok"]
        if found:
            raise StoreError(f"the new index is damaged ({problem}: {tuple(found[0])}). The old one was kept.")


def _former(folder: Path) -> Path | None:
    if not (folder / "index.sqlite").exists():
        return None
    name = f"index.{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    taken = len(list(folder.glob(f"{name}*.sqlite")))
    return folder / (f"{name}-{taken}.sqlite" if taken else f"{name}.sqlite")


def _switch(folder: Path, new: Path, former: Path | None) -> None:
    old = folder / "index.sqlite"
    if former is not None:
        with suppress(sqlite3.Error), closing(sqlite3.connect(old, timeout=0)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for suffix in ("-wal", "-shm"):  # or they would be taken for the new index's
            if old.with_name(old.name + suffix).exists():
                old.with_name(old.name + suffix).replace(former.with_name(former.name + suffix))
        os.link(old, former)
    sync_folder(folder)
    new.replace(old)
    sync_folder(folder)


def _remove(index: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        index.with_name(index.name + suffix).unlink(missing_ok=True)


def _compare(old: Path, new: Path, restored: Restored, former: Path | None) -> Rebuilt:
    rows: dict[str, tuple[int | None, int]] = {}
    lost: list[str] = []
    embeddings = 0
    with closing(sqlite3.connect(new)) as made, closing(_readable(old)) as was:
        for table in TABLES:
            rows[table] = (_count(was, table), _count(made, table) or 0)
        embeddings = _count(was, "embedding") or 0
        for table in _NAMED:
            if rows[table][0] is not None:
                before, after = (
                    {row[0] for row in connection.execute(f"SELECT id FROM {table}")} for connection in (was, made)
                )
                lost += [f"{table} {name}" for name in sorted(before - after)]
    return Rebuilt(rows, tuple(lost), tuple(restored.unfit + restored.unreadable), embeddings, former)


def _readable(index: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(index if index.exists() else ":memory:")
    connection.execute("PRAGMA query_only = ON")
    return connection


def _count(connection: sqlite3.Connection, table: str) -> int | None:
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    except sqlite3.DatabaseError:
        return None  # damaged, or of an earlier version
