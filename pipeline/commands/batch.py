"""Commands for the night: batch, status, notify; see `pipeline.cli`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from pipeline.commands import answers, batch_answers
from pipeline.lab import lab_folder, open_lab
from pipeline.options import (
    DONE,
    FAILED,
    IN_USE,
    LEFT_OVER,
    DebugOption,
    JsonOption,
    LabOption,
    LogOption,
    ModelOption,
    NoIdentifyOption,
    PlanOption,
    RealtimeOption,
)
from pipeline.reporter import TerminalReporter

app = typer.Typer()


@app.command(
    epilog="Example: `rig batch --trays 1-12 --until 06:30`. Interrupted by whatever it was, the same command goes on."
)
def batch(
    trays: Annotated[str, typer.Option(help="Which trays: names and ranges of files in trays/, such as 1-3,7.")],
    until: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="When the last coin has to be back; without it, no limit.")
    ] = None,
    plan: PlanOption = "default",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print trays, time, disk and who would be told; move nothing.")
    ] = False,
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Begin anew instead of going on with an interrupted batch; its frames are kept."),
    ] = False,
    no_identify: NoIdentifyOption = False,
    model: ModelOption = IN_USE,
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

    opened = open_lab(lab_folder(lab))
    names = tray_names(opened, trays)
    over = next_time(until, datetime.now().astimezone()) if until is not None else None
    options = BatchOptions(plan, until=over, fresh=fresh, realtime=realtime, identify=not no_identify)
    planned = plan_batch(opened, names, options)  # a mistake in any tray is reported before the catalogue is embedded
    if dry_run or not json:
        batch_answers.planned(planned, json, is_answer=dry_run)
    if dry_run:
        return DONE
    identifier = None if no_identify else open_identifier(opened, model, answers.progress("Embedding the catalogue"))
    result = run_batch(opened, names, options, identifier, TerminalReporter())
    batch_answers.batch(result, json)
    return {"done": DONE, "failed": FAILED}.get(result.state, LEFT_OVER)


@app.command(epilog="Example: `rig status`, from another terminal while a scan or batch runs.")
def status(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """What runs, how far it is and when it should be done; or what the last run came to, and what goes on with it."""
    from pipeline.scanning.status import find_status

    batch_answers.status(find_status(open_lab(lab_folder(lab))), json)
    return DONE


@app.command(epilog="Example: `rig notify`")
def notify(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """Try the webhook and the e-mail of `notify:` in rig.yaml: a message is sent, and said whether it was delivered."""
    from pipeline.notify import Message, send

    opened = open_lab(lab_folder(lab))
    text = "This is a test: `rig notify` was given. Of trouble and of a batch's end you will be told like this."
    sent = list(send(opened.rig.notify, Message("test", f"{opened.folder.resolve().name}: a test", text, {})))
    batch_answers.notified(sent, json)
    return DONE if sent and all(each.ok for each in sent) else FAILED
