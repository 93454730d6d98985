"""The catalogue as a model sees it: every entry embedded, and the index that is searched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from calibration.outline import NoCoinError
from capture.store import Store, StoreError
from capture.store.records import Entry
from models.embedding.embedder import Embedder, Features
from models.matching.entries import embed_entries
from models.matching.index import CatalogueIndexError, FaissIndex, GalleryEntry
from pipeline.collection.entries import entry_crop
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reporter import Progress

_BATCH = 32  # images embedded at a time
_PART = 2000  # embeddings read at a time


def embed_catalogue(store: Store, embedder: Embedder, progress: Progress) -> tuple[str, ...]:
    """Embed the entries that `embedder` has not embedded yet; return those in which no coin is found."""
    done = store.embeddings.image_ids(embedder.id)
    waiting = [entry for entry in store.catalogue.entries() if entry.id not in done]
    unusable: list[str] = []
    for start in range(0, len(waiting), _BATCH):
        progress(start, len(waiting))
        entries, crops = [], []
        for entry in waiting[start : start + _BATCH]:
            try:
                crops.append(entry_crop(store, entry))
                entries.append(entry.id)
            except NoCoinError:
                unusable.append(entry.id)
        if entries:
            features = embed_entries(embedder, crops)
            store.embeddings.add(embedder.id, entries, features.pooled, features.grid)
    if waiting:
        progress(len(waiting), len(waiting))
    return tuple(unusable)


def load_index(lab: Lab, store: Store, embedder: Embedder) -> FaissIndex:
    """The search index of the catalogue as it is now: the saved one if it still fits, else made from the store."""
    entries = _embedded(store, embedder)
    saved = _saved_index(lab, embedder, entries)
    if saved is not None:
        return saved
    types = store.coins.types()
    rows = [GalleryEntry(entry.id, entry.coin_id, entry.side, types.get(entry.coin_id)) for entry in entries]
    return FaissIndex.build(lab.catalogue / embedder.id, embedder.id, rows, _features(store, embedder, entries))


def _features(store: Store, embedder: Embedder, entries: Sequence[Entry]) -> Iterator[Features]:
    """What was embedded, a part at a time: a grid takes 50 kB."""
    for start in range(0, len(entries), _PART):
        part = [entry.id for entry in entries[start : start + _PART]]
        pooled, grid = store.embeddings.get(embedder.id, part)
        if grid is None:
            raise LabError("the catalogue's embeddings are incomplete. Run `rig catalogue build`.")
        yield Features(pooled, grid)


def read_index(lab: Lab, embedder: Embedder) -> tuple[FaissIndex, tuple[str, ...]] | None:
    """The saved index, and the entries in which no coin is found; nothing is written.

    None if something is to be embedded first, or if the store cannot be read as it is.
    """
    try:
        with Store.open(lab.store, writing=False) as store:
            entries = _embedded(store, embedder)
            done = {entry.id for entry in entries}
            waiting = [entry for entry in store.catalogue.entries() if entry.id not in done]
            index = _saved_index(lab, embedder, entries)
            if index is None or any(_shows_coin(store, entry) for entry in waiting):
                return None
            return index, tuple(entry.id for entry in waiting)
    except StoreError:
        return None


def _embedded(store: Store, embedder: Embedder) -> list[Entry]:
    embedded = store.embeddings.image_ids(embedder.id)
    return [entry for entry in store.catalogue.entries() if entry.id in embedded]


def _saved_index(lab: Lab, embedder: Embedder, entries: Sequence[Entry]) -> FaissIndex | None:
    """The index that was saved, if it is of these entries; else it is made again: the truth is in the store."""
    try:
        index = FaissIndex.load(lab.catalogue / embedder.id, embedder.id)
    except CatalogueIndexError:
        return None
    return index if [each.entry_id for each in index.entries] == [entry.id for entry in entries] else None


def _shows_coin(store: Store, entry: Entry) -> bool:
    try:
        entry_crop(store, entry)
    except NoCoinError:
        return False
    return True
