"""Which photographs there are, and which coin each shows: by a label table, else by their names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calibration.image import IMAGE_SUFFIXES
from capture.names import NameProblem, clean_name, printable
from capture.photographs import is_hidden
from pipeline.errors import LabError
from pipeline.tables import Row, Table, read_table
from rig.sides import Side

# Other people's label tables call the same things by these names.
COLUMNS = {
    "file": ("file", "path", "image", "filename"),
    "coin": ("coin", "coin_id", "label"),
    "side": ("side",),
    "type": ("type", "denomination", "rrc"),
    "session": ("session", "placement"),
}
SIDES: dict[str, Side] = {"obverse": "obverse", "obv": "obverse", "reverse": "reverse", "rev": "reverse"}
_TABLES = {".csv", ".tsv", ".txt", ".xlsx", ".xls", ".md", ".json", ".xml", ".yaml", ".yml", ".pdf"}


@dataclass(frozen=True)
class Label:
    """One photograph and what its label says."""

    path: Path
    coin: str
    side: Side | None = None
    type: str | None = None
    session: str = "1"
    is_from_table: bool = False


@dataclass(frozen=True)
class Labelled:
    """The photographs of a folder, and its other files, each with why it is left out."""

    labels: tuple[Label, ...]
    skipped: tuple[str, ...] = ()


def read_labels(path: Path) -> Labelled:
    """Read a label table with a header; see `COLUMNS`. File names are relative to it.

    Raises
    ------
    LabError
        Naming the line: if a column, a coin or a file name is missing or cannot be used, a side is neither obverse nor
        reverse, or one file has two labels.
    """
    table = read_table(path)
    if not table.rows:
        raise LabError(f"{path} has no lines below its header. It needs the columns file and coin.")
    column = {word: next((name for name in also if name in table.columns), None) for word, also in COLUMNS.items()}
    for word in ("file", "coin"):
        if column[word] is None:
            raise LabError(
                f"{path}, line 1: there is no column {word!r} (or {', '.join(COLUMNS[word][1:])}); found: "
                f"{', '.join(name for name in table.columns if name) or 'none'}. Name the columns in the first line, "
                "with commas, semicolons or tabs between them."
            )
    seen: dict[Path, tuple[int, Label]] = {}
    for row in table.rows:
        label = _label(table, row, column)
        line, former = seen.setdefault(label.path, (row.line, label))
        if former != label:
            raise LabError(
                f"{path}, lines {line} and {row.line}: {label.path.name} is labelled twice, and not the same. Remove "
                "one of the lines. Nothing was imported."
            )
    return Labelled(tuple(label for _, label in seen.values()))


def label_by_name(directory: Path) -> Labelled:
    """Without a label table: the coin is the photograph's folder, or its name without ``_obv`` or ``_rev``.

    Hidden files and folders, and those that systems make for themselves (`@eaDir`, `__MACOSX`), are passed over without
    a word; every other file that is no photograph is named.
    """
    labels, skipped = [], []
    root = directory.resolve()
    for path in _visible(directory, root, {root}):
        if path.suffix.lower() not in IMAGE_SUFFIXES:
            if path.suffix.lower() not in _TABLES:
                skipped.append(f"{printable(str(path))} is no image of a kind that is known.")
            continue
        stem, _, ending = path.stem.rpartition("_")
        side = SIDES.get(ending.lower()) if stem else None
        if path.parent != directory:
            name = path.parent.relative_to(directory).as_posix()
        else:
            name = stem if side else path.stem
        try:
            labels.append(Label(path, clean_name(name), side))
        except NameProblem as problem:
            skipped.append(f"{printable(str(path))}: the coin's name {problem}")
    return Labelled(tuple(labels), tuple(skipped))


def _visible(directory: Path, root: Path, seen: set[Path]) -> Iterator[Path]:
    """What is in a folder. Links may lead in circles: each folder is entered once, by its own name where it has one."""
    for path in sorted(directory.iterdir()):
        if is_hidden(path):
            continue
        if not path.is_dir():
            yield path  # pipes and links to nowhere too: whoever reads them says so
            continue
        real = path.resolve()
        if real in seen or (path.is_symlink() and real.is_relative_to(root)):
            continue
        seen.add(real)
        yield from _visible(path, root, seen)


def _label(table: Table, row: Row, column: dict[str, str | None]) -> Label:
    def value(word: str) -> str:
        name = column[word]
        return row.values[name] if name else ""

    where = f"{table.path}, line {row.line}"
    if not value("file") or not value("coin"):
        raise LabError(f"{where}: file and coin must both be given. Nothing was imported.")
    side = value("side").lower()
    if side and side not in SIDES:
        raise LabError(f"{where}: side is {printable(side)!r}. Give obverse or reverse. Nothing was imported.")
    try:
        coin = clean_name(value("coin"))
        type_ = clean_name(value("type")) if value("type") else None
        session = clean_name(value("session")) if value("session") else "1"
    except NameProblem as problem:
        raise LabError(f"{where}: a name {problem} Nothing was imported.") from problem
    path = _as_on_disk(table.path.parent / printable(value("file")))
    return Label(path, coin, SIDES.get(side), type_, session, is_from_table=True)


def _as_on_disk(path: Path) -> Path:
    """The file as it is spelt on disk: a table and a disk may compose letters differently."""
    spellings = (path, *(Path(unicodedata.normalize(form, str(path))) for form in ("NFC", "NFD")))
    return next((each for each in spellings if os.access(each, os.F_OK)), path)  # `exists` fails for too long a name
