"""The commands `rig store ...`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pipeline.commands.options import DONE, FAILED, LEFT_OVER, DebugOption, JsonOption, LabOption
from pipeline.commands.terminal.output import print_result, reporter
from pipeline.commands.terminal.store import (
    print_deletion,
    print_export,
    print_garbage,
    print_marked,
    print_rebuilt,
    print_verified,
)
from pipeline.lab import open_lab


class FormatName(StrEnum):
    """In which format frames are exported."""

    ORIGINAL = "original"
    TIFF = "tiff"
    JPEG = "jpeg"


app = typer.Typer(no_args_is_help=True, help="The frames that are kept for good.")

SessionsOption = Annotated[list[str] | None, typer.Option("--session", help="A session's id; may be given repeatedly.")]
CoinsOption = Annotated[list[str] | None, typer.Option("--coin", help="A coin; may be given repeatedly.")]


@app.command(epilog="Example: `rig store verify`")
def verify(lab: LabOption = None, json: JsonOption = False, debug: DebugOption = False) -> int:
    """Re-hash and decode every file, and compare files and index. Changes nothing."""
    from pipeline.collection.storekeeping import verify_store

    verified = verify_store(open_lab(lab), reporter)
    print_result(verified, print_verified, json=json)
    return FAILED if verified.problems else DONE


@app.command(epilog="Example: `rig store rebuild --dry-run`")
def rebuild(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Compare what the new index would hold; change nothing.")
    ] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Rebuild the index from the files alone; the old one is kept beside it."""
    from pipeline.collection.storekeeping import rebuild_index

    rebuilt = rebuild_index(open_lab(lab), reporter, dry_run=dry_run)
    print_result(rebuilt, print_rebuilt, json=json)
    return LEFT_OVER if rebuilt.is_incomplete else DONE


@app.command(epilog="Example: `rig store export /media/disk/tray3 --tray 3`")
def export(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder, or an empty one.")],
    session: SessionsOption = None,
    coin: CoinsOption = None,
    tray: Annotated[list[str] | None, typer.Option("--tray", help="All scans of a tray; may be repeated.")] = None,
    quarantined: Annotated[bool, typer.Option("--quarantined", help="Quarantined frames, too.")] = False,
    bag: Annotated[bool, typer.Option("--bag/--no-bag", help="As a BagIt bag, or as a plain folder.")] = True,
    format_: Annotated[
        FormatName, typer.Option("--format", help="As stored (JPEG XL), as lossless TIFF, or as JPEG.")
    ] = FormatName.ORIGINAL,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Copy frames into a self-contained folder: images, their table, plans, journal and calibrations."""
    from capture.store.export import ExportOptions
    from pipeline.collection.storekeeping import Selection, export_frames

    selection = Selection(sessions=session or (), coins=coin or (), trays=tray or ())
    options = ExportOptions(bag, format_.value)
    exported = export_frames(open_lab(lab), directory, selection, options, reporter, quarantined=quarantined)
    print_result(exported, print_export, json=json)
    return LEFT_OVER if exported.missing_calibrations else DONE


@app.command(epilog="Example: `rig store gc --dry-run`")
def gc(
    older_than_days: Annotated[
        float, typer.Option(min=0, help="Keep what was set aside or replaced less than so many days ago.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what could go; change nothing.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Remove what the store does not need: leftovers, old indexes, unused embeddings. Never a frame."""
    from pipeline.collection.storekeeping import clear_garbage

    print_result(clear_garbage(open_lab(lab), keep_days=older_than_days, dry_run=dry_run), print_garbage, json=json)
    return DONE


@app.command(epilog='Example: `rig store delete --coin 2024.1.11 --why "not ours, returned to its owner"`')
def delete(
    why: Annotated[str, typer.Option(help="The reason; it is kept with the deletion.")],
    frame: Annotated[list[str] | None, typer.Option("--frame", help="A frame's id; may be given repeatedly.")] = None,
    session: SessionsOption = None,
    coin: CoinsOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would go; change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask, as in a script.")] = False,
    lab: LabOption = None,
    json: JsonOption = False,
    debug: DebugOption = False,
) -> int:
    """Delete frames for good, raw ones too; who, when and why is kept. Several options select what matches them all."""
    from pipeline.collection.storekeeping import Selection, delete_marked, mark_frames

    opened = open_lab(lab)
    marked = mark_frames(opened, Selection(frames=frame or (), sessions=session or (), coins=coin or ()))
    if not json:
        print_marked(marked)
    if not (dry_run or yes):
        yes = reporter.confirm(
            "Delete them for good?", "nobody is there to confirm it: give --yes as well. Nothing was deleted."
        )
    deletion = delete_marked(opened, marked, why) if yes and not dry_run else marked
    print_result(deletion, print_deletion, json=json)
    return DONE
