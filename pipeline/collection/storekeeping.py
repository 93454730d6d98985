"""`rig store ...`: what a person does to the store itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from capture.store import Store, StoreError
from capture.store.deletion import MarkedFrames, delete_frames, mark_for_deletion, were_deleted
from capture.store.export import Exported, ExportOptions, export
from capture.store.garbage import Garbage, find_garbage, remove_garbage
from capture.store.rebuild import Rebuilt, rebuild
from capture.store.verify import Problem
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.people import name_of_user
from pipeline.reporter import Reporter


@dataclass(frozen=True)
class Verified:
    """How many frames and catalogue entries were checked, and what is wrong with them."""

    frames: int
    entries: int
    problems: tuple[Problem, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        problems = [{"kind": each.kind, "what": each.what, "remedy": each.remedy} for each in self.problems]
        return {"frames": self.frames, "entries": self.entries, "problems": problems}


@dataclass(frozen=True)
class RebuildResult:
    """The index that was rebuilt, or would be."""

    rebuilt: Rebuilt
    is_dry_run: bool

    @property
    def is_incomplete(self) -> bool:
        """Whether something of the old index or of the records is missing from it."""
        return bool(self.rebuilt.lost or self.rebuilt.unfit)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        rebuilt = self.rebuilt
        return {
            "rows": {table: {"before": before, "after": after} for table, (before, after) in rebuilt.rows.items()},
            "lost": rebuilt.lost,
            "unfit": rebuilt.unfit,
            "restored": rebuilt.salvaged,
            "embeddings": rebuilt.embeddings,
            "former": str(rebuilt.former) if rebuilt.former else None,
        }


@dataclass(frozen=True)
class Selection:
    """Which frames are meant: those that match every part that is given."""

    frames: Sequence[str] = ()
    sessions: Sequence[str] = ()
    coins: Sequence[str] = ()
    trays: Sequence[str] = ()


@dataclass(frozen=True)
class ExportResult:
    """What was copied out of the store."""

    exported: Exported

    @property
    def missing_calibrations(self) -> tuple[str, ...]:
        """Calibrations of exported frames that the lab does not have any more."""
        return self.exported.missing_calibrations

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        exported = self.exported
        return {
            "folder": str(exported.folder),
            "frames": exported.frames,
            "pictures": exported.images,
            "bytes": exported.bytes,
            "coins": exported.coins,
            "sessions": exported.sessions,
            "missing_calibrations": exported.missing_calibrations,
        }


@dataclass(frozen=True)
class GarbageResult:
    """What was removed, or could be."""

    garbage: tuple[Garbage, ...]
    is_dry_run: bool

    @property
    def bytes(self) -> int:
        """What it takes on the disk."""
        return sum(each.bytes for each in self.garbage)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "removed": not self.is_dry_run,
            "bytes": self.bytes,
            "kinds": {each.kind: {"count": each.count, "bytes": each.bytes} for each in self.garbage},
        }


@dataclass(frozen=True)
class DeletionResult:
    """Frames that are marked for deletion, and whether they were deleted."""

    marked: MarkedFrames
    is_done: bool = False

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "deleted": self.is_done,
            "frames": [frame.id for frame in self.marked.frames],
            "coins": self.marked.coins,
            "sessions": self.marked.sessions,
            "bytes": self.marked.bytes,
        }


def verify_store(lab: Lab, reporter: Reporter) -> Verified:
    """Re-hash and decode everything; changes nothing."""
    with Store.open(lab.store, writing=False) as store, reporter.progress("Checking files") as progress:
        return Verified(store.frames.count(), store.catalogue.count(), tuple(store.verify(progress)))


def rebuild_index(lab: Lab, reporter: Reporter, *, dry_run: bool) -> RebuildResult:
    """Rebuild the store's index from its files."""
    with reporter.progress("Reading records") as progress:
        return RebuildResult(rebuild(lab.store, dry_run, progress), dry_run)


def export_frames(
    lab: Lab, target: Path, selection: Selection, options: ExportOptions, reporter: Reporter, *, quarantined: bool
) -> ExportResult:
    """Copy good frames out of the store, the quarantined too if wanted.

    Raises
    ------
    LabError
        If there is no such frame.
    """
    with Store.open(lab.store, writing=False) as store, reporter.progress("Copying files") as progress:
        frames = [
            frame
            for frame in store.frames.select((), selection.sessions, selection.coins, selection.trays)
            if quarantined or frame.is_good
        ]
        if not frames:
            raise LabError("there is no good frame to export. Name others, or add --quarantined. Nothing was written.")
        return ExportResult(export(store, lab.calibrations, target, frames, options, progress))


def clear_garbage(lab: Lab, *, keep_days: float, dry_run: bool) -> GarbageResult:
    """Remove what the store does not need; with `dry_run`, only find it."""
    with Store.open(lab.store, writing=False) as store:
        garbage = find_garbage(store.storage, keep_days)
    if not dry_run:
        with Store.open(lab.store, alone=True) as store:
            garbage = find_garbage(store.storage, keep_days)
            remove_garbage(store.storage, garbage)
    return GarbageResult(tuple(garbage), dry_run)


def mark_frames(lab: Lab, selection: Selection) -> DeletionResult:
    """Find the frames that a deletion would delete.

    Raises
    ------
    UsageError
        If nothing is named.
    """
    if not (selection.frames or selection.sessions or selection.coins):
        raise UsageError("name what to delete: --frame, --session or --coin. Nothing was deleted.")
    with Store.open(lab.store, writing=False) as store:
        try:
            frames = store.frames.select(selection.frames, selection.sessions, selection.coins)
        except StoreError:
            if not were_deleted(store.storage, selection.frames, selection.sessions, selection.coins):
                raise
            frames = []  # the same command again, after it was interrupted at its end
        return DeletionResult(mark_for_deletion(store.storage, frames))


def delete_marked(lab: Lab, marking: DeletionResult, why: str) -> DeletionResult:
    """Delete frames that are marked, for good.

    Raises
    ------
    UsageError
        If no reason is given.
    """
    if not why.strip():
        raise UsageError("--why: give the reason in a few words; it is kept with the deletion. Nothing was deleted.")
    with Store.open(lab.store, alone=True) as store:
        delete_frames(store.storage, marking.marked.frames, name_of_user(), why.strip())
    return replace(marking, is_done=True)
