"""What the journal can say: one frozen model for each kind of line.

On disk a line is its kind, such as ``coin skipped``, and its detail as JSON. Neither ever changes its meaning: every
version reads what an earlier one wrote. Details that a model does not name are ignored; a kind that none has is read as
`UnknownLine`.

::

    JournalLine
        CoinLine            where a coin is: CoinSkipped
            CoinMove        Lifting, LaidOnPlate, TurningOver, Returning, Returned
        DeviceLine          DeviceFailed, DeviceRecovered, DeviceDrifts
        ScanBegan, ScanReported, ScanAbandoned, NotIdentified
        BatchLine           BatchBegan, BatchSession, TrayEnded, BatchEnded, BatchReported
        NotificationSent
        DatasetBuilt
        ModelJudged         ModelPromoted, ModelRefused
        PersonLine          what a person decided: FramesRelabelled
            MatchReviewed   MatchConfirmed, MatchRejected, MatchUnsure
            MatchUndone
        NeedTicked
        CoinWeighed, CoinMeasured
        EntriesReplaced
        FramesDeleted, StoreCleaned, StoreRepaired, IndexRebuilt
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from rig.sides import ShotSide, Side

SkipReason = Literal["empty slot", "wrong coin", "two coins", "device", "time", "not begun"]
"""`not begun`: nothing is known of the coin, since the tray was given up before its turn."""

NOT_THERE: tuple[SkipReason, ...] = ("empty slot", "wrong coin", "two coins")
"""Reasons by which a coin does not lie alone in its slot: a person has to see to it."""

TrayState = Literal["done", "left over", "skipped", "not begun"]
BatchState = Literal["done", "left over", "stopped", "failed"]


_OF_KIND: dict[str, type[JournalLine]] = {}


class JournalLine(BaseModel):
    """A line of the journal.

    Attributes
    ----------
    kind
        What its kind is called on disk.
    number
        Its number in the journal, from 1; 0 until it is written.
    session_id
        The session it belongs to, if it belongs to one.
    at
        When it was written, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: ClassVar[str] = ""

    number: int = Field(default=0, exclude=True)
    session_id: str | None = Field(default=None, exclude=True)
    at: str = Field(default="", exclude=True)

    def __init_subclass__(cls, kind: str = "", **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if kind:
            cls.kind = kind
            _OF_KIND[kind] = cls

    def detail(self) -> dict[str, Any]:
        """Everything but the attributes above, as it is written."""
        return self.model_dump(mode="json")


class UnknownLine(JournalLine):
    """A line that another version of this program wrote: what it calls its kind, and what it says."""

    unknown_kind: str
    content: dict[str, Any]

    def detail(self) -> dict[str, Any]:
        """What it says."""
        return self.content


# --- coins ----------------------------------------------------------------------------------------------------------


class CoinLine(JournalLine):
    """Where a coin is: a line is written before it is moved, and after."""

    slot: int
    coin: str

    @property
    def is_in_slot(self) -> bool:
        """Whether the coin is not on its way any more."""
        return isinstance(self, Returned | CoinSkipped)


class CoinMove(CoinLine):
    """A step of a coin's way from its slot and back; `side` is up, None if that is not known."""

    side: Side | None = None


class Lifting(CoinMove, kind="lifting"):
    """A coin is about to be lifted out of its slot."""


class LaidOnPlate(CoinMove, kind="on plate"):
    """A coin lies on the plate."""

    side: Side


class TurningOver(CoinMove, kind="turning over"):
    """A coin is about to be turned over."""

    side: Side  # that was up


class Returning(CoinMove, kind="returning"):
    """A coin is about to be brought back into its slot."""


class Returned(CoinMove, kind="returned"):
    """A coin is back in its slot.

    ``found`` tells how, of one that an interrupted run had left out of it: it hung on the ``arm``; it was ``nowhere
    else``, so it should be in its slot; or a person was asked to put it there ``by hand``.
    """

    found: Literal["arm", "nowhere else", "by hand"] | None = Field(
        default=None, exclude_if=lambda found: found is None
    )


class CoinSkipped(CoinLine, kind="coin skipped"):
    """A coin was passed over; its shots are still to be taken.

    Attributes
    ----------
    why
        A sentence.
    looks_like
        The coin that lies there instead, where it is known.
    diameter_mm
        Of what lies there, where it was measured.
    """

    reason: SkipReason
    why: str
    looks_like: str | None = None
    diameter_mm: float | None = None


# --- devices --------------------------------------------------------------------------------------------------------


class DeviceLine(JournalLine):
    """What happens to a device."""

    device: str
    problem: str


class DeviceFailed(DeviceLine, kind="device failed"):
    """A device failed, while ``coin`` was scanned; None if it was none."""

    remedy: str
    coin: str | None = None


class DeviceRecovered(DeviceLine, kind="recovered"):
    """The rig was connected and homed again after a failure, at the ``attempt``-th try."""

    attempt: int
    pause_s: float


class DeviceDrifts(DeviceLine, kind="drifts"):
    """A device is not where it should be, and works still."""

    remedy: str


# --- scans and batches ----------------------------------------------------------------------------------------------


class ScanBegan(JournalLine, kind="scan began"):
    """`rig scan` began or resumed its session."""


class ScanReported(JournalLine, kind="scan report"):
    """The report of a scan was written."""

    path: str


class ControlFrame(JournalLine, kind="control frame"):
    """The empty plate before a tray: how its ring looks, and what has changed since the calibration."""

    calibration: str
    values: dict[str, float]
    drift: tuple[str, ...] = ()


class ScanAbandoned(JournalLine, kind="abandoned"):
    """An interrupted scan was given up for a new one."""

    why: str


class NotIdentified(JournalLine, kind="not identified"):
    """A coin could not be identified."""

    coin: str
    why: str


class BatchLine(JournalLine):
    """What happens to a batch."""

    batch: str


class BatchBegan(BatchLine, kind="batch began"):
    """A batch began or was resumed; with what was expected of it."""

    trays: tuple[str, ...]
    plan: str
    until: str | None = None
    estimate_s: float | None = None
    estimate_bytes: int | None = None
    free_bytes: int | None = None


class BatchSession(BatchLine, kind="batch session"):
    """A session became part of a batch."""

    tray: str


class TrayEnded(BatchLine, kind="batch tray"):
    """A tray of a batch had its turn; ``session`` is None if none was begun."""

    tray: str
    session: str | None = None
    state: TrayState
    why: str | None = None


class BatchEnded(BatchLine, kind="batch ended"):
    """A batch ended."""

    state: BatchState
    why: str | None = None


class BatchReported(BatchLine, kind="batch report"):
    """The report of a batch was written; ``path`` is None if it could not be."""

    path: str | None = None
    why: str | None = None


class NotificationSent(JournalLine, kind="notified"):
    """A message was sent, if it is ``ok``."""

    channel: str
    what: str
    ok: bool
    why: str | None = None


# --- models ---------------------------------------------------------------------------------------------------------


class DatasetBuilt(JournalLine, kind="dataset built"):
    """A version of a dataset was built."""

    dataset: str
    id: str
    frames: int


_NORMAL_95 = 1.95996  # a normal variate exceeds it, either way, once in 20
_NORMAL_80 = 0.84162  # stays below it four times in five


class ModelFigures(BaseModel):
    """What a model reaches on test coins."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rank1: float
    rank1_interval95: tuple[float, float]
    map: float


class Judgement(BaseModel):
    """How two models compare on a dataset's test coins; ``test_set`` is the hash of these coins' images."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: int
    dataset_id: str
    test_set: str
    trained_coins: int
    trained_frames: int
    test_coins: int
    queries: int
    before: ModelFigures
    after: ModelFigures
    difference: float
    interval95: tuple[float, float]
    verdict: str

    def coins_for(self, gain: float) -> int:
        """How many test coins it takes that a true gain in Rank-1 of so much passes as significant four times in five.

        Taken from this comparison: from coin to coin the difference varies as much as the interval says.
        """
        low, high = self.interval95
        spread = (high - low) / (2 * _NORMAL_95) * math.sqrt(self.test_coins)
        return math.ceil(((_NORMAL_95 + _NORMAL_80) * spread / gain) ** 2)


class ModelJudged(JournalLine):
    """A model was to take the place of another.

    Attributes
    ----------
    id
        Of the model.
    dataset
        Whose test coins judged; None if none did.
    judgement
        None if no coins judged. On disk its fields stand among the others.
    """

    model: str
    id: str
    instead_of: str
    dataset: str | None = None
    judgement: Judgement | None = None

    @model_validator(mode="before")
    @classmethod
    def _gather(cls, values: Any) -> Any:
        return {**values, "judgement": values} if "test_set" in values else values

    @model_serializer(mode="wrap")
    def _scatter(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        detail: dict[str, Any] = serialize(self)
        return detail | (detail.pop("judgement") or {})


class ModelPromoted(ModelJudged, kind="model promoted"):
    """A model was put in use: by its figures, or ``forced``."""

    forced: bool = False


class ModelRefused(ModelJudged, kind="model refused"):
    """A model was not put in use."""


# --- what a person decided ------------------------------------------------------------------------------------------


class PersonLine(JournalLine):
    """What a person decided about a coin, and why; the latest line about something counts."""

    coin: str
    who: str
    why: str = ""


class FramesRelabelled(PersonLine, kind="relabelled"):
    """Frames show another coin than their labels named, or another side; ``was`` are the former labels.

    ``table`` is the corrected label table that names it, and ``placement`` its session; None if a person decided it.
    """

    frames: tuple[str, ...]
    side: ShotSide | None = None
    was: tuple[str, ...] = ()
    table: str | None = Field(default=None, exclude_if=lambda table: table is None)
    placement: str | None = Field(default=None, exclude_if=lambda placement: placement is None)


class QuarantineSeen(PersonLine, kind="quarantine seen"):
    """A person looked at a coin's frames in quarantine and leaves them there, or took that back.

    ``until`` is the number of the newest frame that they saw.
    """

    until: int
    is_seen: bool = True


class MatchReviewed(PersonLine):
    """Whether a coin is the one that catalogue entries show."""

    entries: tuple[str, ...]


class MatchConfirmed(MatchReviewed, kind="match confirmed"):
    """It is the same physical coin."""


class MatchRejected(MatchReviewed, kind="match rejected"):
    """It is another coin, however similar; ``share`` is what the two have in common all the same, if that was seen."""

    share: Literal["die", "type"] | None = Field(default=None, exclude_if=lambda share: share is None)


class MatchUnsure(MatchReviewed, kind="match unsure"):
    """A person looked, and cannot decide."""


class MatchUndone(PersonLine, kind="match undone"):
    """A person took back what they had decided about a match: ``undoes`` is the number of that line."""

    entries: tuple[str, ...]
    undoes: int


class NeedTicked(JournalLine, kind="need ticked"):
    """A person ticked off something that a batch needed a person for, or took the tick back: ``where`` and ``what``."""

    batch: str
    where: str
    what: str
    is_done: bool
    who: str


class CoinWeighed(JournalLine, kind="weighed"):
    """A coin was weighed: grams, whether the balance reported that they stand, which balance it was, and by whom."""

    coin: str
    grams: float
    is_stable: bool = True
    balance: str = ""
    who: str = ""


class CoinMeasured(JournalLine, kind="measured"):
    """A coin was measured in frames of a session, by whom: mm and mm², means over its sides; the die axis where known.

    ``thickness_mm`` is that of the rim, where its edge was photographed, with its standard error. ``outlines`` are by
    side, (x, y) in mm about the centre, counter-clockwise from the right, y up.
    """

    coin: str
    diameter_mm: float
    diameter_min_mm: float
    diameter_max_mm: float
    area_mm2: float
    thickness_mm: float | None = None
    thickness_error_mm: float | None = None
    axis_deg: float | None = None
    axis_h: float | None = None
    outlines: dict[str, tuple[tuple[float, float], ...]] = Field(default_factory=dict)
    calibration: str | None = None
    who: str = ""


class EntriesReplaced(JournalLine, kind="entries replaced"):
    """Images of the catalogue were corrected: ``entries`` are those that are matched against no longer."""

    entries: tuple[str, ...]


# --- the store itself -----------------------------------------------------------------------------------------------


class FramesDeleted(JournalLine, kind="deleted"):
    """A person deleted frames for good; ``frames`` are their ids."""

    frames: tuple[str, ...]
    who: str
    why: str


class StoreCleaned(JournalLine, kind="cleared"):
    """Files that the store did not need were deleted: how many bytes of each kind."""

    bytes: dict[str, int]


class StoreRepaired(JournalLine, kind="put right"):
    """Something that an interrupted process left behind was put right."""

    what: str


class IndexRebuilt(JournalLine, kind="index made anew"):
    """The index was rebuilt from the records: where the former one is kept, and how many of its rows are lost."""

    former: str | None = None
    lost: int


def kinds_of(*types: type[JournalLine]) -> list[str]:
    """On disk, what lines of these types and of their subclasses are called."""
    return [kind for kind, each in _OF_KIND.items() if issubclass(each, types)]


def as_line(number: int, session_id: str | None, at: str, kind: str, detail: dict[str, Any]) -> JournalLine:
    """Read a line.

    Raises
    ------
    pydantic.ValidationError
        If its detail lacks what its kind needs.
    """
    stamps = {"number": number, "session_id": session_id, "at": at}
    if kind not in _OF_KIND:
        return UnknownLine.model_validate({"unknown_kind": kind, "content": detail, **stamps})
    return _OF_KIND[kind].model_validate({**detail, **stamps})
