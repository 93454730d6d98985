"""Catalogue pictures in and out: `rig catalogue add`, `remove` and `restore`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.image import ImageError, decode_image
from capture.photographs import PhotoSide, photo_sides
from capture.store import Store
from capture.store.records import NewEntry
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab

Progress = Callable[[int, int], None]
_BATCH = 64  # pictures to a transaction


@dataclass(frozen=True)
class Added:
    """What `add_directory` did: new entries, coins they show, entries known before, and refused files with why."""

    entries: int
    coins: int
    known: int
    refused: tuple[str, ...]


def add_directory(lab: Lab, directory: Path, progress: Progress) -> Added:
    """Add a folder of pictures: obverse beside reverse in one, or ``<coin>_obv`` and ``<coin>_rev``.

    Raises
    ------
    UsageError
        If `directory` is no folder, or holds no pictures.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a folder. Name the folder that holds the catalogue's pictures.")
    sides = [(coin, side, photo) for coin, both in photo_sides(directory).items() for side, photo in both.items()]
    if not sides:
        raise UsageError(
            f"{directory} holds no pictures (JPEG, PNG, TIFF, WebP, JPEG XL). Name the folder they lie in."
        )
    entries: list[NewEntry] = []
    refused: list[str] = []
    added = 0
    coins: set[str] = set()
    with Store.open(lab.store) as store:
        for number, (coin, side, photo) in enumerate(sides, 1):
            try:
                data = photo.path.read_bytes()
                box = _half(data, photo)
            except (ImageError, OSError) as error:
                refused.append(str(error))
            else:
                entries.append(NewEntry(coin, data, photo.path.name, directory.resolve().name, side, box))
            if len(entries) == _BATCH or number == len(sides):
                rows = store.catalogue.add_entries(entries)
                added += len(rows)
                coins |= {row.coin_id for row in rows}
                entries = []
                progress(number, len(sides))
    return Added(added, len(coins), len(sides) - added - len(refused), tuple(dict.fromkeys(refused)))


def remove_coins(lab: Lab, coins: Sequence[str], *, dry_run: bool) -> dict[str, int]:
    """Take coins out of the catalogue, or with `dry_run` only count: coin to number of entries.

    Raises
    ------
    LabError
        If one of them is not in it; nothing is removed then.
    """
    with Store.open(lab.store) as store:
        counts = {coin: len(store.catalogue.entries(coin)) for coin in coins}
        missing = [coin for coin, count in counts.items() if not count]
        if missing:
            raise LabError(f"not in the catalogue: {', '.join(missing)}. Nothing was removed. Check the spelling.")
        if not dry_run:
            for coin in counts:
                store.catalogue.remove_entries(coin)
    return counts


def restore_coins(lab: Lab, coins: Sequence[str]) -> dict[str, int]:
    """Bring coins back that were taken out: coin to number of entries.

    Raises
    ------
    LabError
        If one of them was never taken out.
    """
    with Store.open(lab.store) as store:
        counts = {coin: store.catalogue.restore_entries(coin) for coin in coins}
    missing = [coin for coin, count in counts.items() if not count]
    if missing:
        raise LabError(f"never taken out of the catalogue: {', '.join(missing)}. Check the spelling.")
    return counts


def _half(data: bytes, photo: PhotoSide) -> tuple[int, int, int, int] | None:
    height, width = decode_image(data, str(photo.path)).shape[:2]
    if photo.half is None:
        return None
    return (0, 0, width // 2, height) if photo.half == "left" else (width // 2, 0, width, height)
