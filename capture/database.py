"""The connections to ``index.sqlite``: one that writes, and one for each thread that reads."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlite_utils import Database as SqliteUtils

from capture.files import StoreError
from capture.schema import migrations

BUSY_TIMEOUT_S = 30.0


class Database:
    """SQLite in WAL mode: readers are never blocked by the writer, and a commit survives a power cut.

    Usable from several threads: writes take turns, every reading thread has a connection of its own.

    Parameters
    ----------
    path
        The file; made if it is missing and `writing`.
    writing
        False for a reader, such as a status display beside a running scan: it changes nothing, not even the schema.
    """

    def __init__(self, path: Path, writing: bool = True) -> None:
        self._path = path
        self._lock = threading.RLock()  # held while writing
        self._opening = threading.Lock()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writer: sqlite3.Connection | None = None
        if writing:
            try:
                self._writer = self._connect()
                self._writer.execute("PRAGMA journal_mode = WAL")
                migrations.apply(SqliteUtils(self._writer, recursive_triggers=False))
            except sqlite3.DatabaseError as error:
                self.close()
                raise _unreadable(path, error) from error
        elif not path.exists():
            raise StoreError(f"{path} does not exist: nothing has been stored yet.")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a transaction; committed at the end, rolled back after an exception."""
        if self._writer is None:
            raise StoreError(f"{self._path} was opened for reading only.")
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query, as of the last commit.

        Raises
        ------
        StoreError
            If the index is damaged.
        """
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
            self._local.connection = connection
        try:
            return list(connection.execute(sql, parameters))
        except sqlite3.DatabaseError as error:
            raise _unreadable(self._path, error) from error

    def close(self) -> None:
        """Close every connection. Safe to call twice."""
        with self._lock:
            self._writer = None
        with self._opening:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def _connect(self) -> sqlite3.Connection:
        # isolation_level None: no transaction begins behind our back; close() closes what other threads opened
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        with self._opening:
            self._connections.append(connection)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def _unreadable(path: Path, error: sqlite3.Error) -> StoreError:
    return StoreError(
        f"{path} cannot be read: {error}. The pictures are safe: move the file away and give the command again, and "
        "the index is made anew from the records beside it."
    )
