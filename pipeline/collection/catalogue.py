"""Catalogue images in and out: `rig catalogue add`, `remove` and `restore`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from capture.names import NameProblem, clean_name, printable
from capture.photographs import read_photo_folder
from capture.store import Store
from capture.store.journal_lines import EntriesReplaced
from capture.store.records import Entry, NewEntry
from pipeline.collection.additions import Addition, plan_additions
from pipeline.collection.catalogue_images import read_entries
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.reporter import Reporter
from pipeline.wording import describe_pages

_BATCH = 64  # images to a transaction


@dataclass(frozen=True)
class AddedEntries:
    """What `add_directory` did: new entries, coins they show, and entries known before.

    Attributes
    ----------
    replaced
        How many entries were corrected: the former image is kept, and matched against no longer.
    refused
        Why images could not be used, a sentence each.
    skipped
        Files that are no images.
    renamed
        Coins that bear the name of another sale's coin, and what they are called in the catalogue.
    """

    entries: int
    coins: int
    known: int
    refused: tuple[str, ...]
    skipped: tuple[str, ...]
    replaced: int = 0
    renamed: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "entries": self.entries,
            "coins": self.coins,
            "known": self.known,
            "replaced": self.replaced,
            "renamed": self.renamed,
            "refused": self.refused,
            "skipped": self.skipped,
        }


@dataclass(frozen=True)
class CatalogueChange:
    """What was done to the catalogue: of each coin, how many entries."""

    what: Literal["Removed", "Would remove", "Restored"]
    coins: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"coins": self.coins}


def require_catalogue(lab: Lab) -> None:
    """Refuse to match against nothing, before a model is loaded or anything moves.

    Raises
    ------
    LabError
        If the catalogue is empty.
    """
    if (lab.store / "index.sqlite").is_file():
        with Store.open(lab.store, writing=False) as store:
            if not store.catalogue.is_empty():
                return
    raise LabError(
        f"the catalogue of {lab.folder} is empty: there is nothing to match against. "
        f"Fill it with `{lab.command('rig catalogue add DIR')}`."
    )


def add_directory(
    lab: Lab,
    directory: Path,
    reporter: Reporter,
    *,
    sale: str | None = None,
    replace: bool = False,
    by_reference: bool = False,
) -> AddedEntries:
    """Add a folder of images: obverse beside reverse in one, or ``<coin>_obv`` and ``<coin>_rev``.

    Parameters
    ----------
    sale
        What the sale or collection is called; the folder's name if None.
    replace
        Whether images that contradict what is stored take its place (`pipeline.collection.additions`).
    by_reference
        Leave the images where they are, and link to them.

    Raises
    ------
    UsageError
        If `directory` is no folder, or holds no images.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder. Name the folder that holds the catalogue's images.")
    folder = read_photo_folder(directory)
    sides = [
        Addition(coin, side, photo, printable(photo.path.name))
        for coin, both in folder.sides.items()
        for side, photo in both.items()
    ]
    unusable = (*folder.refused, *folder.contradictions)
    if not sides and not unusable:
        raise UsageError(f"{directory} holds no images (JPEG, PNG, TIFF, WebP, JPEG XL). Name the folder they are in.")
    name = _sale_name(sale, directory)
    refused: list[str] = []
    added: list[Entry] = []
    replaced = 0
    with (
        Store.open(lab.store) as store,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        reporter.progress("Adding images") as progress,
    ):
        plan = plan_additions(store, name, sides, replace=replace)
        store.catalogue.find_again(plan.files, by_reference=by_reference)
        files = [list(shown) for _, shown in groupby(plan.new, key=lambda addition: addition.photo.path)]
        for start in range(0, len(files), _BATCH):
            progress(start, len(files))
            entries: list[NewEntry] = []
            old: list[Entry] = []
            batch = files[start : start + _BATCH]
            reading = pool.map(partial(read_entries, sale=name, by_reference=by_reference), batch)
            for shown, read in zip(batch, reading, strict=True):
                if isinstance(read, str):
                    refused.append(printable(read))
                else:
                    entries += read.entries
                    if read.pages > 1:
                        reporter.warn(describe_pages(printable(str(shown[0].photo.path)), read.pages))
                    old += [entry for addition in shown for entry in addition.replaces]
            added += store.catalogue.add_entries(entries, old)
            if old:
                store.journal.log(EntriesReplaced(entries=tuple(entry.id for entry in old)))
            replaced += len(old)
        progress(len(files), len(files))
    return AddedEntries(
        len(added),
        len({entry.coin_id for entry in added}),
        plan.known,
        (*map(printable, unusable), *plan.refused, *refused),
        folder.skipped,
        replaced,
        {coin: other for coin, other in plan.renamed.items() if any(entry.coin_id == other for entry in added)},
    )


def remove_entries(lab: Lab, coins: Sequence[str], sale: str | None, *, dry_run: bool) -> CatalogueChange:
    """Remove coins, or a whole sale, from the catalogue, or with `dry_run` only count the entries.

    Raises
    ------
    UsageError
        If neither is named.
    LabError
        If one of them is not in it; nothing is removed then.
    """
    with Store.open(lab.store) as store:
        entries = _named_entries(store, coins, sale, removed=False)
        if not dry_run:
            store.catalogue.remove_entries(entries)
    return CatalogueChange("Would remove" if dry_run else "Removed", _count_by_coin(entries))


def restore_entries(lab: Lab, coins: Sequence[str], sale: str | None) -> CatalogueChange:
    """Bring back coins, or a whole sale, that were removed.

    Raises
    ------
    UsageError
        If neither is named.
    LabError
        If one of them is not removed.
    """
    with Store.open(lab.store) as store:
        replaced = {
            entry_id for line in store.journal.lines(EntriesReplaced) for entry_id in line.entries
        }  # by a corrected image, which is there
        entries = [
            entry
            for entry in _named_entries(store, coins, sale, removed=True)
            if entry.id not in replaced and not entry.is_waiting
        ]
        store.catalogue.restore_entries(entries)
    return CatalogueChange("Restored", _count_by_coin(entries))


def _named_entries(store: Store, coins: Sequence[str], sale: str | None, *, removed: bool) -> list[Entry]:
    """Entries of these coins, or of all; of this sale, or of all."""
    if not coins and sale is None:
        raise UsageError("name coins, or a sale with --sale (`rig catalogue list`). Nothing was changed.")
    found = {coin: store.catalogue.entries(coin, sale, removed=removed) for coin in coins or (None,)}
    missing = [f"sale {sale}" if coin is None else coin or "''" for coin, entries in found.items() if not entries]
    if missing:
        where = "not removed from the catalogue" if removed else "not in the catalogue"
        within = f" (sale {sale})" if coins and sale else ""
        raise LabError(
            f"{where}: {', '.join(missing)}{within}. Nothing was changed. Check the spelling: `rig catalogue list`."
        )
    return [entry for entries in found.values() for entry in entries]


def _count_by_coin(entries: Sequence[Entry]) -> dict[str, int]:
    return dict(Counter(entry.coin_id for entry in entries))


def _sale_name(sale: str | None, directory: Path) -> str:
    try:
        return clean_name(sale if sale is not None else directory.resolve().name or "catalogue")
    except NameProblem as problem:
        raise UsageError(f"the name of the sale {problem} Give one with --sale NAME.") from problem
