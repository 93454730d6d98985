"""Deleting frames for good: only what a person names, and never without a trace of who did it and why.

A tombstone, fsynced before anything is deleted, says what is. It outlives frame, index and image: where it is found,
the deletion is finished, and a record or backup of the frame that turns up again is not taken for a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capture.store.journal import Journal
from capture.store.journal_lines import FramesDeleted
from capture.store.record_kinds import DELETION, FRAME
from capture.store.records import Deletion, Frame, now
from capture.store.transaction import Storage, Transaction


@dataclass(frozen=True)
class MarkedFrames:
    """Frames to be deleted, and the bytes that their images take on disk."""

    frames: tuple[Frame, ...]
    bytes: int

    @property
    def coins(self) -> list[str]:
        """Whose frames they are."""
        return sorted({frame.coin_id for frame in self.frames})

    @property
    def sessions(self) -> list[str]:
        """Of which sessions they are."""
        return sorted({frame.session_id for frame in self.frames})


def mark_for_deletion(storage: Storage, frames: Sequence[Frame]) -> MarkedFrames:
    """Work out what deleting these frames takes away; nothing is changed."""
    paths = [storage.path(sha256) for sha256 in {sha256 for frame in frames for sha256 in frame.images}]
    return MarkedFrames(tuple(frames), sum(path.stat().st_size for path in paths if path.exists()))


def were_deleted(
    storage: Storage, frame_ids: Sequence[str] = (), sessions: Sequence[str] = (), coins: Sequence[str] = ()
) -> bool:
    """Whether there were frames that all these names share, and every one of them was deleted before."""
    named = {"frame_id": frame_ids, "session_id": sessions, "coin_id": coins}
    given = {column: values for column, values in named.items() if values}
    where = " AND ".join(f"{column} IN ({', '.join('?' * len(values))})" for column, values in given.items())
    rows = storage.read(
        f"SELECT * FROM deletion WHERE {where}", tuple(value for each in given.values() for value in each)
    )
    return all({row[column] for row in rows} == set(values) for column, values in given.items())


def delete_frames(storage: Storage, frames: Sequence[Frame], who: str, why: str) -> None:
    """Delete frames and their images for good. The store must have been opened alone.

    Raises
    ------
    StoreError
        If something cannot be written. What a tombstone was written for is then deleted at the next opening.
    """
    at = now()
    there = {row["id"] for row in storage.read("SELECT id FROM frame")}
    frames = [frame for frame in frames if frame.id in there]  # the others an interrupted deletion named already
    if not frames:
        return
    with storage.transaction() as transaction:
        for frame in frames:
            deletion = Deletion(
                frame_id=frame.id,
                session_id=frame.session_id,
                shot_id=frame.shot_id,
                coin_id=frame.coin_id,
                side=frame.side,
                sha256=frame.sha256,
                calibrated_sha256=frame.calibrated_sha256,
                sources_sha256=frame.sources_sha256,
                number=frame.number,
                who=who,
                why=why,
                at=at,
            )
            transaction.add(DELETION, DELETION.record_name(vars(deletion)), {"row": deletion.as_record()})
    journal = Journal(storage)
    for session_id in dict.fromkeys(frame.session_id for frame in frames):
        ids = tuple(frame.id for frame in frames if frame.session_id == session_id)
        journal.log(FramesDeleted(frames=ids, who=who, why=why), session_id)
    try:
        finish_deletions(storage)
    except BaseException:
        storage.files.is_in_order = False
        raise


def finish_deletions(storage: Storage) -> int:
    """Delete what tombstones name and is still there, as after a crash; return how many frames that were."""
    finished = 0
    files = storage.files
    for row in storage.read("SELECT * FROM deletion ORDER BY number"):
        deletion = Deletion.of(row)
        images = (deletion.sha256, deletion.calibrated_sha256, deletion.sources_sha256)
        record = files.record_path(FRAME.name, DELETION.record_name(row))
        with storage.rows_alone() as transaction:
            transaction.execute("DELETE FROM embedding WHERE image_id = ?", (deletion.frame_id,))
            was_there = transaction.execute("DELETE FROM frame WHERE id = ?", (deletion.frame_id,)).rowcount
            unused = [
                files.path(file["sha256"], file["suffix"])
                for file in transaction.execute("SELECT * FROM file WHERE sha256 IN (?, ?, ?)", images).fetchall()
                if not _is_used(transaction, file["sha256"])
            ]
        if was_there or record.exists() or unused:
            finished += 1
            files.remove(record)  # before its images: a record promises them
            for path in unused:
                files.remove(path)
            with storage.rows_alone() as transaction:
                for sha256 in images:
                    if sha256 is not None and not _is_used(transaction, sha256):
                        transaction.execute("DELETE FROM file WHERE sha256 = ?", (sha256,))
    return finished


def _is_used(transaction: Transaction, sha256: str) -> bool:
    sql = (
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM frame WHERE sha256 = :sha OR calibrated_sha256 = :sha "
        "OR sources_sha256 = :sha) "
        "OR EXISTS (SELECT 1 FROM entry WHERE sha256 = :sha)"
    )
    return transaction.execute(sql, {"sha": sha256}).fetchone() is not None
