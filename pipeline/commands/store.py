"""The commands `rig store ...`; see `pipeline.cli`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands import answers, store_answers
from pipeline.errors import UsageError
from pipeline.lab import lab_folder, open_lab
from pipeline.options import DONE, FAILED, LEFT_OVER, DebugOption, JsonOption, LabOption

app = typer.Typer(no_args_is_help=True, help="The frames kept for good.")

SessionsOption = Annotated[list[str] | None, typer.Option("--session", help="A session's id; may be given repeatedly.")]
CoinsOption = Annotated[list[str] | None, typer.Option("--coin", help="A coin; may be given repeatedly.")]


@app.command(epilog="Example: `rig store verify`")
def verify(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """Re-hash and decode every file, and hold files and index against each other. Changes nothing."""
    from pipeline.collection.verify import verify_store

    verified = verify_store(open_lab(lab_folder(lab)), answers.progress("Checking pictures"))
    store_answers.verified(verified, json)
    return FAILED if verified.problems else DONE


@app.command(epilog="Example: `rig store rebuild --dry-run`")
def rebuild(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Compare what it would come to; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Make the index anew from the files alone; the former one is kept beside it."""
    from pipeline.collection.storekeeping import rebuild_index

    rebuilt = rebuild_index(open_lab(lab_folder(lab)), dry_run=dry_run, progress=answers.progress("Reading records"))
    store_answers.rebuilt(rebuilt, dry_run, json)
    return LEFT_OVER if rebuilt.lost or rebuilt.unfit else DONE


@app.command(epilog="Example: `rig store export /media/disk/tray3 --tray 3`")
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.")],
    session: SessionsOption = None,
    coin: CoinsOption = None,
    tray: Annotated[list[str] | None, typer.Option("--tray", help="All scans of a tray; may be repeated.")] = None,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Quarantined frames, too.")] = False,
    bag: Annotated[bool, typer.Option("--bag/--no-bag", help="As a BagIt bag, or as a plain folder.")] = True,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Copy frames into a folder that explains itself: pictures, their table, plans, journal and calibrations."""
    from pipeline.collection.storekeeping import export_frames

    exported = export_frames(
        open_lab(lab_folder(lab)),
        directory,
        sessions=session or (),
        coins=coin or (),
        trays=tray or (),
        quarantined=quarantined,
        bag=bag,
        progress=answers.progress("Copying pictures"),
    )
    store_answers.exported(exported, json)
    return LEFT_OVER if exported.missing_calibrations else DONE


@app.command(epilog="Example: `rig store gc --dry-run`")
def gc(
    older_than_days: Annotated[
        float, typer.Option(min=0, help="Leave alone what was set aside, or replaced, less than so long ago.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what could go; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Remove what the store can do without: leftovers, former indexes, superseded embeddings. Never a frame."""
    from pipeline.collection.storekeeping import clear_waste

    waste = clear_waste(open_lab(lab_folder(lab)), keep_days=older_than_days, dry_run=dry_run)
    store_answers.cleared(waste, dry_run, json)
    return DONE


@app.command(epilog='Example: `rig store delete --coin 2024.1.11 --why "not ours, returned to its owner"`')
def delete(
    why: Annotated[str, typer.Option(help="The reason; it is kept with the deletion.")],
    frame: Annotated[list[str] | None, typer.Option("--frame", help="A frame's id; may be given repeatedly.")] = None,
    session: SessionsOption = None,
    coin: CoinsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, as in a script.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Delete frames for good, raw ones too. Who, when and why is kept. What several options name is what they share."""
    from pipeline.collection.storekeeping import delete_doomed, find_doomed

    opened = open_lab(lab_folder(lab))
    found = find_doomed(opened, frames=frame or (), sessions=session or (), coins=coin or ())
    if not json:
        store_answers.doomed(found)
    if not (dry_run or yes):
        if not sys.stdin.isatty():
            raise UsageError("nobody is there to confirm it: give --yes as well. Nothing was deleted.")
        yes = typer.confirm("Delete them for good?", err=True)
    if yes and not dry_run:
        delete_doomed(opened, found, why)
    store_answers.deleted(found, yes and not dry_run, json)
    return DONE
