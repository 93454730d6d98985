"""What the store gives back: one frozen dataclass for each kind of row, and their form on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from calibration.durable_files import canonical_json, parse_json
from calibration.image import Image
from capture.plan import Plan, Shot, Tray
from capture.store import quarantine
from capture.store.errors import DamagedRowError
from capture.store.lot_details import LotDetails
from capture.store.quarantine import QuarantineReason
from rig.sides import ShotSide, Side

JSON_COLUMNS = frozenset({"tray", "plan", "devices", "camera", "quality", "box", "content", "evidence", "card", "lot"})


LATER = frozenset({"tilt_read_deg", "sources_sha256"})
"""Values of a frame that version 0.1 did not have: its records stay as they are."""


def now() -> str:
    """The time in UTC, ISO 8601 with microseconds: the form of every time in the store."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def from_columns(row: Any) -> dict[str, Any]:
    """The values of a row, those kept as JSON parsed."""
    return {
        name: from_json(row, name) if name in JSON_COLUMNS and row[name] is not None else row[name]
        for name in row.keys()  # noqa: SIM118 - an sqlite3.Row iterates over its values
    }


def from_json(row: Any, name: str) -> Any:
    """The value of a column that is kept as JSON.

    Raises
    ------
    DamagedRowError
        If it is none.
    """
    try:
        return parse_json(row[name])
    except (TypeError, ValueError) as error:
        which = ", ".join(f"{key} {row[key]}" for key in ("id", "number") if key in row.keys())  # noqa: SIM118
        raise DamagedRowError(
            f"the index is damaged: {name} of the row {which} is not as it was written. Run `rig store rebuild`: it "
            "rebuilds the index from the records."
        ) from error


@dataclass(frozen=True)
class StoredRow:
    """What all kinds of rows share: made of a row or a record, and their forms."""

    @classmethod
    def of(cls, row: Any) -> Self:
        """Make one of a row of its table."""
        return cls.of_record(from_columns(row))

    @classmethod
    def of_record(cls, values: dict[str, Any]) -> Self:
        """Make one of the row of a record.

        Raises
        ------
        TypeError
            If it has not just these fields.
        """
        return cls(**values)

    def as_record(self) -> dict[str, Any]:
        """Its values as JSON has them; what earlier versions did not know is left out where it is not there."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if name not in LATER or value is not None}

    def columns(self) -> dict[str, Any]:
        """Its values as the table has them."""
        return {
            name: canonical_json(value) if name in JSON_COLUMNS and value is not None else value
            for name, value in self.as_record().items()
        }


@dataclass(frozen=True)
class Coin(StoredRow):
    """A coin: its accession number or a catalogue's name for it, and what is known of it."""

    id: str
    type: str | None
    diameter_mm: float | None


@dataclass(frozen=True)
class Calibration(StoredRow):
    """A calibration bundle: ``folder`` is its name under the lab's ``calibrations/``."""

    id: str
    created_at: str
    folder: str


@dataclass(frozen=True)
class Session(StoredRow):
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
        The identity of each device.
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
class Frame(StoredRow):
    """The stored image of a shot, or an imported photograph.

    Attributes
    ----------
    shot_id
        None when imported.
    attempt
        1, and one more for each retake.
    placement
        Names one laying-down of the coin: frames of one coin, side and placement differ by known angles only.
    sha256, calibrated_sha256
        Raw and calibrated image; `Store.image` reads either. The calibrated one is the coin's surroundings alone,
        `quality`'s ``calibrated_box_px`` of the frame. None when there was no calibration, or the frame is in
        quarantine.
    sources_sha256
        The images that a bracket was merged of, as they came, and the depth map of a focus bracket: a zip
        (`calibration.bracket.decode_sources`). None where the raw image came so from the camera.
    turntable_deg, turntable_read_deg, tilt_deg, tilt_read_deg
        Commanded, and read back; the tilt's reading is None in frames of before version 0.2.
    quality
        What the quality check measured.
    quarantine_reasons
        Empty when the frame is good; else what is wrong with it, most telling first.
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
    side: ShotSide | None
    sha256: str
    calibrated_sha256: str | None = None
    sources_sha256: str | None = None
    calibration_id: str | None = None
    camera: dict[str, Any] | None = None
    turntable_deg: float | None = None
    turntable_read_deg: float | None = None
    tilt_deg: float | None = None
    tilt_read_deg: float | None = None
    light: str | None = None
    exposure_us: int | None = None
    gain: float | None = None
    mm_per_pixel: float | None = None
    quality: dict[str, Any]
    quarantine_reasons: tuple[QuarantineReason, ...] = ()
    source: str | None = None
    taken_at: str
    number: int

    @property
    def is_good(self) -> bool:
        """Whether it is not in quarantine."""
        return not self.quarantine_reasons

    @property
    def quarantine_reason(self) -> str | None:
        """What is wrong with it, as it is stored and shown; None when it is good."""
        return quarantine.as_text(self.quarantine_reasons)

    @property
    def images(self) -> tuple[str, ...]:
        """SHA-256 of its raw image, of its calibrated one and of what it was merged of, if there are."""
        others = (self.calibrated_sha256, self.sources_sha256)
        return (self.sha256, *(each for each in others if each is not None))

    @classmethod
    def of_record(cls, values: dict[str, Any]) -> Self:
        """Make one of the row of a record, where reasons are text."""
        values = dict(values)
        reasons = quarantine.from_text(values.pop("quarantine_reason"))
        return cls(**values, quarantine_reasons=reasons)

    def as_record(self) -> dict[str, Any]:
        """Its values as JSON has them; the reasons are text."""
        values = super().as_record()
        return {
            ("quarantine_reason" if name == "quarantine_reasons" else name): (
                self.quarantine_reason if name == "quarantine_reasons" else value
            )
            for name, value in values.items()
        }


@dataclass(frozen=True)
class Entry(StoredRow):
    """One coin side in one lot or record of a catalogue.

    ``box`` is (left, top, right, bottom) in px where the side is one part of an image: obverse beside reverse, or a
    page. ``lot`` is what its sale says of the coin now (`capture.store.lots.Lot`); None where nothing was recorded.
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
    lot: LotDetails | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether it was cut out of a page and nobody has decided about it (`rig catalogue check`)."""
        return self.lot is not None and bool(self.lot.doubt)

    @classmethod
    def of_record(cls, values: dict[str, Any]) -> Self:
        """Make one of a row, with what its sale says now, or of a record, which does not have that."""
        lot = values.get("lot")
        return cls(**{**values, "lot": None if lot is None else LotDetails.of(lot)})

    def as_record(self) -> dict[str, Any]:
        """Its values as JSON has them; what its sale says has records of its own."""
        return {name: value for name, value in super().as_record().items() if name != "lot"}

    def cut(self, image: Image) -> Image:
        """Cut this side out of its image."""
        if self.box is None:
            return image
        left, top, right, bottom = self.box
        return np.ascontiguousarray(image[top:bottom, left:right])


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
    def of_record(cls, values: dict[str, Any]) -> Self:
        """Make one of the row of a record."""
        return cls(**{**values, "candidates": tuple(Candidate(**each) for each in values["candidates"])})

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
                    from_json(row, "evidence"),
                )
                for row in rows
            ),
            created_at=rows[0]["created_at"],
            number=rows[0]["number"],
        )


@dataclass(frozen=True)
class RankedCoin:
    """A ranking in a few words: ``candidates`` are name, entry and probability of the first, best first."""

    session_id: str
    coin: str
    verdict: str
    number: int
    candidates: tuple[tuple[str, str, float], ...]


@dataclass(frozen=True)
class QuarantinedCoin:
    """A coin of a session with shots of which every frame is in quarantine.

    ``number`` is that of the newest.
    """

    session_id: str
    coin: str
    number: int


@dataclass(frozen=True)
class Model(StoredRow):
    """A model that embeddings and rankings were made with."""

    id: str
    name: str
    card: dict[str, Any]
    added_at: str
    number: int


@dataclass(frozen=True)
class Deletion(StoredRow):
    """The tombstone of a frame that a person deleted: ``who``, ``why`` and ``at``; ``number`` is the frame's."""

    frame_id: str
    session_id: str
    shot_id: str | None
    coin_id: str
    side: ShotSide | None
    sha256: str
    calibrated_sha256: str | None
    number: int
    who: str
    why: str
    at: str
    sources_sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class NewFrame:
    """The image of a shot, to be stored; see `Frame`.

    Attributes
    ----------
    raw, calibrated
        Lossless JPEG XL.
    sources
        What a bracket was merged of: a zip; None where the camera took the raw image so.
    """

    shot: Shot
    attempt: int
    placement: str
    raw: bytes
    calibrated: bytes | None
    sources: bytes | None = None
    calibration_id: str | None
    camera: dict[str, Any]
    turntable_read_deg: float
    tilt_read_deg: float | None = None
    mm_per_pixel: float | None
    quality: dict[str, Any]
    quarantine_reasons: tuple[QuarantineReason, ...] = ()
    taken_at: str


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
    quarantine_reasons: tuple[QuarantineReason, ...] = ()


@dataclass(frozen=True)
class NewEntry:
    """An image to be added to the catalogue; see `Entry`. ``source`` names it within its catalogue.

    One that ``is_waiting`` is removed at once, until a person decides. With ``reference``, the file that ``data`` was
    read from, the image stays there and is not copied.
    """

    coin: str
    data: bytes
    source: str
    catalogue: str
    side: Side | None = None
    box: tuple[int, int, int, int] | None = None
    type: str | None = None
    is_waiting: bool = False
    reference: Path | None = None
