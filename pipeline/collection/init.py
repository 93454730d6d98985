"""`rig init`: a lab folder with a digital twin, its trays and its catalogue."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.image import encode_jpeg
from capture.photographs import photo_sides
from capture.plan import DEFAULT_LIGHTS, Plan
from capture.store import Store
from capture.store.records import NewEntry
from pipeline.collection.catalogue import add_directory
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
TRAYS: Mapping[str, Mapping[int, str | None]] = {
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


@dataclass(frozen=True)
class MadeLab:
    """What `make_lab` made."""

    folder: Path
    trays: tuple[str, ...]
    coins: int
    entries: int

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"lab": str(self.folder), "trays": self.trays, "coins": self.coins, "entries": self.entries}


def make_lab(
    folder: Path, coins: Path | None = None, trays: int | None = None, tray_size: int = SLOTS, *, reporter: Reporter
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
    if (folder / "rig.yaml").exists():
        raise UsageError(
            f"{folder} is a lab already; nothing was changed. Name another folder with --lab, or move this one away."
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} exists and is not empty; nothing was changed. Name a new folder with --lab.")
    if coins is not None and not coins.is_dir():
        raise UsageError(f"{coins} is not a folder. Name the folder that holds the photographs of the coins.")
    # Made beside its final place and moved there whole: an interrupted init leaves no half lab behind.
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        contents = _contents(coins, trays, tray_size)
        _write_files(unfinished, contents, coins)
        lab = open_lab(unfinished)
        others = OTHER_COINS if trays is None else 0
        entries = add_directory(lab, coins, reporter).entries if coins else _add_sale(lab, contents, others, reporter)
        if folder.exists():
            folder.rmdir()
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return MadeLab(folder, tuple(contents), len(_coins(contents)), entries)


def _contents(coins: Path | None, trays: int | None, tray_size: int) -> Mapping[str, Mapping[int, str | None]]:
    """What the tray files say: tray, slot, coin."""
    if coins is not None:
        return _trays_of_photographs(coins, tray_size)
    if trays is None:
        return TRAYS
    return {
        str(tray): {slot: f"2024.{tray}.{slot}" for slot in range(1, tray_size + 1)} for tray in range(1, trays + 1)
    }


def _coins(contents: Mapping[str, Mapping[int, str | None]]) -> list[str]:
    return [coin for slots in contents.values() for coin in slots.values() if coin is not None]


def _trays_of_photographs(coins: Path, tray_size: int) -> dict[str, dict[int, str | None]]:
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


def _write_files(folder: Path, trays: Mapping[str, Mapping[int, str | None]], coins: Path | None) -> None:
    for name in ("trays", "plans", "calibrations", "catalogue", "models", "reports"):
        (folder / name).mkdir(parents=True)
    shown = f'"{coins.resolve().as_posix()}"' if coins else "procedural"
    (folder / "rig.yaml").write_text(RIG_YAML.format(coins=shown, seed=SEED))
    for name, slots in trays.items():
        lines = [f"  {slot}: {coin or ''}".rstrip() for slot, coin in slots.items()]
        text = "\n".join([f"# Tray {name}: slot -> accession number; an empty slot stays empty.", "slots:", *lines])
        (folder / "trays" / f"{name}.yaml").write_text(text + "\n")
    plan = Plan()
    (folder / "plans" / "default.yaml").write_text(
        "# How every coin is photographed. Angles in degrees, exposure in microseconds.\n"
        f"sides: [{', '.join(plan.sides)}]\n"
        f"lights: [{', '.join(DEFAULT_LIGHTS)}]\n"
        f"turntable_deg: [{', '.join(f'{angle:g}' for angle in plan.turntable_deg)}]\n"
        f"tilt_deg: [{', '.join(f'{angle:g}' for angle in plan.tilt_deg)}]\n"
        f"exposure_us: {plan.exposure_us}\n"
        f"gain: {plan.gain:g}\n"
        f"retakes: {plan.retakes}  # how often a frame that fails its check is taken again\n"
    )


def _add_sale(lab: Lab, contents: Mapping[str, Mapping[int, str | None]], others: int, reporter: Reporter) -> int:
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
    return hashlib.sha256(coin.encode()).hexdigest()
