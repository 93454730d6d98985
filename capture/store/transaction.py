"""Writing rows together with the records the index could be made anew from: both, or neither."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from capture.store import rows
from capture.store.database import Database
from capture.store.files import Files, StoredFile, StoreError
from capture.store.writers import in_flight


class Keeping:
    """A transaction, and the records that will be written before it ends.

    Attributes
    ----------
    connection
        Inside the transaction.
    """

    def __init__(self, files: Files, connection: sqlite3.Connection) -> None:
        self.connection = connection
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self._files = files

    def number(self) -> int:
        """See `rows.next_number`."""
        return rows.next_number(self.connection)

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """Insert a row."""
        rows.insert(self.connection, table, row)

    def record(self, kind: str, name: str, content: dict[str, Any]) -> None:
        """Have a record written."""
        self.records.setdefault(kind, {})[name] = content

    def coin(self, coin: str, type_: str | None = None, diameter_mm: float | None = None) -> None:
        """See `rows.add_coin`."""
        self.coins([rows.add_coin(self.connection, coin, type_, diameter_mm)])

    def coins(self, changed: Sequence[dict[str, Any] | None]) -> None:
        """Have the records of coins written whose rows are new or changed."""
        for row in changed:
            if row is not None:
                self.record("coin", row["id"], {"row": row})

    def pictures(self, stored: Sequence[StoredFile]) -> None:
        """Make files known that were kept before."""
        for file in stored:
            path = self._files.path(file.sha256, file.suffix)
            if not path.exists():  # another writer of the same picture failed, and set it aside
                raise StoreError(f"{path} was moved away while it was being stored. Give the same command again.")
        rows.add_files(self.connection, stored)


@contextmanager
def keeping(files: Files, database: Database, stored: Sequence[StoredFile] = ()) -> Iterator[Keeping]:
    """Give a transaction for rows and records; records are written last, when the index has accepted every row.

    Parameters
    ----------
    stored
        Pictures kept for these rows; they are set aside if the rows are refused.

    Raises
    ------
    StoreError
        If the index refuses a row, or something cannot be written: nothing is kept then.
    """
    records_written = False
    try:
        with database.write() as connection:
            kept = Keeping(files, connection)
            yield kept
            records_written = bool(kept.records)
            for kind, records in kept.records.items():
                files.keep_records(kind, records)
    except BaseException as error:
        if records_written:
            files.is_in_order = False  # records may be left without rows, and promise their pictures: see `leftovers`
        else:
            _set_aside(files, database, stored)
        if isinstance(error, sqlite3.IntegrityError):
            raise StoreError(
                f"the index refused what was to be stored: {error}. It is stored already, or names what is not."
            ) from error
        raise


@contextmanager
def on_its_way(files: Files) -> Iterator[None]:
    """Mark what is done inside as files whose rows are still to come (see `presence.in_flight`)."""
    try:
        with in_flight(files.folder):
            yield
    except OSError as error:
        raise StoreError(f"{files.folder} cannot be written: {error.strerror}.") from error


def _set_aside(files: Files, database: Database, stored: Sequence[StoredFile]) -> None:
    try:
        with database.write() as connection:  # so that nobody is just adding a row for the same picture
            for file in stored:
                path = files.path(file.sha256, file.suffix)
                known = connection.execute("SELECT 1 FROM file WHERE sha256 = ?", (file.sha256,)).fetchone()
                if known is None and path.exists():
                    files.set_aside(path)
    except (StoreError, OSError):
        files.is_in_order = False
