"""The commands that scan trays and account for them: scan, batch, status, report, notify."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Annotated

import typer

from pipeline.commands.labs import open_lab_for_newcomer
from pipeline.commands.options import (
    DONE,
    FAILED,
    LEFT_OVER,
    AllowUncalibratedOption,
    DebugOption,
    JsonOption,
    LabOption,
    LogOption,
    ModelOption,
    NoIdentifyOption,
    PlanOption,
    RealtimeOption,
)
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.commands.terminal.scans import (
    print_batch,
    print_batch_estimate,
    print_batch_plan,
    print_deliveries,
    print_report,
    print_scan,
    print_scan_estimate,
    print_status,
)
from pipeline.lab import IN_USE, open_lab

app = typer.Typer()


@app.command(epilog="Example: `rig scan --tray 3`. If interrupted, run the same command again to resume.")
def scan(
    tray: Annotated[str, typer.Option(help="Which tray: the name of a file in trays/.")],
    plan: PlanOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print shots, motion and time; move nothing.")] = False,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Scan every coin from the start, without asking, whatever was interrupted or finished; its frames are "
            "kept.",
        ),
    ] = False,
    no_identify: NoIdentifyOption = False,
    model: ModelOption = IN_USE,
    allow_uncalibrated: AllowUncalibratedOption = False,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Scan a tray: every coin under every pose and light, calibrated, stored, and compared with the catalogue."""
    from pipeline.scanning.identification import open_identifier
    from pipeline.scanning.options import ScanOptions
    from pipeline.scanning.scan import check_scan, may_repeat, scan_tray

    opened = open_lab_for_newcomer(lab)
    options = ScanOptions(plan, fresh=fresh, realtime=realtime, allow_uncalibrated=allow_uncalibrated)
    preflight = check_scan(opened, tray, options)  # a mistake is reported before anything is written
    if dry_run:
        print_result(preflight, print_scan_estimate, json=json)
        return FAILED if preflight.obstacles else DONE
    preflight.require_ready()
    if not fresh and not may_repeat(opened, preflight, reporter):
        return DONE
    identifier = None if no_identify else partial(open_identifier, opened, model, reporter)
    result = scan_tray(opened, tray, options, identifier, reporter)
    print_result(result, print_scan, json=json)
    return LEFT_OVER if result.left_over else DONE


@app.command(
    epilog="Example: `rig batch --trays 1-12 --until 06:30`. However it was interrupted, run the same command again to "
    "resume."
)
def batch(
    trays: Annotated[str, typer.Option(help="Which trays: names and ranges in trays/, such as 1-3,7, or `all`.")],
    until: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="When the last coin has to be back; without it, no limit.")
    ] = None,
    plan: PlanOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print trays, time, disk and who would be notified; move nothing.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start over instead of resuming an interrupted batch; its frames are kept."),
    ] = False,
    no_identify: NoIdentifyOption = False,
    model: ModelOption = IN_USE,
    allow_uncalibrated: AllowUncalibratedOption = False,
    realtime: RealtimeOption = False,
    lab: LabOption = None,
    log: LogOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Scan tray after tray, overnight: nothing is lost, and in the morning a report accounts for every coin."""
    from pipeline.scanning.batch import run_batch
    from pipeline.scanning.batch_plan import plan_batch
    from pipeline.scanning.identification import open_identifier
    from pipeline.scanning.options import BatchOptions
    from pipeline.scanning.trays import next_time, tray_names

    opened = open_lab(lab)
    names = tray_names(opened, trays)
    over = next_time(until, datetime.now().astimezone()) if until is not None else None
    options = BatchOptions(
        plan,
        fresh=fresh,
        realtime=realtime,
        allow_uncalibrated=allow_uncalibrated,
        until=over,
        identify=not no_identify,
    )
    planned = plan_batch(opened, names, options)  # a mistake in any tray is reported before the catalogue is embedded
    if dry_run:
        print_result(planned, print_batch_estimate, json=json)
        return FAILED if planned.preflight.obstacles else DONE
    if not json:
        print_batch_plan(planned)
    identifier = None if no_identify else partial(open_identifier, opened, model, reporter)
    result = run_batch(opened, names, options, identifier, reporter)
    print_result(result, print_batch, json=json)
    return {"done": DONE, "failed": FAILED}.get(result.state, LEFT_OVER)


@app.command(epilog="Example: `rig status`, from another terminal while a scan or batch runs.")
def status(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """What is running, how far it is and when it should be done; or what the last run came to, and how to resume."""
    from pipeline.scanning.status import find_status

    print_result(find_status(open_lab(lab)), print_status, json=json)
    return DONE


@app.command(epilog="Example: `rig report --tray 3`")
def report(
    session: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="Of a session; with --batch, of a batch. Without it, the newest."),
    ] = None,
    tray: Annotated[str | None, typer.Option(help="The newest scan of this tray.")] = None,
    batch: Annotated[
        bool, typer.Option("--batch", help="The morning report of a batch, also while it is running.")
    ] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Write the HTML report of a scan or a batch again: one file, images included, that opens offline."""
    if batch:
        from pipeline.reports.morning import write_morning_report_of

        print_result(write_morning_report_of(open_lab(lab), session), print_report, json=json)
        return DONE
    from pipeline.reports.report import write_report_of

    print_result(write_report_of(open_lab(lab), session, tray), print_report, json=json)
    return DONE


@app.command(epilog="Example: `rig notify`")
def notify(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """Test the webhook and the e-mail of `notify:` in rig.yaml: send a message and report whether it was delivered."""
    from pipeline.notify import send_test

    opened = open_lab(lab)
    deliveries = send_test(opened.rig.notify, opened.folder.resolve().name)
    print_result(deliveries, print_deliveries, json=json)
    return DONE if deliveries.are_all_delivered else FAILED
