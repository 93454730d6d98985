"""What a batch would do: which trays it resumes, which it begins, and whether time and disk are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from capture.store import Store
from capture.store.journal_lines import BatchBegan, BatchReported, BatchSession, CoinLine, Returned, ScanAbandoned
from capture.store.records import Session
from pipeline.lab import DEFAULT_PLAN, Lab
from pipeline.scanning.disk import kept_bytes
from pipeline.scanning.estimate import sum_parts, wall_s
from pipeline.scanning.identification import unidentified
from pipeline.scanning.options import BatchOptions
from pipeline.scanning.preflight import PlannedScan, Preflight, check_trays
from rig.clock import SystemClock
from rig.station import Station

RECENT = timedelta(hours=12)  # a batch that lacks nothing but names is taken up in the morning, not the next evening


@dataclass(frozen=True)
class BatchPlan:
    """What a batch would do.

    Attributes
    ----------
    batch
        The interrupted one that is resumed; None to begin a new one.
    trays
        As they were named.
    finished
        Trays that this batch has photographed already, and their sessions: they are left alone.
    preflight
        The check of the other trays, in the order in which they are to lie at the bench.
    time_s
        What is expected in all; a twin's time as fast as it runs.
    expected
        How many of the trays to do should be done by `until`.
    kept_bytes
        What has to stay free on the disk.
    notify
        Channels over which somebody is notified of trouble and of the end.
    """

    batch: str | None
    trays: tuple[str, ...]
    plan: str
    finished: dict[str, Session]
    preflight: Preflight
    until: datetime | None
    time_s: float
    expected: int
    kept_bytes: int
    notify: tuple[str, ...]

    @property
    def to_do(self) -> tuple[PlannedScan, ...]:
        """The trays that are not finished, in order."""
        return self.preflight.scans

    @property
    def disk_bytes(self) -> int:
        """What is expected to be written in all."""
        return sum(scan.estimate.disk_bytes for scan in self.to_do)

    @property
    def free_bytes(self) -> int:
        """What is free on the lab's disk."""
        return self.preflight.free_bytes

    @property
    def fits(self) -> bool:
        """Whether the disk has room for all of it."""
        return self.disk_bytes <= self.free_bytes - self.kept_bytes

    @property
    def parts_s(self) -> dict[str, float]:
        """Where the time at the bench goes (s)."""
        return sum_parts(scan.estimate for scan in self.to_do)

    @property
    def disk_is_measured(self) -> bool:
        """Whether frames of the same size are stored, so that `disk_bytes` is no guess."""
        return all(scan.estimate.disk_is_measured for scan in self.to_do)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "batch": self.batch,
            "trays": list(self.trays),
            "plan": self.plan,
            "finished": list(self.finished),
            "to_do": [
                {
                    "tray": scan.tray.id,
                    "resumes": scan.resumes,
                    "coins": scan.coins,
                    "shots": len(scan.shots),
                    "done_shots": scan.done_shots,
                    "changed": list(scan.changed),
                    "disk_bytes": scan.estimate.disk_bytes,
                    "warnings": list(scan.cautions),
                }
                for scan in self.to_do
            ],
            "until": self.until.isoformat(timespec="minutes") if self.until else None,
            "time_s": round(self.time_s, 1),
            "time_parts_s": {part: round(seconds, 1) for part, seconds in self.parts_s.items()},
            "expected_trays": self.expected,
            "disk_bytes": self.disk_bytes,
            "disk_measured": self.disk_is_measured,
            "free_bytes": self.free_bytes,
            "kept_bytes": self.kept_bytes,
            "fits": self.fits,
            "notify": list(self.notify),
            "obstacles": list(self.preflight.obstacles),
        }


def plan_batch(lab: Lab, trays: Sequence[str], options: BatchOptions, store: Store | None = None) -> BatchPlan:
    """Work out what a batch would do, and check that it can; nothing moves and nothing is written.

    Parameters
    ----------
    store
        Open already; otherwise it is opened for reading, if there is one.

    Raises
    ------
    LabError
        See `pipeline.scanning.preflight.check_trays`.
    """
    if store is None and (lab.store / "index.sqlite").exists():
        with Store.open(lab.store, writing=False) as reader:
            return plan_batch(lab, trays, options, reader)
    batch = None if options.fresh or store is None else _unfinished(lab, store, trays, options)
    finished = _finished(store, batch, trays) if store is not None and batch is not None else {}
    names = [tray for tray in trays if tray not in finished]
    sessions: dict[str, Session | None] = dict.fromkeys(names)
    if store is not None:
        at_bench = _at_the_bench(store, is_same_batch=batch is not None)
        names.sort(key=lambda tray: tray != at_bench)  # stable
        sessions = {tray: None if options.fresh else store.sessions.unfinished_scan(tray) for tray in names}
    preflight = check_trays(lab, store, sessions, options.plan, allow_uncalibrated=options.allow_uncalibrated)
    by_hand = Station(lab.rig.station, SystemClock()).by_hand
    if by_hand:
        asked = f"A technician does the work of {' and '.join(by_hand)} here, and is asked for each errand: stay there."
        scans = tuple(replace(scan, cautions=(*scan.cautions, asked)) for scan in preflight.scans)
        preflight = replace(preflight, scans=scans)
    times_s = [wall_s(lab, scan.estimate.time_s, realtime=options.realtime) for scan in preflight.scans]
    left_s = (options.until - datetime.now().astimezone()).total_seconds() if options.until else float("inf")
    return BatchPlan(
        batch=batch,
        trays=tuple(trays),
        plan=options.plan or DEFAULT_PLAN,
        finished=finished,
        preflight=preflight,
        until=options.until,
        time_s=sum(times_s),
        expected=sum(sum(times_s[: number + 1]) <= left_s for number in range(len(times_s))),
        kept_bytes=kept_bytes(lab),
        notify=lab.rig.notify.channels,
    )


def _at_the_bench(store: Store, *, is_same_batch: bool) -> str | None:
    """The tray that was interrupted: it lies at the bench still, and one of its coins perhaps on the plate."""
    last = store.journal.last(CoinLine)
    if last is None or last.session_id is None or (isinstance(last, Returned) and not is_same_batch):
        return None
    return store.sessions.get(last.session_id).name


def _unfinished(lab: Lab, store: Store, trays: Sequence[str], options: BatchOptions) -> str | None:
    """The last batch of just these trays and this plan, if anything of it can still be done."""
    began = store.journal.lines(BatchBegan)
    same = [line for line in began if set(line.trays) == set(trays) and line.plan == (options.plan or DEFAULT_PLAN)]
    if not same:
        return None
    batch = same[-1].batch
    finished = _finished(store, batch, trays)
    if any(session.frozen_tray() != lab.tray(tray) for tray, session in finished.items()):
        return None  # other coins lie there now: another night
    if len(finished) < len(set(trays)):
        return batch
    report = store.journal.last(BatchReported)
    if report is None or report.number < same[-1].number:
        return batch  # it was interrupted while its report was written
    is_recent = datetime.now(UTC) - datetime.fromisoformat(report.at) < RECENT
    if not (options.identify and is_recent):
        return None
    return batch if any(unidentified(store, each) for each in finished.values()) else None


def _finished(store: Store, batch: str, trays: Sequence[str]) -> dict[str, Session]:
    """Trays of which a batch has nothing left to take."""
    sessions = {
        line.tray: store.sessions.get(line.session_id)
        for line in store.journal.lines(BatchSession)
        if line.batch == batch and line.session_id is not None
    }
    return {
        tray: sessions[tray]
        for tray in trays
        if tray in sessions
        and sessions[tray].finished_at is not None
        and store.journal.last(ScanAbandoned, session_id=sessions[tray].id) is None
    }
