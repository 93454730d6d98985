"""What the store gives back: one frozen dataclass for each kind of row, and their form on disk."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, Self

import numpy as np

from calibration.image import Image
from capture.plan import Plan, Tray
from capture.store.files import canonical_json
from rig.sides import Side

JSON_COLUMNS = frozenset({"tray", "plan", "devices", "camera", "quality", "box", "content", "evidence", "card"})


def now() -> str:
    """The time in UTC, ISO 8601 with microseconds: the form of every time in the store."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@dataclass(frozen=True)
class _Row:
    @classmethod
    def of(cls, row: Any) -> Self:
        """Make one of a row of its table."""
        values = {}
        for each in fields(cls):
            value = row[each.name]
            values[each.name] = json.loads(value) if each.name in JSON_COLUMNS and value is not None else value
        return cls(**values)

    def columns(self) -> dict[str, Any]:
        """The values as the table holds them."""
        return {
            each.name: canonical_json(value) if each.name in JSON_COLUMNS and value is not None else value
            for each in fields(self)
            for value in [getattr(self, each.name)]
        }


@dataclass(frozen=True)
class Session(_Row):
    """One run of a plan over a tray, or one import of photographs.

    Attributes
    ----------
    kind
        ``"scan"`` or ``"import"``.
    name
        The tray, or the imported folder.
    tray, plan
        As they were when the session began, as JSON; None when imported.
    devices
        What each device said of itself.
    number
        Greater than that of everything stored before, whatever the clock says.
    finished_at
        None while there is something left to do.
    """

    id: str
    kind: Literal["scan", "import"]
    name: str
    tray: dict[str, Any] | None
    plan: dict[str, Any] | None
    calibration_id: str | None
    devices: list[dict[str, Any]]
    software: str
    started_at: str
    number: int
    finished_at: str | None = None

    def frozen_plan(self) -> Plan:
        """The plan as it was when the session began."""
        return Plan.model_validate(self.plan)

    def frozen_tray(self) -> Tray:
        """The tray as it was when the session began."""
        return Tray.model_validate(self.tray)


@dataclass(frozen=True, kw_only=True)
class Frame(_Row):
    """The stored picture of a shot, or an imported photograph.

    Attributes
    ----------
    shot_id
        None when imported.
    attempt
        1, and one more for each retake.
    placement
        Names one laying-down of the coin: frames of one coin, side and placement differ by known angles only.
    sha256, calibrated_sha256
        Raw and calibrated picture; `Store.image` reads either. The calibrated one is the coin's surroundings alone,
        `quality`'s ``calibrated_box_px`` of the frame. None when there was no calibration, or the frame is quarantined.
    turntable_deg, turntable_read_deg
        Commanded, and read back.
    quality
        What the quality check measured.
    quarantine_reason
        None when the frame is good.
    source
        File name an imported photograph had.
    number
        Greater than that of everything stored before, whatever the clock says.
    """

    id: str
    session_id: str
    shot_id: str | None = None
    attempt: int
    placement: str
    coin_id: str
    side: Side | None
    sha256: str
    calibrated_sha256: str | None = None
    calibration_id: str | None = None
    camera: dict[str, Any] | None = None
    turntable_deg: float | None = None
    turntable_read_deg: float | None = None
    tilt_deg: float | None = None
    light: str | None = None
    exposure_us: int | None = None
    gain: float | None = None
    mm_per_pixel: float | None = None
    quality: dict[str, Any]
    quarantine_reason: str | None
    source: str | None = None
    taken_at: str
    number: int


@dataclass(frozen=True)
class Entry(_Row):
    """One coin side in one lot or record of a catalogue.

    ``box`` is (left, top, right, bottom) in px where the side is one part of a picture, as in obverse beside reverse.
    """

    id: str
    coin_id: str
    side: Side | None
    catalogue: str
    sha256: str
    source: str
    box: list[int] | None
    added_at: str
    number: int
    removed_at: str | None = None

    def cut(self, picture: Image) -> Image:
        """Cut this side out of its picture."""
        if self.box is None:
            return picture
        left, top, right, bottom = self.box
        return np.ascontiguousarray(picture[top:bottom, left:right])


@dataclass(frozen=True)
class Candidate:
    """A possible match of a coin, as it is stored."""

    coin: str
    entry_id: str
    score: float
    probability: float
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Ranking:
    """The matches of one coin of a session, best first, and what they come to."""

    session_id: str
    coin: str
    model_id: str
    verdict: str
    candidates: tuple[Candidate, ...]
    created_at: str
    number: int

    @classmethod
    def of_rows(cls, rows: Sequence[Any]) -> Self:
        """Make one of its rows, best candidate first."""
        return cls(
            session_id=rows[0]["session_id"],
            coin=rows[0]["coin_id"],
            model_id=rows[0]["model_id"],
            verdict=rows[0]["verdict"],
            candidates=tuple(
                Candidate(
                    row["candidate_coin_id"],
                    row["entry_id"],
                    row["score"],
                    row["probability"],
                    json.loads(row["evidence"]),
                )
                for row in rows
            ),
            created_at=rows[0]["created_at"],
            number=rows[0]["number"],
        )


@dataclass(frozen=True)
class Model(_Row):
    """A model that embeddings and rankings were made with."""

    id: str
    name: str
    card: dict[str, Any]
    added_at: str
    number: int


@dataclass(frozen=True)
class Deletion(_Row):
    """The tombstone of a frame that a person deleted: ``who``, ``why`` and ``at``; ``number`` is the frame's."""

    frame_id: str
    session_id: str
    shot_id: str | None
    coin_id: str
    side: Side | None
    sha256: str
    calibrated_sha256: str | None
    number: int
    who: str
    why: str
    at: str


@dataclass(frozen=True)
class Photograph:
    """A photograph to be imported: its bytes as they are, and what is known of it.

    ``source`` names it within its session (a file name); giving the same one again changes nothing. ``placement`` tells
    occasions apart on which the coin was laid down (see `Frame`); ``type`` is the coin's.
    """

    coin: str
    data: bytes
    source: str
    side: Side | None = None
    placement: str = "1"
    type: str | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    quarantine_reason: str | None = None


@dataclass(frozen=True)
class NewEntry:
    """A picture to be added to the catalogue; see `Entry`. ``source`` names it within its catalogue."""

    coin: str
    data: bytes
    source: str
    catalogue: str
    side: Side | None = None
    box: tuple[int, int, int, int] | None = None
    type: str | None = None
