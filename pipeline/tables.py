"""Tables that people write: CSV with any common separator, as spreadsheets save it, and Excel workbooks.

What can be read with certainty is read; the rest is refused, naming the line, before anything else happens.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.durable_files import near_path, read_limit
from pipeline.errors import LabError
from pipeline.wording import count

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


def read_table(path: Path) -> Table:
    """Read a CSV file (UTF-8 or UTF-16; comma, semicolon, tab or bar) or the first sheet of an Excel workbook.

    Raises
    ------
    LabError
        Naming file and line: if it cannot be read, has two columns of one name, or a line has more values than the
        header has columns, as when a value holds the separator and is not quoted.
    """
    data = _bytes_of(path)
    if data.startswith(_OLD_EXCEL):
        raise LabError(f"{path} is an old Excel file (.xls). Save it as .xlsx or as CSV.")
    if data.startswith(_EXCEL):
        return _table(path, _excel(path, data), "cell")
    text = _decoded(path, data)
    first, _, rest = text.partition("\n")
    if first.strip().lower().startswith("sep=") and len(first.strip()) == 5:
        return _table(path, _csv(path, rest, first.strip()[4], start=1), "value")
    return _table(path, _csv(path, text, _separator(first), start=0), "value")


def _bytes_of(path: Path) -> bytes:
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


def _decoded(path: Path, data: bytes) -> str:
    encoding = next((name for mark, name in _BOMS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
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


def _excel(path: Path, data: bytes) -> Iterator[tuple[int, list[str]]]:
    import openpyxl  # half a second, and few tables are workbooks

    try:
        unpacked = sum(part.file_size for part in zipfile.ZipFile(io.BytesIO(data)).infolist())
        if unpacked <= MAX_UNPACKED_BYTES:
            workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            for line, cells in enumerate(workbook.worksheets[0].iter_rows(values_only=True), 1):
                yield line, [_cell(value) for value in cells]
    except Exception as error:  # on damaged workbooks openpyxl raises whatever its parsers do
        raise LabError(f"{path} is a damaged Excel workbook. Save it again, or as CSV.") from error
    if unpacked > MAX_UNPACKED_BYTES:
        raise LabError(f"{path} would unpack to {unpacked // 1_000_000} MB. Divide it into several tables.")


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
