"""The store: pictures as content-addressed files, and one SQLite index of what they are.

Order of every write: bytes fsynced and renamed, then the record, then the row. A reader asks rows, so nothing half done
is ever seen; what a killed process left is put right or set aside when the store is next opened for writing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calibration.image import Image, decode_image
from capture import leftovers, verify
from capture.catalogue import Catalogue
from capture.database import Database
from capture.files import Files, StoreError, canonical_json
from capture.plan import Plan, Shot, Side, Tray
from capture.presence import Presence
from capture.records import Event, Frame, Photograph, Session, now, session_record
from capture.rows import add_coin, add_session, insert, keep_rows

SOFTWARE = "coinlab 0.1.0"


class Store:
    """A lab's store. Open it with `Store.open`; usable from several threads, and a context manager.

    Attributes
    ----------
    folder
        Where it is.
    catalogue
        Entries, models, embeddings and rankings: see `capture.catalogue.Catalogue`.
    swept
        What opening it found unfinished and put right, one sentence each; empty after a clean close.
    """

    def __init__(self, folder: Path, writing: bool) -> None:
        self.folder = folder
        self.files = Files(folder)
        self.swept: list[str] = []
        self._presence: Presence | None = None
        index = folder / "index.sqlite"
        if not writing:
            self.database = Database(index, writing=False)
            self.catalogue = Catalogue(self.files, self.database)
            return
        try:
            self.files.create()
            self._presence = Presence(folder)
            alone = self._presence.enter()
        except OSError as error:
            raise StoreError(
                f"{folder} cannot be written: {error.strerror}. Check its owner and permissions."
            ) from error
        is_new = not index.exists()
        try:
            self.database = Database(index)
            if alone and (is_new or self._presence.somebody_died()):
                self.swept = leftovers.sweep(self.files, self.database)
            self._presence.settle(alone)
        except BaseException:
            self._presence.leave()  # or nobody else could open it either
            raise
        self.catalogue = Catalogue(self.files, self.database)
        for line in self.swept:
            self.log("put right", what=line)

    @classmethod
    def open(cls, folder: Path, writing: bool = True) -> Store:
        """Open the store in `folder`, making it if need be.

        Parameters
        ----------
        folder
            The lab's ``store`` folder.
        writing
            False to look on while another process writes; nothing is made, changed or put right then.

        Raises
        ------
        StoreError
            If it cannot be opened.
        """
        return cls(folder, writing)

    def close(self) -> None:
        """Close the index. Safe to call twice."""
        self.database.close()
        if self._presence is not None:
            self._presence.leave()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # --- sessions and shots -----------------------------------------------------------------------------------------

    def begin_scan(
        self,
        tray: Tray,
        plan: Plan,
        devices: Sequence[dict[str, Any]] = (),
        calibration_id: str | None = None,
    ) -> Session:
        """Begin a session, freezing its tray, plan and shots."""
        session = self._new_session("scan", tray.id, tray, plan, list(devices), calibration_id)
        self._add_session(session, plan.shots(tray))
        return session

    def begin_import(self, name: str) -> Session:
        """Begin a session of imported photographs."""
        session = self._new_session("import", name, None, None, [], None)
        self._add_session(session, [])
        return session

    def unfinished_scan(self, tray_id: str) -> Session | None:
        """The latest session of a tray that has something left to do, or None."""
        rows = self.database.read(
            "SELECT * FROM session WHERE kind = 'scan' AND name = ? AND finished_at IS NULL "
            "ORDER BY rowid DESC LIMIT 1",
            (tray_id,),
        )
        return Session.of(rows[0]) if rows else None

    def session(self, session_id: str) -> Session:
        """Return a session by its id; StoreError if there is none."""
        rows = self.database.read("SELECT * FROM session WHERE id = ?", (session_id,))
        if not rows:
            raise StoreError(
                f"there is no session {session_id} in {self.folder}. "
                "Leave it out for the newest scan, or take one from the name of a report."
            )
        return Session.of(rows[0])

    def sessions(self, kind: str | None = None, name: str | None = None) -> list[Session]:
        """Sessions, oldest first; of one kind, of one tray or import."""
        sql = "SELECT * FROM session WHERE kind = coalesce(?, kind) AND name = coalesce(?, name) "
        sql += "ORDER BY started_at, rowid"
        return [Session.of(row) for row in self.database.read(sql, (kind, name))]

    def shots(self, session_id: str) -> list[Shot]:
        """All shots of a session, in the plan's order."""
        sql = "SELECT content FROM shot WHERE session_id = ? ORDER BY position"
        return [Shot.model_validate_json(row["content"]) for row in self.database.read(sql, (session_id,))]

    def missing_shots(self, session_id: str) -> list[Shot]:
        """Shots that have no good frame and were not tried as often as the plan allows, in the plan's order.

        Tries at a wrong angle do not count: that is the turntable's failure, and a run ends by it if it lasts.
        """
        retakes = self.session(session_id).frozen_plan().retakes
        settled = {
            row["shot_id"]
            for row in self.database.read(
                "SELECT shot_id FROM frame WHERE session_id = ? GROUP BY shot_id "
                "HAVING sum(quarantine_reason IS NULL) > 0 "
                "OR sum(coalesce(quarantine_reason, '') NOT LIKE '%wrong angle%') > ?",
                (session_id, retakes),
            )
        }
        return [shot for shot in self.shots(session_id) if shot.id not in settled]

    def attempts(self, session_id: str) -> dict[str, int]:
        """How often each shot of a session was taken, by shot id; untaken shots are left out."""
        sql = "SELECT shot_id, count(*) AS taken FROM frame WHERE session_id = ? AND shot_id NOT NULL GROUP BY shot_id"
        return {row["shot_id"]: row["taken"] for row in self.database.read(sql, (session_id,))}

    def finish_session(self, session_id: str) -> None:
        """Note that nothing is left to do. Doing so twice changes nothing."""
        if self.session(session_id).finished_at is not None:
            return
        at = now()
        self.files.keep_records("finished", {session_id: {"at": at}})
        with self.database.write() as connection:
            connection.execute("UPDATE session SET finished_at = ? WHERE id = ?", (at, session_id))

    # --- frames -----------------------------------------------------------------------------------------------------

    def add_frame(
        self,
        session_id: str,
        shot: Shot,
        attempt: int,
        placement: str,
        raw: bytes,
        calibrated: bytes | None,
        *,
        calibration_id: str | None,
        camera: dict[str, Any],
        turntable_read_deg: float,
        mm_per_pixel: float | None,
        quality: dict[str, Any],
        quarantine_reason: str | None,
        taken_at: str,
    ) -> Frame:
        """Keep the picture of a shot: it is safe when this returns.

        Parameters
        ----------
        raw, calibrated
            Lossless JPEG XL.

        Raises
        ------
        StoreError
            If it cannot be written, or the shot already has a good frame.
        """
        stored = self.files.keep(*[data for data in (raw, calibrated) if data is not None])
        frame = Frame(
            id=secrets.token_hex(8),
            session_id=session_id,
            shot_id=shot.id,
            attempt=attempt,
            placement=placement,
            coin_id=shot.coin,
            side=shot.side,
            sha256=stored[0].sha256,
            calibrated_sha256=stored[1].sha256 if calibrated is not None else None,
            calibration_id=calibration_id,
            camera=camera,
            turntable_deg=shot.turntable_deg,
            turntable_read_deg=turntable_read_deg,
            tilt_deg=shot.tilt_deg,
            light=shot.light,
            exposure_us=shot.exposure_us,
            gain=shot.gain,
            mm_per_pixel=mm_per_pixel,
            quality=quality,
            quarantine_reason=quarantine_reason,
            source=None,
            taken_at=taken_at,
        )
        keep_rows(self.files, self.database, "frame", [(frame, None)], stored)
        return frame

    def add_photographs(self, session_id: str, photographs: Iterable[Photograph]) -> list[Frame]:
        """Keep imported photographs, their bytes untouched, in one transaction. Known sources are passed over.

        Raises
        ------
        ImageError
            If one is not a picture; nothing of this call is stored then.
        StoreError
            If they cannot be written.
        """
        known = {frame.source for frame in self.frames(session_id, good=None)}
        new = [each for each in photographs if each.source not in known]
        for each in new:
            decode_image(each.data, each.source)
        stored = self.files.keep(*[each.data for each in new])
        frames = [
            Frame(
                id=secrets.token_hex(8),
                session_id=session_id,
                shot_id=None,
                attempt=1,
                placement=each.placement,
                coin_id=each.coin,
                side=each.side,
                sha256=file.sha256,
                calibrated_sha256=None,
                calibration_id=None,
                camera=None,
                turntable_deg=None,
                turntable_read_deg=None,
                tilt_deg=None,
                light=None,
                exposure_us=None,
                gain=None,
                mm_per_pixel=None,
                quality=each.quality,
                quarantine_reason=each.quarantine_reason,
                source=each.source,
                taken_at=now(),
            )
            for each, file in zip(new, stored, strict=True)
        ]
        keep_rows(
            self.files, self.database, "frame", list(zip(frames, [each.type for each in new], strict=True)), stored
        )
        return frames

    def frames(
        self,
        session_id: str | None = None,
        coin: str | None = None,
        side: Side | None = None,
        good: bool | None = True,
    ) -> list[Frame]:
        """Frames in the order they were stored; ``good=False`` for the quarantined ones, None for both."""
        wanted = {None: "1", True: "quarantine_reason IS NULL", False: "quarantine_reason NOT NULL"}[good]
        conditions, parameters = [wanted], []
        for column, value in (("session_id", session_id), ("coin_id", coin), ("side", side)):
            if value is not None:
                conditions.append(f"{column} = ?")
                parameters.append(value)
        sql = f"SELECT * FROM frame WHERE {' AND '.join(conditions)} ORDER BY taken_at, rowid"
        return [Frame.of(row) for row in self.database.read(sql, tuple(parameters))]

    def image(self, sha256: str) -> Image:
        """Read a stored picture, RGB (H, W, 3) uint8, checked against its hash; StoreError if missing or damaged."""
        return decode_image(self.files.read(sha256, self._suffix(sha256)), str(self.path(sha256)))

    def path(self, sha256: str) -> Path:
        """Where a stored picture lies."""
        return self.files.path(sha256, self._suffix(sha256))

    # --- coins and calibrations -------------------------------------------------------------------------------------

    def add_coin(self, coin: str, type_: str | None = None, diameter_mm: float | None = None) -> None:
        """Make a coin known, or fill in what is known of it."""
        with self.database.write() as connection:
            add_coin(connection, coin, type_, diameter_mm)

    def coin_types(self) -> dict[str, str | None]:
        """Every coin of the store and its type."""
        return {row["id"]: row["type"] for row in self.database.read("SELECT id, type FROM coin ORDER BY id")}

    def add_calibration(self, calibration_id: str, created_at: str, folder: str) -> None:
        """Make a calibration known, so that frames can name it. Doing so twice changes nothing."""
        row = {"id": calibration_id, "created_at": created_at, "folder": folder}
        if self.database.read("SELECT id FROM calibration WHERE id = ?", (calibration_id,)):
            return
        self.files.keep_records("calibration", {calibration_id: {"row": row}})
        with self.database.write() as connection:
            insert(connection, "calibration", row, or_ignore=True)

    # --- journal ----------------------------------------------------------------------------------------------------

    def log(self, kind: str, session_id: str | None = None, **detail: Any) -> Event:
        """Write a line of the journal; it is safe when this returns."""
        at = now()
        with self.database.write() as connection:
            row = {"session_id": session_id, "at": at, "kind": kind, "detail": canonical_json(detail)}
            number = insert(connection, "event", row)
        return Event(number, session_id, at, kind, detail)

    def events(self, session_id: str | None = None, kinds: Sequence[str] = ()) -> list[Event]:
        """Lines of the journal, oldest first; of one session, of some kinds."""
        sql = "SELECT * FROM event WHERE session_id IS coalesce(?, session_id) ORDER BY id"
        events = [Event.of(row) for row in self.database.read(sql, (session_id,))]
        return [event for event in events if not kinds or event.kind in kinds]

    def last_event(self, kinds: Sequence[str], session_id: str | None = None, coin: str | None = None) -> Event | None:
        """The latest line of the journal of some kinds, of one session, about one coin; None if there is none."""
        conditions, parameters = [f"kind IN ({', '.join('?' * len(kinds))})"], list(kinds)
        for condition, value in (("session_id = ?", session_id), ("json_extract(detail, '$.coin') = ?", coin)):
            if value is not None:
                conditions.append(condition)
                parameters.append(value)
        sql = f"SELECT * FROM event WHERE {' AND '.join(conditions)} ORDER BY id DESC LIMIT 1"
        rows = self.database.read(sql, tuple(parameters))
        return Event.of(rows[0]) if rows else None

    # --- health -----------------------------------------------------------------------------------------------------

    def verify(self) -> list[verify.Problem]:
        """Re-hash and decode every file, compare every record with its row, and look for orphans. Changes nothing."""
        return verify.verify(self.files, self.database)

    # ----------------------------------------------------------------------------------------------------------------

    def _suffix(self, sha256: str) -> str:
        rows = self.database.read("SELECT suffix FROM file WHERE sha256 = ?", (sha256,))
        if not rows:
            raise StoreError(f"there is no file {sha256} in {self.folder}.")
        return str(rows[0]["suffix"])

    def _new_session(
        self,
        kind: Any,
        name: str,
        tray: Tray | None,
        plan: Plan | None,
        devices: list[dict[str, Any]],
        calibration_id: str | None,
    ) -> Session:
        return Session(
            id=f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            kind=kind,
            name=name,
            tray=tray.model_dump(mode="json") if tray else None,
            plan=plan.model_dump(mode="json") if plan else None,
            calibration_id=calibration_id,
            devices=devices,
            software=SOFTWARE,
            started_at=now(),
        )

    def _add_session(self, session: Session, shots: list[Shot]) -> None:
        self.files.keep_records("session", {session.id: session_record(session, shots)})
        with self.database.write() as connection:
            add_session(connection, session, shots)
