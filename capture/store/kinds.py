"""Every kind of record: what a row's record says, and how a row is made of one again.

So the index can be made anew from the records, and each be held against the other. Embeddings have no record: they
are computed again from the pictures. Slots are what the latest session of a tray says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from capture.plan import Shot
from capture.store.database import Database
from capture.store.files import Files, StoredFile
from capture.store.records import Candidate, Deletion, Entry, Frame, Model, Ranking, Session
from capture.store.rows import add_coin, add_files, add_ranking, add_session, insert

Content = dict[str, Any]
Named = Iterator[tuple[str, Content]]


# --- rows to records ------------------------------------------------------------------------------------------------


def session_record(session: Session, shots: list[Shot]) -> Content:
    """A session as it began, and its shots."""
    return {"row": {**asdict(session), "finished_at": None}, "shots": [shot.model_dump() for shot in shots]}


def frame_record(frame: Frame, files: list[StoredFile]) -> Content:
    """A frame and its pictures."""
    return {"row": asdict(frame), "files": [asdict(file) for file in files]}


def entry_record(entry: Entry, file: StoredFile) -> Content:
    """An entry as it was added, and its picture."""
    return {"row": {**asdict(entry), "removed_at": None}, "files": [asdict(file)]}


def frame_name(frame: Frame | Deletion) -> str:
    """What a frame's record is called: they lie in a folder for each session."""
    return f"{frame.session_id}/{frame.id if isinstance(frame, Frame) else frame.frame_id}"


def ranking_record(ranking: Ranking) -> Content:
    """A ranking and its candidates."""
    return {"row": {**asdict(ranking), "candidates": [asdict(candidate) for candidate in ranking.candidates]}}


def ranking_name(ranking: Ranking) -> str:
    """What a ranking's record is called."""
    return f"{ranking.session_id}/{ranking.number}"


def contents(database: Database, kind: str) -> Named:
    """What the records of one kind should say, going by the index: name and content, oldest first."""
    return _CONTENTS[kind](database)


def _calibrations(database: Database) -> Named:
    for row in database.read("SELECT * FROM calibration ORDER BY id"):
        yield row["id"], {"row": dict(row)}


def _coins(database: Database) -> Named:
    for row in database.read("SELECT * FROM coin ORDER BY id"):
        yield row["id"], {"row": dict(row)}


def _sessions(database: Database) -> Named:
    for row in database.read("SELECT * FROM session ORDER BY number"):
        sql = "SELECT content FROM shot WHERE session_id = ? ORDER BY position"
        shots = [Shot.model_validate_json(shot["content"]) for shot in database.read(sql, (row["id"],))]
        yield row["id"], session_record(Session.of(row), shots)


def _frames(database: Database) -> Named:
    for session in database.read("SELECT id FROM session ORDER BY number"):  # not all frames in memory at once
        rows = database.read("SELECT * FROM frame WHERE session_id = ? ORDER BY number", (session["id"],))
        files = _files(
            database,
            "SELECT sha256 FROM frame WHERE session_id = ? "
            "UNION SELECT calibrated_sha256 FROM frame WHERE session_id = ?",
            (session["id"], session["id"]),
        )
        for row in rows:
            frame = Frame.of(row)
            pictures = [sha256 for sha256 in (frame.sha256, frame.calibrated_sha256) if sha256 is not None]
            if all(sha256 in files for sha256 in pictures):  # else it was deleted since
                yield frame_name(frame), frame_record(frame, [files[sha256] for sha256 in pictures])


def _entries(database: Database) -> Named:
    rows = database.read("SELECT * FROM entry ORDER BY number")
    files = _files(database, "SELECT sha256 FROM entry")
    for row in rows:
        entry = Entry.of(row)
        yield entry.id, entry_record(entry, files[entry.sha256])


def _files(database: Database, which: str, parameters: tuple[str, ...] = ()) -> dict[str, StoredFile]:
    """Pictures of rows that were read before: a picture's row is there as soon as they are."""
    rows = database.read(f"SELECT * FROM file WHERE sha256 IN ({which})", parameters)
    return {row["sha256"]: StoredFile(**row) for row in rows}


def _models(database: Database) -> Named:
    for row in database.read("SELECT * FROM model ORDER BY number"):
        yield row["id"], {"row": asdict(Model.of(row))}


def rankings(database: Database, where: str = "1", parameters: tuple[Any, ...] = ()) -> Iterator[Ranking]:
    """Rankings of the index, oldest first."""
    numbers = database.read(f"SELECT DISTINCT number FROM match WHERE {where} ORDER BY number", parameters)
    for (number,) in numbers:
        rows = database.read("SELECT * FROM match WHERE number = ? ORDER BY rank", (number,))
        yield Ranking.of_rows(rows)


def _rankings(database: Database) -> Named:
    for ranking in rankings(database):
        yield ranking_name(ranking), ranking_record(ranking)


def _finished(database: Database) -> Named:
    for row in database.read("SELECT id, finished_at AS at FROM session WHERE finished_at NOT NULL ORDER BY number"):
        yield row["id"], {"at": row["at"]}


def _removed(database: Database) -> Named:
    for row in database.read("SELECT id, removed_at AS at FROM entry WHERE removed_at NOT NULL ORDER BY number"):
        yield row["id"], {"at": row["at"]}


def _deletions(database: Database) -> Named:
    for row in database.read("SELECT * FROM deletion ORDER BY number"):
        deletion = Deletion.of(row)
        yield frame_name(deletion), {"row": asdict(deletion)}


_CONTENTS: dict[str, Callable[[Database], Named]] = {
    "calibration": _calibrations,
    "coin": _coins,
    "session": _sessions,
    "deletion": _deletions,
    "frame": _frames,
    "entry": _entries,
    "model": _models,
    "ranking": _rankings,
    "finished": _finished,
    "removed": _removed,
}
KINDS = tuple(_CONTENTS)  # in the order in which rows may name others


# --- records to rows ------------------------------------------------------------------------------------------------


def adopt(files: Files, connection: sqlite3.Connection, kind: str, name: str, content: Content) -> None:
    """Make the rows of a record.

    Raises
    ------
    KeyError, TypeError, pydantic.ValidationError, sqlite3.IntegrityError, FileNotFoundError
        If it is not a record of something that was kept.
    """
    _ADOPT[kind](files, connection, name, content)


def _adopt_calibration(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    insert(connection, "calibration", content["row"])


def _adopt_coin(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    row = content["row"]
    add_coin(connection, row["id"], row["type"], row["diameter_mm"])


def _adopt_session(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    add_session(connection, Session(**content["row"]), [Shot.model_validate(shot) for shot in content["shots"]])


def _adopt_frame(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    frame = Frame(**content["row"])
    pictures = [sha256 for sha256 in (frame.sha256, frame.calibrated_sha256) if sha256 is not None]
    add_files(connection, _pictures(files, pictures, content))
    add_coin(connection, frame.coin_id, content.get("type"))
    insert(connection, "frame", frame.columns())


def _adopt_entry(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    entry = Entry(**content["row"])
    add_files(connection, _pictures(files, [entry.sha256], content))
    add_coin(connection, entry.coin_id, content.get("type"))
    insert(connection, "entry", entry.columns())


def _adopt_model(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    insert(connection, "model", Model(**content["row"]).columns())


def _adopt_ranking(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    row = content["row"]
    add_ranking(connection, Ranking(**{**row, "candidates": tuple(Candidate(**each) for each in row["candidates"])}))


def _adopt_deletion(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    insert(connection, "deletion", Deletion(**content["row"]).columns())


def _adopt_finished(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    connection.execute("UPDATE session SET finished_at = ? WHERE id = ?", (content["at"], name))


def _adopt_removed(files: Files, connection: sqlite3.Connection, name: str, content: Content) -> None:
    connection.execute("UPDATE entry SET removed_at = ? WHERE id = ?", (content["at"], name))


_ADOPT: dict[str, Callable[[Files, sqlite3.Connection, str, Content], None]] = {
    "calibration": _adopt_calibration,
    "coin": _adopt_coin,
    "session": _adopt_session,
    "deletion": _adopt_deletion,
    "frame": _adopt_frame,
    "entry": _adopt_entry,
    "model": _adopt_model,
    "ranking": _adopt_ranking,
    "finished": _adopt_finished,
    "removed": _adopt_removed,
}


def _pictures(files: Files, hashes: list[str], content: Content) -> list[StoredFile]:
    if "files" in content:
        return [StoredFile(**file) for file in content["files"]]
    # a record of version 0.1 does not tell the suffixes
    found = {sha256: next(files.path(sha256, "").parent.glob(f"{sha256[2:]}.*"), None) for sha256 in hashes}
    missing = [sha256 for sha256, path in found.items() if path is None]
    if missing:
        raise FileNotFoundError(missing[0])
    return [StoredFile(sha256, path.suffix, path.stat().st_size) for sha256, path in found.items() if path is not None]
