"""The files in ``trays/``: read with what is wrong with each, and written by the page."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from calibration.durable_files import hash_bytes, write_atomically
from capture.plan import Tray
from pipeline.documents import EMPTY
from pipeline.errors import LabError
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


def write_tray_file(
    lab: Lab, name: str, slots: Mapping[int, str | None], digest: str, *, may_be_elsewhere: bool = False
) -> TrayFile:
    """Write a tray file, whole or not at all.

    Parameters
    ----------
    digest
        Of the file as whoever changed it has seen it; empty for a new tray.
    may_be_elsewhere
        Whether coins may be on another tray too, since somebody wants that.

    Raises
    ------
    OnTwoTraysError
        If a coin is on another tray, and may not be.
    LabError
        If it was changed meanwhile, or the slots make no tray.
    """
    path = _path(lab, check_name(name, "tray"))
    present = hash_bytes(path.read_bytes()) if path.is_file() else ""
    if present != digest:
        what = f"tray {name} exists already" if not digest else f"{path} was changed meanwhile by somebody else"
        raise LabError(f"{what}. Nothing was written: load the page again.")
    try:
        tray = Tray(id=name, slots={int(slot): coin or None for slot, coin in slots.items()})
    except ValidationError as error:
        why = "; ".join(each["msg"].removeprefix("Value error, ") for each in error.errors())
        raise LabError(f"tray {name}: {why} Nothing was written.") from error
    if not may_be_elsewhere:
        _refuse_doubles(lab, tray)
    lines = [f"  {slot}: {_spell(coin)}".rstrip() for slot, coin in tray.slots.items()]
    head = f"# Tray {name}: slot -> accession number; an empty slot stays empty."
    write_atomically(path, "\n".join([head, "slots:", *lines]) + "\n")
    return read_tray_file(lab, name)


def _refuse_doubles(lab: Lab, tray: Tray) -> None:
    others = places_of(file for file in read_tray_files(lab) if file.name != tray.id)
    doubles = [
        f"{coin} (tray {place.tray}, slot {place.slot})"
        for coin in tray.coins.values()
        for place in others.get(coin, ())
    ]
    if doubles:
        raise OnTwoTraysError(f"on another tray too: {', '.join(doubles)}. Nothing was written yet.")


def _path(lab: Lab, name: str) -> Path:
    return lab.folder / "trays" / f"{name}.yaml"


def _spell(coin: str | None) -> str:
    """An accession number as YAML has it: in quotes where it could be taken for something else."""
    if coin is None:
        return ""
    return coin if _PLAIN.fullmatch(coin) and coin not in EMPTY else json.dumps(coin, ensure_ascii=False)
