"""Catalogue images in and out: `rig catalogue add`, `remove` and `restore`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from calibration.image import Image, ImageError, decode_image
from calibration.outline import find_coins
from capture.photographs import read_photo_folder
from capture.store import Store
from capture.store.records import Entry, NewEntry
from pipeline.collection.photographs import require_one_coin
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.reporter import Reporter
from rig.sides import Side

_BATCH = 64  # images to a transaction


@dataclass(frozen=True)
class AddedEntries:
    """What `add_directory` did: new entries, coins they show, and entries known before.

    ``refused`` says why images could not be used, a sentence each; ``skipped`` names files that are no images.
    """

    entries: int
    coins: int
    known: int
    refused: tuple[str, ...]
    skipped: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "entries": self.entries,
            "coins": self.coins,
            "known": self.known,
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


@dataclass(frozen=True)
class Sale:
    """A sale or collection of the catalogue: how many coins it shows, and its entries."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def coins(self) -> int:
        """How many coins its entries show."""
        return len({entry.coin_id for entry in self.entries})


@dataclass(frozen=True)
class CatalogueList:
    """The sales of the catalogue, or the entries of one of them."""

    sales: tuple[Sale, ...]
    is_detailed: bool

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        if not self.is_detailed:
            return [{"sale": sale.name, "coins": sale.coins, "entries": len(sale.entries)} for sale in self.sales]
        return [
            {"entry": entry.id, "coin": entry.coin_id, "side": entry.side, "source": entry.source}
            for sale in self.sales
            for entry in sale.entries
        ]


def list_catalogue(lab: Lab, sale: str | None) -> CatalogueList:
    """List the sales of the catalogue, or the entries of one.

    Raises
    ------
    LabError
        If there is no such sale.
    """
    with Store.open(lab.store) as store:
        entries = store.catalogue.entries()
    by_sale: dict[str, list[Entry]] = {}
    for entry in entries:
        by_sale.setdefault(entry.catalogue, []).append(entry)
    if sale is not None and sale not in by_sale:
        known = ", ".join(by_sale) or "none yet"
        raise LabError(f"there is no sale {sale} in the catalogue. There are: {known}.")
    names = [sale] if sale is not None else list(by_sale)
    return CatalogueList(tuple(Sale(name, tuple(by_sale[name])) for name in names), is_detailed=sale is not None)


def require_catalogue(lab: Lab) -> None:
    """Refuse to match against nothing, before a model is loaded or anything moves.

    Raises
    ------
    LabError
        If the catalogue is empty.
    """
    if (lab.store / "index.sqlite").is_file():
        with Store.open(lab.store, writing=False) as store:
            if store.catalogue.entries():
                return
    raise LabError(
        f"the catalogue of {lab.folder} is empty: there is nothing to match against. "
        "Fill it with `rig catalogue add DIR`."
    )


def add_directory(lab: Lab, directory: Path, reporter: Reporter) -> AddedEntries:
    """Add a folder of images: obverse beside reverse in one, or ``<coin>_obv`` and ``<coin>_rev``.

    Raises
    ------
    UsageError
        If `directory` is no folder, or holds no images.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder. Name the folder that holds the catalogue's images.")
    folder = read_photo_folder(directory)
    files: dict[Path, list[_Shown]] = {}
    for coin, both in folder.sides.items():
        for side, photo in both.items():
            files.setdefault(photo.path, []).append(_Shown(coin, side, photo.half))
    if not files and not folder.refused:
        raise UsageError(f"{directory} holds no images (JPEG, PNG, TIFF, WebP, JPEG XL). Name the folder they are in.")
    sale = directory.resolve().name
    waiting = list(files.items())
    refused: list[str] = []
    usable = added = 0
    coins: set[str] = set()
    with (
        Store.open(lab.store) as store,
        ThreadPoolExecutor(os.cpu_count()) as pool,
        reporter.progress("Adding images") as progress,
    ):
        for start in range(0, len(waiting), _BATCH):
            progress(start, len(waiting))
            batch = waiting[start : start + _BATCH]
            read = list(pool.map(lambda file: _read_entries(file[0], file[1], sale), batch))
            entries = [entry for of_file in read if isinstance(of_file, list) for entry in of_file]
            rows = store.catalogue.add_entries(entries)
            refused += [each for each in read if isinstance(each, str)]
            usable += len(entries)
            added += len(rows)
            coins |= {row.coin_id for row in rows}
        progress(len(waiting), len(waiting))
    return AddedEntries(added, len(coins), usable - added, (*folder.refused, *refused), folder.skipped)


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
        If one of them was never removed.
    """
    with Store.open(lab.store) as store:
        entries = _named_entries(store, coins, sale, removed=True)
        store.catalogue.restore_entries(entries)
    return CatalogueChange("Restored", _count_by_coin(entries))


def _named_entries(store: Store, coins: Sequence[str], sale: str | None, *, removed: bool) -> list[Entry]:
    """Entries of these coins, or of all; of this sale, or of all."""
    if not coins and sale is None:
        raise UsageError("name coins, or a sale with --sale (`rig catalogue list`). Nothing was changed.")
    found = {coin: store.catalogue.entries(coin, sale, removed=removed) for coin in coins or (None,)}
    missing = [coin or f"sale {sale}" for coin, entries in found.items() if not entries]
    if missing:
        where = "never removed from the catalogue" if removed else "not in the catalogue"
        within = f" (sale {sale})" if coins and sale else ""
        raise LabError(f"{where}: {', '.join(missing)}{within}. Nothing was changed. Check the spelling.")
    return [entry for entries in found.values() for entry in entries]


def _count_by_coin(entries: Sequence[Entry]) -> dict[str, int]:
    return dict(Counter(entry.coin_id for entry in entries))


@dataclass(frozen=True)
class _Shown:
    """What an image, or its left or right half, shows."""

    coin: str
    side: Side
    half: Literal["left", "right"] | None


def _read_entries(path: Path, shown: Sequence[_Shown], sale: str) -> list[NewEntry] | str:
    """The new entries of an image that shows one coin for each; else why it cannot be used."""
    try:
        data = path.read_bytes()
        image = decode_image(data, str(path))
        boxes = [_box(image, each.half) for each in shown]
        for each, box in zip(shown, boxes, strict=True):
            part = "" if each.half is None else f" ({each.half} half)"
            require_one_coin(image[box[1] : box[3], box[0] : box[2]], f"{path}{part}")
        if any(each.half for each in shown) and _lies_across(image):
            return f"{path}: a coin lies across its middle, where obverse and reverse should meet. Cut it by hand."
    except ImageError as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}."
    return [
        NewEntry(each.coin, data, path.name, sale, each.side, box if each.half else None)
        for each, box in zip(shown, boxes, strict=True)
    ]


def _box(image: Image, half: Literal["left", "right"] | None) -> tuple[int, int, int, int]:
    height, width = image.shape[:2]
    return (width // 2 if half == "right" else 0, 0, width // 2 if half == "left" else width, height)


def _lies_across(image: Image) -> bool:
    middle = image.shape[1] / 2
    return any(abs(coin.centre_px[0] - middle) < coin.radius_px / 2 for coin in find_coins(image))
