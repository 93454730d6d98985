"""What the journal can say: one frozen model for each kind of line.

On disk a line is its kind, such as ``coin skipped``, and its detail as JSON. Neither ever changes its meaning: every
version reads what an earlier one wrote. Details that a model does not name are ignored; a kind that none has is read as
`UnknownLine`.

::

    JournalLine
        CoinLine            where a coin is: CoinSkipped
            CoinMove        Lifting, LaidOnPlate, TurningOver, Returning, Returned
        DeviceLine          DeviceFailed, DeviceRecovered
        ScanBegan, ScanReported, ScanAbandoned, NotIdentified
        BatchLine           BatchBegan, BatchSession, TrayEnded, BatchEnded, BatchReported
        NotificationSent
        DatasetBuilt
        ModelJudged         ModelPromoted, ModelRefused
        PersonLine          what a person decided: FramesRelabelled
            MatchReviewed   MatchConfirmed, MatchRejected
        FramesDeleted, StoreCleaned, StoreRepaired, IndexRebuilt
"""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from rig.sides import Side

SkipReason = Literal["empty slot", "wrong coin", "two coins", "device", "time", "not begun"]
"""`not begun`: nothing is known of the coin, since the tray was given up before its turn."""

NOT_THERE: tuple[SkipReason, ...] = ("empty slot", "wrong coin", "two coins")
"""Reasons by which a coin does not lie alone in its slot: a person has to see to it."""

TrayState = Literal["done", "left over", "skipped", "not begun"]
BatchState = Literal["done", "left over", "stopped", "failed"]


class JournalLine(BaseModel):
    """A line of the journal.

    Attributes
    ----------
    kind
        What it is called on disk.
    number
        Its number in the journal, from 1; 0 until it is written.
    session_id
        The session it belongs to, if it belongs to one.
    at
        When it was written, ISO 8601.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: str = Field(exclude=True)
    number: int = Field(default=0, exclude=True)
    session_id: str | None = Field(default=None, exclude=True)
    at: str = Field(default="", exclude=True)

    def detail(self) -> dict[str, Any]:
        """Everything but the attributes above, as it is written."""
        return self.model_dump(mode="json")


class UnknownLine(JournalLine):
    """A line that another version of this program wrote."""

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


class Lifting(CoinMove):
    """A coin is about to be lifted out of its slot."""

    kind: Literal["lifting"] = Field(default="lifting", exclude=True)


class LaidOnPlate(CoinMove):
    """A coin lies on the plate."""

    kind: Literal["on plate"] = Field(default="on plate", exclude=True)
    side: Side


class TurningOver(CoinMove):
    """A coin is about to be turned over."""

    kind: Literal["turning over"] = Field(default="turning over", exclude=True)
    side: Side  # that was up


class Returning(CoinMove):
    """A coin is about to be brought back into its slot."""

    kind: Literal["returning"] = Field(default="returning", exclude=True)


class Returned(CoinMove):
    """A coin is back in its slot.

    ``found`` tells how, of one that an interrupted run had left out of it: it hung on the ``arm``; it was ``nowhere
    else``, so it should be in its slot; or a person was asked to put it there ``by hand``.
    """

    kind: Literal["returned"] = Field(default="returned", exclude=True)
    found: Literal["arm", "nowhere else", "by hand"] | None = Field(
        default=None, exclude_if=lambda found: found is None
    )


class CoinSkipped(CoinLine):
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

    kind: Literal["coin skipped"] = Field(default="coin skipped", exclude=True)
    reason: SkipReason
    why: str
    looks_like: str | None = None
    diameter_mm: float | None = None


# --- devices --------------------------------------------------------------------------------------------------------


class DeviceLine(JournalLine):
    """What happens to a device."""

    device: str
    problem: str


class DeviceFailed(DeviceLine):
    """A device failed, while ``coin`` was scanned; None if it was none."""

    kind: Literal["device failed"] = Field(default="device failed", exclude=True)
    remedy: str
    coin: str | None = None


class DeviceRecovered(DeviceLine):
    """The rig was connected and homed again after a failure, at the ``attempt``-th try."""

    kind: Literal["recovered"] = Field(default="recovered", exclude=True)
    attempt: int
    pause_s: float


# --- scans and batches ----------------------------------------------------------------------------------------------


class ScanBegan(JournalLine):
    """`rig scan` began or resumed its session."""

    kind: Literal["scan began"] = Field(default="scan began", exclude=True)


class ScanReported(JournalLine):
    """The report of a scan was written."""

    kind: Literal["scan report"] = Field(default="scan report", exclude=True)
    path: str


class ScanAbandoned(JournalLine):
    """An interrupted scan was given up for a new one."""

    kind: Literal["abandoned"] = Field(default="abandoned", exclude=True)
    why: str


class NotIdentified(JournalLine):
    """A coin could not be identified."""

    kind: Literal["not identified"] = Field(default="not identified", exclude=True)
    coin: str
    why: str


class BatchLine(JournalLine):
    """What happens to a batch."""

    batch: str


class BatchBegan(BatchLine):
    """A batch began or was resumed; with what was expected of it."""

    kind: Literal["batch began"] = Field(default="batch began", exclude=True)
    trays: tuple[str, ...]
    plan: str
    until: str | None = None
    estimate_s: float | None = None
    estimate_bytes: int | None = None
    free_bytes: int | None = None


class BatchSession(BatchLine):
    """A session became part of a batch."""

    kind: Literal["batch session"] = Field(default="batch session", exclude=True)
    tray: str


class TrayEnded(BatchLine):
    """A tray of a batch had its turn; ``session`` is None if none was begun."""

    kind: Literal["batch tray"] = Field(default="batch tray", exclude=True)
    tray: str
    session: str | None = None
    state: TrayState
    why: str | None = None


class BatchEnded(BatchLine):
    """A batch ended."""

    kind: Literal["batch ended"] = Field(default="batch ended", exclude=True)
    state: BatchState
    why: str | None = None


class BatchReported(BatchLine):
    """The report of a batch was written; ``path`` is None if it could not be."""

    kind: Literal["batch report"] = Field(default="batch report", exclude=True)
    path: str | None = None
    why: str | None = None


class NotificationSent(JournalLine):
    """A message was sent, if it is ``ok``."""

    kind: Literal["notified"] = Field(default="notified", exclude=True)
    channel: str
    what: str
    ok: bool
    why: str | None = None


# --- models ---------------------------------------------------------------------------------------------------------


class DatasetBuilt(JournalLine):
    """A version of a dataset was built."""

    kind: Literal["dataset built"] = Field(default="dataset built", exclude=True)
    dataset: str
    id: str
    frames: int


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


class ModelPromoted(ModelJudged):
    """A model was put in use: by its figures, or ``forced``."""

    kind: Literal["model promoted"] = Field(default="model promoted", exclude=True)
    forced: bool = False


class ModelRefused(ModelJudged):
    """A model was not put in use."""

    kind: Literal["model refused"] = Field(default="model refused", exclude=True)


# --- what a person decided ------------------------------------------------------------------------------------------


class PersonLine(JournalLine):
    """What a person decided about a coin, and why; the latest line about something counts."""

    coin: str
    who: str
    why: str = ""


class FramesRelabelled(PersonLine):
    """Frames show another coin than their labels said, or another side; ``was`` are the former labels."""

    kind: Literal["relabelled"] = Field(default="relabelled", exclude=True)
    frames: tuple[str, ...]
    side: Side | None = None
    was: tuple[str, ...] = ()


class MatchReviewed(PersonLine):
    """Whether a coin is the one that catalogue entries show."""

    entries: tuple[str, ...]


class MatchConfirmed(MatchReviewed):
    """It is the same physical coin."""

    kind: Literal["match confirmed"] = Field(default="match confirmed", exclude=True)


class MatchRejected(MatchReviewed):
    """It is another coin, however similar."""

    kind: Literal["match rejected"] = Field(default="match rejected", exclude=True)


# --- the store itself -----------------------------------------------------------------------------------------------


class FramesDeleted(JournalLine):
    """A person deleted frames for good; ``frames`` are their ids."""

    kind: Literal["deleted"] = Field(default="deleted", exclude=True)
    frames: tuple[str, ...]
    who: str
    why: str


class StoreCleaned(JournalLine):
    """Files that the store did not need were deleted: how many bytes of each kind."""

    kind: Literal["cleared"] = Field(default="cleared", exclude=True)
    bytes: dict[str, int]


class StoreRepaired(JournalLine):
    """Something that an interrupted process left behind was put right."""

    kind: Literal["put right"] = Field(default="put right", exclude=True)
    what: str


class IndexRebuilt(JournalLine):
    """The index was rebuilt from the records: where the former one is kept, and how many of its rows are lost."""

    kind: Literal["index made anew"] = Field(default="index made anew", exclude=True)
    former: str | None = None
    lost: int


Line = (
    Lifting
    | LaidOnPlate
    | TurningOver
    | Returning
    | Returned
    | CoinSkipped
    | DeviceFailed
    | DeviceRecovered
    | ScanBegan
    | ScanReported
    | ScanAbandoned
    | NotIdentified
    | BatchBegan
    | BatchSession
    | TrayEnded
    | BatchEnded
    | BatchReported
    | NotificationSent
    | DatasetBuilt
    | ModelPromoted
    | ModelRefused
    | FramesRelabelled
    | MatchConfirmed
    | MatchRejected
    | FramesDeleted
    | StoreCleaned
    | StoreRepaired
    | IndexRebuilt
)
_OF_KIND: dict[str, type[JournalLine]] = {each.model_fields["kind"].default: each for each in get_args(Line)}


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
        return UnknownLine(kind=kind, content=detail, number=number, session_id=session_id, at=at)
    return _OF_KIND[kind].model_validate({**detail, **stamps})
