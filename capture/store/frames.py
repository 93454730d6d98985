"""The store's frames: kept for good, found again, read back."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from calibration.image import Image, decode_image
from capture.plan import Shot
from capture.store.database import Database
from capture.store.files import Files, StoredFile, StoreError
from capture.store.kinds import frame_name, frame_record
from capture.store.records import Frame, Photograph, now
from capture.store.transaction import Keeping, keeping, on_its_way
from rig.sides import Side


class FrameRows:
    """The part of `capture.store.Store` that is about frames and their pictures."""

    files: Files
    database: Database

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
        with on_its_way(self.files):
            stored = self.files.keep(*[data for data in (raw, calibrated) if data is not None])
            with keeping(self.files, self.database, stored) as kept:
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
                    taken_at=taken_at,
                    number=kept.number(),
                )
                _keep(kept, frame, stored, None)
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
        frames = []
        with on_its_way(self.files):
            stored = self.files.keep(*[each.data for each in new])
            with keeping(self.files, self.database, stored) as kept:
                for each, file in zip(new, stored, strict=True):
                    frame = Frame(
                        id=secrets.token_hex(8),
                        session_id=session_id,
                        attempt=1,
                        placement=each.placement,
                        coin_id=each.coin,
                        side=each.side,
                        sha256=file.sha256,
                        quality=each.quality,
                        quarantine_reason=each.quarantine_reason,
                        source=each.source,
                        taken_at=now(),
                        number=kept.number(),
                    )
                    _keep(kept, frame, [file], each.type)
                    frames.append(frame)
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
        sql = f"SELECT * FROM frame WHERE {' AND '.join(conditions)} ORDER BY number"
        return [Frame.of(row) for row in self.database.read(sql, tuple(parameters))]

    def image(self, sha256: str) -> Image:
        """Read a stored picture, RGB (H, W, 3) uint8, checked against its hash; StoreError if missing or damaged."""
        return decode_image(self.files.read(sha256, self._suffix(sha256)), str(self.path(sha256)))

    def path(self, sha256: str) -> Path:
        """Where a stored picture lies."""
        return self.files.path(sha256, self._suffix(sha256))

    def _suffix(self, sha256: str) -> str:
        rows = self.database.read("SELECT suffix FROM file WHERE sha256 = ?", (sha256,))
        if not rows:
            raise StoreError(f"there is no file {sha256} in {self.files.folder}.")
        return str(rows[0]["suffix"])


def _keep(kept: Keeping, frame: Frame, stored: list[StoredFile], type_: str | None) -> None:
    kept.pictures(stored)
    kept.coin(frame.coin_id, type_)
    kept.insert("frame", frame.columns())
    kept.record("frame", frame_name(frame), frame_record(frame, stored))
