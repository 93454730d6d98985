"""The journal: what was done and what happened, in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from calibration.durable_files import canonical_json
from capture.store.append_only import Lines
from capture.store.errors import DamagedRowError, StoreError
from capture.store.files import Content, Files
from capture.store.journal_lines import JournalLine, as_line, kinds_of
from capture.store.records import from_json, now
from capture.store.transaction import Storage, Transaction

L = TypeVar("L", bound=JournalLine)


def journal_folder(files: Files) -> Path:
    """Where a store's lines lie."""
    return files.folder / "records" / "journal"


class Journal:
    """The store's journal, reached as ``store.journal``: lines on disk first, then rows."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._disk = Lines(journal_folder(storage.files))

    def log(self, line: L, session_id: str | None = None) -> L:
        """Write a line, and return it with its number; it is safe when this returns.

        Raises
        ------
        StoreError
            If it cannot be written. It may then still turn up, as whatever was being written when the disk failed.
        """
        if session_id is not None and not self._storage.read("SELECT 1 FROM session WHERE id = ?", (session_id,)):
            raise StoreError(f"there is no session {session_id} to write a line of the journal for.")
        content = {"session_id": session_id, "at": now(), "kind": line.kind, "detail": line.detail()}
        try:
            with self._storage.transaction() as transaction:
                self._restore_rows(transaction)  # or the number would be given twice
                number = _last_number(transaction) + 1
                _insert(transaction, {"number": number, **content})
                self._disk.append([(number, content)])  # before the commit, by which others see the row
        except BaseException:
            self._storage.files.is_in_order = False  # the line may be left without its row
            raise
        return line.model_copy(update={"number": number, "session_id": session_id, "at": content["at"]})

    def lines(self, *types: type[L], session_id: str | None = None, coin: str | None = None, after: int = 0) -> list[L]:
        """Lines of some types and their subclasses, oldest first; `JournalLine` for all.

        Parameters
        ----------
        session_id, coin
            Those of one session, those about one coin.
        after
            Those of greater numbers.

        Raises
        ------
        StoreError
            If one lacks what lines of its kind say.
        """
        kinds = [] if JournalLine in types else kinds_of(*types)
        return [cast(L, line) for line in self._read(kinds, session_id, coin, after=after)]

    def last(self, *types: type[L], session_id: str | None = None, coin: str | None = None) -> L | None:
        """The latest line of some types and their subclasses, of one session, about one coin; None if there is none.

        Raises
        ------
        StoreError
            If it lacks what lines of its kind say.
        """
        # each kind by itself, so that each is found at the end of an index
        latest = [line for kind in kinds_of(*types) for line in self._read([kind], session_id, coin, latest=True)]
        return cast(L | None, max(latest, key=lambda line: line.number, default=None))

    def last_number(self) -> int:
        """The number of the newest line; 0 without any."""
        return int(self._storage.read("SELECT coalesce(max(id), 0) FROM event")[0][0])

    def restore_rows(self) -> int:
        """Make the rows of lines that have none; return how many there were. For a writer that is alone."""
        with self._storage.rows_alone() as transaction:
            return self._restore_rows(transaction)

    def write_missing_lines(self) -> int:
        """Write the lines of rows that have none, as in a store of version 0.1; return how many there were."""
        written = self.on_disk()
        missing = [(number, row) for number, row in self.in_index().items() if number not in written]
        self._disk.append(missing)
        return len(missing)

    def missing_lines(self) -> dict[int, Content]:
        """What lines say that are damaged or missing on disk, going by sound rows, by number."""
        written = self.on_disk()
        rows = self.in_index(on_damage=lambda number: None)
        return {number: row for number, row in rows.items() if number not in written}

    def insert_rows(self, lines: Mapping[int, Content]) -> None:
        """Make the rows of lines that are still to be written."""
        with self._storage.rows_alone() as transaction:
            for line in lines.values():
                _restore_row(transaction, line)

    def on_disk(self) -> dict[int, Content]:
        """What the lines on disk say, by number."""
        return {line["number"]: line for line in self._disk.read()}

    def in_index(
        self, session_id: str | None = None, on_damage: Callable[[int], None] | None = None
    ) -> dict[int, Content]:
        """What the lines on disk should say, by number, going by the index; of one session.

        Parameters
        ----------
        on_damage
            Given the numbers of damaged rows, which are left out; without it, one raises a `DamagedRowError`.
        """
        where, parameters = _where([], session_id, None)
        found = {}
        for row in self._storage.read(f"SELECT * FROM event WHERE {where} ORDER BY id", parameters):
            try:
                found[row["id"]] = {"number": row["id"], **_content(row)}
            except DamagedRowError:
                if on_damage is None:
                    raise
                on_damage(row["id"])
        return found

    def path(self, number: int) -> str:
        """Where a line lies, for a person."""
        return f"{self._disk.path(number)}, line {number}"

    def _read(
        self,
        kinds: Sequence[str],
        session_id: str | None,
        coin: str | None = None,
        *,
        latest: bool = False,
        after: int = 0,
    ) -> list[JournalLine]:
        where, parameters = _where(kinds, session_id, coin)
        if after:
            where, parameters = f"{where} AND id > ?", (*parameters, after)
        order = "ORDER BY id DESC LIMIT 1" if latest else "ORDER BY id"
        rows = self._storage.read(f"SELECT * FROM event WHERE {where} {order}", parameters)
        return [self._as_line(row) for row in rows]

    def _as_line(self, row: sqlite3.Row) -> JournalLine:
        try:
            return as_line(row["id"], **_content(row))
        except ValidationError as error:
            wrong = ", ".join(dict.fromkeys(str(each["loc"][0]) for each in error.errors()))
            raise StoreError(
                f"{self.path(row['id'])} cannot be understood: {wrong} of {row['kind']!r} is missing or unexpected. "
                "If a later version of this program wrote it, update the program."
            ) from error

    def _restore_rows(self, transaction: Transaction) -> int:
        last = _last_number(transaction)
        if not self._disk.is_written_beyond(last):
            return 0
        lines = list(self._disk.read(after=last))
        for line in lines:
            _restore_row(transaction, line)
        return len(lines)


def _where(kinds: Sequence[str], session_id: str | None, coin: str | None) -> tuple[str, tuple[Any, ...]]:
    conditions, parameters = ["1"], list(kinds)
    if kinds:
        conditions.append(f"kind IN ({', '.join('?' * len(kinds))})")
    for condition, value in (("session_id = ?", session_id), ("json_extract(detail, '$.coin') = ?", coin)):
        if value is not None:
            conditions.append(condition)
            parameters.append(value)
    return " AND ".join(conditions), tuple(parameters)


def _last_number(transaction: Transaction) -> int:
    return int(transaction.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])


def _content(row: sqlite3.Row) -> Content:
    detail = from_json(row, "detail")
    if not isinstance(detail, dict):
        raise DamagedRowError(
            f"the index is damaged: the detail of event {row['id']} is not as it was written. Run `rig store rebuild`."
        )
    return {**{name: row[name] for name in ("session_id", "at", "kind")}, "detail": detail}


def _restore_row(transaction: Transaction, line: Content) -> None:
    is_known = transaction.exists("session", line["session_id"])
    _insert(transaction, line if is_known else {**line, "session_id": None})  # its record may be lost


def _insert(transaction: Transaction, line: Content) -> None:
    row = {"id": line["number"], "session_id": line["session_id"], "at": line["at"], "kind": line["kind"]}
    transaction.insert("event", {**row, "detail": canonical_json(line["detail"])})
