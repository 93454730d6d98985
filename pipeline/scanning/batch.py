"""`rig batch`: tray after tray through the night, on one rig that stays switched on.

How far a batch came stands in the store and its journal alone: the same command resumes it, after a power cut too.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from capture.store import Store
from pipeline.assembly import sole_driver
from pipeline.errors import LabError, explain
from pipeline.lab import DEFAULT_PLAN, Lab
from pipeline.notify import Notifier
from pipeline.reporter import Reporter
from pipeline.scanning.batch_limits import BatchLimits
from pipeline.scanning.batch_plan import plan_batch
from pipeline.scanning.batch_results import BatchResult
from pipeline.scanning.batch_run import BatchRun
from pipeline.scanning.identification import OPENING, Identifies, OpenIdentifier
from pipeline.scanning.monitor import STOPPED_AT_ONCE, JobMonitor
from pipeline.scanning.notices import notifying
from pipeline.scanning.options import BatchOptions
from pipeline.scanning.scan import STOPPING
from pipeline.scanning.whereabouts import report_coin_out
from pipeline.signals import stop_on_signals, surviving_hang_up


def run_batch(
    lab: Lab, trays: Sequence[str], options: BatchOptions, open_identifier: OpenIdentifier | None, reporter: Reporter
) -> BatchResult:
    """Scan trays one after the other, or resume the last batch of just these trays if it left something to do.

    Parameters
    ----------
    open_identifier
        None to photograph only.

    Raises
    ------
    LabError
        If a tray or the plan is wrong, the frames do not fit on the disk, or another process drives the rig; nothing
        has moved then.
    DeviceError
        If the rig cannot be switched on.
    """
    started_s = time.monotonic()
    monitor = JobMonitor(lab, options.plan or DEFAULT_PLAN, trays, options.until)
    with surviving_hang_up(), sole_driver(lab), Store.open(lab.store) as store:
        for line in store.repairs:
            reporter.report(f"Repaired after an interruption: {line}")
        plan = plan_batch(lab, trays, options, store)
        batch = plan.batch or f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
        with notifying(lab, store, monitor, f"batch {batch}") as notifier:
            try:
                for caution in dict.fromkeys(each for scan in plan.to_do for each in scan.cautions):
                    reporter.warn(caution)
                plan.preflight.require_ready()
            except LabError as error:  # nothing has begun: `rig status` keeps the last run
                notifier.ended(explain(error))
                raise
            with monitor:
                monitor.begin_batch(batch, [tray for tray in trays if tray in plan.finished])
                monitor.expect(plan.to_do, realtime=options.realtime)
                limits = BatchLimits(lab, monitor, plan)
                run = BatchRun(lab, store, batch, plan, monitor, limits, reporter)
                return _run(run, open_identifier, notifier, started_s, options)


def _run(
    run: BatchRun,
    open_identifier: OpenIdentifier | None,
    notifier: Notifier,
    started_s: float,
    options: BatchOptions,
) -> BatchResult:
    """Run a batch to its end, whichever that is, and notify of it."""
    reporter = run.reporter
    identifier: Identifies | None = None

    def on_stop() -> None:
        reporter.report(STOPPING)
        run.monitor.note_stop()

    try:
        run.monitor.announce(OPENING)
        identifier = open_identifier() if open_identifier is not None else None
        with stop_on_signals(run.limits.stop, on_stop):
            with report_coin_out(run.store, reporter):
                run.run(identifier, realtime=options.realtime, allow_uncalibrated=options.allow_uncalibrated)
            result = run.finish(time.monotonic() - started_s)
        notifier.ended(result.summary())
    except BaseException as error:
        if identifier is not None:
            identifier.cancel()
        is_failure = isinstance(error, Exception)
        why = explain(error) if is_failure else STOPPED_AT_ONCE
        run.end("failed" if is_failure else "stopped", why)
        notifier.ended(why)
        raise
    return result
