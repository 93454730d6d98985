"""The files in ``trays/``: read with what is wrong with each, and written by the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from calibration.durable_files import hash_bytes, write_atomically
from capture.plan import Tray
from pipeline.documents import EMPTY
from pipeline.errors import LabError, explain
from pipeline.lab import Lab, check_name, natural

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class TrayFile:
    """A tray file: its slots, or why it cannot be read; ``digest`` is that of its bytes, empty for a new one."""

    name: str
    slots: Mapping[int, str | None]
    problem: str | None
    digest: str


@dataclass(frozen=True)
class Place:
    """Where a coin lies."""

    tray: str
    slot: int


def read_tray_file(lab: Lab, name: str) -> TrayFile:
    """Read a tray file.

    Raises
    ------
    UsageError
        If there is no such tray.
    """
    try:
        slots, problem = dict(lab.tray(name).slots), None
    except LabError as error:
        path = _path(lab, name)
        if not path.is_file():
            raise
        slots, problem = {}, str(error)
    return TrayFile(name, slots, problem, hash_bytes(_path(lab, name).read_bytes()))


def read_tray_files(lab: Lab) -> list[TrayFile]:
    """Every tray file of a lab."""
    names = sorted((path.stem for path in (lab.folder / "trays").glob("*.yaml")), key=natural)
    return [read_tray_file(lab, name) for name in names]


def places_of(files: Iterable[TrayFile]) -> dict[str, list[Place]]:
    """Where each coin lies: one that lies in two places is on two trays."""
    places: dict[str, list[Place]] = {}
    for file in files:
        for slot, coin in file.slots.items():
            if coin is not None:
                places.setdefault(coin, []).append(Place(file.name, slot))
    return places


class OnTwoTraysError(LabError):
    """A tray would have coins that are on another one too."""


@dataclass(frozen=True)
class WantedTray:
    """What a tray is to hold; ``digest`` is that of its file as whoever wants it has seen it, empty for a new one."""

    name: str
    slots: Mapping[int, str | None]
    digest: str


def write_tray_files(lab: Lab, wanted: Sequence[WantedTray], *, may_be_elsewhere: bool = False) -> list[TrayFile]:
    """Write tray files once all of them are checked: what is wrong with one keeps every one from being written.

    Parameters
    ----------
    may_be_elsewhere
        Whether coins may be on another tray too, since somebody wants that.

    Raises
    ------
    OnTwoTraysError
        If a coin is on two trays, and may not be.
    LabError
        If one was changed meanwhile, its slots make no tray, or the disk took only some; what is written is named.
    """
    trays = [_check(lab, each) for each in wanted]
    if not may_be_elsewhere:
        _refuse_doubles(lab, trays)
    for number, tray in enumerate(trays):
        lines = [f"  {slot}: {_spell(coin)}".rstrip() for slot, coin in tray.slots.items()]
        head = f"# Tray {tray.id}: slot -> accession number; an empty slot stays empty."
        try:
            write_atomically(_path(lab, tray.id), "\n".join([head, "slots:", *lines]) + "\n")
        except OSError as error:
            names = [each.id for each in trays]
            done, left = ", ".join(names[:number]) or "none", ", ".join(names[number:])
            raise LabError(f"{explain(error)} Trays that were written: {done}; not written: {left}.") from error
    return [read_tray_file(lab, tray.id) for tray in trays]


def _check(lab: Lab, wanted: WantedTray) -> Tray:
    """What is to be written, if its file is as whoever wants it has seen it."""
    name = wanted.name
    path = _path(lab, check_name(name, "tray"))
    present = hash_bytes(path.read_bytes()) if path.is_file() else ""
    if present != wanted.digest:
        what = f"tray {name} exists already" if not wanted.digest else f"{path} was changed meanwhile by somebody else"
        raise LabError(f"{what}. Nothing was written: load the page again.")
    try:
        return Tray(id=name, slots={int(slot): coin or None for slot, coin in wanted.slots.items()})
    except ValidationError as error:
        why = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise LabError(f"tray {name}: {why} Nothing was written.") from error


def coins_on_two(lab: Lab, trays: Iterable[tuple[str, Mapping[int, str | None]]]) -> dict[str, list[Place]]:
    """Coins of trays that would lie in two places once these trays are written, and where."""
    new = [TrayFile(name, slots, None, "") for name, slots in trays]
    names, coins = {file.name for file in new}, set(places_of(new))
    places = places_of([*(file for file in read_tray_files(lab) if file.name not in names), *new])
    return {coin: found for coin, found in places.items() if coin in coins and len(found) > 1}


def _refuse_doubles(lab: Lab, trays: Sequence[Tray]) -> None:
    doubles = coins_on_two(lab, ((tray.id, tray.slots) for tray in trays))
    if doubles:
        shown = ", ".join(
            f"{coin} ({'; '.join(f'tray {place.tray}, slot {place.slot}' for place in places)})"
            for coin, places in doubles.items()
        )
        raise OnTwoTraysError(f"on two trays: {shown}. Nothing was written yet.")


def _path(lab: Lab, name: str) -> Path:
    return lab.folder / "trays" / f"{name}.yaml"


def _spell(coin: str | None) -> str:
    """An accession number as YAML has it: in quotes where it could be taken for something else."""
    if coin is None:
        return ""
    return coin if _PLAIN.fullmatch(coin) and coin not in EMPTY else json.dumps(coin, ensure_ascii=False)
