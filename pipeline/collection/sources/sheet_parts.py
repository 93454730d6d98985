"""Where the tables within a sheet are: two sales may stand on one, each below its title and a header of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pipeline.collection.sources.columns import ColumnMapping, Columns, find_field
from pipeline.tables import RawSheet

HEADER_LINES = 30  # among which the first header is looked for


@dataclass(frozen=True)
class SheetPart:
    """Lines of a sheet below one header, both by their places among its lines.

    Attributes
    ----------
    sale
        The title above the header, where each part of the sheet has another one.
    """

    header: int
    end: int
    sale: str | None = None


def find_parts(sheet: RawSheet, mapping: ColumnMapping) -> list[SheetPart]:
    """The tables of a sheet; none if no line names two fields."""
    first = _first_header(sheet, mapping)
    if first is None:
        return []
    headers = [first] if mapping.header_line is not None else _headers(sheet, mapping, first)
    titles = [_title_above(sheet, at) for at in headers]
    ends = [at if title is None else title for at, title in zip(headers[1:], titles[1:], strict=True)]
    names = [None if at is None else "".join(sheet.lines[at][1]).strip() for at in titles]
    is_titled = None not in names and len(set(names)) == len(names) > 1
    return [
        SheetPart(at, end, name if is_titled else None)
        for at, end, name in zip(headers, [*ends, len(sheet.lines)], names, strict=True)
    ]


def _first_header(sheet: RawSheet, mapping: ColumnMapping) -> int | None:
    """The place of the line that names most fields; None if none names two."""
    if mapping.header_line is not None:
        return next((at for at, (line, _) in enumerate(sheet.lines) if line == mapping.header_line), None)
    best, most = None, 1
    for at, (_, cells) in enumerate(sheet.lines[:HEADER_LINES]):
        if (fields := _count_fields(cells, mapping)) > most:
            best, most = at, fields
    return best


def _headers(sheet: RawSheet, mapping: ColumnMapping, first: int) -> list[int]:
    """All lines that are headers, the fullest of those that stand together; but no header that is only repeated."""
    found = [at for at, (_, cells) in enumerate(sheet.lines) if at == first or _is_header(cells, mapping)]
    runs: list[list[int]] = []
    for at in found:
        if runs and at == runs[-1][-1] + 1:
            runs[-1].append(at)
        else:
            runs.append([at])
    fullest = [
        first if first in run else max(run, key=lambda at: _count_fields(sheet.lines[at][1], mapping)) for run in runs
    ]
    return fullest[:1] + [
        at
        for former, at in pairwise(fullest)
        if _title_above(sheet, at) is not None or _cells(sheet, at) != _cells(sheet, former)
    ]


def _is_header(cells: Sequence[str], mapping: ColumnMapping) -> bool:
    """Whether at least half of what a line says are names of fields, two or more, and nothing is a number."""
    texts = [cell for cell in cells if cell.strip()]
    if len(texts) < 2 or any(cell.strip()[0].isdigit() for cell in texts):
        return False
    known = sum(find_field(cell) is not None for cell in texts)
    return 2 * known >= len(texts) and _count_fields(cells, mapping) > 1 and not Columns(texts, mapping.columns).missing


def _count_fields(cells: Sequence[str], mapping: ColumnMapping) -> int:
    return len(Columns([cell for cell in cells if not cell.replace(".", "").isdigit()], mapping.columns).fields)


def _title_above(sheet: RawSheet, at: int) -> int | None:
    """The place of the title over a header: the line before it, empty ones aside, if it has one text alone."""
    for above in range(at - 1, -1, -1):
        texts = _cells(sheet, above)
        if texts:
            return above if len(texts) == 1 and not texts[0].replace(".", "").isdigit() else None
    return None


def _cells(sheet: RawSheet, at: int) -> list[str]:
    return [cell.strip() for cell in sheet.lines[at][1] if cell.strip()]
