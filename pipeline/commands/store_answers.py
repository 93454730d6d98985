"""What the `rig store` commands print."""

from __future__ import annotations

from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

from capture.store.deletion import Doomed
from capture.store.export import Exported
from capture.store.garbage import Waste
from capture.store.rebuild import Rebuilt
from pipeline.collection.verify import Verified
from pipeline.commands.answers import as_json, console, failed

_KINDS = {
    "half written": "half written by killed processes",
    "set aside": "set aside in leftovers/",
    "former index": "former indexes",
    "embedding": "embeddings no longer used",
}


def verified(result: Verified, json: bool) -> None:
    """Answer of `store verify`."""
    if json:
        as_json(
            {
                "frames": result.frames,
                "entries": result.entries,
                "problems": [{"kind": each.kind, "what": each.what, "remedy": each.remedy} for each in result.problems],
            }
        )
        return
    for each in result.problems:
        failed(str(each))
    state = f"[red]{len(result.problems)} problems[/red]" if result.problems else "[green]clean[/green]"
    console.print(f"{result.frames} frames and {result.entries} catalogue entries checked: {state}.")


def rebuilt(result: Rebuilt, dry_run: bool, json: bool) -> None:
    """Answer of `store rebuild`."""
    if json:
        as_json(
            {
                "rows": {table: {"before": before, "after": after} for table, (before, after) in result.rows.items()},
                "lost": result.lost,
                "unfit": result.unfit,
                "embeddings": result.embeddings,
                "former": str(result.former) if result.former else None,
            }
        )
        return
    table = Table("table", "before", "after")
    for name, (before, after) in result.rows.items():
        table.add_row(name, "unreadable" if before is None else str(before), str(after))
    console.print(table)
    for line in [*(f"{name} was in the old index, but its record is gone." for name in result.lost), *result.unfit]:
        failed(line)
    if result.embeddings:
        console.print(f"{result.embeddings} embeddings are computed again when they are needed.")
    if dry_run:
        console.print("Nothing was changed.")
    else:
        console.print("The index was made anew from the files.")
        if result.former:
            console.print(f"The former one is kept: {escape(str(result.former))}", soft_wrap=True)


def exported(result: Exported, json: bool) -> None:
    """Answer of `store export`."""
    if json:
        as_json(
            {
                "folder": str(result.folder),
                "frames": result.frames,
                "pictures": result.pictures,
                "bytes": result.bytes,
                "coins": result.coins,
                "sessions": result.sessions,
                "missing_calibrations": result.missing_calibrations,
            }
        )
        return
    console.print(
        f"Exported {result.frames} frames ({result.pictures} pictures, {decimal(result.bytes)}) of {result.coins} "
        f"coins to {escape(str(result.folder))}; every file was read back and is as it should be.",
        soft_wrap=True,
    )
    for calibration in result.missing_calibrations:
        failed(f"calibration {calibration} is not in the lab's calibrations/ any more, and so not in the export.")


def cleared(waste: list[Waste], dry_run: bool, json: bool) -> None:
    """Answer of `store gc`."""
    if json:
        as_json(
            {
                "removed": not dry_run,
                "bytes": sum(each.bytes for each in waste),
                "kinds": {each.kind: {"count": each.count, "bytes": each.bytes} for each in waste},
            }
        )
        return
    table = Table("what", "how many", "size")
    for each in waste:
        table.add_row(_KINDS[each.kind], str(each.count), decimal(each.bytes))
    console.print(table)
    total = decimal(sum(each.bytes for each in waste))
    console.print(f"{total} could go; nothing was changed." if dry_run else f"{total} removed. No frame was touched.")


def doomed(found: Doomed) -> None:
    """What `store delete` is about to take away."""
    console.print(
        f"{len(found.frames)} frames of {len(found.coins)} coins in {len(found.sessions)} sessions, "
        f"{decimal(found.bytes)}:"
    )
    for frame in found.frames[:10]:
        state = f"quarantined: {frame.quarantine_reason}" if frame.quarantine_reason else "good"
        where = ", ".join(
            str(part) for part in (frame.side, frame.light, frame.turntable_deg, frame.source) if part is not None
        )
        console.print(f"  {frame.id}  {escape(frame.coin_id)}  {escape(where)}  {state}", soft_wrap=True)
    if len(found.frames) > 10:
        console.print(f"  and {len(found.frames) - 10} more")


def deleted(found: Doomed, done: bool, json: bool) -> None:
    """Answer of `store delete`."""
    if json:
        as_json(
            {
                "deleted": done,
                "frames": [frame.id for frame in found.frames],
                "coins": found.coins,
                "sessions": found.sessions,
                "bytes": found.bytes,
            }
        )
        return
    console.print(
        f"Deleted {len(found.frames)} frames for good. Who, when and why is kept in the store."
        if done
        else "Nothing was deleted."
    )
