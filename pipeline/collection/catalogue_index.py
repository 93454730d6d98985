"""The catalogue as a model sees it: every entry embedded, and the index that is searched."""

from __future__ import annotations

from calibration.outline import NoCoinError
from capture.store import Store
from models.embedding.embedder import Embedder, Features
from models.matching.entries import embed_entries
from models.matching.index import CatalogueIndexError, FaissIndex, GalleryEntry
from pipeline.collection.entries import entry_crop
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reporter import Progress

_BATCH = 32  # images embedded at a time


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
        features = embed_entries(embedder, crops)
        store.embeddings.add(embedder.id, entries, features.pooled, features.grid)
    if waiting:
        progress(len(waiting), len(waiting))
    return tuple(unusable)


def load_index(lab: Lab, store: Store, embedder: Embedder) -> FaissIndex:
    """The search index of the catalogue as it is now: the saved one if it still fits, else made from the store."""
    embedded = store.embeddings.image_ids(embedder.id)
    entries = [entry for entry in store.catalogue.entries() if entry.id in embedded]
    folder = lab.catalogue / embedder.id
    if folder.is_dir():
        try:
            index = FaissIndex.load(folder, embedder.id)
        except CatalogueIndexError:
            pass  # made again below: the truth is in the store
        else:
            if [entry.entry_id for entry in index.entries] == [entry.id for entry in entries]:
                return index
    index = FaissIndex(embedder.id)
    if entries:
        types = store.coins.types()
        pooled, grid = store.embeddings.get(embedder.id, [entry.id for entry in entries])
        if grid is None:
            raise LabError("the catalogue's embeddings are incomplete. Run `rig catalogue build`.")
        rows = [GalleryEntry(entry.id, entry.coin_id, entry.side, types.get(entry.coin_id)) for entry in entries]
        index.add(rows, Features(pooled, grid))
    lab.catalogue.mkdir(parents=True, exist_ok=True)
    index.save(folder)
    return index
