"""What a run reports while it works, as frozen data. Progress displays and matching listen; nothing answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from calibration.image import Image
from capture.engine.counts import FrameCounts
from capture.plan import Shot
from capture.quality import Quality
from capture.store.journal_lines import CoinSkipped
from capture.store.records import Frame
from rig.errors import DeviceError
from rig.sides import Side


@dataclass(frozen=True)
class ScanStarted:
    """Before anything moves. ``done_shots`` were settled by an earlier run of the same session."""

    session_id: str
    coins: int
    shots: int
    done_shots: int


@dataclass(frozen=True)
class CoinFound:
    """A coin of a killed run was found on the plate and is taken up from there."""

    slot: int
    coin: str
    side: Side


@dataclass(frozen=True)
class CoinStarted:
    """A coin is about to be lifted, the ``number``-th of ``coins`` that have something left to do."""

    slot: int
    coin: str
    number: int
    coins: int
    shots: int


@dataclass(frozen=True)
class ShotTaken:
    """An exposure was made, and the rig moves on. ``hardware_s`` is what motion, settling and exposure took so far."""

    shot: Shot
    attempt: int
    done_shots: int
    shots: int
    hardware_s: float


@dataclass(frozen=True)
class FrameKept:
    """A good frame is safe on disk.

    ``image`` is the calibrated one, the raw one without a calibration; ``raw`` is as the camera took it.
    """

    frame: Frame
    quality: Quality
    image: Image = field(repr=False, compare=False)
    raw: Image = field(repr=False, compare=False)


@dataclass(frozen=True)
class FrameRejected:
    """A frame failed the quality check and is stored in quarantine; ``is_retaken`` unless it had its last chance."""

    frame: Frame
    quality: Quality
    is_retaken: bool
    raw: Image = field(repr=False, compare=False)


@dataclass(frozen=True)
class CoinPhotographed:
    """Every frame of a coin is kept; it goes back into its slot next."""

    slot: int
    coin: str


@dataclass(frozen=True)
class CoinFinished:
    """A coin is back in its slot."""

    slot: int
    coin: str
    frames: FrameCounts


@dataclass(frozen=True)
class Recovered:
    """A device failed; the rig was connected and homed again, at the ``attempt``-th try in a row, and continues."""

    problem: DeviceError
    attempt: int


@dataclass(frozen=True)
class CameraDrifts:
    """The arm that holds the camera comes to its poses beside where they were taught, ``shift_mm`` in the mean."""

    shift_mm: float
    problem: str
    remedy: str


@dataclass(frozen=True)
class Stopping:
    """Somebody asked to stop; the coin on the plate is put back first."""


Event = (
    ScanStarted
    | CoinFound
    | CoinStarted
    | ShotTaken
    | FrameKept
    | FrameRejected
    | CoinPhotographed
    | CoinFinished
    | CoinSkipped
    | Recovered
    | CameraDrifts
    | Stopping
)
