"""What a running scan or batch reports to others: ``status.json`` in the lab.

It is rewritten about once a second, whole or not at all, and nobody waits for anybody: a reader takes what is there,
and a disk that is full only makes it old.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

from pydantic import BaseModel, Field, ValidationError

from calibration.durable_files import write_atomically
from capture.store.journal_lines import BatchState, TrayState
from capture.store.records import now
from pipeline.lab import Lab

log = logging.getLogger(__name__)

EVERY_S = 1.0

TrayWord = TrayState | Literal["waiting", "scanning"]


class TrayStatus(BaseModel):
    """A tray of the job, and what became of it so far."""

    tray: str
    state: TrayWord = "waiting"
    why: str | None = None


class SkippedCoin(BaseModel):
    """A coin that was not photographed, and why; ``looks_like`` is the coin that lies there instead, where known."""

    tray: str
    slot: int
    coin: str
    reason: str
    why: str
    looks_like: str | None = None


class RecoveredFault(BaseModel):
    """A device that failed and was brought back."""

    at: str
    device: str
    problem: str
    attempt: int


class Ended(BaseModel):
    """What a job came to."""

    at: str
    state: BatchState
    why: str | None = None
    report: str | None = None


class Status(BaseModel):
    """``status.json``. Times are ISO 8601 in UTC; docs/json.md explains every key."""

    command: str
    pid: int
    since: str
    at: str
    plan: str
    trays: list[TrayStatus]
    batch: str | None = None
    session: str | None = None
    log: str | None = None
    tray: str | None = None
    slot: int | None = None
    coin: str | None = None
    side: str | None = None
    shots_done: int = 0
    shots: int = 0
    frames: int = 0
    retakes: int = 0
    quarantined: int = 0
    skipped: list[SkippedCoin] = []
    recovered: list[RecoveredFault] = []
    until: str | None = None
    time_left_s: float | None = None
    time_left_range_s: tuple[float, float] | None = Field(default=None, exclude_if=lambda known: known is None)
    expected_end: str | None = None
    free_bytes: int | None = None
    stalled_since: str | None = None
    stopping: bool = Field(default=False, exclude_if=lambda stopping: not stopping)
    message: str = ""
    ended: Ended | None = None


class Heartbeat:
    """Writes a status about once a second for as long as the block lasts, and once more at its end.

    Parameters
    ----------
    status
        Changed by the job, under `lock`.
    refresh
        Called before each writing, to bring times and disk up to date; under `lock` too.
    """

    def __init__(self, lab: Lab, status: Status, refresh: Callable[[Status], None]) -> None:
        self.lock = threading.RLock()
        self._path = lab.status
        self._status = status
        self._refresh = refresh
        self._failing = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._work, name="status", daemon=True)

    def __enter__(self) -> Self:
        self.write()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self.write()

    def write(self) -> None:
        """Write the status now. If it cannot be written, that is logged, and the job continues."""
        with self.lock:
            self._status.at = now()
            self._refresh(self._status)
            text = self._status.model_dump_json(indent=1)
        try:
            write_atomically(self._path, text, durable=False)
        except OSError as error:
            if not self._failing:  # once, not every second of a night
                log.warning("%s cannot be written: %s", self._path, error.strerror)
            self._failing = True
            if self._status.ended is not None:
                self._overwrite(text)
        else:
            self._failing = False

    def _overwrite(self, text: str) -> None:
        """Write into the file that is there: on a full disk that takes no more room, and how it ended is not lost."""
        with suppress(OSError), self._path.open("r+", encoding="utf-8") as file:
            file.write(text)
            file.truncate()

    def _work(self) -> None:
        while not self._over.wait(EVERY_S):
            self.write()


def read_status(lab: Lab) -> Status | None:
    """The last status that a scan or batch wrote; None where there is none that can be read."""
    try:
        return Status.model_validate_json(lab.status.read_text("utf-8"))
    except (OSError, ValidationError, UnicodeDecodeError):
        return None
