"""A table for terminals of any width: texts take several lines, then whole columns are left out; no number is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

GAP = 2  # blanks between columns
FEWEST_FOR_PROSE = 24  # columns that sentences are given at least
LONG_WORD = 12  # a longer one, such as a long name, takes several lines before a column is left out


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
        kept = list(range(len(self._columns)))
        for number in sorted(kept, key=lambda number: self._columns[number].rank, reverse=True):
            if self._columns[number].rank == 0 or _total([self._least(each) for each in kept]) <= options.max_width:
                break
            kept.remove(number)
        table = Table(box=None, padding=(0, GAP, 0, 0), pad_edge=False)
        for number, width in zip(kept, self._fit(kept, options.max_width), strict=True):
            column = self._columns[number]
            justify = "right" if column.is_number else "left"
            table.add_column(column.title, justify=justify, overflow="fold", width=width)  # type: ignore[arg-type]
        for row in self._rows:
            table.add_row(*(row[number] for number in kept))
        yield table

    def _fit(self, kept: Sequence[int], width: int) -> list[int]:
        """Widths of columns: as wide as they are, and where that is too much, the widest texts the narrower."""
        widths, least = [self._widest(each) for each in kept], [self._least(each) for each in kept]
        while _total(widths) > width and widths != least:
            number = max(range(len(kept)), key=lambda number: (widths[number] > least[number], widths[number]))
            widths[number] -= 1
        return widths

    def _widest(self, number: int) -> int:
        return max([len(self._columns[number].title), *(text.cell_len for text in self._texts(number))])

    def _least(self, number: int) -> int:
        """How narrow a column may be: no number is cut, and of words only those of many letters."""
        column, widest = self._columns[number], self._widest(number)
        if column.is_number:
            return widest
        if column.is_prose:
            return min(widest, FEWEST_FOR_PROSE)
        words = [len(word) for text in self._texts(number) for word in text.plain.split()]
        return max(len(column.title), min(max(words, default=0), LONG_WORD))

    def _texts(self, number: int) -> list[Text]:
        return [Text.from_markup(row[number]) for row in self._rows]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)
