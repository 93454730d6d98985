"""Following a job: its events become the status, lines of a log file, and messages to whoever is not there."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from calibration.durable_files import make_folder
from capture.engine.events import (
    CameraDrifts,
    CoinFinished,
    CoinFound,
    CoinStarted,
    Event,
    FrameKept,
    FrameRejected,
    Recovered,
    ScanStarted,
    ShotTaken,
    Stopping,
)
from capture.names import printable
from capture.store.journal_lines import BatchState, CoinSkipped
from capture.store.records import now
from pipeline.assembly import command_line
from pipeline.errors import explain
from pipeline.lab import Lab
from pipeline.run_status import Ended, Heartbeat, RecoveredFault, SkippedCoin, Status, TrayStatus, TrayWord
from pipeline.scanning.disk import free_bytes
from pipeline.scanning.estimate import wall_s
from pipeline.scanning.preflight import PlannedScan
from pipeline.scanning.time_left import TimeLeft
from pipeline.wording import count, duration

log = logging.getLogger(__name__)

AT_THE_END: dict[TrayWord, TrayWord] = {"scanning": "left over", "waiting": "not begun"}
STOPPED_AT_ONCE = "Stopped at once. Run the same command again to resume."
STALLED_S = 600.0  # without an event; bringing a failed rig back takes half of that at most
MEASURED_SHOTS = 10  # from then on a coin is expected to take what shots took, not what was estimated


class JobMonitor:
    """Keeps the status and the log of a job; a context manager that is left after `end`, or the job has failed.

    Parameters
    ----------
    plan, trays
        What is to be done.
    until
        When it has to be over.

    Attributes
    ----------
    status
        Change it through the methods here alone.
    on_trouble
        Called with a line that says what needs a person.
    """

    def __init__(self, lab: Lab, plan: str, trays: Sequence[str], until: datetime | None = None) -> None:
        self._lab = lab
        self.on_trouble: Callable[[str], None] = lambda line: None
        self.status = Status(
            command=command_line(),
            pid=os.getpid(),
            since=now(),
            at=now(),
            plan=plan,
            trays=[TrayStatus(tray=tray) for tray in trays],
            until=until.astimezone(UTC).isoformat(timespec="seconds") if until else None,
        )
        self._heartbeat = Heartbeat(lab, self.status, self._refresh)
        self._log: _LogFile | None = None
        self._waiting_shots: dict[str, int] = {}
        self._estimated_shot_s = 0.0
        self._coin_shots = 0.0
        self._taken = 0
        self._photographing_s = 0.0
        self._began_s: float | None = None
        self._time_left = TimeLeft()
        self._event_s = 0.0

    def __enter__(self) -> Self:
        self._heartbeat.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.status.ended is None:
            if isinstance(error, Exception):
                self.end("failed", explain(error))
            else:
                self.end("stopped", STOPPED_AT_ONCE)
        self._heartbeat.__exit__(kind, error, trace)
        if self._log is not None:
            self._log.leave()

    def begin_batch(self, batch: str, finished: Sequence[str]) -> None:
        """Note the batch, and its trays that are done already."""
        self.log_to(batch)
        self._change(batch=batch)
        for tray in finished:
            self._set(tray, "done", None)

    def log_to(self, name: str) -> None:
        """Write a log from now on: ``logs/<name>.log``, to its end if there is one."""
        make_folder(self._lab.logs)
        path = self._lab.logs / f"{name}.log"
        self._log = _LogFile(path)
        self._change(log=str(path))
        log.info("%s (process %d)", self.status.command, self.status.pid)

    def expect(self, scans: Sequence[PlannedScan], *, realtime: bool) -> None:
        """Know what is to be done, for the time that is left."""
        with self._heartbeat.lock:
            self.status.plan = next((scan.plan.name for scan in scans), self.status.plan)
            self._waiting_shots = {scan.tray.id: len(scan.shots) for scan in scans}
            bench_s = sum(scan.estimate.time_s for scan in scans)
            shots = max(1, sum(self._waiting_shots.values()))
            self._estimated_shot_s = wall_s(self._lab, bench_s, realtime=realtime) / shots
            self._coin_shots = max((len(scan.shots) / max(1, scan.coins) for scan in scans), default=0.0)

    def coin_s(self) -> float:
        """How long one coin takes: as those before it, or as was estimated."""
        with self._heartbeat.lock:
            return self._coin_shots * self._shot_s()

    def begin_tray(self, tray: str, session: str) -> None:
        """Note that a tray is in place, and its session begun or resumed."""
        log.info("Tray %s, session %s.", tray, session)
        self.announce(f"Tray {tray}, session {session}.")
        self._began_s = self._event_s = time.monotonic()
        self._change(tray=tray, session=session, slot=None, coin=None, side=None, shots_done=0, shots=0)
        self._set(tray, "scanning", None)

    def end_tray(self, tray: str, state: TrayWord, why: str | None) -> None:
        """Note what a tray came to."""
        with self._heartbeat.lock:
            self._waiting_shots.pop(tray, None)
            if self._began_s is not None:
                self._photographing_s += time.monotonic() - self._began_s
                self._began_s = None
        self._set(tray, state, why)
        self._change(stalled_since=None, slot=None, coin=None, side=None)
        (log.info if state == "done" else log.warning)("Tray %s: %s", tray, f"{state}. {why}" if why else f"{state}.")
        if state in ("skipped", "not begun"):
            self.on_trouble(f"Tray {tray}: {state}. {why or ''}".strip())

    def end(self, state: BatchState, why: str | None = None, report: str | None = None) -> None:
        """Note what the job came to; nothing is being scanned any more."""
        with self._heartbeat.lock:
            for each in self.status.trays:
                each.state = AT_THE_END.get(each.state, each.state)
        (log.error if state == "failed" else log.info)("Ended: %s", f"{state}. {why}" if why else f"{state}.")
        unknown = {"time_left_s": None, "time_left_range_s": None, "expected_end": None}
        self._change(ended=Ended(at=now(), state=state, why=why, report=report), **unknown)

    def note_stop(self) -> None:
        """Note at once that somebody asked to stop: whoever asks again would interrupt it."""
        self._change(stopping=True)
        self._heartbeat.write()

    def announce(self, message: str) -> None:
        """Say in the status what is going on, in a sentence."""
        self._change(message=message)

    def on_event(self, event: Event) -> None:
        """Take in what happened; `pipeline.scanning.display` has it in the log."""
        status = self.status
        with self._heartbeat.lock:
            self._event_s, status.stalled_since = time.monotonic(), None
            self._time_left.take_in(event)
            match event:
                case ScanStarted():
                    status.shots_done, status.shots = event.done_shots, event.shots
                case CoinFound():
                    self.announce(f"{event.coin} was found on the turntable, {event.side} up: continuing with it.")
                case CoinStarted():
                    status.slot, status.coin, status.side = event.slot, event.coin, None
                    self.announce(f"Slot {event.slot}: {event.coin}, coin {event.number} of {event.coins}.")
                case ShotTaken():
                    status.side, status.shots_done = event.shot.side, event.done_shots
                    self._taken += 1
                    if status.tray is not None:
                        self._waiting_shots[status.tray] = event.shots - event.done_shots
                case FrameKept():
                    status.frames += 1
                    status.retakes += event.frame.attempt > 1
                case FrameRejected():
                    status.retakes += event.frame.attempt > 1
                    status.quarantined += not event.is_retaken
                case CoinFinished():
                    status.slot = status.coin = status.side = None
                    self.announce(f"Slot {event.slot}: {event.coin} is back, {count(event.frames.good, 'frame')}.")
                case CoinSkipped():
                    status.slot = status.coin = status.side = None
                    status.skipped.append(
                        SkippedCoin(
                            tray=status.tray or "",
                            slot=event.slot,
                            coin=event.coin,
                            reason=event.reason,
                            why=event.why,
                            looks_like=event.looks_like,
                        )
                    )
                    self.on_trouble(f"Tray {status.tray}, slot {event.slot}, {event.coin}: {event.why}")
                case Recovered():
                    fault = event.problem
                    status.recovered.append(
                        RecoveredFault(at=now(), device=fault.device, problem=fault.problem, attempt=event.attempt)
                    )
                case CameraDrifts():
                    self.announce(f"The arm that holds the camera drifts: {event.problem}")
                case Stopping():
                    self.announce("Stopping: the coin is put back first.")

    def as_json(self) -> dict[str, Any]:
        """The status as it is now."""
        with self._heartbeat.lock:
            return self.status.model_dump(mode="json")

    def _change(self, **values: Any) -> None:
        with self._heartbeat.lock:
            for name, value in values.items():
                setattr(self.status, name, value)

    def _set(self, tray: str, state: TrayWord, why: str | None) -> None:
        with self._heartbeat.lock:
            for each in self.status.trays:
                if each.tray == tray:
                    each.state, each.why = state, why

    def _refresh(self, status: Status) -> None:
        status.free_bytes = free_bytes(self._lab)
        self._watch_for_stall(status)
        shots = sum(self._waiting_shots.values())
        left = self._time_left.of(shots) if shots else None  # what follows the last shot takes a time of its own
        status.time_left_s = status.time_left_range_s = status.expected_end = None
        if status.ended is None and left is not None:
            status.time_left_s = round(left.likely_s, 1)
            status.time_left_range_s = (round(left.low_s, 1), round(left.high_s, 1))
            end = datetime.now(UTC) + timedelta(seconds=status.time_left_s)
            status.expected_end = end.isoformat(timespec="seconds")

    def _watch_for_stall(self, status: Status) -> None:
        idle_s = time.monotonic() - self._event_s
        if self._began_s is None or status.ended is not None or status.stalled_since or idle_s < STALLED_S:
            return
        status.stalled_since = (datetime.now(UTC) - timedelta(seconds=idle_s)).isoformat(timespec="seconds")
        line = (
            f"Tray {status.tray}: nothing has happened for {duration(idle_s)}. Look at the rig. Last: {status.message}"
        )
        log.warning(line)
        self.on_trouble(line)

    def _shot_s(self) -> float:
        if self._taken < MEASURED_SHOTS:
            return self._estimated_shot_s
        busy_s = self._photographing_s + (time.monotonic() - self._began_s if self._began_s is not None else 0.0)
        return busy_s / self._taken


class _Lines(logging.Formatter):
    """A line for each record, whatever stands in it: a name cannot forge another."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name that logging calls
        return printable(super().formatMessage(record))


class _LogFile(logging.FileHandler):
    """Everything that this program logs, in a file, until `leave`."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8")
        self.setLevel(logging.INFO)
        self.setFormatter(_Lines("%(asctime)s %(levelname)s %(message)s"))
        root = logging.getLogger()
        self._former_level = root.level
        root.addHandler(self)
        root.setLevel(logging.INFO)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - a full disk: the scan reports it itself
        pass

    def leave(self) -> None:
        """Log no more."""
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._former_level)
        self.close()
