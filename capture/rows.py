"""Plain SQL that several parts of the store share."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from capture.database import Database
from capture.files import Files, StoredFile, StoreError, canonical_json
from capture.plan import Shot
from capture.records import Entry, Frame, Session, row_record


def insert(connection: sqlite3.Connection, table: str, row: dict[str, Any], or_ignore: bool = False) -> int:
    """Insert a row and return its rowid."""
    conflict = "OR IGNORE " if or_ignore else ""
    marks = ", ".join("?" * len(row))
    cursor = connection.execute(
        f"INSERT {conflict}INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values())
    )
    return int(cursor.lastrowid or 0)


def add_coin(
    connection: sqlite3.Connection, coin: str, type_: str | None = None, diameter_mm: float | None = None
) -> None:
    """Make a coin known; what is given fills in what was not known, or corrects it."""
    connection.execute(
        "INSERT INTO coin (id, type, diameter_mm) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
        "type = coalesce(excluded.type, type), diameter_mm = coalesce(excluded.diameter_mm, diameter_mm)",
        (coin, type_, diameter_mm),
    )


def add_files(connection: sqlite3.Connection, files: Iterable[StoredFile]) -> None:
    """Make files known; those that are known already are left alone."""
    connection.executemany(
        "INSERT OR IGNORE INTO file (sha256, suffix, size) VALUES (?, ?, ?)",
        [(file.sha256, file.suffix, file.size) for file in files],
    )


def keep_rows(
    files: Files,
    database: Database,
    table: str,
    rows: Sequence[tuple[Frame | Entry, str | None]],
    stored: Sequence[StoredFile],
) -> None:
    """Keep frames or entries, each with its coin's type, whose pictures are `stored` already: records first, then rows.

    Raises
    ------
    StoreError
        If the index refuses them; records and pictures are then set aside again.
    """
    names = [record_name(row) for row, _ in rows]
    files.keep_records(table, {name: row_record(*row) for name, row in zip(names, rows, strict=True)})
    try:
        with database.write() as connection:
            add_files(connection, stored)
            for row, type_ in rows:
                add_coin(connection, row.coin_id, type_)
                insert(connection, table, row.columns())
    except sqlite3.IntegrityError as error:
        for name in names:
            files.set_aside(files.record_path(table, name))
        for file in stored:
            if not database.read("SELECT sha256 FROM file WHERE sha256 = ?", (file.sha256,)):
                files.set_aside(files.path(file.sha256, file.suffix))
        raise StoreError(
            f"the index refused a {table}: {error}. It is stored already, or names what is not."
        ) from error


def add_session(connection: sqlite3.Connection, session: Session, shots: Sequence[Shot]) -> None:
    """Insert a session, its tray as it now is, and its shots."""
    tray = session.frozen_tray() if session.tray else None
    if tray is not None:
        connection.execute("INSERT OR IGNORE INTO tray (id) VALUES (?)", (tray.id,))
        connection.execute("DELETE FROM slot WHERE tray_id = ?", (tray.id,))
        for number, coin in tray.slots.items():
            if coin is not None:
                add_coin(connection, coin)
            insert(connection, "slot", {"tray_id": tray.id, "number": number, "coin_id": coin})
    insert(connection, "session", session.columns())
    for position, shot in enumerate(shots):
        row = {"session_id": session.id, "id": shot.id, "position": position, "coin_id": shot.coin}
        insert(connection, "shot", {**row, "content": canonical_json(shot.model_dump())})


def record_name(row: Frame | Entry) -> str:
    """What a row's record is called: frames lie in a folder for each session."""
    return f"{row.session_id}/{row.id}" if isinstance(row, Frame) else row.id
