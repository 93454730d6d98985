"""The store's frames: stored for good, found again, read back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

from calibration.image import decode_image
from capture.store.errors import StoreError
from capture.store.files import StoredFile
from capture.store.record_kinds import FRAME, frame_content
from capture.store.records import Frame, NewFrame, Photograph, QuarantinedCoin, now
from capture.store.transaction import Storage, Transaction
from rig.sides import ShotSide


class Frames:
    """Reached as ``store.frames``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add(self, session_id: str, new: NewFrame) -> Frame:
        """Store the image of a shot: it is safe when this returns.

        Raises
        ------
        StoreError
            If it cannot be written, or the shot already has a good frame.
        """
        shot = new.shot
        contents = {"raw": new.raw, "calibrated": new.calibrated, "sources": new.sources}
        given = {name: data for name, data in contents.items() if data is not None}
        with self._storage.transaction(*given.values()) as transaction:
            stored = transaction.stored
            hashes = {name: file.sha256 for name, file in zip(given, stored, strict=True)}
            frame = Frame(
                id=secrets.token_hex(8),
                session_id=session_id,
                shot_id=shot.id,
                attempt=new.attempt,
                placement=new.placement,
                coin_id=shot.coin,
                side=shot.side,
                sha256=hashes["raw"],
                calibrated_sha256=hashes.get("calibrated"),
                sources_sha256=hashes.get("sources"),
                calibration_id=new.calibration_id,
                camera=new.camera,
                turntable_deg=shot.turntable_deg,
                turntable_read_deg=new.turntable_read_deg,
                tilt_deg=shot.tilt_deg,
                tilt_read_deg=new.tilt_read_deg,
                light=shot.light,
                exposure_us=shot.exposure_us,
                gain=shot.gain,
                mm_per_pixel=new.mm_per_pixel,
                quality=new.quality,
                quarantine_reasons=new.quarantine_reasons,
                taken_at=new.taken_at,
                number=transaction.number(),
            )
            _add(transaction, frame, stored)
        return frame

    def add_photographs(self, session_id: str, photographs: Iterable[Photograph]) -> list[Frame]:
        """Store imported photographs, their bytes untouched, in one transaction. Known sources are passed over.

        Raises
        ------
        ImageError
            If one is not an image; nothing of this call is stored then.
        StoreError
            If they cannot be written.
        """
        known = {frame.source for frame in self.find(session_id, good=None)}
        new = [each for each in photographs if each.source not in known]
        for each in new:
            decode_image(each.data, each.source)
        frames = []
        with self._storage.transaction(*[each.data for each in new]) as transaction:
            for each, file in zip(new, transaction.stored, strict=True):
                frame = Frame(
                    id=secrets.token_hex(8),
                    session_id=session_id,
                    attempt=1,
                    placement=each.placement,
                    coin_id=each.coin,
                    side=each.side,
                    sha256=file.sha256,
                    quality=each.quality,
                    quarantine_reasons=each.quarantine_reasons,
                    source=each.source,
                    taken_at=now(),
                    number=transaction.number(),
                )
                transaction.add_coin(each.coin, each.type)
                _add(transaction, frame, [file])
                frames.append(frame)
        return frames

    def find(
        self,
        session_id: str | None = None,
        coin: str | None = None,
        side: ShotSide | None = None,
        good: bool | None = True,
    ) -> list[Frame]:
        """Frames in the order they were stored; ``good=False`` for those in quarantine, None for both."""
        wanted = {None: "1", True: "quarantine_reason IS NULL", False: "quarantine_reason NOT NULL"}[good]
        # "+": by the coin's index, for a session may have a hundred thousand frames, and a coin has few
        given = {"session_id" if coin is None else "+session_id": session_id, "coin_id": coin, "side": side}
        conditions = {f"{column} = ?": value for column, value in given.items() if value is not None}
        where = " AND ".join([wanted, *conditions])
        rows = self._storage.read(f"SELECT * FROM frame WHERE {where} ORDER BY number", tuple(conditions.values()))
        return [Frame.of(row) for row in rows]

    def select(
        self,
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
        parameters: tuple[str, ...] = ()
        for column, values in named.values():
            if values:
                conditions.append(f"{column} IN ({', '.join('?' * len(values))})")
                parameters += tuple(values)
        where = " AND ".join(conditions)
        for what, (column, values) in named.items():
            rows = self._storage.read(f"SELECT DISTINCT {column} FROM frame WHERE {where}", parameters)
            found = {row[0] for row in rows}
            for value in values:
                if value not in found:
                    raise StoreError(f"no frame matches {what} {value} and all else that was named. Nothing was done.")
        rows = self._storage.read(f"SELECT * FROM frame WHERE {where} ORDER BY number", parameters)
        return [Frame.of(row) for row in rows]

    def get(self, frame_id: str) -> Frame | None:
        """A frame by its id; None if there is none."""
        rows = self._storage.read("SELECT * FROM frame WHERE id = ?", (frame_id,))
        return Frame.of(rows[0]) if rows else None

    def newest(self, session_id: str, first: int) -> list[Frame]:
        """The newest frames of a session, good and quarantined, the newest first."""
        sql = "SELECT * FROM frame WHERE session_id = ? ORDER BY number DESC LIMIT ?"
        return [Frame.of(row) for row in self._storage.read(sql, (session_id, first))]

    def quarantined_coins(self) -> list[QuarantinedCoin]:
        """Coins of sessions with shots of which every frame is in quarantine, the newest first."""
        rows = self._storage.read(
            "SELECT session_id, coin_id, max(number) AS number FROM frame AS bad "
            "WHERE quarantine_reason NOT NULL AND NOT EXISTS (SELECT 1 "
            "FROM frame WHERE session_id = bad.session_id AND shot_id = bad.shot_id AND quarantine_reason IS NULL) "
            "GROUP BY session_id, coin_id ORDER BY max(number) DESC"
        )
        return [QuarantinedCoin(row["session_id"], row["coin_id"], row["number"]) for row in rows]

    def count(self) -> int:
        """How many there are, good and quarantined."""
        return int(self._storage.read("SELECT count(*) FROM frame")[0][0])

    def coins(self) -> list[str]:
        """Coins that there is a frame of, by their ids."""
        return [row["coin_id"] for row in self._storage.read("SELECT DISTINCT coin_id FROM frame ORDER BY coin_id")]

    def scanned_coins(self) -> list[str]:
        """Coins that a scan has frames of, by their ids."""
        rows = self._storage.read("SELECT DISTINCT coin_id FROM frame WHERE shot_id NOT NULL ORDER BY coin_id")
        return [row["coin_id"] for row in rows]

    def stored_bytes(self, session_id: str) -> int:
        """What the images of a session take on disk."""
        sql = (
            "SELECT coalesce(sum(size), 0) FROM file WHERE sha256 IN (SELECT sha256 FROM frame WHERE session_id = ?1 "
            "UNION SELECT calibrated_sha256 FROM frame WHERE session_id = ?1 "
            "UNION SELECT sources_sha256 FROM frame WHERE session_id = ?1)"
        )
        return int(self._storage.read(sql, (session_id,))[0][0])

    def bytes_per_shot(self, calibration_ids: Sequence[str], latest: int) -> float | None:
        """What a shot takes on disk, retakes included: the mean over the latest frames of some calibrations.

        What a bracket was merged of is not counted.

        None if there is no such frame.
        """
        rows = self._storage.read(
            "SELECT count(DISTINCT taken.session_id || ' ' || shot_id) AS shots, sum(file.size) AS bytes "
            "FROM (SELECT * FROM frame WHERE shot_id NOT NULL "
            f"AND calibration_id IN ({', '.join('?' * len(calibration_ids))}) ORDER BY rowid DESC LIMIT ?) AS taken "
            "JOIN file ON file.sha256 IN (taken.sha256, taken.calibrated_sha256)",
            (*calibration_ids, latest),
        )
        return rows[0]["bytes"] / rows[0]["shots"] if rows[0]["shots"] else None


def _add(transaction: Transaction, frame: Frame, stored: Sequence[StoredFile]) -> None:
    transaction.add(FRAME, FRAME.record_name(vars(frame)), frame_content(frame, stored))
