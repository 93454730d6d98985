"""The journal: what was done and what happened, in order."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from capture.store.database import Database
from capture.store.files import Files, StoreError, canonical_json
from capture.store.journal_lines import Lines
from capture.store.records import Event, now
from capture.store.rows import insert
from capture.store.transaction import on_its_way


class Journal:
    """The store's journal, reached as ``store.journal``: lines on disk first, then rows."""

    def __init__(self, files: Files, database: Database) -> None:
        self._files = files
        self._database = database
        self._lines = Lines(files.folder / "records" / "journal")

    def log(self, kind: str, session_id: str | None = None, **detail: Any) -> Event:
        """Write a line; it is safe when this returns.

        Raises
        ------
        StoreError
            If it cannot be written. It may then still turn up, as whatever was on its way when the disk failed.
        """
        at = now()
        try:
            with on_its_way(self._files), self._database.write() as connection:
                self._adopt(connection)  # or the number would be given twice
                number = _last_number(connection) + 1
                line = {"session_id": session_id, "at": at, "kind": kind, "detail": detail}
                _insert(connection, {"number": number, **line})
                self._lines.append([(number, line)])  # before the commit, by which others see the row
        except sqlite3.IntegrityError as error:
            raise StoreError(f"there is no session {session_id} to write a line of the journal for.") from error
        except BaseException:
            self._files.is_in_order = False  # the line may be left without its row
            raise
        return Event(number, session_id, at, kind, detail)

    def events(self, session_id: str | None = None, kinds: Sequence[str] = ()) -> list[Event]:
        """Lines, oldest first; of one session, of some kinds."""
        where, parameters = _where(kinds, session_id, None)
        rows = self._database.read(f"SELECT * FROM event WHERE {where} ORDER BY id", parameters)
        return [Event.of(row) for row in rows]

    def last(self, kinds: Sequence[str], session_id: str | None = None, coin: str | None = None) -> Event | None:
        """The latest line of some kinds, of one session, about one coin; None if there is none."""
        # each kind by itself, so that each is found at the end of an index
        latest: list[Event] = []
        for kind in kinds:
            where, parameters = _where([kind], session_id, coin)
            rows = self._database.read(f"SELECT * FROM event WHERE {where} ORDER BY id DESC LIMIT 1", parameters)
            latest += [Event.of(row) for row in rows]
        return max(latest, key=lambda event: event.id, default=None)

    def adopt(self) -> int:
        """Make the rows of lines that have none; return how many there were. For a writer that is alone."""
        with self._database.write() as connection:
            return self._adopt(connection)

    def write_lines(self) -> int:
        """Write the lines of rows that have none, as in a store of version 0.1; return how many there were."""
        written = {line["number"] for line in self._lines.read()}
        rows = [row for row in self._database.read("SELECT * FROM event ORDER BY id") if row["id"] not in written]
        self._lines.append([(row["id"], _content(Event.of(row))) for row in rows])
        return len(rows)

    def lines(self) -> dict[int, dict[str, Any]]:
        """What the lines on disk say, by number."""
        return {line["number"]: line for line in self._lines.read()}

    def rows(self) -> dict[int, dict[str, Any]]:
        """What the lines on disk should say, by number, going by the index."""
        rows = self._database.read("SELECT * FROM event ORDER BY id")
        return {row["id"]: {"number": row["id"], **_content(Event.of(row))} for row in rows}

    def path(self, number: int) -> str:
        """Where a line lies, for a person."""
        return f"{self._lines.path(number)}, line {number}"

    def _adopt(self, connection: sqlite3.Connection) -> int:
        last = _last_number(connection)
        if not self._lines.is_written_beyond(last):
            return 0
        lines = list(self._lines.read(after=last))
        for line in lines:
            known = connection.execute("SELECT id FROM session WHERE id = ?", (line["session_id"],)).fetchone()
            _insert(connection, {**line, "session_id": known["id"] if known else None})  # its record may be lost
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


def _last_number(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0])


def _content(event: Event) -> dict[str, Any]:
    return {"session_id": event.session_id, "at": event.at, "kind": event.kind, "detail": event.detail}


def _insert(connection: sqlite3.Connection, line: dict[str, Any]) -> None:
    row = {"id": line["number"], "session_id": line["session_id"], "at": line["at"], "kind": line["kind"]}
    insert(connection, "event", {**row, "detail": canonical_json(line["detail"])})
