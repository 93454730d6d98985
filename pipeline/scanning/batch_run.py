"""One run of a batch: every tray that is left has its turn, then how it went is written down.

Whatever happens to one tray, the others have their turn, unless the rig itself is not to be trusted any more.
"""

from __future__ import annotations

import logging
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from capture.engine.errors import TransportError
from capture.engine.stray_coin import coin_out
from capture.store import Store, StoreError
from capture.store.journal_lines import (
    BatchBegan,
    BatchEnded,
    BatchReported,
    BatchSession,
    BatchState,
    TrayEnded,
)
from pipeline.assembly import switched_on
from pipeline.errors import explain
from pipeline.lab import Lab
from pipeline.reporter import Reporter
from pipeline.reports.morning import write_morning_report
from pipeline.reports.report import ScanReport
from pipeline.reports.scan_results import CoinResult, coin_results
from pipeline.scanning.batch_limits import BatchLimits
from pipeline.scanning.batch_plan import BatchPlan
from pipeline.scanning.batch_results import BatchResult, TrayResult
from pipeline.scanning.calibration import require_calibration
from pipeline.scanning.control import with_control_frame
from pipeline.scanning.identification import Identification, Identifies, Unidentified
from pipeline.scanning.monitor import JobMonitor
from pipeline.scanning.preflight import PlannedScan
from pipeline.scanning.scan import ScanJob, photograph
from pipeline.scanning.sessions import begin_session, report_resumption, tray_state
from pipeline.scanning.trays import mount
from pipeline.wording import count
from rig.errors import DeviceError

log = logging.getLogger(__name__)

NOT_TRUSTED = (DeviceError, TransportError, StoreError, OSError, sqlite3.Error)  # another tray would fare no better


@dataclass(eq=False)
class BatchRun:
    """What a batch works with, and how far it is.

    Attributes
    ----------
    batch
        Its id.
    results
        What became of the trays so far.
    """

    lab: Lab
    store: Store
    batch: str
    plan: BatchPlan
    monitor: JobMonitor
    limits: BatchLimits
    reporter: Reporter
    results: dict[str, TrayResult] = field(default_factory=dict)
    _unidentified: list[Unidentified] = field(default_factory=list)
    _at_bench: str | None = None  # the tray that lies there
    _failed: str | None = None  # why the rig is not to be trusted any more
    _missing_tray: str | None = None  # why nobody put the next tray in place
    _has_begun: bool = False
    _hardware_s: float = 0.0

    def run(self, identifier: Identifies | None, *, realtime: bool, allow_uncalibrated: bool = False) -> None:
        """Switch on, and give every tray its turn."""
        plan = self.plan
        if plan.batch is not None:
            self.reporter.report(
                f"Resuming batch {plan.batch}: {len(plan.finished)} of {count(len(plan.trays), 'tray')} photographed "
                "already and left alone. To scan all of them again: --fresh."
            )
        if not plan.to_do:  # identify what is photographed, or only write the report: no rig is needed
            _require_model(identifier)
            self._begin()
            with self._identifying(identifier):
                pass
            return
        with switched_on(self.lab, realtime=realtime) as rig:
            _require_model(identifier)  # loaded while the devices connected: nothing has moved yet
            lights = list(dict.fromkeys(shot.light for planned in plan.to_do for shot in planned.shots))
            calibration = require_calibration(
                self.lab, self.store, rig, lights, self.reporter, allow_uncalibrated=allow_uncalibrated
            )
            self._begin()
            with self._identifying(identifier) as identification:
                job = ScanJob(
                    lab=self.lab,
                    store=self.store,
                    rig=rig,
                    calibration=calibration,
                    identification=identification,
                    reporter=self.reporter,
                    on_event=self.monitor.on_event,
                    stop=self.limits.stop,
                )
                for planned in plan.to_do:
                    self._end_tray(self._scan(job, planned))
                self._put_to_rest(job)
            self._hardware_s = rig.hardware_s

    def finish(self, wall_s: float) -> BatchResult:
        """End in good order, and write the report."""
        trays = tuple(self._result(tray) for tray in self.plan.trays)
        left = [tray.tray for tray in trays if tray.state != "done"]
        state: BatchState = "left over" if left or self._unidentified else "done"
        if self._failed or self.limits.stop.is_set():
            state = "failed" if self._failed else "stopped"
        why = self._failed or self.limits.reason or self._missing_tray
        if why is None and left:
            why = f"Something is left over on {'trays' if len(left) > 1 else 'tray'} {', '.join(left)}."
        if why is None and self._unidentified:
            coins = count(len(self._unidentified), "coin")
            why = f"{coins} could not be identified. Run the same command again to retry."
        report = self.end(state, why)
        return BatchResult(
            batch=self.batch,
            state=state,
            why=why,
            trays=trays,
            skipped=tuple(self.monitor.status.skipped),
            unidentified=tuple(self._unidentified),
            report=report,
            log=self.monitor.status.log,
            wall_s=wall_s,
            hardware_s=self._hardware_s,
            is_twin=self.lab.rig.twin is not None,
        )

    def end(self, state: BatchState, why: str | None) -> Path | None:
        """Write down how it ended, and the report; neither is a reason to fail."""
        report: Path | None = None
        try:
            if self._has_begun:
                self.store.journal.log(BatchEnded(batch=self.batch, state=state, why=why))
                self.monitor.announce("The report is being written.")
                report = self._write_report()
        except Exception as error:
            log.exception("the end of batch %s", self.batch)
            self.reporter.warn(f"How the batch ended could not be written down: {explain(error)}")
        self.monitor.end(state, why, str(report) if report else None)
        return report

    def _begin(self) -> None:
        plan = self.plan
        self._has_begun = True
        self.store.journal.log(
            BatchBegan(
                batch=self.batch,
                trays=plan.trays,
                plan=plan.plan,
                until=plan.until.isoformat(timespec="minutes") if plan.until else None,
                estimate_s=round(plan.time_s, 1),
                estimate_bytes=plan.disk_bytes,
                free_bytes=plan.free_bytes,
            )
        )

    @contextmanager
    def _identifying(self, identifier: Identifies | None) -> Iterator[Identification]:
        """Identify coins in the meantime, those of an earlier run first; at the end wait for the last of them."""
        with Identification(self.store, identifier, self.reporter) as identification:
            for session in self.plan.finished.values():
                identification.resume(session)
                # also where an interruption came between a tray's last coin and its report
                write = partial(_write_tray_report, self.lab, ScanReport(self.lab, session.id))
                identification.then(f"The report of tray {session.name}", write)
            yield identification
            identification.report_rest(self.monitor.announce)
            identification.wait(self.limits.stop)
        self._unidentified = identification.failed

    def _scan(self, job: ScanJob, planned: PlannedScan) -> TrayResult:
        """Scan a tray."""
        name, session = planned.tray.id, planned.session
        reason = self._failed or self._missing_tray or self.limits.find_reason_to_end()
        if reason is not None:
            return TrayResult(name, None, "not begun", reason)
        report_resumption(planned, self.reporter)
        self._missing_tray = mount(
            job.rig,
            planned.tray,
            self._at_bench,
            wait_s=60 * self.lab.rig.batch.tray_wait_min,
            find_reason_to_end=self.limits.find_reason_to_end,
            ask=self._ask_for_tray,
        )
        if self._missing_tray is not None:
            return TrayResult(name, None, "not begun", self._missing_tray)
        self._at_bench = name
        stopped: str | None = None
        try:
            session = session or begin_session(self.store, job.rig, job.calibration.bundle, planned)
            report = ScanReport(self.lab, session.id)
            self.store.journal.log(BatchSession(batch=self.batch, tray=name), session.id)
            self.monitor.begin_tray(name, session.id)
            self.reporter.report(f"Tray {name}.")
            stopped = photograph(job, session, report, with_control_frame(job, session, self.limits.find_reason_to_end))
        except NOT_TRUSTED as error:
            self._failed = stopped = explain(error)
        except Exception as error:  # this tray's own trouble: the others have their turn
            log.exception("tray %s", name)
            if coin_out(self.store) is not None:  # and they would find it in their way
                self._failed = explain(error)
            self.reporter.warn(f"Tray {name}: {explain(error)}")
            return TrayResult(name, session.id if session else None, "skipped", explain(error))
        if session is None:
            return TrayResult(name, None, "not begun", stopped)
        if stopped is not None and self._failed is None and self.limits.reason is None:
            self.limits.reason = stopped
        identification = job.identification
        identification.then(f"The report of tray {name}", partial(_write_tray_report, self.lab, report))
        state, left = tray_state(self.store, session)
        return TrayResult(name, session.id, state, " ".join(filter(None, [stopped, left])) or None)

    def _end_tray(self, result: TrayResult) -> None:
        self.results[result.tray] = result
        self.monitor.end_tray(result.tray, result.state, result.why)
        line = TrayEnded(batch=self.batch, tray=result.tray, session=result.session, state=result.state, why=result.why)
        try:
            self.store.journal.log(line)
        except NOT_TRUSTED as error:
            self._failed = self._failed or explain(error)

    def _result(self, name: str) -> TrayResult:
        """What became of a tray, with all its coins."""
        if name in self.results:
            result = self.results[name]
            session = self.store.sessions.get(result.session) if result.session else None
        else:
            session = self.plan.finished[name]
            result = TrayResult(name, session.id, *tray_state(self.store, session))
        return replace(result, coins=coin_results(self.store, session) if session else self._coins_not_begun(name))

    def _coins_not_begun(self, name: str) -> tuple[CoinResult, ...]:
        """The coins of a tray that was not begun in this run, as far as an earlier one came with them."""
        planned = next(scan for scan in self.plan.to_do if scan.tray.id == name)
        if planned.session is not None:
            return coin_results(self.store, planned.session)
        shots = Counter(shot.coin for shot in planned.shots)
        slots = planned.tray.coins
        return tuple(CoinResult(slot, coin, 0, shots[coin], 0, 0, None, ()) for slot, coin in slots.items())

    def _ask_for_tray(self, request: str) -> None:
        self.reporter.report(request)
        self.monitor.announce(request)
        if self._at_bench is not None:
            self.monitor.on_trouble(request)

    def _put_to_rest(self, job: ScanJob) -> None:
        """Arm aside and lights off, while coins are still identified."""
        if self._failed is not None:
            return
        try:
            job.rig.station.park()
            job.rig.station.dark()
        except DeviceError as error:
            self.reporter.warn(str(error))

    def _write_report(self) -> Path | None:
        report, why = None, None
        try:
            report = write_morning_report(self.lab, self.store, self.batch)
        except Exception as error:
            log.exception("the report of batch %s", self.batch)
            why = explain(error)
            self.reporter.warn(f"The report could not be written: {why}")
        self.store.journal.log(BatchReported(batch=self.batch, path=str(report) if report else None, why=why))
        return report


def _require_model(identifier: Identifies | None) -> None:
    if identifier is not None:
        identifier.require_model()


def _write_tray_report(lab: Lab, report: ScanReport) -> None:
    # a reader of its own: what it opened is closed with it, tray after tray
    with Store.open(lab.store, writing=False) as store:
        report.write(store)
