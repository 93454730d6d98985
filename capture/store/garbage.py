"""What a store can do without: found, and only then deleted. Never a frame, raw or calibrated, nor its record."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from capture.store.journal import Journal
from capture.store.journal_lines import StoreCleaned
from capture.store.locks import writers
from capture.store.transaction import Storage

KEEP_DAYS = 30.0

Kind = Literal["half written", "set aside", "former index", "embedding"]


@dataclass(frozen=True)
class Garbage:
    """One kind of what can be deleted.

    Attributes
    ----------
    kind
        ``"half written"``: what killed writers left in ``tmp``. ``"set aside"``: files in ``leftovers`` that belong to
        no stored frame. ``"former index"``: what `rig store rebuild` kept. ``"embedding"``: made with a model that
        another of the same name has replaced, or of an entry that left the catalogue; computed again if needed.
    files
        What is deleted; none for embeddings, which lie in the index.
    count, bytes
        How many, and what they take.
    """

    kind: Kind
    files: tuple[Path, ...]
    count: int
    bytes: int


def find_garbage(storage: Storage, keep_days: float = KEEP_DAYS) -> list[Garbage]:
    """Find what can be deleted; changes nothing.

    Parameters
    ----------
    keep_days
        What was set aside or replaced less than so long ago is left alone.
    """
    files = storage.files
    half_written = [] if writers(files.folder) else [path for path in files.temporary.glob("*") if path.is_file()]
    return [
        _of_files("half written", half_written),
        _of_files("set aside", _older(files.folder.glob("leftovers/**/*"), keep_days)),
        _of_files("former index", _older(files.folder.glob("index.*.sqlite*"), keep_days)),
        _of_embeddings(storage),
    ]


def remove_garbage(storage: Storage, garbage: Sequence[Garbage]) -> None:
    """Delete what was found, and note it in the journal. The store must have been opened alone.

    Raises
    ------
    StoreError
        If something cannot be deleted.
    """
    for each in garbage:
        for path in each.files:
            storage.files.remove(path)
        if each.kind == "embedding" and each.count:
            with storage.rows_alone() as transaction:
                transaction.execute(f"DELETE FROM embedding WHERE {_SUPERFLUOUS}")
            storage.database.compact()
    Journal(storage).log(StoreCleaned(bytes={each.kind: each.bytes for each in garbage if each.count}))


def _older(paths: Iterable[Path], days: float) -> list[Path]:
    before = time.time() - 86_400 * days
    # when it was moved there, not when it was written; a clock that was put back only keeps things longer
    return [path for path in sorted(paths) if path.is_file() and path.stat().st_ctime < before]


def _of_files(kind: Kind, paths: list[Path]) -> Garbage:
    return Garbage(kind, tuple(paths), len(paths), sum(path.stat().st_size for path in paths))


_SUPERFLUOUS = (
    "model_id NOT IN (SELECT id FROM model AS newest WHERE number = "
    "(SELECT max(number) FROM model WHERE name = newest.name)) "
    "OR image_id IN (SELECT id FROM entry WHERE removed_at NOT NULL) "
    "OR image_id NOT IN (SELECT id FROM entry UNION ALL SELECT id FROM frame)"
)


def _of_embeddings(storage: Storage) -> Garbage:
    sql = f"SELECT count(*), sum(length(pooled) + coalesce(length(grid), 0)) FROM embedding WHERE {_SUPERFLUOUS}"
    count, size = storage.read(sql)[0]
    return Garbage("embedding", (), count, size or 0)
