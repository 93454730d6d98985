"""Tables as people save them are read, or refused with the line that is wrong."""

from __future__ import annotations

import io
import random
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import LabError
from pipeline.tables import read_table


def workbook(rows: list[list[object]]) -> bytes:
    """An Excel workbook of one sheet."""
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"file,coin\na.jpg,X1\n",
        b"file;coin\r\na.jpg;X1\r\n",
        b"file\tcoin\ra.jpg\tX1\r",
        b"sep=|\nfile|coin\na.jpg|X1\n",
        b"\xef\xbb\xbfFile , Coin\n a.jpg , X1 \n,\n\n,,\n",
        "file\tcoin\na.jpg\tX1\n".encode("utf-16"),
        b'"file","coin"\n"a.jpg","X1"',
        workbook([["file", "coin", None], [None], ["a.jpg", "X1"]]),
    ],
)
def test_the_same_table_however_it_was_saved(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "labels"
    path.write_bytes(data)
    table = read_table(path)
    assert table.columns == ("file", "coin")
    assert [row.values for row in table.rows] == [{"file": "a.jpg", "coin": "X1"}]


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"file,coin\na.jpg,RIC 5, 12\n", "line 2: 3 values, and the header has 2 columns"),
        (b"file,coin,Coin\na.jpg,1,2\n", "line 1: two columns are called 'coin'"),
        (b'file,coin\na.jpg,"X\n1"\nb.jpg,"X"2\n', "line 4: quotes do not match"),
        ("file,coin\na.jpg,Köln\n".encode("latin-1"), "line 2: the letters are not in UTF-8"),
        (b"\xd0\xcf\x11\xe0" + bytes(50), "old Excel file"),
        (b"PK\x03\x04" + bytes(50), "damaged Excel workbook"),
        (b"\n\n", "is empty"),
        (b"f\0i\0l\0e\0", "not a text file"),
    ],
)
def test_what_is_not_certain_is_refused_with_its_line(data: bytes, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_bytes(data)
    with pytest.raises(LabError, match=complaint):
        read_table(path)


def test_a_device_or_a_folder_is_no_table(tmp_path: Path) -> None:
    for path in (Path("/dev/zero"), tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(LabError, match=r"is not a file|does not exist"):
            read_table(path)


@given(st.lists(st.tuples(st.text("abc ü,;\"'|", min_size=1), st.text("xyz\t0.9")), min_size=1))
def test_what_a_csv_writer_writes_is_read_back(pairs: list[tuple[str, str]]) -> None:
    import csv
    import tempfile

    stream = io.StringIO()
    csv.writer(stream).writerows([("file", "coin"), *pairs])
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(stream.getvalue().encode())
        file.flush()
        read = [(row.values["file"], row.values["coin"]) for row in read_table(Path(file.name)).rows]
    assert read == [(a.strip(), b.strip()) for a, b in pairs if a.strip() or b.strip()]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_damaged_tables_are_read_or_refused_and_nothing_else(kind: str, tmp_path: Path, fuzz_rounds: int) -> None:
    data = workbook([["file", "coin"], ["a.jpg", 9]]) if kind == "xlsx" else b'file,coin,side\na.jpg,"X 1",obv\nb,2,\n'
    chance = random.Random(kind)
    path = tmp_path / "labels"
    for _ in range(fuzz_rounds):
        mutated = bytearray(data)
        for _ in range(chance.randint(1, 6)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        path.write_bytes(bytes(mutated))
        try:
            read_table(path)
        except LabError as error:
            assert str(error).startswith(str(path))
