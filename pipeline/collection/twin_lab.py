"""`rig init`: a lab with a digital twin, its trays and its catalogue."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from calibration.durable_files import hash_bytes
from calibration.image import encode_jpeg
from capture.photographs import photo_sides
from capture.store import Store
from capture.store.records import NewEntry
from pipeline.collection.catalogue import add_directory
from pipeline.collection.init import Contents, MadeLab, new_folder, write_files
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab, natural, open_lab
from pipeline.reporter import Progress, Reporter
from rig.sides import SIDES, Side
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction

SEED = 3
SLOTS = 20
OTHER_COINS = 188  # with the coins of trays 1 and 2: two hundred that are not on tray 3
LOTS_PER_PLATE = 16
SALE = "Twin sale 1936"
# Slot to coin. Slot 4 of tray 3 is empty, and the coin in its last slot was never in a catalogue.
TRAYS: Contents = {
    "1": {slot: f"2024.1.{slot}" for slot in range(1, 7)},
    "2": {slot: f"2024.2.{slot}" for slot in range(1, 7)},
    "3": {1: "2024.3.1", 2: "2024.3.2", 3: "2024.3.3", 4: None, 5: "2024.3.4", 6: "2024.3.5", 7: "2024.3.6"},
}
UNPUBLISHED = "2024.3.6"

RIG_YAML = """\
# The devices of this lab. This one is a digital twin: the same drivers as at the bench, on emulated controllers.
# For real devices remove `twin:` and name their ports; docs/lab.md has the details.
twin:
  coins: {coins}
  speed: 25          # times faster than life; `--realtime` runs it true
  seed: {seed}

station:
  turntable: {{kind: grbl, port: twin://turntable}}
  arm: {{kind: uarm, port: twin://arm}}
  lightbox: {{kind: wled, port: twin://lightbox}}

camera:
  kind: twin
"""


def make_twin_lab(
    folder: Path, reporter: Reporter, *, coins: Path | None = None, trays: int | None = None, tray_size: int = SLOTS
) -> MadeLab:
    """Make a twin lab in `folder`: of the coins photographed in `coins`, or of procedural ones.

    Parameters
    ----------
    coins
        A folder of photographs.
    trays
        How many trays of procedural coins; None for three small ones, with a catalogue of many other coins besides.
    tray_size
        Coins to a tray, for both.

    Raises
    ------
    UsageError
        If there is a lab in `folder` already, or something else; or if both photographs and procedural coins are asked
        for.
    """
    if coins is not None and trays is not None:
        raise UsageError("--coins and --trays exclude one another: give photographs of coins, or a number of trays.")
    if coins is not None and not coins.is_dir():
        raise UsageError(f"{coins} is not a folder. Name the folder that holds the photographs of the coins.")
    with new_folder(folder) as unfinished:
        contents = _contents(coins, trays, tray_size)
        shown = f'"{coins.resolve().as_posix()}"' if coins else "procedural"
        write_files(unfinished, RIG_YAML.format(coins=shown, seed=SEED), contents)
        lab = open_lab(unfinished)
        others = OTHER_COINS if trays is None else 0
        entries = add_directory(lab, coins, reporter).entries if coins else _add_sale(lab, contents, others, reporter)
    return MadeLab("twin", folder, tuple(contents), len(_coins(contents)), entries)


def _contents(coins: Path | None, trays: int | None, tray_size: int) -> Contents:
    """What the tray files say: tray, slot, coin."""
    if coins is not None:
        return _trays_of_photographs(coins, tray_size)
    if trays is None:
        return TRAYS
    return {
        str(tray): {slot: f"2024.{tray}.{slot}" for slot in range(1, tray_size + 1)} for tray in range(1, trays + 1)
    }


def _coins(contents: Contents) -> list[str]:
    return [coin for slots in contents.values() for coin in slots.values() if coin is not None]


def _trays_of_photographs(coins: Path, tray_size: int) -> Contents:
    both = [coin for coin, sides in photo_sides(coins).items() if set(sides) == set(SIDES)]
    if not both:
        raise LabError(
            f"{coins} holds no coin with both sides. Name them <coin>_obv and <coin>_rev, or stitch them side by side."
        )
    names = sorted(both, key=natural)
    return {
        str(number): dict(enumerate(names[start : start + tray_size], 1))
        for number, start in enumerate(range(0, len(names), tray_size), 1)
    }


def _add_sale(lab: Lab, contents: Contents, others: int, reporter: Reporter) -> int:
    """The twin's own catalogue: a printed sale with one image per side of every coin but the unpublished one."""
    drawer = ProceduralDrawer(SEED)
    on_trays = [coin for coin in _coins(contents) if coin != UNPUBLISHED]
    lots = sorted((*on_trays, *(f"private.{number}" for number in range(1, others + 1))), key=_shuffled)
    with Store.open(lab.store) as store, reporter.progress("Making the lab") as progress:
        made = list(_each(lots, lambda lot: _lot(drawer, *lot), progress))
        store.catalogue.add_entries(entry for both in made for entry in both)
    return 2 * len(made)


def _lot(drawer: ProceduralDrawer, number: int, coin: str) -> list[NewEntry]:
    plate = 1 + (number - 1) // LOTS_PER_PLATE

    def entry(side: Side) -> NewEntry:
        image = encode_jpeg(reproduction(drawer.side_texture(coin, side), number))
        return NewEntry(
            coin, image, f"plate {plate}, lot {number}, {side}.jpg", SALE, side, None, drawer.coin_type(coin)
        )

    return [entry(side) for side in SIDES]


def _each(
    lots: list[str], make: Callable[[tuple[int, str]], list[NewEntry]], progress: Progress
) -> Iterator[list[NewEntry]]:
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        progress(0, len(lots))
        for number, made in enumerate(pool.map(make, enumerate(lots, 1)), 1):
            progress(number, len(lots))
            yield made


def _shuffled(coin: str) -> str:
    """Lots come in an order that does not separate the coins of the trays from the others."""
    return hash_bytes(coin.encode())
