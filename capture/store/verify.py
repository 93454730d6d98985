"""Whether a store still holds what was put into it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from calibration.bracket import SOURCES_SUFFIX, decode_sources
from calibration.durable_files import hash_bytes
from calibration.image import ImageError, decode_image
from capture.store.errors import StoreError
from capture.store.files import MOVED, Content, Files, referenced
from capture.store.journal import Journal
from capture.store.locks import wait_for_rows
from capture.store.record_kinds import KINDS
from capture.store.transaction import Storage


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


def verify(storage: Storage, progress: Callable[[int, int], None] = lambda done, total: None) -> list[Problem]:
    """Check every file, record and row. Changes nothing; may run while a scan writes."""
    files = storage.files
    journal = Journal(storage)
    images = dict(files.all_files())
    records = {kind.name: dict(files.all_records(kind.name)) for kind in KINDS}
    lines = journal.on_disk()
    # Whatever is listed has its row from here on, or never will. Rows that came since are looked up on disk.
    wait_for_rows(files.folder)
    problems = list(_check_index(storage))
    problems += _check_images(storage, progress)
    for kind in KINDS:
        known = set()
        damaged: list[str] = []
        for name, content in kind.contents(storage.read, damaged.append):
            known.add(name)
            problems += _check_record(files, kind.name, name, content)
        rows = (f"the row of {kind.name} {name.split('/')[-1]} is damaged" for name in damaged)
        problems += [Problem("index", row, _REBUILD) for row in rows]
        for name in sorted(set(records[kind.name]) - known - set(damaged)):
            problems += _check_orphan(files, kind.name, name)
    problems += _check_journal(journal, lines)
    indexed = {row["sha256"] for row in storage.read("SELECT sha256 FROM file")}
    problems += [Problem("orphan", str(path), _ORPHAN) for sha256, path in images.items() if sha256 not in indexed]
    return problems


def _check_index(storage: Storage) -> Iterator[Problem]:
    try:
        for row in storage.read("PRAGMA integrity_check"):
            if row[0] != "ok":
                yield Problem("index", str(row[0]), _REBUILD)
        for row in storage.read("PRAGMA foreign_key_check"):
            yield Problem("index", f"row {row['rowid']} of {row['table']} names a missing {row['parent']}", _REBUILD)
        for row in storage.read(
            "SELECT image_id FROM embedding WHERE image_id NOT IN (SELECT id FROM frame UNION SELECT id FROM entry)"
        ):
            yield Problem("index", f"an embedding of {row['image_id']}, which is neither frame nor entry", _REBUILD)
        for row in storage.read(
            "SELECT sha256 FROM file WHERE sha256 NOT IN (SELECT sha256 FROM frame UNION SELECT sha256 FROM entry "
            "UNION SELECT calibrated_sha256 FROM frame WHERE calibrated_sha256 NOT NULL "
            "UNION SELECT sources_sha256 FROM frame WHERE sources_sha256 NOT NULL)"
        ):
            yield Problem("index", f"an image {row['sha256']} that belongs to neither frame nor entry", _REBUILD)
    except (StoreError, sqlite3.DatabaseError) as error:
        yield Problem("index", str(error), _REBUILD)


def _check_images(storage: Storage, progress: Callable[[int, int], None]) -> Iterator[Problem]:
    (total,) = storage.read("SELECT count(*) FROM file")[0]
    done = 0
    for part in range(256):  # not all rows in memory at once
        first, beyond = f"{part:02x}", f"{part + 1:02x}" if part < 255 else "g"
        for row in storage.read("SELECT * FROM file WHERE sha256 >= ? AND sha256 < ?", (first, beyond)):
            path = storage.files.path(row["sha256"], row["suffix"])
            origin, data = referenced(path), path.read_bytes() if path.exists() else None
            if origin is None:
                yield from _check_image(str(path), row["sha256"], data)
            elif data is None or hash_bytes(data) != row["sha256"]:
                yield Problem("missing" if data is None else "damaged", str(origin), MOVED)
            done += 1
            progress(min(done, total), total)


def _check_image(path: str, sha256: str, data: bytes | None) -> Iterator[Problem]:
    if data is None:
        yield Problem("missing", path, _RESTORE)
    elif hash_bytes(data) != sha256:
        yield Problem("damaged", path, _RESTORE)
    else:
        try:
            if path.endswith(SOURCES_SUFFIX):
                decode_sources(data, path)
            else:
                decode_image(data, path)
        except ImageError as error:
            yield Problem("damaged", path, f"It was stored like this: {error}")


def _check_record(files: Files, kind: str, name: str, content: Content) -> Iterator[Problem]:
    path = files.record_path(kind, name)
    if not path.exists():
        yield Problem("missing", f"the record of {kind} {name.split('/')[-1]}", _REWRITE)
        return
    try:
        kept = files.read_record(path)
    except StoreError:
        yield Problem("damaged", str(path), _REWRITE)
        return
    if kept != content:
        yield Problem("index", f"the row of {kind} {name.split('/')[-1]} differs from {path}", _REBUILD)


def _check_orphan(files: Files, kind: str, name: str) -> Iterator[Problem]:
    """A record that no row was found for."""
    path = files.record_path(kind, name)
    if not path.exists():
        return  # a frame that was deleted since
    try:
        content = files.read_record(path)
    except StoreError:
        yield Problem("damaged", str(path), _RESTORE)
        return
    if content != {"at": None}:  # an entry that is back in the catalogue
        yield Problem("orphan", str(path), _ORPHAN)


def _check_journal(journal: Journal, lines: dict[int, Content]) -> Iterator[Problem]:
    damaged: list[int] = []
    rows = journal.in_index(on_damage=damaged.append)
    for number in damaged:
        yield Problem("index", f"the row of event {number} is damaged", _REBUILD)
    listed = set(lines) - set(damaged)
    if any(number not in lines for number in rows):
        lines = {**journal.on_disk(), **lines}  # lines that came since
    for number, row in rows.items():
        if number not in lines:
            yield Problem("damaged", journal.path(number), _REWRITE)
        elif lines[number] != row:
            yield Problem("index", f"the row of event {number} differs from {journal.path(number)}", _REBUILD)
    for number in sorted(listed - set(rows)):
        yield Problem("orphan", journal.path(number), "It is added to the index with the next line.")


_REBUILD = "Run `rig store rebuild`: it rebuilds the index from the records."
_RESTORE = "Restore it from a backup."
_REWRITE = "Run `rig store rebuild`: it is written again from the index. Or restore it from a backup."
_ORPHAN = "It belongs to no row; it is set aside when the store is next repaired."
