"""Tables that people write: CSV with any common separator, as spreadsheets save it, and Excel workbooks.

What can be read with certainty is read; the rest is refused, naming the line, before anything else happens.
"""

from __future__ import annotations

import csv
import io
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.durable_files import near_path, read_limit
from pipeline.errors import LabError
from pipeline.wording import count

MERGED_BYTES = 8_000_000  # of a workbook, up to which cells that were merged are all read as what they show
MAX_BYTES = 64_000_000  # a table of a million lines; a FIFO or a device is no table at all
MAX_UNPACKED_BYTES = 1_000_000_000
SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_EXCEL = b"PK\x03\x04"
_OLD_EXCEL = b"\xd0\xcf\x11\xe0"
_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


@dataclass(frozen=True)
class Row:
    """A line of a table: its number as an editor counts, and its values by column, stripped."""

    line: int
    values: dict[str, str]


@dataclass(frozen=True)
class Table:
    """A table with a header: the columns' names in lower case, and the lines that are not empty."""

    path: Path
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class RawSheet:
    """A table as it stands in its file, before anything is known of its header.

    Attributes
    ----------
    name
        Of a workbook's sheet; empty otherwise.
    lines
        Each line's number and its cells.
    guess
        A word with letters beyond ASCII, where the file does not tell which letters they are; else None.
    """

    name: str
    lines: tuple[tuple[int, list[str]], ...]
    guess: str | None = None


def read_sheets(path: Path, encoding: str | None = None) -> tuple[RawSheet, ...]:
    """Read a CSV file, or all sheets of an Excel workbook, as they are; without one, letters are guessed if need be.

    Raises
    ------
    LabError
        If it cannot be read.
    """
    data = read_bytes(path)
    _refuse_old_excel(path, data)
    if data.startswith(_EXCEL):
        return _excel(path, data)
    guess = None
    if encoding is None and not data.startswith(tuple(mark for mark, _ in _BOMS)) and not _is_utf8(data):
        encoding, guess = _guess_letters(path, data)
    text = _decoded(path, data, encoding)
    return (RawSheet("", tuple(_separated(path, text)), guess),)


def read_table(path: Path) -> Table:
    """Read a CSV file (UTF-8 or UTF-16; comma, semicolon, tab or bar) or the first sheet of an Excel workbook.

    Raises
    ------
    LabError
        Naming file and line: if it cannot be read, has two columns of one name, or a line has more values than the
        header has columns, as when a value holds the separator and is not quoted.
    """
    return parse_table(read_bytes(path), path)


def parse_table(data: bytes, path: Path, most_unpacked: int = MAX_UNPACKED_BYTES) -> Table:
    """Read a table of which the bytes are there already, as `read_table` does; `path` is what messages call it.

    Parameters
    ----------
    most_unpacked
        Bytes that a workbook may unpack to.
    """
    _refuse_old_excel(path, data)
    if data.startswith(_EXCEL):
        return _table(path, iter(_excel(path, data, most_unpacked)[0].lines), "cell")
    return _table(path, _separated(path, _decoded(path, data)), "value")


def _refuse_old_excel(path: Path, data: bytes) -> None:
    if data.startswith(_OLD_EXCEL):
        raise LabError(f"{path} is an old Excel file (.xls). Save it as .xlsx or as CSV.")


def _separated(path: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        return _csv(path, rest, first.strip()[4], start=1)
    return _csv(path, text, _separator(first), start=0)


def read_bytes(path: Path) -> bytes:
    """The bytes of a table; LabError if it cannot be read, is no file, or too large."""
    try:
        if not path.is_file():
            near = None if path.exists() else near_path(path)
            what = "is not a file" if path.exists() else "does not exist"
            raise LabError(f"{path} {what}. {f'Did you mean {near}?' if near else 'Name a CSV or Excel file.'}")
        most_mb = read_limit("RIG_MAX_TABLE_MB", MAX_BYTES / 1e6)
        if path.stat().st_size > most_mb * 1e6:
            raise LabError(
                f"{path} is larger than {most_mb:g} MB. Divide it into several tables, or set RIG_MAX_TABLE_MB."
            )
        return path.read_bytes()
    except OSError as error:
        raise LabError(f"{path} cannot be read: {error.strerror}. Check its owner and permissions.") from error


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _guess_letters(path: Path, data: bytes) -> tuple[str, str]:
    """Windows-1252, as Excel saves CSV in the west of Europe, and a word to check it by.

    Raises
    ------
    LabError
        If it is hardly that: Greek and Russian letters of other encodings come out as one accent after another.
    """
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        text = ""
    words = re.findall(r"[^\W\d_]+", text)
    odd = [word for word in words if not word.isascii()]
    if not odd or any(sum(not letter.isascii() for letter in word) > len(word) / 2 > 1 for word in odd):
        raise LabError(
            f"{path}: the letters are not in UTF-8, and which they are cannot be known. Save the table as CSV UTF-8 or "
            "as .xlsx, or name the encoding in a mapping file: `encoding: cp1253`."
        )
    return "cp1252", max(odd, key=len)


def _decoded(path: Path, data: bytes, encoding: str | None = None) -> str:
    encoding = encoding or next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except LookupError as error:
        raise LabError(
            f"there is no encoding {encoding!r}. Common ones are utf-8, cp1252, cp1251 and cp1253."
        ) from error
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise LabError(
            f"{path}, line {line}: the letters are not in UTF-8, and which they are cannot be known for certain. "
            "Save the table as CSV UTF-8, or as .xlsx."
        ) from error
    if "\0" in text:
        raise LabError(f"{path} is not a text file. Save the table as CSV UTF-8, or as .xlsx.")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(header: str) -> str:
    """The separator of which a header has most; a comma where it has none."""
    return max(SEPARATORS, key=lambda mark: (header.count(mark), mark == ","))


def _csv(path: Path, text: str, separator: str, start: int) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text), delimiter=separator, strict=True)
    while True:
        line = start + reader.line_num + 1
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            mark = SEPARATORS.get(separator, separator)
            raise LabError(
                f"{path}, line {line}: quotes do not match (the separator is a {mark}). "
                "Correct the line, or save the table again from a spreadsheet."
            ) from error
        yield line, values


def _excel(path: Path, data: bytes, most_unpacked: int = MAX_UNPACKED_BYTES) -> tuple[RawSheet, ...]:
    import openpyxl  # half a second, and few tables are workbooks

    try:
        unpacked = sum(part.file_size for part in zipfile.ZipFile(io.BytesIO(data)).infolist())
        if unpacked <= most_unpacked:
            is_large = len(data) > MERGED_BYTES
            workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=is_large, data_only=True)
            return tuple(RawSheet(each.title, _lines_of(each, is_large)) for each in workbook.worksheets)
    except Exception as error:  # on damaged workbooks openpyxl raises whatever its parsers do
        raise LabError(f"{path} is a damaged Excel workbook. Save it again, or as CSV.") from error
    raise LabError(f"{path} would unpack to {unpacked // 1_000_000} MB. Divide it into several tables.")


def _lines_of(sheet: Any, is_large: bool) -> tuple[tuple[int, list[str]], ...]:
    lines = [[_cell(value) for value in cells] for cells in sheet.iter_rows(values_only=True)]
    for merged in () if is_large else sheet.merged_cells.ranges:
        if merged.size["rows"] > 1:  # a value that stands for several lines; across, it is a heading
            for row in (row for row in range(merged.min_row, merged.max_row) if any(lines[row])):
                lines[row][merged.min_col - 1] = lines[merged.min_row - 1][merged.min_col - 1]
    return tuple(enumerate(lines, 1))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # a spreadsheet keeps 9 as 9.0
    return str(value)


def _table(path: Path, lines: Iterator[tuple[int, list[str]]], what: str) -> Table:
    header: Sequence[str] | None = None
    rows = []
    for line, values in lines:
        values = [value.strip().strip("\ufeff") for value in values]
        if not any(values):
            continue
        if header is None:
            header = [value.lower() for value in values]
            while header and not header[-1]:
                header = header[:-1]
            for name in header:
                if name and header.count(name) > 1:
                    raise LabError(f"{path}, line {line}: two columns are called {name!r}. Rename or remove one.")
            continue
        if any(values[len(header) :]):
            raise LabError(
                f"{path}, line {line}: {count(len(values), what)}, and the header has "
                f"{count(len(header), 'column')}. If a {what} holds the separator, put it in double quotes."
            )
        rows.append(Row(line, dict(zip(header, values + [""] * len(header), strict=False))))
    if header is None:
        raise LabError(f"{path} is empty. Its first line names the columns.")
    return Table(path, tuple(header), tuple(rows))
