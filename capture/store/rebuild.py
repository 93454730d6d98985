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

from calibration.durable_files import sync_folder
from capture.store.database import Database
from capture.store.deletion import finish_deletions
from capture.store.errors import StoreError, remedy
from capture.store.journal import Journal
from capture.store.journal_lines import IndexRebuilt
from capture.store.locks import WriterLock
from capture.store.repair import Progress, Restored, restore_rows, write_missing_records
from capture.store.salvage import SalvagedFiles
from capture.store.transaction import Storage

TABLES = (
    *("session", "shot", "frame", "file", "coin", "calibration", "entry", "lot", "model", "match", "event"),
    "deletion",
)
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
    salvaged
        Records and lines of the journal that were damaged or gone and are written again from the old index, as
        "frame 0123" or "event 7".
    embeddings
        How many embeddings the old index had: the new one has none, and they are computed again when needed.
    former
        Where the old index now lies; None if there was none, or nothing was changed.
    """

    rows: dict[str, tuple[int | None, int]]
    lost: tuple[str, ...]
    unfit: tuple[str, ...]
    salvaged: tuple[str, ...]
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
        If there is no store, a later version wrote its index, another process is writing, or the new index cannot be
        written.
    """
    if not (folder / "records").is_dir():
        raise StoreError(f"{folder} is not a store: there are no records in it. Nothing was changed.")
    if dry_run:
        former = _Former.read(folder / "index.sqlite")  # first: a scan may be adding records meanwhile
        files = SalvagedFiles(folder)
        with tempfile.TemporaryDirectory() as elsewhere:
            new = Path(elsewhere) / "index.sqlite"
            with closing(Database(new)) as database:
                storage = Storage(files, database)
                restored = restore_rows(storage, progress, set_aside=False)
                Journal(storage).insert_rows(files.lines)
            return _compare(former, new, restored, files, None)
    try:
        with _alone(folder):
            former = _Former.read(folder / "index.sqlite")
            files = SalvagedFiles(folder)
            files.write()
            new = files.temporary / "index.sqlite"
            _remove(new)
            with closing(Database(new)) as database:
                storage = Storage(files, database)
                restored = restore_rows(storage, progress, set_aside=False)
                finish_deletions(storage)
                write_missing_records(storage)
                _check(database)
            rebuilt = _compare(former, new, restored, files, _former(folder))
            _switch(folder, new, rebuilt.former)
            with closing(Database(folder / "index.sqlite")) as database:
                name = rebuilt.former.name if rebuilt.former else None
                Journal(Storage(files, database)).log(IndexRebuilt(former=name, lost=len(rebuilt.lost)))
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


@dataclass(frozen=True)
class _Former:
    """What the old index holds: how many rows of each table, None if it cannot be read, and the ids of those named."""

    counts: dict[str, int | None]
    ids: dict[str, set[str]]

    @classmethod
    def read(cls, index: Path) -> _Former:
        counts: dict[str, int | None] = dict.fromkeys((*TABLES, "embedding"))
        ids: dict[str, set[str]] = {}
        try:
            with closing(Database(index, writing=False)) as database:
                for table in counts:
                    with suppress(StoreError):  # damaged, or of an earlier version
                        counts[table] = int(database.read(f"SELECT count(*) FROM {table}")[0][0])
                for table in _NAMED:
                    with suppress(StoreError):
                        ids[table] = {row["id"] for row in database.read(f"SELECT id FROM {table}")}
        except StoreError:
            pass  # there is none
        return cls(counts, ids)


def _compare(former: _Former, new: Path, restored: Restored, files: SalvagedFiles, kept: Path | None) -> Rebuilt:
    made = _Former.read(new)
    lost = [f"{table} {name}" for table, ids in former.ids.items() for name in sorted(ids - made.ids[table])]
    return Rebuilt(
        {table: (former.counts[table], made.counts[table] or 0) for table in TABLES},
        tuple(lost),
        tuple(restored.unfit + restored.unreadable),
        tuple(files.names),
        former.counts["embedding"] or 0,
        kept,
    )
