"""What a batch would do: which trays it goes on with, which it begins, and whether time and disk are enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from capture.store import Store
from capture.store.journal_lines import BatchBegan, BatchReported, BatchSession, CoinLine, Returned, ScanAbandoned
from capture.store.records import Session
from pipeline.lab import Lab
from pipeline.scanning.estimate import Outlook, free_bytes, kept_bytes, outline_trays, wall_s
from pipeline.scanning.identification import unidentified

RECENT = timedelta(hours=12)  # a batch that lacks nothing but names is taken up in the morning, not the next evening


@dataclass(frozen=True)
class BatchOutlook:
    """What a batch would do.

    Attributes
    ----------
    batch
        The one that is gone on with; None to begin a new one.
    trays
        As they were named.
    finished
        Trays that this batch has photographed already, and their sessions: they are left alone.
    to_do
        The others, in the order in which they are to lie at the bench.
    time_s, disk_bytes
        What is expected in all; a twin's time as fast as it runs.
    expected
        How many trays of `to_do` should be done by `until`.
    notify
        Channels over which somebody is notified.
    """

    batch: str | None
    trays: tuple[str, ...]
    plan: str
    finished: dict[str, Session]
    to_do: tuple[Outlook, ...]
    until: datetime | None
    time_s: float
    disk_bytes: int
    free_bytes: int
    kept_bytes: int
    expected: int
    notify: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the disk has room for all of it."""
        return self.disk_bytes <= self.free_bytes - self.kept_bytes

    @property
    def disk_is_measured(self) -> bool:
        """Whether every `disk_bytes` is reckoned from frames of the same size."""
        return all(each.disk_is_measured for each in self.to_do)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "batch": self.batch,
            "trays": list(self.trays),
            "plan": self.plan,
            "finished": list(self.finished),
            "to_do": [
                {
                    "tray": each.tray,
                    "resumes": each.resumes,
                    "coins": each.coins,
                    "shots": len(each.shots),
                    "done_shots": each.done_shots,
                    "changed": list(each.changed),
                    "disk_bytes": each.disk_bytes,
                }
                for each in self.to_do
            ],
            "until": self.until.isoformat(timespec="minutes") if self.until else None,
            "time_s": round(self.time_s, 1),
            "expected_trays": self.expected,
            "disk_bytes": self.disk_bytes,
            "disk_measured": self.disk_is_measured,
            "free_bytes": self.free_bytes,
            "kept_bytes": self.kept_bytes,
            "fits": self.fits,
            "notify": list(self.notify),
        }


def outline_batch(
    lab: Lab,
    trays: Sequence[str],
    plan: str,
    *,
    fresh: bool,
    until: datetime | None,
    realtime: bool,
    identify: bool,
    store: Store | None = None,
) -> BatchOutlook:
    """Work out what `run_batch` would do; nothing moves and nothing is written.

    Raises
    ------
    LabError
        If a tray or the plan is wrong or does not fit the rig.
    """
    if store is None and (lab.store / "index.sqlite").exists():
        with Store.open(lab.store, writing=False) as reader:
            return outline_batch(
                lab, trays, plan, fresh=fresh, until=until, realtime=realtime, identify=identify, store=reader
            )
    batch = None if fresh or store is None else _unfinished(lab, store, trays, plan, identify)
    finished = _finished(store, batch, trays) if store is not None and batch is not None else {}
    names = [tray for tray in trays if tray not in finished]
    if store is not None:
        lies_there = _at_the_bench(store, is_same_batch=batch is not None)
        names.sort(key=lambda tray: tray != lies_there)  # stable
    to_do = outline_trays(lab, store, names, plan, fresh=fresh)
    times_s = [wall_s(lab, outlook.time_s, realtime=realtime) for outlook in to_do]
    left_s = (until - datetime.now().astimezone()).total_seconds() if until else float("inf")
    return BatchOutlook(
        batch=batch,
        trays=tuple(trays),
        plan=plan,
        finished=finished,
        to_do=tuple(to_do),
        until=until,
        time_s=sum(times_s),
        disk_bytes=sum(outlook.disk_bytes for outlook in to_do),
        free_bytes=free_bytes(lab),
        kept_bytes=kept_bytes(lab),
        expected=sum(sum(times_s[: number + 1]) <= left_s for number in range(len(times_s))),
        notify=lab.rig.notify.channels,
    )


def _at_the_bench(store: Store, *, is_same_batch: bool) -> str | None:
    """The tray that was interrupted: it lies at the bench still, and one of its coins perhaps on the plate."""
    last = store.journal.last(CoinLine)
    if last is None or last.session_id is None or (isinstance(last, Returned) and not is_same_batch):
        return None
    return store.sessions.get(last.session_id).name


def _unfinished(lab: Lab, store: Store, trays: Sequence[str], plan: str, identify: bool) -> str | None:
    """The last batch of just these trays and this plan, if anything of it can still be done."""
    same = [line for line in store.journal.lines(BatchBegan) if set(line.trays) == set(trays) and line.plan == plan]
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
    return batch if identify and is_recent and any(unidentified(store, each) for each in finished.values()) else None


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
