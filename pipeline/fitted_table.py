"""A table for terminals of any width: where it does not fit, whole columns are left out, and no word is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2  # blanks between columns
FEWEST_FOR_PROSE = 24  # columns that sentences are given at least


@dataclass(frozen=True)
class Column:
    """A column of a `FittedTable`.

    Attributes
    ----------
    title
        Its heading.
    is_number
        Whether it is set flush right.
    is_prose
        Whether it holds sentences, which may take several lines.
    rank
        Columns of the highest rank are left out first; those of rank 0 never are.
    """

    title: str
    is_number: bool = False
    is_prose: bool = False
    rank: int = 0


class FittedTable:
    """Columns and rows, cells in rich's markup; drawn to fit wherever it is printed."""

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
        self._columns = columns
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widths = [self._width(number) for number in range(len(self._columns))]
        kept = list(range(len(self._columns)))
        for number in sorted(kept, key=lambda number: self._columns[number].rank, reverse=True):
            if self._total(widths, kept) <= options.max_width or self._columns[number].rank == 0:
                break
            kept.remove(number)
        fits = self._total(widths, kept) <= options.max_width
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
        for number in kept:
            column = self._columns[number]
            justify = "right" if column.is_number else "left"
            table.add_column(
                column.title,
                justify=justify,  # type: ignore[arg-type]
                overflow="fold",
                no_wrap=fits and not column.is_prose,
                min_width=None if column.is_prose or not fits else widths[number],
            )
        for row in self._rows:
            table.add_row(*(row[number] for number in kept))
        yield table

    def _width(self, number: int) -> int:
        column = self._columns[number]
        widest = max([len(column.title), *(Text.from_markup(row[number]).cell_len for row in self._rows)])
        return min(widest, FEWEST_FOR_PROSE) if column.is_prose else widest

    def _total(self, widths: Sequence[int], kept: Sequence[int]) -> int:
        return sum(widths[number] for number in kept) + GAP * (len(kept) - 1)
