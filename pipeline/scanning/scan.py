"""`rig scan`: the main job. A tray in, every coin photographed, stored, identified and reported.

The rig moves in this thread; frames are checked and written in the engine's, coins identified in another.
`rig batch` does the same with tray after tray: see `pipeline.scanning.batch`.
"""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from capture.engine.context import ScanContext
from capture.engine.errors import ScanStopped
from capture.engine.events import CoinPhotographed, Event, FrameKept, FrameRejected
from capture.engine.run import run_scan
from capture.store import Store
from capture.store.journal_lines import BatchState, ScanBegan, ScanReported
from capture.store.records import Session
from pipeline.assembly import Rig, sole_driver, switched_on
from pipeline.errors import explain
from pipeline.lab import Lab
from pipeline.notify import Notifier
from pipeline.preview import PreviewWriter, Seen
from pipeline.reporter import Reporter
from pipeline.reports.images import Thumbnails
from pipeline.reports.report import ScanReport
from pipeline.reports.scan_results import ScanResult, coin_results
from pipeline.scanning.calibration import FrameCalibration, frame_limits, require_calibration
from pipeline.scanning.disk import find_shortage
from pipeline.scanning.display import ScanDisplay
from pipeline.scanning.identification import OPENING, Identification, OpenIdentifier, unidentified
from pipeline.scanning.monitor import JobMonitor
from pipeline.scanning.notices import notifying
from pipeline.scanning.options import ScanOptions
from pipeline.scanning.preflight import PlannedScan, Preflight, check_trays
from pipeline.scanning.sessions import begin_session, find_interrupted, report_resumption, skipped_coins, tray_state
from pipeline.scanning.whereabouts import report_coin_out
from pipeline.signals import Stop, stop_on_signals
from pipeline.wording import duration, minute
from rig.sides import EDGE

STOPPING = (
    "Stopping: the coin goes back into its slot first, which can take a minute. Ctrl-C once more stops everything "
    "where it is."
)


@dataclass(frozen=True)
class ScanJob:
    """A rig that is switched on, and everything that the trays of a job share.

    Attributes
    ----------
    on_event
        Called with everything that happens.
    stop
        Set it, and the scan ends with the coin back in its slot.
    """

    lab: Lab
    store: Store
    rig: Rig
    calibration: FrameCalibration
    identification: Identification
    reporter: Reporter
    on_event: Callable[[Event], None]
    stop: Stop = field(default_factory=Stop)


def check_scan(lab: Lab, tray: str, options: ScanOptions) -> Preflight:
    """Check a scan of one tray as `scan_tray` will; nothing moves and nothing is written.

    Raises
    ------
    LabError
        See `pipeline.scanning.preflight.check_trays`.
    """
    if not (lab.store / "index.sqlite").exists():
        return check_trays(lab, None, {tray: None}, options.plan, allow_uncalibrated=options.allow_uncalibrated)
    with Store.open(lab.store, writing=False) as store:
        return _check(lab, store, tray, options)


def may_repeat(lab: Lab, preflight: Preflight, reporter: Reporter) -> bool:
    """Ask whether a tray that was scanned to the end is to be scanned again; with nobody there, report that it is."""
    (planned,) = preflight.scans
    if planned.repeats is None or planned.repeats.finished_at is None:
        return True
    report = f"`{lab.command(f'rig report --tray {planned.tray.id}')}`"
    at = minute(planned.repeats.finished_at)
    was = f"Tray {planned.tray.id} was scanned to the end already, by this plan, at {at}."
    if not sys.stdin.isatty():
        reporter.report(f"{was} Scanning every coin again; earlier frames are kept. For its report alone: {report}.")
        return True
    is_wanted = reporter.confirm(f"{was} Scan every coin again ({duration(planned.estimate.time_s)} at the bench)?", "")
    if not is_wanted:
        reporter.report(f"Nothing was moved. For its report: {report}; to scan again without this question: --fresh.")
    return is_wanted


def scan_tray(
    lab: Lab, tray: str, options: ScanOptions, open_identifier: OpenIdentifier | None, reporter: Reporter
) -> ScanResult:
    """Scan a tray, or resume an interrupted scan of it.

    Parameters
    ----------
    open_identifier
        None to photograph only.

    Raises
    ------
    LabError
        If the tray or the plan does not fit the rig, the frames do not fit on the disk, or another process drives the
        rig; nothing has moved then.
    DeviceError
        If a device fails. Every frame taken is kept, and the same command resumes.
    """
    started_s = time.monotonic()
    with sole_driver(lab), Store.open(lab.store) as store:
        for line in store.repairs:
            reporter.report(f"Repaired after an interruption: {line}")
        preflight = _check(lab, store, tray, options)
        (planned,) = preflight.scans
        report_resumption(planned, reporter)
        for caution in planned.cautions:
            reporter.warn(caution)
        preflight.require_ready()
        monitor = JobMonitor(lab, planned.plan.name, [tray])
        with notifying(lab, store, monitor, f"tray {tray}") as notifier, monitor:
            try:
                return _scan(
                    lab,
                    store,
                    planned,
                    monitor,
                    notifier,
                    open_identifier,
                    reporter,
                    started_s=started_s,
                    options=options,
                )
            except Exception as error:
                monitor.end("failed", explain(error))
                notifier.ended(f"The scan of tray {tray} failed: {explain(error)}")
                raise
            finally:
                if options.fresh and find_interrupted(store, tray) is not None:
                    reporter.report("To resume, leave out --fresh: with it, the scan starts over.")


def _scan(
    lab: Lab,
    store: Store,
    planned: PlannedScan,
    monitor: JobMonitor,
    notifier: Notifier,
    open_identifier: OpenIdentifier | None,
    reporter: Reporter,
    *,
    started_s: float,
    options: ScanOptions,
) -> ScanResult:
    """Switch on, photograph, and write the report."""
    tray = planned.tray.id
    monitor.announce(OPENING)
    identifier = open_identifier() if open_identifier is not None else None
    # The rig parks while the last coin is identified and the report is written.
    with (
        Identification(store, identifier, reporter) as identification,
        report_coin_out(store, reporter),
        switched_on(lab, realtime=options.realtime) as rig,
    ):
        if identifier is not None:
            identifier.require_model()  # loaded while the devices connected: nothing has moved yet
        if rig.world is not None:
            rig.world.fill(planned.tray.coins, tray)
        lights = list(dict.fromkeys(shot.light for shot in planned.shots))
        calibration = require_calibration(
            lab, store, rig, lights, reporter, allow_uncalibrated=options.allow_uncalibrated
        )
        monitor.expect([planned], realtime=options.realtime)
        session = planned.session or begin_session(store, rig, calibration.bundle, planned)
        store.journal.log(ScanBegan(), session.id)
        monitor.log_to(session.id)
        monitor.begin_tray(tray, session.id)
        job = ScanJob(lab, store, rig, calibration, identification, reporter, monitor.on_event)
        coin_bytes = planned.estimate.disk_bytes // max(1, planned.coins)

        def on_stop() -> None:
            reporter.report(STOPPING)
            monitor.note_stop()

        scan_report = ScanReport(lab, session.id)
        with stop_on_signals(job.stop, on_stop):
            stopped = photograph(job, session, scan_report, lambda: find_shortage(lab, coin_bytes))
        if stopped is not None:
            stopped = f"The terminal was closed. {stopped}" if job.stop.is_hang_up else stopped
            reporter.report(stopped)
            if job.stop.is_hang_up or not job.stop.is_set():  # whoever pressed Ctrl-C knows
                notifier.ended(stopped)
        identification.report_rest(monitor.announce)

        def write() -> Path:
            monitor.announce("The report is being written.")
            return scan_report.write(store)

        written = identification.afterwards(write)
    hardware_s = rig.hardware_s
    session = store.sessions.get(session.id)
    skipped = skipped_coins(store, session)
    for sentence in skipped:
        reporter.report(sentence)
    report = written.result()
    store.journal.log(ScanReported(path=str(report)), session.id)
    result = ScanResult(
        tray=tray,
        session=session.id,
        coins=coin_results(store, session),
        report=report,
        wall_s=time.monotonic() - started_s,
        hardware_s=hardware_s,
        finished=session.finished_at is not None,
        is_twin=lab.rig.twin is not None,
        skipped=tuple(skipped),
        unidentified=tuple(unidentified(store, session)),
        was_to_identify=identifier is not None,
        identify_later=lab.command(f"rig identify --tray {shlex.quote(tray)}"),
    )
    state, why = tray_state(store, session)
    monitor.end_tray(tray, state, why)
    end: BatchState = "left over" if result.left_over else "done"
    monitor.end("stopped" if job.stop.is_set() else end, stopped or why, str(report))
    return result


def photograph(
    job: ScanJob, session: Session, report: ScanReport, find_reason_to_end: Callable[[], str | None]
) -> str | None:
    """Take every shot that a session misses, and hand each coin on to be identified.

    It is handed on once every frame of its sides is kept, while it is turned back or its edge is photographed.

    Parameters
    ----------
    report
        Of which each coin's part is made as soon as the coin was photographed and identified.
    find_reason_to_end
        Asked before each coin: why nothing more may be begun, in a sentence; None to continue.

    Returns
    -------
    str or None
        Why it was stopped early; None when everything was done or tried.
    """
    tray = session.frozen_tray()
    thumbnails = Thumbnails(job.lab, job.store)
    missing = [shot for shot in job.store.sessions.missing_shots(session.id) if shot.side != EDGE]
    waited_for = {coin: {shot.id for shot in missing if shot.coin == coin} for coin in tray.coins.values()}
    given: set[str] = set()
    with ScanDisplay(job.reporter, tray) as display, PreviewWriter(job.lab) as previews:

        def identify(coin: str) -> None:
            if coin not in given:  # a device that fails later makes it no other coin
                given.add(coin)
                job.identification.add(session, coin, display.on_identified)

        def on_event(event: Event) -> None:
            display.on_event(event)
            job.on_event(event)
            if isinstance(event, FrameKept | FrameRejected):
                previews.offer(_seen(event))
            if isinstance(event, FrameKept):
                thumbnails.keep(event.frame, event.image)
                waited_for[event.frame.coin_id].discard(event.frame.shot_id)
                if not waited_for[event.frame.coin_id]:
                    identify(event.frame.coin_id)
            if isinstance(event, CoinPhotographed):
                identify(event.coin)
                part = partial(report.prepare, job.store, event.coin)
                job.identification.then(f"The part of the report on {event.coin}", part)

        job.identification.resume(session, display.on_identified)
        context = ScanContext(
            rig=job.rig,
            store=job.store,
            session=session,
            bundle=job.calibration.bundle,
            flaw=job.calibration.flaw,
            limits=frame_limits(job.lab, job.calibration.bundle),
            policy=job.lab.rig.policy,
            on_event=on_event,
            stop=job.stop,
            find_reason_to_end=find_reason_to_end,
        )
        try:
            run_scan(context)
        except ScanStopped as stopped:
            job.identification.cancel_opening()
            return str(stopped)
    return None


def _seen(event: FrameKept | FrameRejected) -> Seen:
    """A frame for the live image."""
    frame = event.frame
    facts = {
        "coin": frame.coin_id,
        "side": frame.side,
        "light": frame.light,
        "turntable_deg": frame.turntable_read_deg,
        "exposure_us": frame.exposure_us,
        "gain": frame.gain,
    }
    return Seen(event.raw, event.quality, facts, frame.mm_per_pixel)


def _check(lab: Lab, store: Store, tray: str, options: ScanOptions) -> Preflight:
    interrupted = None if options.fresh else find_interrupted(store, tray)
    if interrupted is not None and options.plan not in (None, interrupted.frozen_plan().name):
        # all that it lacks may be its report: no reason not to scan by another plan
        interrupted = interrupted if store.sessions.missing_shots(interrupted.id) else None
    return check_trays(lab, store, {tray: interrupted}, options.plan, allow_uncalibrated=options.allow_uncalibrated)
