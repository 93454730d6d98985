"""Plain SQL that several parts of the store share. All of it runs inside a transaction of the caller's."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from capture.plan import Shot
from capture.store.files import StoredFile, canonical_json
from capture.store.records import Candidate, Ranking, Session


def insert(connection: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    """Insert a row."""
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def next_number(connection: sqlite3.Connection) -> int:
    """A number that nothing in the store has, greater than all before: what is stored later has the greater one."""
    return int(connection.execute("UPDATE sequence SET last = last + 1 RETURNING last").fetchone()[0])


def add_coin(
    connection: sqlite3.Connection, coin: str, type_: str | None = None, diameter_mm: float | None = None
) -> dict[str, Any] | None:
    """Make a coin known; what is given fills in what was not known, or corrects it.

    Returns
    -------
    dict or None
        Its row, if that is new or changed.
    """
    known = connection.execute("SELECT id, type, diameter_mm FROM coin WHERE id = ?", (coin,)).fetchone()
    if known is None:
        row = {"id": coin, "type": type_, "diameter_mm": diameter_mm}
        insert(connection, "coin", row)
        return row
    row = {
        "id": coin,
        "type": type_ if type_ is not None else known["type"],
        "diameter_mm": diameter_mm if diameter_mm is not None else known["diameter_mm"],
    }
    if row == dict(known):
        return None
    connection.execute("UPDATE coin SET type = :type, diameter_mm = :diameter_mm WHERE id = :id", row)
    return row


def add_files(connection: sqlite3.Connection, files: Iterable[StoredFile]) -> None:
    """Make files known; those that are known already are left alone."""
    connection.executemany(
        "INSERT OR IGNORE INTO file (sha256, suffix, size) VALUES (?, ?, ?)",
        [(file.sha256, file.suffix, file.size) for file in files],
    )


def add_session(connection: sqlite3.Connection, session: Session, shots: Sequence[Shot]) -> list[dict[str, Any]]:
    """Insert a session, its tray as it now is, and its shots; return the rows of coins that were not known."""
    tray = session.frozen_tray() if session.tray else None
    coins = dict.fromkeys([*(tray.coins.values() if tray else ()), *(shot.coin for shot in shots)])
    new = [row for coin in coins if (row := add_coin(connection, coin)) is not None]
    if tray is not None:
        connection.execute("INSERT OR IGNORE INTO tray (id) VALUES (?)", (tray.id,))
        connection.execute("DELETE FROM slot WHERE tray_id = ?", (tray.id,))
        for number, coin in tray.slots.items():
            insert(connection, "slot", {"tray_id": tray.id, "number": number, "coin_id": coin})
    insert(connection, "session", session.columns())
    for position, shot in enumerate(shots):
        row = {"session_id": session.id, "id": shot.id, "position": position, "coin_id": shot.coin}
        insert(connection, "shot", {**row, "content": canonical_json(shot.model_dump())})
    return new


def add_ranking(connection: sqlite3.Connection, ranking: Ranking) -> None:
    """Insert a ranking, a row for each candidate."""
    for rank, candidate in enumerate(ranking.candidates, 1):
        insert(connection, "match", _match(ranking, rank, candidate))


def _match(ranking: Ranking, rank: int, candidate: Candidate) -> dict[str, Any]:
    return {
        "number": ranking.number,
        "session_id": ranking.session_id,
        "coin_id": ranking.coin,
        "model_id": ranking.model_id,
        "rank": rank,
        "candidate_coin_id": candidate.coin,
        "entry_id": candidate.entry_id,
        "score": candidate.score,
        "probability": candidate.probability,
        "evidence": canonical_json(candidate.evidence),
        "verdict": ranking.verdict,
        "created_at": ranking.created_at,
    }
