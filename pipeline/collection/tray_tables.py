"""Trays out of a table that a person keeps: a column of accession numbers, with slot and tray where there are such."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.collection.sources.columns import NAMES, plain_name
from pipeline.errors import LabError
from pipeline.tables import Row, Table, parse_table

MAX_UNPACKED_BYTES = 30_000_000  # of a workbook that a browser sends: a hundred thousand lines
COLUMNS = {
    "coin": (*NAMES["coin"], "number", "no", "nr", "inventarnummer", "inventarnr", "nummer", "münze"),
    "slot": ("slot", "place", "position", "pos", "platz"),
    "tray": ("tray", "tablett", "drawer", "lade"),
}
_DECIMAL = re.compile(r"\d+\.\d+")
_WITH_COMMA = re.compile(r"\d+,\d+")


@dataclass(frozen=True)
class TrayTable:
    """What a table says of trays.

    Attributes
    ----------
    trays
        Tray to slot to coin; the tray is None where no column names it.
    may_lack_zeros
        A number such as 2024.1 out of a workbook, which may have been typed as 2024.10; None where there is none.
    has_comma
        A number such as 2024,1, as a German Excel writes 2024.10 where a cell is a number; None where there is none.
    """

    trays: dict[str | None, dict[int, str]] = field(default_factory=dict)
    may_lack_zeros: str | None = None
    has_comma: str | None = None


def read_tray_table(data: bytes, name: str, slots: int) -> TrayTable:
    """Read a CSV file or an Excel workbook; without a column of slots they are filled in the order of the lines.

    Parameters
    ----------
    data, name
        The file, and what to call it.
    slots
        How many a tray has.

    Raises
    ------
    LabError
        Naming the line: if it cannot be read, has no column of accession numbers, or a slot is none or taken.
    """
    table = parse_table(data, Path(name), MAX_UNPACKED_BYTES)
    columns = {what: _column(table, names) for what, names in COLUMNS.items()}
    if columns["coin"] is None:
        raise LabError(
            f"{name}: no column has the accession numbers. Name it `coin` in the first line, and, where you have them, "
            "`slot` and `tray`."
        )
    trays: dict[str | None, dict[int, str]] = {}
    for row in table.rows:
        coin = row.values[columns["coin"]]
        tray = row.values[columns["tray"]] if columns["tray"] else None
        if tray == "":
            raise LabError(f"{name}, line {row.line}: it names no tray. Fill it in, or remove the line.")
        placed = trays.setdefault(tray, {})
        slot = _slot(name, row, columns["slot"], len(placed) + 1, slots)
        if slot in placed:
            raise LabError(
                f"{name}, line {row.line}: slot {slot} has {placed[slot]} already. Correct one of the two lines."
            )
        if coin:
            placed[slot] = coin
    is_workbook = data.startswith(b"PK")
    coins = [coin for placed in trays.values() for coin in placed.values()]
    return TrayTable(
        trays,
        next((coin for coin in coins if is_workbook and _DECIMAL.fullmatch(coin)), None),
        next((coin for coin in coins if _WITH_COMMA.fullmatch(coin)), None),
    )


def _column(table: Table, names: tuple[str, ...]) -> str | None:
    """The first column that is called by one of some names, the names that say most first."""
    plain = {plain_name(column): column for column in reversed(table.columns) if column}
    return next((plain[name] for name in names if name in plain), None)


def _slot(name: str, row: Row, column: str | None, following: int, slots: int) -> int:
    text = row.values[column] if column else str(following)
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= slots):
        raise LabError(
            f"{name}, line {row.line}: slot {text or '(none)'}: the slots of a tray are numbered from 1 to {slots}. "
            "Correct it in the table."
        )
    return int(text)
