"""The connections to ``index.sqlite``: one that writes, and one for each thread that reads."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlite_utils import Database as SqliteUtils

from capture.store.errors import NewerStoreError, StoreError, remedy
from capture.store.locks import writers
from capture.store.schema import migrations

BUSY_TIMEOUT_S = 30.0
_DAMAGE = (sqlite3.DatabaseError, UnicodeDecodeError)  # what damaged pages come out as


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
                self._refuse_newer(self._writer)
                migrations.apply(SqliteUtils(self._writer, recursive_triggers=False))
            except StoreError:
                self.close()
                raise
            except sqlite3.OperationalError as error:
                self.close()
                raise _unwritable(path, error) from error
            except _DAMAGE as error:
                self.close()
                raise _unreadable(path, error) from error
        elif not path.exists():
            raise StoreError(f"{path} does not exist: nothing has been stored yet. Scan a tray first.")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Give a connection inside a transaction; committed at the end, rolled back after an exception.

        Raises
        ------
        StoreError
            If the index cannot be written: another process held it for too long, the disk is full, or it failed.
        sqlite3.IntegrityError
            If a row contradicts those that are there.
        """
        if self._writer is None:
            raise StoreError(f"{self._path} was opened for reading only.")
        with self._lock:
            try:
                self._writer.execute("BEGIN IMMEDIATE")
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException as error:
                with suppress(sqlite3.Error):  # SQLite may have rolled back by itself
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.IntegrityError):
                    raise _unwritable(self._path, error) from error
                raise

    def read(self, sql: str, parameters: tuple[Any, ...] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query, as of the last commit.

        Raises
        ------
        StoreError
            If the index is damaged.
        """
        try:
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._connect()
                connection.execute("PRAGMA query_only = ON")
                self._local.connection = connection
            return list(connection.execute(sql, parameters))
        except _DAMAGE as error:
            raise _unreadable(self._path, error) from error

    def compact(self) -> None:
        """Give back to the file system what deleted rows took. For a writer that is alone.

        Raises
        ------
        StoreError
            If there is no room to write the index a second time.
        """
        if self._writer is None:
            raise StoreError(f"{self._path} was opened for reading only.")
        with self._lock:
            try:
                self._writer.execute("VACUUM")
                self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            except sqlite3.Error as error:
                raise _unwritable(self._path, error) from error

    def is_behind(self) -> bool:
        """Whether it was written by an earlier version, and is still to be migrated.

        Raises
        ------
        StoreError
            If it was written by a later version, or is damaged.
        """
        try:
            with closing(self._connect()) as connection:
                self._refuse_newer(connection)
                return bool(migrations.pending(SqliteUtils(connection, recursive_triggers=False)))
        except _DAMAGE as error:
            raise _unreadable(self._path, error) from error

    def has_problems(self) -> bool:
        """Whether SQLite finds the index damaged, or rows that name others which are not there.

        Raises
        ------
        StoreError
            If it cannot even be read.
        """
        return self.read("PRAGMA integrity_check(1)")[0][0] != "ok" or bool(self.read("PRAGMA foreign_key_check"))

    def close(self) -> None:
        """Close every connection. Safe to call twice."""
        with self._lock:
            self._writer = None
        with self._opening:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    def _refuse_newer(self, connection: sqlite3.Connection) -> None:
        database = SqliteUtils(connection, recursive_triggers=False)
        applied = {each.name for each in migrations.applied(database)}
        if applied - {each.name for each in migrations.pending(SqliteUtils(memory=True))}:
            raise NewerStoreError(
                f"{self._path} was written by a later version of this program. Update the program; nothing was changed."
            )

    def _connect(self) -> sqlite3.Connection:
        uri = self._path.absolute().as_uri()
        connection = self._connect_to(uri)
        if self._writer is None and self._is_fixed(connection):
            connection = self._connect_to(f"{uri}?immutable=1")
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _connect_to(self, uri: str) -> sqlite3.Connection:
        # isolation_level None: no transaction begins behind our back; close() closes what other threads opened
        connection = sqlite3.connect(
            uri, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False, uri=True
        )
        with self._opening:
            self._connections.append(connection)
        return connection

    def _is_fixed(self, connection: sqlite3.Connection) -> bool:
        """Whether it can be read only without the lock that SQLite would make beside it: in a folder that is read-only.

        Nobody writes there. What was not yet taken over from the WAL cannot be read like that.
        """
        try:
            connection.execute("PRAGMA schema_version")
        except sqlite3.OperationalError as error:
            wal = self._path.with_name(self._path.name + "-wal")
            return _code(error) in _WITHOUT_LOCK and not (wal.exists() and wal.stat().st_size)
        return False


_ROOM_TO_READ_BYTES = 1_000_000
_WITHOUT_LOCK = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest tells variants apart


def _unreadable(path: Path, error: Exception) -> StoreError:
    if _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(f"{path} cannot be read: {_why_busy(path)}; then run the same command again.")
    if _code(error) == sqlite3.SQLITE_CANTOPEN:
        try:
            path.open("rb").close()
        except OSError as problem:
            return StoreError(f"{path} cannot be opened: {problem.strerror}. {remedy(problem)}")
        return StoreError(
            f"{path} cannot be opened. Check its owner and permissions; if its file system is mounted read-only, mount "
            "it writable once, so that what was written last is applied."
        )
    if _code(error) in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL):
        # Reading takes a little room, too: for the lock beside the index.
        if shutil.disk_usage(path.parent).free < _ROOM_TO_READ_BYTES:
            why = "the disk is full. Free some space"
        else:
            why = "its disk reports an error. Check the disk and its cable"
        return StoreError(f"{path} cannot be read: {why}; then run the same command again. Nothing stored is lost.")
    return StoreError(
        f"{path} cannot be read: {error}. The images are safe: `rig store rebuild` rebuilds it from the records beside "
        "it."
    )


def _unwritable(path: Path, error: sqlite3.Error) -> StoreError:
    code = _code(error)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        why = _why_busy(path)
    elif code == sqlite3.SQLITE_FULL:
        why = "the disk is full. Free some space (`rig store gc --dry-run` lists what the store can spare)"
    elif code == sqlite3.SQLITE_READONLY:
        why = "it is read-only. Check its owner, its permissions, and that its file system is mounted writable"
    else:
        why = f"{error}. Check the disk and its cable, run `rig store verify`"
    return StoreError(
        f"{path} cannot be written: {why}; then run the same command again. Nothing stored before is lost."
    )


def _why_busy(path: Path) -> str:
    others = ", ".join(writers(path.parent, but_us=True))
    return (
        f"another process has held it for more than {BUSY_TIMEOUT_S:.0f} s "
        f"({others or 'another program: a backup or an SQLite browser?'}). End that"
    )
