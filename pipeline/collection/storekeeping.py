"""`rig store rebuild`, `export`, `gc` and `delete`: what a person does to the store itself."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from pathlib import Path

from capture.store import Store
from capture.store.deletion import Doomed, delete_frames, doomed
from capture.store.export import Exported, export
from capture.store.garbage import Waste, find_waste, remove_waste
from capture.store.rebuild import Rebuilt, rebuild
from capture.store.selection import select_frames
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab

Progress = Callable[[int, int], None]


def rebuild_index(lab: Lab, *, dry_run: bool, progress: Progress) -> Rebuilt:
    """Make the store's index anew from its files."""
    return rebuild(lab.store, dry_run, progress)


def export_frames(
    lab: Lab,
    target: Path,
    *,
    sessions: Sequence[str],
    coins: Sequence[str],
    trays: Sequence[str],
    quarantined: bool,
    bag: bool,
    progress: Progress,
) -> Exported:
    """Copy good frames out of the store, the quarantined too if wanted.

    Raises
    ------
    LabError
        If there is no such frame.
    """
    with Store.open(lab.store, writing=False) as store:
        frames = [
            frame
            for frame in select_frames(store, (), sessions, coins, trays)
            if quarantined or frame.quarantine_reason is None
        ]
        if not frames:
            raise LabError("there is no good frame to export. Name others, or add --quarantined. Nothing was written.")
        return export(store, lab.calibrations, target, frames, bag, progress)


def clear_waste(lab: Lab, *, keep_days: float, dry_run: bool) -> list[Waste]:
    """Remove what the store can do without; with `dry_run`, only say what that is."""
    with Store.open(lab.store, writing=False) as store:
        waste = find_waste(store.files, store.database, keep_days)
    if dry_run:
        return waste
    with Store.open(lab.store, alone=True) as store:
        waste = find_waste(store.files, store.database, keep_days)
        remove_waste(store, waste)
    return waste


def find_doomed(lab: Lab, *, frames: Sequence[str], sessions: Sequence[str], coins: Sequence[str]) -> Doomed:
    """What a deletion would take away.

    Raises
    ------
    UsageError
        If nothing is named.
    """
    if not (frames or sessions or coins):
        raise UsageError("name what to delete: --frame, --session or --coin. Nothing was deleted.")
    with Store.open(lab.store, writing=False) as store:
        return doomed(store, select_frames(store, frames, sessions, coins))


def delete_doomed(lab: Lab, found: Doomed, why: str) -> None:
    """Delete it for good.

    Raises
    ------
    UsageError
        If no reason is given.
    """
    if not why.strip():
        raise UsageError("--why: give the reason in a few words; it is kept with the deletion. Nothing was deleted.")
    with Store.open(lab.store, alone=True) as store:
        delete_frames(store, found.frames, getpass.getuser(), why.strip())
