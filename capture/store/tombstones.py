"""What a tombstone is for: the frame it names is taken away, now or after a crash."""

from __future__ import annotations

import sqlite3

from capture.store.database import Database
from capture.store.files import Files
from capture.store.kinds import frame_name
from capture.store.records import Deletion


def finish_deletions(files: Files, database: Database) -> int:
    """Take away whatever tombstones are for and is still there; return how many frames that were."""
    finished = 0
    for row in database.read("SELECT * FROM deletion ORDER BY number"):
        deletion = Deletion.of(row)
        record = files.record_path("frame", frame_name(deletion))
        with database.write() as connection:
            connection.execute("DELETE FROM embedding WHERE image_id = ?", (deletion.frame_id,))
            gone = connection.execute("DELETE FROM frame WHERE id = ?", (deletion.frame_id,)).rowcount
            pictures = [
                files.path(file["sha256"], file["suffix"])
                for file in connection.execute(
                    "SELECT * FROM file WHERE sha256 IN (?, ?)", (deletion.sha256, deletion.calibrated_sha256)
                ).fetchall()
                if not _is_used(connection, file["sha256"])
            ]
        if gone or record.exists() or pictures:
            finished += 1
            files.remove(record)  # before its pictures: a record promises them
            for path in pictures:
                files.remove(path)
            with database.write() as connection:
                for sha256 in {deletion.sha256, deletion.calibrated_sha256} - {None}:
                    if not _is_used(connection, sha256 or ""):
                        connection.execute("DELETE FROM file WHERE sha256 = ?", (sha256,))
    return finished


def _is_used(connection: sqlite3.Connection, sha256: str) -> bool:
    sql = (
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM frame WHERE sha256 = :sha OR calibrated_sha256 = :sha) "
        "OR EXISTS (SELECT 1 FROM entry WHERE sha256 = :sha)"
    )
    return connection.execute(sql, {"sha": sha256}).fetchone() is not None
