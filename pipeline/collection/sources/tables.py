"""Records out of tables and JSON, as dealers and museums export them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from calibration.durable_files import parse_json
from pipeline.collection.sources.columns import ColumnMapping, Columns, find_field
from pipeline.collection.sources.lots import SourceLots
from pipeline.collection.sources.sheet_parts import SheetPart, find_parts
from pipeline.errors import LabError
from pipeline.tables import RawSheet, read_bytes, read_sheets
from pipeline.wording import count

_LIST_KEYS = ("records", "lots", "items", "entries", "objects", "results", "data", "coins")
_MOST_COLUMNS = 12  # that are not used, before they are counted only


def read_lots_table(path: Path, mapping: ColumnMapping) -> SourceLots:
    """Read the records of a CSV file or an Excel workbook, of every sheet that has a header.

    Raises
    ------
    LabError
        If it cannot be read, or no line names columns that are known.
    """
    sheets = read_sheets(path, mapping.encoding)
    if mapping.sheet is not None:
        named = [sheet for sheet in sheets if sheet.name == mapping.sheet]
        if not named:
            names = ", ".join(repr(sheet.name) for sheet in sheets)
            raise LabError(f"{path} has no sheet {mapping.sheet!r}. It has: {names}.")
        sheets = tuple(named)
    found = SourceLots()
    is_read = False
    for sheet in sheets:
        parts = find_parts(sheet, mapping)
        if not parts:
            if any(any(cells) for _, cells in sheet.lines) and len(sheets) > 1:
                found.notes.append(f"sheet {sheet.name!r} has no header that is understood, and was left out.")
            continue
        for part in parts:
            _read_part(path, sheet, part, mapping, found, is_one=len(sheets) == 1)
        if sheet.guess:
            found.notes.append(
                f"the letters are not in UTF-8 and were read as Windows-1252 (as in {sheet.guess!r}). If that is "
                "wrong, name another `encoding:` in a mapping file."
            )
        is_read = True
    if not is_read:
        raise LabError(
            f"{path}: no line names columns that are understood, such as lot, weight and image. Name them in a mapping "
            "file (--mapping)."
        )
    found.join()
    return found


def read_lots_json(path: Path, document: Any, mapping: ColumnMapping) -> SourceLots:
    """The records of a JSON document: a list of objects, also within an object.

    Raises
    ------
    LabError
        If it is none.
    """
    records = document
    if isinstance(document, dict):
        records = next((document[key] for key in _LIST_KEYS if isinstance(document.get(key), list)), None)
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        raise LabError(f'{path} holds no list of records. Write [{{"lot": "231", "image": "231.jpg"}}, ...].')
    flat = [dict(_flattened(each)) for each in records]
    columns = Columns(dict.fromkeys(name for each in flat for name in each), mapping.columns)
    found = SourceLots()
    _note_columns(str(path), columns, found)
    for number, each in enumerate(flat, 1):
        stated = {columns.fields[name] for name in each if name in columns.fields}
        found.add(f"record {number}", columns.values(each), stated)
    found.join()
    return found


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises
    ------
    LabError
        If it is none, naming the line.
    """
    try:
        return parse_json(read_bytes(path).decode("utf-8-sig"))
    except ValueError as error:
        line = f", line {error.lineno}" if hasattr(error, "lineno") else ""
        raise LabError(f"{path}{line}: this is no valid JSON. Export it again.") from error


def _read_part(
    path: Path, sheet: RawSheet, part: SheetPart, mapping: ColumnMapping, found: SourceLots, *, is_one: bool
) -> None:
    at = part.header
    names, lines = _names(sheet, at)
    doubled = [name for name in dict.fromkeys(names) if name and names.count(name) > 1 and find_field(name)]
    if doubled:
        raise LabError(
            f"{path}, line {sheet.lines[at][0]}: two columns are called {doubled[0]!r}. Rename or remove one."
        )
    columns = Columns(names, mapping.columns)
    of_sheet = "" if is_one else f"sheet {sheet.name!r}, "
    _note_columns(f"{of_sheet}line {sheet.lines[at][0]}", columns, found)
    stated = set(columns.fields.values())
    for line, cells in sheet.lines[at + lines : part.end]:
        cells = [cell.strip().strip("\ufeff") for cell in cells]
        if not any(cells) or cells[: len(names)] == names:
            continue
        where = f"{of_sheet}line {line}"
        if not sheet.name and any(cells[len(names) :]):
            found.wrong.append(
                f"{where}: {count(len(cells), 'value')}, and the header has {count(len(names), 'column')}. If a value "
                "holds the separator, put it in double quotes."
            )
            continue
        row = dict(zip(names, cells + [""] * len(names), strict=False))
        values = columns.values(row)
        if values and part.sale:
            values.setdefault("sale", part.sale)
        if values:
            found.add(where, values, stated)


def _names(sheet: RawSheet, at: int) -> tuple[list[str], int]:
    """The columns' names, and how many lines the header takes: one below or above may name what this one does not."""
    names = _cleaned(sheet.lines[at][1])
    below = _cleaned(sheet.lines[at + 1][1]) if at + 1 < len(sheet.lines) else []
    taken = {find_field(name) for name in names}
    more = {
        column: cell
        for column, cell in enumerate(below[: len(names)])
        if (field := find_field(cell)) and field not in taken and not find_field(names[column])
    }
    if more and not any(cell and column not in more and cell != names[column] for column, cell in enumerate(below)):
        names = [more.get(column, name) for column, name in enumerate(names)]
        lines = 2
    else:
        lines = 1
    for column, cell in enumerate(_cleaned(sheet.lines[at - 1][1])[: len(names)] if at else []):
        if not names[column] and find_field(cell):
            names[column] = cell
    while names and not names[-1]:
        names.pop()
    return names, lines


def _cleaned(cells: Sequence[str]) -> list[str]:
    return [" ".join(cell.strip().strip("\ufeff").split()) for cell in cells]


def _note_columns(where: str, columns: Columns, found: SourceLots) -> None:
    for name in columns.missing:
        raise LabError(f"{where}: there is no column {name!r}, which the mapping file names.")
    if columns.unused:
        shown = ", ".join(map(repr, columns.unused[:_MOST_COLUMNS]))
        more = f" and {len(columns.unused) - _MOST_COLUMNS} more" if len(columns.unused) > _MOST_COLUMNS else ""
        found.notes.append(f"{where}: not used: {shown}{more}.")


def _flattened(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, each in value.items():
        name = f"{before}{key}"
        if isinstance(each, dict):
            yield from _flattened(each, f"{name}.")
        elif isinstance(each, list):
            if all(isinstance(item, str | int | float) for item in each) and each:
                yield name, "; ".join(map(str, each))
        else:
            yield name, "" if each is None else str(each)
