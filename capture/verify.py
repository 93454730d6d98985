"""Whether a store still holds what was put into it."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calibration.image import ImageError, decode_image
from capture.database import Database
from capture.files import Files, StoreError
from capture.records import Entry, Frame, Session


@dataclass(frozen=True)
class Problem:
    """Something wrong in a store.

    Attributes
    ----------
    kind
        ``"missing"``, ``"damaged"``, ``"orphan"``, ``"index"`` or ``"leftover"``.
    what
        The file or row.
    remedy
        What it means and what to do.
    """

    kind: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}. {self.remedy}"


def verify(files: Files, database: Database) -> list[Problem]:
    """Check every file, record and row. Changes nothing; may run while a scan writes."""
    on_disk = dict(files.all_files())  # before the rows are read: a file is there before its row
    problems = list(_check_index(database))
    problems += _check_files(files, database)
    for kind, table, row_class in (
        ("session", "session", Session),
        ("frame", "frame", Frame),
        ("entry", "entry", Entry),
    ):
        problems += _check_records(files, database, kind, table, row_class)
    for kind in ("calibration", "finished", "removed"):
        problems += _check_readable(files, kind)
    problems += _check_orphans(database, on_disk)
    return problems


def _check_index(database: Database) -> Iterator[Problem]:
    try:
        for row in database.read("PRAGMA integrity_check"):
            if row[0] != "ok":
                yield Problem("index", str(row[0]), _REBUILD)
        for row in database.read("PRAGMA foreign_key_check"):
            yield Problem("index", f"row {row['rowid']} of {row['table']} names a missing {row['parent']}", _REBUILD)
        for row in database.read(
            "SELECT image_id FROM embedding WHERE image_id NOT IN (SELECT id FROM frame UNION SELECT id FROM entry)"
        ):
            yield Problem("index", f"an embedding of {row['image_id']}, which is neither frame nor entry", _REBUILD)
    except (StoreError, sqlite3.DatabaseError) as error:
        yield Problem("index", str(error), _REBUILD)


def _check_files(files: Files, database: Database) -> Iterator[Problem]:
    for row in database.read("SELECT * FROM file ORDER BY sha256"):
        path = files.path(row["sha256"], row["suffix"])
        if not path.exists():
            yield Problem("missing", str(path), _RESTORE)
            continue
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != row["sha256"]:
            yield Problem("damaged", str(path), _RESTORE)
            continue
        try:
            decode_image(data, str(path))
        except ImageError as error:
            yield Problem("damaged", str(path), f"It was stored like this: {error}")


def _check_records(files: Files, database: Database, kind: str, table: str, row_class: Any) -> Iterator[Problem]:
    paths = dict(files.all_records(kind))
    known = set()
    for row in database.read(f"SELECT * FROM {table}"):
        known.add(row["id"])
        path = paths.get(row["id"])
        if path is None:
            yield Problem("missing", f"the record of {kind} {row['id']}", _RESTORE)
            continue
        try:
            kept = files.read_record(path)["row"]
        except StoreError:
            yield Problem("damaged", str(path), _RESTORE)
            continue
        ended = ("finished_at", "removed_at")  # kept in a record of its own, written later
        indexed = {name: value for name, value in asdict(row_class.of(row)).items() if name not in ended}
        if any(kept.get(name) != value for name, value in indexed.items()):
            yield Problem("index", f"the row of {kind} {row['id']} differs from {path}", _REBUILD)
    for name in sorted(set(paths) - known):
        if not database.read(f"SELECT id FROM {table} WHERE id = ?", (name,)):
            yield Problem("orphan", str(paths[name]), _LEFT)


def _check_readable(files: Files, kind: str) -> Iterator[Problem]:
    for _, path in files.all_records(kind):
        try:
            files.read_record(path)
        except StoreError:
            yield Problem("damaged", str(path), _RESTORE)


def _check_orphans(database: Database, on_disk: dict[str, Path]) -> Iterator[Problem]:
    used = {
        row[0]
        for row in database.read(
            "SELECT sha256 FROM frame UNION SELECT calibrated_sha256 FROM frame UNION SELECT sha256 FROM entry"
        )
    }
    for sha256, path in on_disk.items():
        if sha256 not in used:
            yield Problem("orphan", str(path), _LEFT)


_REBUILD = "Move index.sqlite away: it is made anew from the records at the next command."
_RESTORE = "Restore it from a backup."
_LEFT = "It belongs to no row; a running scan may be just writing it, else it is set aside at the next scan."
