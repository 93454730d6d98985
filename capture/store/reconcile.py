"""What a killed process left behind, put right or set aside; and the index made of the records alone.

A frame whose record is there but whose row is missing was taken: its row is written. Pictures without a record were
never kept, and their shot will be taken again; they are moved to ``leftovers/``, never deleted. What cannot be read is
left where it is, for a person to restore.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from pydantic import ValidationError

from capture.store import kinds
from capture.store.database import Database
from capture.store.files import Files, StoreError
from capture.store.journal import Journal
from capture.store.rows import next_number
from capture.store.tombstones import finish_deletions

BATCH = 500
_STATES = ("coin", "finished", "removed")  # records that are written again when what they tell of changes
_TIMES = {"session": "started_at", "frame": "taken_at", "entry": "added_at"}  # orders records of version 0.1

Progress = Callable[[int, int], None]


@dataclass
class Adopted:
    """What became of records without rows: how many of each kind are in the index now, and sentences on the rest."""

    counts: dict[str, int] = field(default_factory=dict)
    unfit: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def sweep(files: Files, database: Database) -> list[str]:
    """Put right what can be, set aside the rest, and say what was done, a sentence each.

    Only for a writer that is alone: what another is just writing would look like a leftover.
    """
    done = []
    for path in files.temporary.iterdir():
        path.unlink()
        done.append(f"{path.name} was only half written and is removed.")
    adopted = adopt_records(files, database)
    done += [f"{count} {kind} records were whole and are in the index again." for kind, count in adopted.counts.items()]
    done += adopted.unfit + adopted.unreadable
    deleted = finish_deletions(files, database)
    if deleted:
        done.append(f"a deletion of {deleted} frames was interrupted and is finished.")
    written = write_records(files, database)
    if written:
        done.append(f"{written} records were written that the index had and the files lacked.")
    indexed = {row["sha256"] for row in database.read("SELECT sha256 FROM file")}
    for sha256, path in files.all_files():
        if sha256 not in indexed:
            files.set_aside(path)
            done.append(f"picture {sha256[:12]} belonged to no kept frame and is set aside.")
    return done


def lacks_records(database: Database) -> bool:
    """Whether the index was never held against the files: it is of an earlier version, or its making was cut short."""
    rows = database.read("SELECT has_all_records FROM sequence")
    return not rows or not rows[0]["has_all_records"]


def adopt_records(
    files: Files, database: Database, progress: Progress = lambda done, total: None, aside: bool = True
) -> Adopted:
    """Make the rows of records that have none, and of the journal's lines.

    Parameters
    ----------
    aside
        Set records aside that contradict what is in the index; else they are left where they are.
    """
    adopted = Adopted()
    waiting = {kind: _waiting(files, database, kind) for kind in kinds.KINDS}
    total = sum(map(len, waiting.values()))
    done = 0
    for kind in kinds.KINDS:
        early = []  # records of version 0.1, which do not tell their order
        for names in _batches(waiting[kind]):
            early += _adopt(files, database, kind, names, adopted, aside)
            done += len(names)
            progress(done, total)
        for names in _batches(name for _, name in sorted(early)):
            _adopt(files, database, kind, names, adopted, aside, number=True)
    _restore_slots(database)
    with database.write() as connection:
        tables = ("session", "frame", "entry", "model", "match", "deletion")
        highest = " UNION ALL ".join(f"SELECT max(number) AS number FROM {table}" for table in tables)
        connection.execute(f"UPDATE sequence SET last = max(last, (SELECT coalesce(max(number), 0) FROM ({highest})))")
    lines = Journal(files, database).adopt()
    if lines:
        adopted.counts["journal"] = lines
    return adopted


def write_records(files: Files, database: Database) -> int:
    """Write the records of rows that have none; return how many. The first time, those of an earlier form, too."""
    look_inside = lacks_records(database)
    written = 0
    for kind in kinds.KINDS:
        missing = (
            (name, content)
            for name, content in kinds.contents(database, kind)
            if _must_write(files, kind, name, content, look_inside)
        )
        while batch := dict(islice(missing, BATCH)):
            files.keep_records(kind, batch)
            written += len(batch)
    if look_inside:
        written += Journal(files, database).write_lines()
        with database.write() as connection:
            connection.execute("UPDATE sequence SET has_all_records = 1")
    return written


def _must_write(files: Files, kind: str, name: str, content: dict[str, Any], look_inside: bool) -> bool:
    path = files.record_path(kind, name)
    if not path.exists():
        return True
    if not look_inside:
        return False
    try:
        return files.read_record(path) != content
    except StoreError:
        return False  # damaged: `verify` names it; it is not for us to say that the row is right


def _waiting(files: Files, database: Database, kind: str) -> list[str]:
    if kind in _STATES:
        known = dict(kinds.contents(database, kind))
        changed = []
        for name, path in files.all_records(kind):
            try:
                content = files.read_record(path)
            except StoreError:
                continue  # `verify` names it, and the store can be used without
            if content != known.get(name, {"at": None}):
                changed.append(name)
        return changed
    known_names = _names(database, kind)
    return [name for name, _ in files.all_records(kind) if name not in known_names]


def _names(database: Database, kind: str) -> set[str]:
    sql = {
        "frame": "SELECT session_id || '/' || id FROM frame",
        "deletion": "SELECT session_id || '/' || frame_id FROM deletion",
        "ranking": "SELECT DISTINCT session_id || '/' || number FROM match",
    }.get(kind, f"SELECT id FROM {kind}")
    return {row[0] for row in database.read(sql)}


def _adopt(
    files: Files,
    database: Database,
    kind: str,
    names: list[str],
    adopted: Adopted,
    aside: bool,
    number: bool = False,
) -> list[tuple[str, str]]:
    """Adopt some records in one transaction; return time and name of those left for later, which need a number."""
    early = []
    with database.write() as connection:
        for name in names:
            path = files.record_path(kind, name)
            try:
                content = files.read_record(path)
            except StoreError as error:
                adopted.unreadable.append(str(error))
                continue
            if kind == "frame" and _is_deleted(connection, name):
                continue
            if kind in _TIMES and "number" not in content.get("row", {}):
                if not number:
                    early.append((content.get("row", {}).get(_TIMES[kind], ""), name))
                    continue
                content["row"]["number"] = next_number(connection)
            connection.execute("SAVEPOINT one")
            try:
                kinds.adopt(files, connection, kind, name, content)
            except (KeyError, TypeError, ValidationError, FileNotFoundError, sqlite3.IntegrityError) as error:
                connection.execute("ROLLBACK TO one")
                what = f"the record of {kind} {name} does not fit what else is stored ({error})"
                if aside:
                    files.set_aside(path)
                    what += " and is set aside"
                adopted.unfit.append(f"{what}.")
            else:
                adopted.counts[kind] = adopted.counts.get(kind, 0) + 1
            connection.execute("RELEASE one")
    return early


def _is_deleted(connection: sqlite3.Connection, name: str) -> bool:
    sql = "SELECT 1 FROM deletion WHERE frame_id = ?"
    return connection.execute(sql, (name.split("/")[-1],)).fetchone() is not None


def _restore_slots(database: Database) -> None:
    """Let slots be what the latest session of each tray says: sessions may have been adopted in another order."""
    with database.write() as connection:
        connection.execute("DELETE FROM slot")
        connection.execute(
            "INSERT INTO slot (tray_id, number, coin_id) SELECT session.name, cast(each.key AS INTEGER), each.value "
            "FROM session, json_each(session.tray, '$.slots') AS each WHERE session.number = "
            "(SELECT max(number) FROM session AS latest WHERE latest.kind = 'scan' AND latest.name = session.name)"
        )


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(names)
    while batch := list(islice(remaining, BATCH)):
        yield batch
