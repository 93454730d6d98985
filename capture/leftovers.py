"""What a killed process left behind, put right or set aside.

A frame whose picture and record are whole but whose row is missing was taken: its row is written. Anything less was
never kept, and its shot will be taken again; its bytes are moved to ``leftovers/``, never deleted. The same steps, on
an index that is new, make it anew from the files alone.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from capture.database import Database
from capture.files import Files, StoredFile, StoreError, hash_file
from capture.plan import Shot
from capture.records import Entry, Frame, Session
from capture.rows import add_coin, add_files, add_session, insert


def sweep(files: Files, database: Database) -> list[str]:
    """Put right what can be, set aside the rest, and say what was done, a sentence each.

    Only for a writer that is alone: what another is just writing would look like a leftover.
    """
    done = []
    for path in files.temporary.iterdir():
        path.unlink()
        done.append(f"{path.name} was only half written and is removed.")
    adopted: dict[str, int] = {}
    for kind, table in (("calibration", "calibration"), ("session", "session"), ("frame", "frame"), ("entry", "entry")):
        known = {row["id"] for row in database.read(f"SELECT id FROM {table}")}
        for name, path in files.all_records(kind):
            if name in known:
                continue
            if _adopt(files, database, kind, path):
                adopted[kind] = adopted.get(kind, 0) + 1
            else:
                done.append(f"the record of {kind} {name} had no whole picture and is set aside.")
                files.set_aside(path)
    done += [f"{count} {kind} records were whole and are in the index again." for kind, count in adopted.items()]
    _finish(files, database)
    indexed = {row["sha256"] for row in database.read("SELECT sha256 FROM file")}
    for sha256, path in files.all_files():
        if sha256 not in indexed:
            files.set_aside(path)
            done.append(f"picture {sha256[:12]} belonged to no kept frame and is set aside.")
    return done


def _adopt(files: Files, database: Database, kind: str, path: Path) -> bool:
    try:
        record = files.read_record(path)
        with database.write() as connection:
            _ADOPT[kind](files, connection, record)
    except (StoreError, KeyError, TypeError, ValidationError, FileNotFoundError, sqlite3.IntegrityError):
        return False  # whatever is wrong with it, it is not a record that was kept
    return True


def _adopt_calibration(files: Files, connection: sqlite3.Connection, record: dict[str, Any]) -> None:
    insert(connection, "calibration", record["row"])


def _adopt_session(files: Files, connection: sqlite3.Connection, record: dict[str, Any]) -> None:
    add_session(connection, Session(**record["row"]), [Shot.model_validate(shot) for shot in record["shots"]])


def _adopt_frame(files: Files, connection: sqlite3.Connection, record: dict[str, Any]) -> None:
    frame = Frame(**record["row"])
    pictures = [sha256 for sha256 in (frame.sha256, frame.calibrated_sha256) if sha256 is not None]
    add_files(connection, [_find(files, sha256) for sha256 in pictures])
    add_coin(connection, frame.coin_id, record["type"])
    insert(connection, "frame", frame.columns())


def _adopt_entry(files: Files, connection: sqlite3.Connection, record: dict[str, Any]) -> None:
    entry = Entry(**record["row"])
    add_files(connection, [_find(files, entry.sha256)])
    add_coin(connection, entry.coin_id, record["type"])
    insert(connection, "entry", entry.columns())


_ADOPT = {
    "calibration": _adopt_calibration,
    "session": _adopt_session,
    "frame": _adopt_frame,
    "entry": _adopt_entry,
}


def _find(files: Files, sha256: str) -> StoredFile:
    for path in files.path(sha256, "").parent.glob(f"{sha256[2:]}.*"):
        if hash_file(path) == sha256:
            return StoredFile(sha256, path.suffix, path.stat().st_size)
    raise FileNotFoundError(sha256)


def _finish(files: Files, database: Database) -> None:
    for kind, table, column in (("finished", "session", "finished_at"), ("removed", "entry", "removed_at")):
        indexed = {row["id"]: row[column] for row in database.read(f"SELECT id, {column} FROM {table}")}
        for name, path in files.all_records(kind):
            try:
                at = files.read_record(path)["at"]
            except StoreError:
                continue  # damaged: `verify` names it, and the store can be used without
            if name in indexed and indexed[name] != at:
                with database.write() as connection:
                    connection.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (at, name))
