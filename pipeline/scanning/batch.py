"""`rig batch`: tray after tray through the night, on one rig that stays switched on.

Whatever happens to one tray, the others have their turn, unless the rig itself is not to be trusted any more. How far
it came stands in the store and its journal alone: the same command goes on with it, after a power cut too.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from capture.engine.events import Event
from capture.engine.transport import HandlingError, coin_out
from capture.store import Store, StoreError
from capture.store.journal_lines import (
    BatchBegan,
    BatchEnded,
    BatchReported,
    BatchSession,
    BatchState,
    NotificationSent,
    TrayEnded,
    TrayState,
)
from pipeline.assembly import sole_driver, switched_on
from pipeline.errors import explain
from pipeline.lab import Lab
from pipeline.notify import Notifier, Sent
from pipeline.reports.morning import write_morning_report
from pipeline.reports.report import write_report
from pipeline.reports.results import CoinResult, coin_results
from pipeline.run_status import SkippedCoin
from pipeline.scanning.batch_estimate import BatchOutlook, outline_batch
from pipeline.scanning.bounds import Bounds
from pipeline.scanning.estimate import check_fits
from pipeline.scanning.identification import Identification, Identifies, Unidentified
from pipeline.scanning.scan import Bench, Tell, begin_scan, calibration, interrupted, photograph, tray_state
from pipeline.scanning.trays import mount
from pipeline.scanning.watch import Watch
from rig.errors import DeviceError

log = logging.getLogger(__name__)

NOT_TRUSTED = (DeviceError, HandlingError, StoreError, OSError, sqlite3.Error)  # another tray would fare no better


@dataclass(frozen=True)
class TrayResult:
    """What became of a tray; `session` is None where none was begun."""

    tray: str
    session: str | None
    state: TrayState
    why: str | None
    coins: tuple[CoinResult, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "tray": self.tray,
            "session": self.session,
            "state": self.state,
            "why": self.why,
            "coins": [
                {
                    "slot": coin.slot,
                    "coin": coin.coin,
                    "frames": coin.frames,
                    "planned": coin.planned,
                    "retakes": coin.retakes,
                    "quarantined": coin.quarantined,
                    "verdict": coin.verdict,
                }
                for coin in self.coins
            ],
        }


@dataclass(frozen=True)
class BatchResult:
    """What a batch came to. ``wall_s`` and ``hardware_s`` are of this run of it."""

    batch: str
    state: BatchState
    why: str | None
    trays: tuple[TrayResult, ...]
    skipped: tuple[SkippedCoin, ...]
    unidentified: tuple[Unidentified, ...]
    report: Path | None
    log: str | None
    wall_s: float
    hardware_s: float

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "batch": self.batch,
            "state": self.state,
            "why": self.why,
            "trays": [tray.as_json() for tray in self.trays],
            "skipped": [each.model_dump() for each in self.skipped],
            "unidentified": [{"tray": each.tray, "coin": each.coin, "why": each.why} for each in self.unidentified],
            "report": str(self.report) if self.report else None,
            "log": self.log,
            "wall_s": round(self.wall_s, 2),
            "hardware_s": round(self.hardware_s, 2),
        }


def run_batch(
    lab: Lab,
    trays: Sequence[str],
    plan_name: str,
    *,
    until: datetime | None,
    fresh: bool,
    realtime: bool,
    identifier: Identifies | None,
    console: Console,
    tell: Tell,
    ask: Tell,
) -> BatchResult:
    """Scan trays one after the other, or go on with the last batch of just these trays if it left something to do.

    Parameters
    ----------
    until
        When the last coin has to be back in its slot; None for no limit.
    fresh
        Begin anew, whatever was interrupted.
    identifier
        None to photograph only.
    console, tell, ask
        See `pipeline.scanning.scan.scan_tray`.

    Raises
    ------
    LabError
        If a tray or the plan is wrong, the frames do not fit on the disk, or another process drives the rig; nothing
        has moved then.
    DeviceError
        If the rig cannot be switched on.
    """
    started_s = time.monotonic()
    with sole_driver(lab), Watch(lab, plan_name, trays, until) as watch, Store.open(lab.store) as store:
        outlook = outline_batch(
            lab,
            trays,
            plan_name,
            fresh=fresh,
            until=until,
            realtime=realtime,
            identify=identifier is not None,
            store=store,
        )
        batch = outlook.batch or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        watch.batch_begins(batch, [tray for tray in trays if tray in outlook.finished])
        tell = _logged(tell)
        for line in store.repairs:
            tell(f"Put right after an interruption: {line}")
        watch.expect(outlook.to_do, realtime=realtime)
        bounds = Bounds(lab, watch, outlook)
        night = _Night(lab, store, batch, outlook, watch, bounds, tell, fresh=fresh)
        about = f"{lab.folder.resolve().name}, batch {batch}"
        with Notifier(lab.rig.notify, about, watch.json, _journal(store)) as notifier, bounds.heeding_signals():
            watch.trouble = notifier.trouble
            try:
                night.run(identifier, console, ask, realtime=realtime)
            except BaseException as error:
                is_failure = isinstance(error, Exception)
                why = explain(error) if is_failure else "Stopped at once; the same command goes on."
                night.end("failed" if is_failure else "stopped", why)
                notifier.ended(why)
                raise
            result = night.finish(time.monotonic() - started_s)
            notifier.ended(summary(result))
        return result


def summary(result: BatchResult) -> str:
    """What a batch came to, in a few lines of text."""
    lines = [f"{result.state}. {result.why or ''}".strip()]
    lines += [f"Tray {tray.tray}: {tray.state}. {tray.why or ''}".strip() for tray in result.trays]
    lines += [f"Tray {each.tray}, {each.coin}: not identified. {each.why}" for each in result.unidentified]
    return "\n".join([*lines, f"Report: {result.report}" if result.report else "There is no report."])


class _Night:
    """One run of a batch."""

    def __init__(
        self,
        lab: Lab,
        store: Store,
        batch: str,
        outlook: BatchOutlook,
        watch: Watch,
        bounds: Bounds,
        tell: Tell,
        *,
        fresh: bool,
    ) -> None:
        self._lab, self._store, self._batch, self._outlook = lab, store, batch, outlook
        self._watch, self._bounds, self._tell, self._fresh = watch, bounds, tell, fresh
        self._results: dict[str, TrayResult] = {}
        self._unidentified: list[Unidentified] = []
        self._lying: str | None = None  # the tray at the bench
        self._failed: str | None = None  # why the rig is not to be trusted any more
        self._missing_tray: str | None = None  # why nobody put the next tray in place
        self._began = False
        self._hardware_s = 0.0

    def run(self, identifier: Identifies | None, console: Console, ask: Tell, *, realtime: bool) -> None:
        """Switch on, and give every tray its turn."""
        lab, store, outlook = self._lab, self._store, self._outlook
        if outlook.batch is not None:
            self._tell(
                f"Going on with batch {outlook.batch}: {len(outlook.finished)} of {len(outlook.trays)} trays are "
                "photographed already and are left alone. To scan all of them anew: --fresh."
            )
        if not outlook.to_do:  # identify what is photographed, or only write the report: no rig is needed
            self._begin()
            with self._identifying(identifier):
                pass
            return
        with switched_on(lab, realtime=realtime) as rig:
            bundle = calibration(lab, store, rig, self._tell, ask)
            check_fits(lab, list(outlook.to_do))
            self._begin()
            began_s = rig.clock.now()
            with self._identifying(identifier) as identification:
                bench = Bench(lab, store, rig, bundle, identification, self._told, console, self._tell)
                for each in outlook.to_do:
                    self._end_tray(*self._tray(bench, each.tray))
                self._hardware_s = rig.clock.now() - began_s
                self._put_to_rest(bench)

    def _begin(self) -> None:
        outlook = self._outlook
        self._began = True
        self._store.journal.log(
            BatchBegan(
                batch=self._batch,
                trays=outlook.trays,
                plan=outlook.plan,
                until=outlook.until.isoformat(timespec="minutes") if outlook.until else None,
                estimate_s=round(outlook.time_s, 1),
                estimate_bytes=outlook.disk_bytes,
                free_bytes=outlook.free_bytes,
            )
        )

    @contextmanager
    def _identifying(self, identifier: Identifies | None) -> Iterator[Identification]:
        """Identify coins in the meantime, those of an earlier run first; at the end wait for the last of them."""
        with Identification(self._store, identifier, self._tell) as identification:
            for session in self._outlook.finished.values():
                identification.take_up(session, lambda coin, text: None)
                # also where an interruption came between a tray's last coin and its report
                identification.then(f"The report of tray {session.name}", partial(_tray_report, self._lab, session.id))
            yield identification
            self._watch.say("The last coins are being identified.")
            identification.wait(lambda: self._bounds.stopped)
        self._unidentified = identification.failed

    def finish(self, wall_s: float) -> BatchResult:
        """End in good order, and write the report."""
        trays = tuple(self._result(tray) for tray in self._outlook.trays)
        left = [tray.tray for tray in trays if tray.state != "done"]
        state: BatchState = (
            "failed"
            if self._failed
            else "stopped"
            if self._bounds.stopped
            else "left over"
            if left or self._unidentified
            else "done"
        )
        why = self._failed or self._bounds.why or self._missing_tray
        if why is None and left:
            why = f"Something is left over on {'trays' if len(left) > 1 else 'tray'} {', '.join(left)}."
        if why is None and self._unidentified:
            why = f"{len(self._unidentified)} coins could not be identified; the same command tries again."
        report = self.end(state, why)
        return BatchResult(
            batch=self._batch,
            state=state,
            why=why,
            trays=trays,
            skipped=tuple(self._watch.status.skipped),
            unidentified=tuple(self._unidentified),
            report=report,
            log=self._watch.status.log,
            wall_s=wall_s,
            hardware_s=self._hardware_s,
        )

    def end(self, state: BatchState, why: str | None) -> Path | None:
        """Write down how it ended, and the report; neither is a reason to fail."""
        report: Path | None = None
        try:
            if self._began:
                self._store.journal.log(BatchEnded(batch=self._batch, state=state, why=why))
                self._watch.say("The report is being written.")
                report = self._report()
        except Exception as error:
            log.exception("the end of batch %s", self._batch)
            self._tell(f"How the batch ended could not be written down: {explain(error)}")
        self._watch.ended(state, why, str(report) if report else None)
        return report

    def _report(self) -> Path | None:
        report, why = None, None
        try:
            report = write_morning_report(self._lab, self._store, self._batch)
        except Exception as error:
            log.exception("the report of batch %s", self._batch)
            why = explain(error)
            self._tell(f"The report could not be written: {why}")
        self._store.journal.log(BatchReported(batch=self._batch, path=str(report) if report else None, why=why))
        return report

    def _tray(self, bench: Bench, name: str) -> tuple[str, str | None, TrayState, str | None]:
        """Scan a tray; its name, session, state, and why where it is not done."""
        reason = self._failed or self._missing_tray or self._bounds()
        if reason is not None:
            return name, None, "not begun", reason
        tray, plan = self._lab.tray(name), self._lab.plan(self._outlook.plan)
        session = interrupted(self._store, tray, plan, fresh=self._fresh, tell=self._tell)
        if session is not None:
            tray, plan = session.frozen_tray(), session.frozen_plan()
        self._missing_tray = mount(
            bench.rig,
            tray,
            self._lying,
            wait_s=60 * self._lab.rig.batch.tray_wait_min,
            may_go_on=self._bounds,
            tell=self._ask_for_tray,
        )
        if self._missing_tray is not None:
            return name, None, "not begun", self._missing_tray
        self._lying = name
        stopped: str | None = None
        try:
            session = session or begin_scan(self._store, bench.rig, bench.bundle, tray, plan)
            self._store.journal.log(BatchSession(batch=self._batch, tray=name), session.id)
            self._watch.tray_begins(name, session.id)
            self._tell(f"Tray {name}.")
            stopped = photograph(bench, session, self._bounds)
        except NOT_TRUSTED as error:
            self._failed = stopped = explain(error)
        except Exception as error:  # this tray's own trouble: the others have their turn
            log.exception("tray %s", name)
            if coin_out(self._store) is not None:  # and they would find it in their way
                self._failed = explain(error)
            self._tell(f"Tray {name}: {explain(error)}")
            return name, session.id if session else None, "skipped", explain(error)
        finally:
            self._bounds.is_scanning = False
        if session is None:
            return name, None, "not begun", stopped
        if stopped is not None and self._failed is None and self._bounds.why is None:
            self._bounds.stopped, self._bounds.why = True, stopped
        session_id = session.id
        bench.identification.then(f"The report of tray {name}", lambda: _tray_report(self._lab, session_id))
        state, left = tray_state(self._store, session)
        return name, session.id, state, " ".join(filter(None, [stopped, left])) or None

    def _end_tray(self, name: str, session: str | None, state: TrayState, why: str | None) -> None:
        self._results[name] = TrayResult(name, session, state, why, ())
        self._watch.tray_ends(name, state, why)
        try:
            line = TrayEnded(batch=self._batch, tray=name, session=session, state=state, why=why)
            self._store.journal.log(line)
        except NOT_TRUSTED as error:
            self._failed = self._failed or explain(error)

    def _result(self, name: str) -> TrayResult:
        if name in self._results:
            result = self._results[name]
            session = self._store.sessions.get(result.session) if result.session else None
        else:
            session = self._outlook.finished[name]
            result = TrayResult(name, session.id, *tray_state(self._store, session), ())
        return replace(result, coins=coin_results(self._store, session) if session else self._waiting(name))

    def _waiting(self, name: str) -> tuple[CoinResult, ...]:
        """The coins of a tray that was not begun in this run, as far as an earlier one came with them."""
        outlook = next(each for each in self._outlook.to_do if each.tray == name)
        if outlook.resumes is not None:
            return coin_results(self._store, self._store.sessions.get(outlook.resumes))
        planned = Counter(shot.coin for shot in outlook.shots)
        slots = self._lab.tray(name).coins
        return tuple(CoinResult(slot, coin, 0, planned[coin], 0, 0, None, ()) for slot, coin in slots.items())

    def _told(self, event: Event) -> None:
        self._bounds.told(event)
        self._watch.told(event)

    def _ask_for_tray(self, request: str) -> None:
        self._tell(request)
        self._watch.say(request)
        if self._lying is not None:
            self._watch.trouble(request)

    def _put_to_rest(self, bench: Bench) -> None:
        """Arm aside and lights off, while coins are still identified."""
        if self._failed is not None:
            return
        try:
            bench.rig.station.park()
            bench.rig.station.dark()
        except DeviceError as error:
            self._tell(str(error))


def _logged(tell: Tell) -> Tell:
    def both(text: str) -> None:
        log.info("%s", text)
        tell(text)

    return both


def _journal(store: Store) -> Callable[[Sent], None]:
    def note(sent: Sent) -> None:
        store.journal.log(NotificationSent(channel=sent.channel, what=sent.what, ok=sent.ok, why=sent.why))

    return note


def _tray_report(lab: Lab, session_id: str) -> None:
    # a reader of its own: what it opened is closed with it, tray after tray
    with Store.open(lab.store, writing=False) as store:
        write_report(lab, store, store.sessions.get(session_id))
