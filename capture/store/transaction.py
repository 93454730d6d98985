"""Writing to a store: files, records and rows together, all of them or none.

Rows are made of records, always in the same way (`RecordKind.insert`), whether something is stored for the first time
or the index is rebuilt. What a record should say is read from the rows (`RecordKind.content`), to be compared with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from calibration.image import Image, decode_image
from capture.store.database import Database
from capture.store.errors import DamagedRowError, StoreError, remedy
from capture.store.files import Content, Files, Kept, StoredFile
from capture.store.locks import rows_pending

Read = Callable[..., list[sqlite3.Row]]
"""Runs a query with its parameters and returns all its rows."""

BATCH = 500


@dataclass(frozen=True)
class RecordKind:
    """A kind of record, and how it and its rows are made of each other.

    Attributes
    ----------
    name
        Its folder under ``records/``.
    table, key
        Where its rows are, one for each record, and the column that names them.
    insert
        Make the rows of a record, given its name and content. Raises KeyError, TypeError, ValidationError,
        IntegrityError or FileNotFoundError if it is no record of something that was stored.
    content
        What the record of a row should say; None if what it needs was deleted in the meantime.
    order
        The column by which the oldest comes first.
    where
        Which rows have a record.
    in_session
        Whether records lie in a folder for each session.
    is_state
        Whether a record is written again when what it says changes.
    time
        Where its content has the time that orders records of version 0.1, which have no number.
    """

    name: str
    table: str
    insert: Callable[[Transaction, str, Content], None]
    content: Callable[[Read, sqlite3.Row], Content | None]
    key: str = "id"
    order: str = "number"
    where: str = "1"
    in_session: bool = False
    is_state: bool = False
    time: str | None = None

    def record_name(self, row: Any) -> str:
        """What the record of a row is called."""
        return f"{row['session_id']}/{row[self.key]}" if self.in_session else str(row[self.key])

    def names(self, read: Read) -> set[str]:
        """What the records of all rows are called."""
        session = "session_id, " if self.in_session else ""
        return {self.record_name(row) for row in read(f"SELECT {session}{self.key} FROM {self.table}")}

    def contents(
        self, read: Read, on_damage: Callable[[str], None] = lambda name: None
    ) -> Iterator[tuple[str, Content]]:
        """Name and content of the record of every row, oldest first; `on_damage` is given the names of damaged rows."""
        rows = f"FROM {self.table} WHERE {self.where}"
        keys = iter([row[0] for row in read(f"SELECT {self.key} {rows} ORDER BY {self.order}")])
        while batch := tuple(islice(keys, BATCH)):  # not all rows in memory at once
            marks = ", ".join("?" * len(batch))
            for row in read(f"SELECT * {rows} AND {self.key} IN ({marks}) ORDER BY {self.order}", batch):
                try:
                    content = self.content(read, row)
                except (DamagedRowError, ValueError, TypeError, KeyError):
                    on_damage(self.record_name(row))
                    continue
                if content is not None:
                    yield self.record_name(row), content


class Transaction:
    """A transaction of the index, and the records that are written before it ends.

    Attributes
    ----------
    files
        The store's.
    connection
        To the index, inside the transaction.
    stored
        The contents that it was begun with, as they are stored.
    records
        Those to be written: by kind, then by name.
    """

    def __init__(self, files: Files, connection: sqlite3.Connection, stored: Sequence[StoredFile] = ()) -> None:
        self.files = files
        self.connection = connection
        self.stored = tuple(stored)
        self.records: dict[str, dict[str, Content]] = {}

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        """Run a statement."""
        return self.connection.execute(sql, parameters)

    def exists(self, table: str, key: str | None) -> bool:
        """Whether a table has a row with this ``id``."""
        return self.execute(f"SELECT 1 FROM {table} WHERE id = ?", (key,)).fetchone() is not None

    def number(self) -> int:
        """A number that nothing in the store has, greater than all before: what is stored later has the greater one."""
        return int(self.execute("UPDATE sequence SET last = last + 1 RETURNING last").fetchone()[0])

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """Insert a row."""
        marks = ", ".join("?" * len(row))
        self.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))

    def add(self, kind: RecordKind, name: str, content: Content) -> None:
        """Make the rows of a record, and have it written."""
        kind.insert(self, name, content)
        self.records.setdefault(kind.name, {})[name] = content

    def add_coin(self, coin: str, type_: str | None = None, diameter_mm: float | None = None) -> None:
        """Make a coin known; what is given fills in what was not known, or corrects it."""
        known = self.execute("SELECT id, type, diameter_mm FROM coin WHERE id = ?", (coin,)).fetchone()
        row = {
            "id": coin,
            "type": type_ if type_ is not None or known is None else known["type"],
            "diameter_mm": diameter_mm if diameter_mm is not None or known is None else known["diameter_mm"],
        }
        if known is None:
            self.insert("coin", row)
        elif row != dict(known):
            self.execute("UPDATE coin SET type = :type, diameter_mm = :diameter_mm WHERE id = :id", row)
        else:
            return
        self.records.setdefault("coin", {})[coin] = {"row": row}

    def add_files(self, files: Iterable[StoredFile]) -> None:
        """Make files known; those that are known already are left alone."""
        self.connection.executemany(
            "INSERT OR IGNORE INTO file (sha256, suffix, size) VALUES (?, ?, ?)",
            [(file.sha256, file.suffix, file.size) for file in files],
        )


class Storage:
    """The files of a store and the index of what they are, read and written together."""

    def __init__(self, files: Files, database: Database) -> None:
        self.files = files
        self.database = database
        self.read = database.read

    def image(self, sha256: str) -> Image:
        """Read a stored image, RGB (H, W, 3) uint8, checked against its hash; StoreError if missing or damaged."""
        path = self.path(sha256)
        return decode_image(self.files.read(sha256, path.suffix), str(path))

    def path(self, sha256: str) -> Path:
        """Where a stored image lies; StoreError if there is none."""
        rows = self.read("SELECT suffix FROM file WHERE sha256 = ?", (sha256,))
        if not rows:
            raise StoreError(f"there is no file {sha256} in {self.files.folder}.")
        return self.files.path(sha256, rows[0]["suffix"])

    @contextmanager
    def transaction(self, *contents: Kept) -> Iterator[Transaction]:
        """Store contents as files, then give a transaction for their rows and records.

        Records are written last, when the index has accepted every row. Contents are set aside if it does not.

        Raises
        ------
        StoreError
            If the index refuses a row, or something cannot be written: nothing is stored then.
        """
        try:
            with rows_pending(self.files.folder):
                stored = self.files.keep(*contents)
                with self._rows_and_records(stored) as transaction:
                    yield transaction
        except OSError as error:
            raise StoreError(
                f"{error.filename or self.files.folder} cannot be written: {error.strerror}. {remedy(error)}"
            ) from error

    @contextmanager
    def rows_alone(self) -> Iterator[Transaction]:
        """Give a transaction for what has no records, or has them already: none is written."""
        with self.database.write() as connection:
            yield Transaction(self.files, connection)

    @contextmanager
    def _rows_and_records(self, stored: Sequence[StoredFile]) -> Iterator[Transaction]:
        records_written = False
        try:
            with self.database.write() as connection:
                for file in stored:
                    path = self.files.path(file.sha256, file.suffix)
                    if not path.exists():  # another writer of the same content failed, and set it aside
                        raise StoreError(f"{path} was moved while it was being stored. Run the same command again.")
                transaction = Transaction(self.files, connection, stored)
                yield transaction
                records_written = bool(transaction.records)
                for kind, records in transaction.records.items():
                    self.files.keep_records(kind, records)
        except BaseException as error:
            if records_written:
                self.files.is_in_order = False  # records may be left without rows, and promise their files
            elif stored:
                self._set_aside(stored)
            if isinstance(error, sqlite3.IntegrityError):
                raise StoreError(
                    f"the index refused what was to be stored: {error}. It is stored already, or names what is not."
                ) from error
            raise

    def _set_aside(self, stored: Sequence[StoredFile]) -> None:
        try:
            with self.database.write() as connection:  # so that nobody is just adding a row for the same content
                for file in stored:
                    path = self.files.path(file.sha256, file.suffix)
                    known = connection.execute("SELECT 1 FROM file WHERE sha256 = ?", (file.sha256,)).fetchone()
                    if known is None and path.exists():
                        self.files.set_aside(path)
        except (StoreError, OSError):
            self.files.is_in_order = False
