"""Every kind of record: the rows that it stands for, and how each is made of the other.

So the index can be rebuilt from the records, and each be compared with the other. Embeddings have no record: they are
computed again from the images. Slots are what the latest session of a tray says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from calibration.durable_files import canonical_json
from capture.plan import Shot
from capture.store.files import Content, StoredFile
from capture.store.lots import Lot
from capture.store.records import (
    Calibration,
    Coin,
    Deletion,
    Entry,
    Frame,
    Model,
    Ranking,
    Session,
    from_columns,
)
from capture.store.transaction import Read, RecordKind, Transaction


def _row(read: Read, row: sqlite3.Row) -> Content:
    return {"row": from_columns(row)}


# --- coins and calibrations -----------------------------------------------------------------------------------------


def _insert_coin(transaction: Transaction, name: str, content: Content) -> None:
    coin = Coin.of_record(content["row"])
    transaction.add_coin(coin.id, coin.type, coin.diameter_mm)


def _insert_calibration(transaction: Transaction, name: str, content: Content) -> None:
    transaction.insert("calibration", Calibration.of_record(content["row"]).columns())


COIN = RecordKind("coin", "coin", _insert_coin, _row, order="id", is_state=True)
CALIBRATION = RecordKind("calibration", "calibration", _insert_calibration, _row, order="id")

# --- sessions -------------------------------------------------------------------------------------------------------


def session_content(session: Session, shots: Sequence[Shot]) -> Content:
    """A session as it began, and its shots."""
    return {
        "row": {**session.as_record(), "finished_at": None},
        "shots": [shot.model_dump(mode="json") for shot in shots],
    }


def _session(read: Read, row: sqlite3.Row) -> Content:
    shots = read("SELECT content FROM shot WHERE session_id = ? ORDER BY position", (row["id"],))
    return session_content(Session.of(row), [Shot.model_validate_json(shot["content"]) for shot in shots])


def _insert_session(transaction: Transaction, name: str, content: Content) -> None:
    """Insert a session, its tray as it now is, and its shots."""
    session = Session.of_record(content["row"])
    shots = [Shot.model_validate(shot) for shot in content["shots"]]
    tray = session.frozen_tray() if session.tray else None
    for coin in dict.fromkeys([*(tray.coins.values() if tray else ()), *(shot.coin for shot in shots)]):
        transaction.add_coin(coin)
    if tray is not None:
        transaction.execute("INSERT OR IGNORE INTO tray (id) VALUES (?)", (tray.id,))
        transaction.execute("DELETE FROM slot WHERE tray_id = ?", (tray.id,))
        for number, coin_id in tray.slots.items():
            transaction.insert("slot", {"tray_id": tray.id, "number": number, "coin_id": coin_id})
    transaction.insert("session", session.columns())
    for position, shot in enumerate(shots):
        row = {"session_id": session.id, "id": shot.id, "position": position, "coin_id": shot.coin}
        transaction.insert("shot", {**row, "content": canonical_json(shot.model_dump())})


def _finished(read: Read, row: sqlite3.Row) -> Content:
    return {"at": row["finished_at"]}


def _insert_finished(transaction: Transaction, name: str, content: Content) -> None:
    transaction.execute("UPDATE session SET finished_at = ? WHERE id = ?", (content["at"], name))


SESSION = RecordKind("session", "session", _insert_session, _session, time="started_at")
FINISHED = RecordKind("finished", "session", _insert_finished, _finished, where="finished_at NOT NULL", is_state=True)

# --- frames ---------------------------------------------------------------------------------------------------------


def frame_content(frame: Frame, files: Sequence[StoredFile]) -> Content:
    """A frame and its images."""
    return {"row": frame.as_record(), "files": [vars(file) for file in files]}


def _frame(read: Read, row: sqlite3.Row) -> Content | None:
    frame = Frame.of(row)
    files = _files(read, frame.images)
    return frame_content(frame, files) if len(files) == len(frame.images) else None  # else it was deleted since


def _insert_frame(transaction: Transaction, name: str, content: Content) -> None:
    frame = Frame.of_record(content["row"])
    transaction.add_files(_files_of(transaction, content, frame.images))
    transaction.add_coin(frame.coin_id, content.get("type"))
    transaction.insert("frame", frame.columns())


def _deletion(read: Read, row: sqlite3.Row) -> Content:
    return {"row": Deletion.of(row).as_record()}


def _insert_deletion(transaction: Transaction, name: str, content: Content) -> None:
    transaction.insert("deletion", Deletion.of_record(content["row"]).columns())


FRAME = RecordKind("frame", "frame", _insert_frame, _frame, in_session=True, time="taken_at")
DELETION = RecordKind("deletion", "deletion", _insert_deletion, _deletion, key="frame_id", in_session=True)

# --- the catalogue --------------------------------------------------------------------------------------------------


def entry_content(entry: Entry, file: StoredFile) -> Content:
    """An entry as it was added, and its image."""
    return {"row": {**entry.as_record(), "removed_at": None}, "files": [vars(file)]}


def _entry(read: Read, row: sqlite3.Row) -> Content:
    entry = Entry.of(row)
    (file,) = _files(read, (entry.sha256,))
    return entry_content(entry, file)


def _insert_entry(transaction: Transaction, name: str, content: Content) -> None:
    entry = Entry.of_record(content["row"])
    transaction.add_files(_files_of(transaction, content, (entry.sha256,)))
    transaction.add_coin(entry.coin_id, content.get("type"))
    transaction.insert("entry", entry.columns())


def _removed(read: Read, row: sqlite3.Row) -> Content:
    return {"at": row["removed_at"]}


def _insert_removed(transaction: Transaction, name: str, content: Content) -> None:
    transaction.execute("UPDATE entry SET removed_at = ? WHERE id = ?", (content["at"], name))


def _insert_lot(transaction: Transaction, name: str, content: Content) -> None:
    lot = Lot.of_record(content["row"])
    transaction.add_coin(lot.coin_id, lot.details.type)
    transaction.insert("lot", lot.columns())


ENTRY = RecordKind("entry", "entry", _insert_entry, _entry, time="added_at")
LOT = RecordKind("lot", "lot", _insert_lot, _row, key="number")
REMOVED = RecordKind("removed", "entry", _insert_removed, _removed, where="removed_at NOT NULL", is_state=True)

# --- models and rankings --------------------------------------------------------------------------------------------


def _insert_model(transaction: Transaction, name: str, content: Content) -> None:
    transaction.insert("model", Model.of_record(content["row"]).columns())


def ranking_content(ranking: Ranking) -> Content:
    """A ranking and its candidates."""
    return {"row": {**vars(ranking), "candidates": [vars(candidate) for candidate in ranking.candidates]}}


def _ranking(read: Read, row: sqlite3.Row) -> Content:
    rows = read("SELECT * FROM match WHERE number = ? ORDER BY rank", (row["number"],))
    return ranking_content(Ranking.of_rows(rows))


def _insert_ranking(transaction: Transaction, name: str, content: Content) -> None:
    ranking = Ranking.of_record(content["row"])
    for rank, candidate in enumerate(ranking.candidates, 1):
        row = {
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
        transaction.insert("match", row)


MODEL = RecordKind("model", "model", _insert_model, _row)
RANKING = RecordKind("ranking", "match", _insert_ranking, _ranking, key="number", where="rank = 1", in_session=True)

KINDS = (CALIBRATION, COIN, SESSION, DELETION, FRAME, ENTRY, LOT, MODEL, RANKING, FINISHED, REMOVED)
"""In the order in which rows may name others."""


def _files(read: Read, hashes: Sequence[str]) -> list[StoredFile]:
    """Images as the index knows them, in this order."""
    rows = [read("SELECT * FROM file WHERE sha256 = ?", (sha256,)) for sha256 in hashes]
    return [StoredFile(**found[0]) for found in rows if found]


def _files_of(transaction: Transaction, content: Content, hashes: Sequence[str]) -> list[StoredFile]:
    """The images that a record names."""
    if "files" in content:
        return [StoredFile(**file) for file in content["files"]]
    # a record of version 0.1 does not have the suffixes
    files = transaction.files
    found = {sha256: next(files.path(sha256, "").parent.glob(f"{sha256[2:]}.*"), None) for sha256 in hashes}
    missing = [sha256 for sha256, path in found.items() if path is None]
    if missing:
        raise FileNotFoundError(missing[0])
    return [StoredFile(sha256, path.suffix, path.stat().st_size) for sha256, path in found.items() if path is not None]
