"""The store's sessions: runs of a plan over a tray, and imports; their shots, and what is left to do."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Literal

from capture.plan import Plan, Shot, Tray
from capture.store.database import Database
from capture.store.files import Files, StoreError
from capture.store.kinds import session_record
from capture.store.records import Session, now
from capture.store.rows import add_session
from capture.store.transaction import keeping, on_its_way

SOFTWARE = f"coinlab {version('coinlab')}"


class SessionRows:
    """The part of `capture.store.Store` that is about sessions and shots."""

    files: Files
    database: Database

    def begin_scan(
        self,
        tray: Tray,
        plan: Plan,
        devices: Sequence[dict[str, Any]] = (),
        calibration_id: str | None = None,
    ) -> Session:
        """Begin a session, freezing its tray, plan and shots."""
        return self._begin("scan", tray.id, tray, plan, list(devices), calibration_id)

    def begin_import(self, name: str) -> Session:
        """Begin a session of imported photographs."""
        return self._begin("import", name, None, None, [], None)

    def unfinished_scan(self, tray_id: str) -> Session | None:
        """The latest session of a tray that has something left to do, or None."""
        rows = self.database.read(
            "SELECT * FROM session WHERE kind = 'scan' AND name = ? AND finished_at IS NULL "
            "ORDER BY number DESC LIMIT 1",
            (tray_id,),
        )
        return Session.of(rows[0]) if rows else None

    def session(self, session_id: str) -> Session:
        """Return a session by its id; StoreError if there is none."""
        rows = self.database.read("SELECT * FROM session WHERE id = ?", (session_id,))
        if not rows:
            raise StoreError(
                f"there is no session {session_id} in {self.files.folder}. "
                "Leave it out for the newest scan, or take one from the name of a report."
            )
        return Session.of(rows[0])

    def sessions(self, kind: str | None = None, name: str | None = None) -> list[Session]:
        """Sessions, oldest first; of one kind, of one tray or import."""
        given = {column: value for column, value in (("kind", kind), ("name", name)) if value is not None}
        where = " AND ".join(["1", *(f"{column} = ?" for column in given)])
        rows = self.database.read(f"SELECT * FROM session WHERE {where} ORDER BY number", tuple(given.values()))
        return [Session.of(row) for row in rows]

    def shots(self, session_id: str) -> list[Shot]:
        """All shots of a session, in the plan's order."""
        sql = "SELECT content FROM shot WHERE session_id = ? ORDER BY position"
        return [Shot.model_validate_json(row["content"]) for row in self.database.read(sql, (session_id,))]

    def missing_shots(self, session_id: str) -> list[Shot]:
        """Shots that have no good frame and were not tried as often as the plan allows, in the plan's order."""
        settled = self.settled_shots(session_id)
        return [shot for shot in self.shots(session_id) if shot.id not in settled]

    def settled_shots(self, session_id: str) -> set[str]:
        """Ids of the shots that have a good frame, or were tried as often as the plan allows.

        Tries at a wrong angle do not count: that is the turntable's failure, and a run ends by it if it lasts.
        """
        retakes = self.session(session_id).frozen_plan().retakes
        rows = self.database.read(
            "SELECT shot_id FROM frame WHERE session_id = ? GROUP BY shot_id "
            "HAVING sum(quarantine_reason IS NULL) > 0 "
            "OR sum(coalesce(quarantine_reason, '') NOT LIKE '%wrong angle%') > ?",
            (session_id, retakes),
        )
        return {row["shot_id"] for row in rows}

    def attempts(self, session_id: str) -> dict[str, int]:
        """How often each shot of a session was taken, by shot id; untaken shots are left out."""
        sql = "SELECT shot_id, max(attempt) AS taken FROM frame "
        sql += "WHERE session_id = ? AND shot_id NOT NULL GROUP BY shot_id"
        return {row["shot_id"]: row["taken"] for row in self.database.read(sql, (session_id,))}

    def finish_session(self, session_id: str) -> None:
        """Note that nothing is left to do. Doing so twice changes nothing."""
        if self.session(session_id).finished_at is not None:
            return
        at = now()
        with on_its_way(self.files), keeping(self.files, self.database) as kept:
            kept.connection.execute("UPDATE session SET finished_at = ? WHERE id = ?", (at, session_id))
            kept.record("finished", session_id, {"at": at})

    def _begin(
        self,
        kind: Literal["scan", "import"],
        name: str,
        tray: Tray | None,
        plan: Plan | None,
        devices: list[dict[str, Any]],
        calibration_id: str | None,
    ) -> Session:
        shots = plan.shots(tray) if plan and tray else []
        with on_its_way(self.files), keeping(self.files, self.database) as kept:
            session = Session(
                id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
                kind=kind,
                name=name,
                tray=tray.model_dump(mode="json") if tray else None,
                plan=plan.model_dump(mode="json") if plan else None,
                calibration_id=calibration_id,
                devices=devices,
                software=SOFTWARE,
                started_at=now(),
                number=kept.number(),
            )
            kept.coins(add_session(kept.connection, session, shots))
            kept.record("session", session.id, session_record(session, shots))
        return session
