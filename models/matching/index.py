"""The catalogue, ready to be searched: one row per entry, its pooled features in FAISS, its grid beside them.

The truth is the store's table of embeddings; an index is built from it and can be thrown away. `CatalogueIndex` is all
that matching knows, so that a catalogue that outgrows one machine can live elsewhere.
"""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
import numpy.typing as npt

from calibration.durable_files import install_folder, make_folder, parse_json
from models.embedding.embedder import Features

Rows = npt.NDArray[np.int64]
_VECTORS, _GRIDS, _ENTRIES = "pooled.faiss", "grids.npy", "entries.json"
# What FAISS writes before the numbers of an IndexFlatIP (facebookresearch/faiss, impl/index_write.cpp): kind,
# dimensions, vectors, two fillers, whether it is trained, metric, and how many numbers follow, in float32.
_HEAD = struct.Struct("<4siqqq?iQ")


class CatalogueIndexError(Exception):
    """An index that cannot be used: damaged, or made by another model."""


@dataclass(frozen=True)
class GalleryEntry:
    """One coin side in one lot or record.

    ``side`` is ``obverse``, ``reverse`` or None where unknown; ``type`` is what the coin depicts, where known.
    """

    entry_id: str
    coin: str
    side: str | None = None
    type: str | None = None


class CatalogueIndex(Protocol):
    """What matching asks of a catalogue. Rows are whole numbers that stay the same until entries are removed."""

    model_id: str

    def __len__(self) -> int:
        """How many entries there are."""

    @property
    def entries(self) -> Sequence[GalleryEntry]:
        """The entries, by row."""

    def add(self, entries: Sequence[GalleryEntry], features: Features) -> None:
        """Add entries with their features."""

    def remove(self, entry_ids: Sequence[str]) -> int:
        """Remove entries; returns how many were there."""

    def search(self, pooled: npt.NDArray[np.float32], count: int, allowed: Rows | None = None) -> Rows:
        """The ``count`` rows most similar to any of the given pooled vectors (N, C), most similar first."""

    def grids(self, rows: Rows) -> npt.NDArray[np.float16]:
        """Grids (len(rows), C, h, w) of some rows."""

    def save(self, folder: Path) -> None:
        """Write the index into a folder, replacing what is there at once."""


class FaissIndex:
    """`CatalogueIndex` in this process: exact inner products."""

    def __init__(self, model_id: str) -> None:
        self.model_id = model_id
        self._entries: list[GalleryEntry] = []
        self._grids: npt.NDArray[np.float16] | None = None
        self._vectors: Any = None  # faiss.IndexFlatIP, once there is an entry

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Sequence[GalleryEntry]:
        """The entries, by row."""
        return self._entries

    def add(self, entries: Sequence[GalleryEntry], features: Features) -> None:
        """Add entries with their features.

        Raises
        ------
        ValueError
            If their numbers differ, an entry is there already, or the features are of another shape.
        """
        if len(entries) != len(features.pooled) or len(entries) != len(features.grid):
            raise ValueError(f"{len(entries)} entries but {len(features.pooled)} features.")
        known = {entry.entry_id for entry in self._entries}
        for entry in entries:
            if entry.entry_id in known:
                raise ValueError(f"entry {entry.entry_id} is in the index already; remove it first.")
            known.add(entry.entry_id)
        if not entries:
            return
        if self._vectors is None or self._grids is None:
            self._vectors = faiss.IndexFlatIP(features.pooled.shape[1])
            self._grids = np.asarray(features.grid, np.float16)
        else:
            self._grids = np.concatenate([self._grids, features.grid])
        self._vectors.add(np.ascontiguousarray(features.pooled, np.float32))
        self._entries.extend(entries)

    def remove(self, entry_ids: Sequence[str]) -> int:
        """Remove entries; returns how many were there. Later rows move up."""
        gone = set(entry_ids)
        keep = np.array([row for row, entry in enumerate(self._entries) if entry.entry_id not in gone], np.int64)
        removed = len(self._entries) - len(keep)
        if removed == 0 or self._vectors is None or self._grids is None:
            return 0
        vectors = self._vectors.reconstruct_n(0, len(self._entries))[keep]
        self._vectors.reset()
        self._vectors.add(np.ascontiguousarray(vectors))
        self._grids = np.ascontiguousarray(self._grids[keep])
        self._entries = [self._entries[row] for row in keep]
        return removed

    def search(self, pooled: npt.NDArray[np.float32], count: int, allowed: Rows | None = None) -> Rows:
        """The ``count`` rows most similar to any of the given pooled vectors, most similar first."""
        total = len(self._entries) if allowed is None else len(allowed)
        count = min(count, total)
        if count == 0 or self._vectors is None:
            return np.zeros(0, np.int64)
        selected: Any = None
        if allowed is not None:
            selected = faiss.SearchParameters()
            selected.sel = faiss.IDSelectorBatch(np.ascontiguousarray(allowed, np.int64))
        scores, rows = self._vectors.search(np.ascontiguousarray(pooled, np.float32), count, params=selected)
        best = np.full(len(self._entries), -np.inf, np.float32)
        np.maximum.at(best, rows[rows >= 0], scores[rows >= 0])
        order = np.argsort(-best, kind="stable")[:count]
        return order[np.isfinite(best[order])].astype(np.int64)

    def grids(self, rows: Rows) -> npt.NDArray[np.float16]:
        """Grids (len(rows), C, h, w) of some rows."""
        if self._grids is None:
            raise CatalogueIndexError("the catalogue is empty. Fill it with `rig catalogue add DIR`.")
        return np.asarray(self._grids[rows])

    def save(self, folder: Path) -> None:
        """Write the index into a folder, replacing what is there at once."""
        fresh = _make_draft(folder)
        _write_entries(fresh, self.model_id, self._entries)
        if self._vectors is not None and self._grids is not None:
            faiss.write_index(self._vectors, str(fresh / _VECTORS))
            np.save(fresh / _GRIDS, self._grids)
        install_folder(fresh, folder)

    @classmethod
    def build(
        cls, folder: Path, model_id: str, entries: Sequence[GalleryEntry], batches: Iterable[Features]
    ) -> FaissIndex:
        """Write an index of many entries into a folder, replacing what is there at once; grids stay on disk.

        Parameters
        ----------
        batches
            The features of the entries, in their order; one batch at a time is in memory.
        """
        fresh = _make_draft(folder)
        vectors: Any = None
        grids: Any = None
        row = 0
        for features in batches:
            if grids is None:
                vectors = faiss.IndexFlatIP(features.pooled.shape[1])
                shape = (len(entries), *features.grid.shape[1:])
                grids = np.lib.format.open_memmap(fresh / _GRIDS, "w+", np.float16, shape)
            grids[row : row + len(features.grid)] = features.grid
            vectors.add(np.ascontiguousarray(features.pooled, np.float32))
            row += len(features.grid)
        if grids is not None:
            grids.flush()
            faiss.write_index(vectors, str(fresh / _VECTORS))
        _write_entries(fresh, model_id, entries)
        install_folder(fresh, folder)
        return cls.load(folder, model_id)

    @classmethod
    def load(cls, folder: Path, model_id: str | None = None) -> FaissIndex:
        """Read an index; grids stay on disk until they are asked for.

        Raises
        ------
        CatalogueIndexError
            If the folder holds no index, a damaged one, or one of another model than ``model_id``.
        """
        try:
            document = parse_json((folder / _ENTRIES).read_bytes())
            index = cls(document["model_id"])
            index._entries = [GalleryEntry(**entry) for entry in document["entries"]]
            if index._entries:
                _check_sizes(folder / _VECTORS)
                index._vectors = faiss.read_index(str(folder / _VECTORS))
                index._grids = np.load(folder / _GRIDS, mmap_mode="r")
                if not index._vectors.ntotal == len(index._entries) == len(index._grids):
                    raise ValueError("its parts are of different lengths")
        except Exception as error:  # of damaged files faiss and numpy raise what they like
            raise CatalogueIndexError(
                f"the catalogue index in {folder} is damaged or incomplete. Build it again: `rig catalogue build`."
            ) from error
        if model_id is not None and index.model_id != model_id:
            raise CatalogueIndexError(
                f"the catalogue index in {folder} was made by model {index.model_id}, and model {model_id} is in use. "
                "Build it again: `rig catalogue build`."
            )
        return index


def _make_draft(folder: Path) -> Path:
    fresh = folder.with_name(folder.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    return make_folder(fresh)


def _write_entries(folder: Path, model_id: str, entries: Sequence[GalleryEntry]) -> None:
    document = {"model_id": model_id, "entries": [asdict(entry) for entry in entries]}
    (folder / _ENTRIES).write_text(json.dumps(document))


def _check_sizes(path: Path) -> None:
    """Refuse a file that is not as long as it says: FAISS would first make room for whatever a damaged one promises.

    Raises
    ------
    ValueError
        If it is not.
    """
    with path.open("rb") as stream:
        kind, dimensions, vectors, _, _, _, _, numbers = _HEAD.unpack(stream.read(_HEAD.size))
    if kind != b"IxFI" or numbers != dimensions * vectors or path.stat().st_size != _HEAD.size + 4 * numbers:
        raise ValueError("its sizes contradict each other")
