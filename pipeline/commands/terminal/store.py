"""What the commands of `pipeline.commands.store` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.filesize import decimal
from rich.table import Table

from pipeline.commands.terminal.output import console, print_failure, print_line, reporter
from pipeline.sentences import print_sentences
from pipeline.wording import count

if TYPE_CHECKING:
    from pipeline.collection.storekeeping import DeletionResult, ExportResult, GarbageResult, RebuildResult, Verified

_KINDS = {
    "half written": "half-written by killed processes",
    "set aside": "set aside in leftovers/",
    "former index": "old indexes",
    "embedding": "unused embeddings",
}


def print_verified(result: Verified) -> None:
    """Print what `store verify` found."""
    for each in result.problems:
        print_failure(str(each))
    state = f"[red]{count(len(result.problems), 'problem')}[/red]" if result.problems else "[green]clean[/green]"
    print_sentences(
        console,
        f"{count(result.frames, 'frame')} and {count(result.entries, 'catalogue entry', 'catalogue entries')} "
        f"checked: {state}.",
    )


def print_rebuilt(result: RebuildResult) -> None:
    """Print the index before and after `store rebuild`."""
    rebuilt = result.rebuilt
    table = Table("table", "before", "after")
    for name, (before, after) in rebuilt.rows.items():
        table.add_row(name, "unreadable" if before is None else str(before), str(after))
    console.print(table)
    for name in rebuilt.lost:
        reporter.warn(f"{name} was in the old index, but its record and what it would be made of again are gone.")
    for name in rebuilt.salvaged:
        verb = "would be written" if result.is_dry_run else "was written"
        reporter.report(f"The record of {name}, which was damaged or gone, {verb} again from the old index.")
    for line in rebuilt.unfit:
        reporter.warn(line)
    if rebuilt.embeddings:
        print_line(f"{count(rebuilt.embeddings, 'embedding')} will be computed again when needed.")
    if result.is_dry_run:
        print_line("Nothing was changed.")
    else:
        print_line("The index was rebuilt from the files.")
        if rebuilt.former:
            print_line(f"The old one is kept: {rebuilt.former}")


def print_export(result: ExportResult) -> None:
    """Print what `store export` copied."""
    exported = result.exported
    print_line(
        f"Exported {count(exported.frames, 'frame')} ({count(exported.images, 'file')}, {decimal(exported.bytes)}) "
        f"of {count(exported.coins, 'coin')} to {exported.folder}; every file was read back and compared."
    )
    for calibration in result.missing_calibrations:
        reporter.warn(f"calibration {calibration} is missing from the lab's calibrations/, and so from the export.")


def print_garbage(result: GarbageResult) -> None:
    """Print what `store gc` removed, or would."""
    table = Table("what", "how many", "size")
    for each in result.garbage:
        table.add_row(_KINDS[each.kind], str(each.count), decimal(each.bytes))
    console.print(table)
    total = decimal(result.bytes)
    print_line(
        f"{total} could go; nothing was changed." if result.is_dry_run else f"{total} removed. No frame was touched."
    )


def print_marked(marked: DeletionResult) -> None:
    """Print what `store delete` is about to delete."""
    found = marked.marked
    if not found.frames:
        print_line("All of them were deleted before: nothing is left to delete.")
        return
    print_line(
        f"{count(len(found.frames), 'frame')} of {count(len(found.coins), 'coin')} in "
        f"{count(len(found.sessions), 'session')}, {decimal(found.bytes)}:"
    )
    for frame in found.frames[:10]:
        state = f"quarantined: {frame.quarantine_reason}" if frame.quarantine_reason else "good"
        where = ", ".join(
            str(part) for part in (frame.side, frame.light, frame.turntable_deg, frame.source) if part is not None
        )
        print_line(f"  {frame.id}  {frame.coin_id}  {where}  {state}")
    if len(found.frames) > 10:
        print_line(f"  and {len(found.frames) - 10} more")


def print_deletion(result: DeletionResult) -> None:
    """Print whether `store delete` deleted it."""
    print_line(
        f"Deleted {count(len(result.marked.frames), 'frame')} for good. Who, when and why is kept in the store."
        if result.is_done
        else "Nothing was deleted."
    )
