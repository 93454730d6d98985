"""The store's sessions: runs of a plan over a tray, and imports; their shots, and which of them are still missing."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from pydantic import ValidationError

from capture.plan import Plan, Shot, Tray
from capture.store import quarantine
from capture.store.errors import DamagedRowError, StoreError
from capture.store.record_kinds import FINISHED, SESSION, session_content
from capture.store.records import Session, now
from capture.store.transaction import Storage

SOFTWARE = f"coinlab {version('coinlab')}"


class Sessions:
    """Reached as ``store.sessions``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def begin_scan(
        self,
        tray: Tray,
        plan: Plan,
        devices: Sequence[dict[str, Any]] = (),
        calibration_id: str | None = None,
    ) -> Session:
        """Begin a session, freezing its tray, plan and shots."""
        return self._begin(
            plan.shots(tray),
            kind="scan",
            name=tray.id,
            tray=tray.model_dump(mode="json"),
            plan=plan.model_dump(mode="json"),
            calibration_id=calibration_id,
            devices=list(devices),
        )

    def begin_import(self, name: str) -> Session:
        """Begin a session of imported photographs."""
        return self._begin([], kind="import", name=name, tray=None, plan=None, calibration_id=None, devices=[])

    def unfinished_scan(self, tray_id: str) -> Session | None:
        """The latest session of a tray that has something left to do, or None."""
        rows = self._storage.read(
            "SELECT * FROM session WHERE kind = 'scan' AND name = ? AND finished_at IS NULL "
            "ORDER BY number DESC LIMIT 1",
            (tray_id,),
        )
        return Session.of(rows[0]) if rows else None

    def get(self, session_id: str) -> Session:
        """Return a session by its id; StoreError if there is none."""
        rows = self._storage.read("SELECT * FROM session WHERE id = ?", (session_id,))
        if not rows:
            raise StoreError(
                f"there is no session {session_id} in {self._storage.files.folder}. "
                "Leave it out for the newest scan, or take one from the name of a report."
            )
        return Session.of(rows[0])

    def find(self, kind: str | None = None, name: str | None = None) -> list[Session]:
        """Sessions, oldest first; of one kind, of one tray or import."""
        given = {column: value for column, value in (("kind", kind), ("name", name)) if value is not None}
        where = " AND ".join(["1", *(f"{column} = ?" for column in given)])
        rows = self._storage.read(f"SELECT * FROM session WHERE {where} ORDER BY number", tuple(given.values()))
        return [Session.of(row) for row in rows]

    def shots(self, session_id: str) -> list[Shot]:
        """All shots of a session, in the plan's order."""
        sql = "SELECT content FROM shot WHERE session_id = ? ORDER BY position"
        rows = self._storage.read(sql, (session_id,))
        try:
            return [Shot.model_validate_json(row["content"]) for row in rows]
        except ValidationError as error:
            raise DamagedRowError(
                f"the index is damaged: a shot of {session_id} is not as it was written. Run `rig store rebuild`."
            ) from error

    def missing_shots(self, session_id: str) -> list[Shot]:
        """Shots that have no good frame and were not tried as often as the plan allows, in the plan's order."""
        settled = self.settled_shots(session_id)
        return [shot for shot in self.shots(session_id) if shot.id not in settled]

    def settled_shots(self, session_id: str) -> set[str]:
        """Ids of the shots that have a good frame, or were tried as often as the plan allows.

        Tries at a wrong angle, tilt or pose do not count: that is a device's failure, and a run ends by it if it lasts.
        """
        retakes = self.get(session_id).frozen_plan().retakes
        good: set[str] = set()
        tries: Counter[str] = Counter()
        sql = "SELECT shot_id, quarantine_reason FROM frame WHERE session_id = ? AND shot_id NOT NULL"
        for row in self._storage.read(sql, (session_id,)):
            reasons = quarantine.from_text(row["quarantine_reason"])
            if not reasons:
                good.add(row["shot_id"])
            elif not quarantine.OF_DEVICES & set(reasons):
                tries[row["shot_id"]] += 1
        return good | {shot_id for shot_id, count in tries.items() if count > retakes}

    def attempts(self, session_id: str) -> dict[str, int]:
        """How often each shot of a session was taken, by shot id; untaken shots are left out."""
        sql = "SELECT shot_id, max(attempt) AS taken FROM frame "
        sql += "WHERE session_id = ? AND shot_id NOT NULL GROUP BY shot_id"
        return {row["shot_id"]: row["taken"] for row in self._storage.read(sql, (session_id,))}

    def finish(self, session_id: str) -> None:
        """Note that nothing is left to do. Doing so twice changes nothing."""
        if self.get(session_id).finished_at is None:
            with self._storage.transaction() as transaction:
                transaction.add(FINISHED, session_id, {"at": now()})

    def _begin(self, shots: list[Shot], **frozen: Any) -> Session:
        with self._storage.transaction() as transaction:
            session = Session(
                id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
                software=SOFTWARE,
                started_at=now(),
                number=transaction.number(),
                **frozen,
            )
            transaction.add(SESSION, session.id, session_content(session, shots))
        return session
