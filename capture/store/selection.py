"""Frames by what a person names: ids, sessions, coins, trays."""

from __future__ import annotations

from collections.abc import Sequence

from capture.store.files import StoreError
from capture.store.records import Frame
from capture.store.store import Store


def select_frames(
    store: Store,
    frame_ids: Sequence[str] = (),
    sessions: Sequence[str] = (),
    coins: Sequence[str] = (),
    trays: Sequence[str] = (),
) -> list[Frame]:
    """Frames, good and quarantined, that match every kind of thing named; all if nothing is. In the order stored.

    Raises
    ------
    StoreError
        If something named has no frame among them: most likely it is misspelt.
    """
    named = {
        "frame": ("id", frame_ids),
        "session": ("session_id", sessions),
        "coin": ("coin_id", coins),
        "tray": ("(SELECT name FROM session WHERE session.id = frame.session_id AND kind = 'scan')", trays),
    }
    conditions = ["1"]
    parameters: list[str] = []
    for column, values in named.values():
        if values:
            conditions.append(f"{column} IN ({', '.join('?' * len(values))})")
            parameters += values
    where = " AND ".join(conditions)
    for what, (column, values) in named.items():
        found = {
            row[0]
            for row in store.database.read(f"SELECT DISTINCT {column} FROM frame WHERE {where}", tuple(parameters))
        }
        for value in values:
            if value not in found:
                raise StoreError(f"no frame is of {what} {value} and all else that was named. Nothing was done.")
    rows = store.database.read(f"SELECT * FROM frame WHERE {where} ORDER BY number", tuple(parameters))
    return [Frame.of(row) for row in rows]
