"""What matching asks of a catalogue, so that one that outgrows a machine can live elsewhere.

An index is made from the images and records of the store, and can be thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from models.embedding.embedder import Features
from models.matching.gallery import GalleryEntry, Keys, Where

Rows = npt.NDArray[np.int64]
EVERYTHING = Where()


class CatalogueIndexError(Exception):
    """An index that cannot be used: damaged, made by another model, or out of reach."""


class CatalogueIndex(Protocol):
    """Entries with their features, searched by them. A row is a whole number that stands for an entry.

    One process at a time adds and removes; any number search meanwhile, what they found when they opened it.
    """

    model_id: str

    def __len__(self) -> int:
        """How many entries there are."""

    def keys(self) -> Keys:
        """What names each entry (`GalleryEntry.key`), in no order."""

    def add(self, entries: Sequence[GalleryEntry], features: Features) -> None:
        """Add entries with their features.

        Raises
        ------
        ValueError
            If an entry is there already, or the features are of another shape.
        """

    def remove(self, keys: Iterable[int]) -> int:
        """Remove entries; returns how many were there."""

    def relabel(self, entries: Sequence[GalleryEntry]) -> int:
        """Replace what is known of entries that are there, by key; returns how many are there."""

    def search(self, pooled: npt.NDArray[np.float32], count: int, where: Where = EVERYTHING) -> Rows:
        """The ``count`` rows most similar to any of the given pooled vectors (N, D), most similar first."""

    def count(self, where: Where) -> int:
        """How many entries a search would consider."""

    def entries(self, rows: Rows) -> list[GalleryEntry]:
        """Entries by row."""

    def of_coin(self, coin: str) -> list[GalleryEntry]:
        """The entries of a coin, by id."""

    def coins(self) -> dict[str, list[str]]:
        """Every coin, in no order, and the ids of its entries, sorted."""

    def grids(self, rows: Rows) -> npt.NDArray[np.float16]:
        """Grids (len(rows), C, h, w) of some rows; nothing outside of the coin."""

    def sample(self, count: int) -> Rows:
        """So many rows of all, the same each time; all of them if there are no more."""

    def tidy(self) -> None:
        """After much was added or removed: make it ready to be searched fast."""
