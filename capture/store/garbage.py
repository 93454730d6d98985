"""What a store can do without: found, and only then removed. Never a frame, raw or calibrated, nor its record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capture.store.database import Database
from capture.store.files import Files
from capture.store.journal_lines import StoreCleaned
from capture.store.store import Store
from capture.store.writers import writers

KEEP_DAYS = 30.0

Kind = Literal["half written", "set aside", "former index", "embedding"]


@dataclass(frozen=True)
class Waste:
    """One kind of what can go.

    Attributes
    ----------
    kind
        ``"half written"``: what killed writers left in ``tmp``. ``"set aside"``: files in ``leftovers`` that belong to
        no kept frame. ``"former index"``: what `rig store rebuild` kept. ``"embedding"``: made with a model that
        another of the same name has replaced, or of an entry that left the catalogue; made again if it is ever needed.
    files
        What is deleted; none for embeddings, which lie in the index.
    count, bytes
        How many, and what they take.
    """

    kind: Kind
    files: tuple[Path, ...]
    count: int
    bytes: int


def find_waste(files: Files, database: Database, keep_days: float = KEEP_DAYS) -> list[Waste]:
    """Find what can go; changes nothing.

    Parameters
    ----------
    keep_days
        What was set aside or replaced less than so long ago is left alone.
    """
    half_written = [] if writers(files.folder) else list(files.temporary.glob("*"))
    return [
        _of_files("half written", half_written),
        _of_files("set aside", _older(files.folder.glob("leftovers/**/*"), keep_days)),
        _of_files("former index", _older(files.folder.glob("index.*.sqlite*"), keep_days)),
        _of_embeddings(database),
    ]


def remove_waste(store: Store, waste: Sequence[Waste]) -> None:
    """Remove what was found, and note it in the journal. The store must have been opened alone.

    Raises
    ------
    StoreError
        If something cannot be deleted.
    """
    for each in waste:
        for path in each.files:
            store.files.remove(path)
        if each.kind == "embedding" and each.count:
            with store.database.write() as connection:
                connection.execute(f"DELETE FROM embedding WHERE {_SUPERFLUOUS}")
            store.database.compact()
    store.journal.log(StoreCleaned(bytes={each.kind: each.bytes for each in waste if each.count}))


def _older(paths: Iterable[Path], days: float) -> list[Path]:
    before = time.time() - 86_400 * days
    # when it was moved there, not when it was written; a clock that was put back only keeps things longer
    return [path for path in sorted(paths) if path.is_file() and path.stat().st_ctime < before]


def _of_files(kind: Kind, paths: list[Path]) -> Waste:
    return Waste(kind, tuple(paths), len(paths), sum(path.stat().st_size for path in paths))


_SUPERFLUOUS = (
    "model_id NOT IN (SELECT id FROM model AS newest WHERE number = "
    "(SELECT max(number) FROM model WHERE name = newest.name)) "
    "OR image_id IN (SELECT id FROM entry WHERE removed_at NOT NULL) "
    "OR image_id NOT IN (SELECT id FROM entry UNION ALL SELECT id FROM frame)"
)


def _of_embeddings(database: Database) -> Waste:
    sql = f"SELECT count(*), sum(length(pooled) + coalesce(length(grid), 0)) FROM embedding WHERE {_SUPERFLUOUS}"
    count, size = database.read(sql)[0]
    return Waste("embedding", (), count, size or 0)
