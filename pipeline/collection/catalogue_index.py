"""The catalogue as a model sees it: every entry embedded, in the index that is searched.

Each model has an index of its own, in ``catalogue/MODEL``, beside those of others. It is derived from the store, and
``seen.json`` beside it tells of which state of the store: only what was added, changed or removed since is looked at.
"""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout

from calibration.durable_files import make_folder, parse_json, write_atomically
from capture.store import Store, StoreError
from capture.store.catalogue import CatalogueState
from capture.store.errors import remedy
from capture.store.records import Entry
from models.embedding.embedder import Embedder, Features
from models.matching.faiss_index import FaissIndex
from models.matching.gallery import GalleryEntry, hash_name
from models.matching.index import CatalogueIndex, CatalogueIndexError
from models.matching.milvus_index import MilvusIndex
from models.matching.parts import Part
from pipeline.collection.embedding import embed_images
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reporter import Progress, Reporter

_SEEN, _LOCK = "seen.json", "building.lock"
_TAKEN_OVER = 2000  # embeddings of the store, which kept them in 0.1.0, at a time
_TIDY_EVERY = 256  # parts


@dataclass(frozen=True)
class Searchable:
    """An index, and what of the catalogue is not in it.

    Attributes
    ----------
    unusable
        Entries in whose image no coin is found.
    unreadable
        Entries whose image was to be embedded just now, and cannot be read.
    waiting
        How many images another process is embedding just now.
    """

    index: CatalogueIndex
    unusable: tuple[str, ...] = ()
    unreadable: tuple[str, ...] = ()
    waiting: int = 0


@dataclass
class _Seen:
    """Of which state of the store an index is.

    ``unusable`` are entries in whose image this version of the software finds no coin, by key: not looked at again.
    """

    state: CatalogueState = field(default_factory=CatalogueState)
    unusable: dict[int, str] = field(default_factory=dict)


def read_index(lab: Lab, embedder: Embedder) -> Searchable | None:
    """The index as it was saved; nothing is written. None if it is not of the catalogue as it is now."""
    try:
        seen = _read_seen(_folder(lab, embedder))
        with Store.open(lab.store, writing=False) as store:
            if seen is None or seen.state != store.catalogue.state() or not store.embeddings.has_model(embedder.id):
                return None
        return Searchable(_open(lab, embedder), tuple(seen.unusable.values()))
    except (StoreError, CatalogueIndexError):
        return None


def update_index(lab: Lab, embedder: Embedder, progress: Progress) -> Searchable:
    """Bring the index up to date with what was added to the store, changed or removed since.

    While another process does, what that one has added so far is what is searched, unless it is nothing.

    Raises
    ------
    LabError
        If it cannot be written.
    """
    with _alone(lab, embedder, None) as is_alone:
        if is_alone:
            return _update(lab, embedder, progress)
    index = _open(lab, embedder)
    if len(index):
        return _as_it_is(lab, embedder, index)
    with _alone(lab, embedder, lambda: None):
        return _update(lab, embedder, progress)


def build_index(lab: Lab, embedder: Embedder, progress: Progress, reporter: Reporter) -> Searchable:
    """Bring the index up to date, by every core; every entry is looked at, and what other machines embedded taken over.

    Raises
    ------
    LabError
        If it cannot be written.
    """
    waits = "Another command is building the catalogue's index: this one continues when it has ended."
    with _alone(lab, embedder, lambda: reporter.report(waits)):
        return _update(lab, embedder, progress, is_build=True)


def embed_shard(
    lab: Lab, embedder: Embedder, shard: tuple[int, int], progress: Progress, reporter: Reporter
) -> tuple[int, int]:
    """Embed one of so many shares of what is to be embedded, beside other machines; `update_index` takes it over.

    Parameters
    ----------
    shard
        Which, counted from 1, and of how many.

    Returns
    -------
    tuple
        How many images this share has, and how many of them are embedded now.

    Raises
    ------
    LabError
        If it cannot be written.
    """
    share = "{}-{}".format(*shard)
    waits = "Another command is embedding this share: this one continues when it has ended."
    with _alone(lab, embedder, lambda: reporter.report(waits), f"share-{share}.lock"):
        index = _open(lab, embedder)
        if isinstance(index, FaissIndex):
            index.begin_share(share)
        return _embed_share(lab, embedder, index, shard, share, progress)


def _embed_share(
    lab: Lab, embedder: Embedder, index: CatalogueIndex, shard: tuple[int, int], share: str, progress: Progress
) -> tuple[int, int]:
    number, shares = shard
    keys = {*map(int, index.keys())}
    for part in index.unlisted() if isinstance(index, FaissIndex) else ():
        keys.update(map(int, part.labels["key"]))
    with Store.open(lab.store, writing=False) as store:
        of_all = {_key_of(entry_id, sha256, box): entry_id for entry_id, sha256, box in store.catalogue.images()}
        mine = {key: entry_id for key, entry_id in of_all.items() if key % shares == number - 1}
        named = store.catalogue.named([entry_id for key, entry_id in mine.items() if key not in keys])
        waiting = sorted(named.values(), key=lambda entry: entry.number)
        label = _labeller(store)
        done = len(mine) - len(waiting)
        for made in embed_images(store, embedder, waiting, lambda n: progress(n, len(waiting)), every_core=True):
            if made.features is not None:
                labelled = [label(entry) for entry in made.entries]
                if isinstance(index, FaissIndex):
                    index.leave(Part.of(labelled, made.features), share)
                else:
                    index.add(labelled, made.features)
                done += len(made.entries)
    return len(mine), done


def _update(lab: Lab, embedder: Embedder, progress: Progress, *, is_build: bool = False) -> Searchable:
    folder = _folder(lab, embedder)
    _note_model(lab, embedder)
    index = _recover(lab, embedder)
    seen = _read_seen(folder) or _Seen()
    with Store.open(lab.store, writing=False) as store:
        state = store.catalogue.state()
        before = seen.state
        adopted = 0
        was_removed = (before.removed, before.sum_of_removed) != (state.removed, state.sum_of_removed)
        if state.newest < before.newest or state.newest_lot < before.newest_lot:
            before = CatalogueState()  # a backup of the store was put back
        if is_build or was_removed or not before.newest:
            waiting, adopted = _compare(store, index, seen)
        else:
            waiting = store.catalogue.added_since(before)
        relabelled = store.catalogue.changed_since(CatalogueState() if adopted else before)
        waiting = _take_over(lab, store, index, embedder, waiting)
        label = _labeller(store)
        unreadable: list[str] = []
        parts = embed_images(store, embedder, waiting, lambda n: progress(n, len(waiting)), every_core=is_build)
        for number, part in enumerate(parts if waiting else ()):
            if part.features is not None:
                index.add([label(entry) for entry in part.entries], part.features)
            seen.unusable |= {_key(entry): entry.id for entry in part.unusable}
            unreadable += [entry.id for entry in part.unreadable]
            if number % _TIDY_EVERY == _TIDY_EVERY - 1:
                index.tidy()
        index.relabel([label(entry) for entry in relabelled])
        index.tidy()
    seen.state = state
    _write_seen(folder, seen)
    return Searchable(index, tuple(seen.unusable.values()), tuple(unreadable))


def _compare(store: Store, index: CatalogueIndex, seen: _Seen) -> tuple[list[Entry], int]:
    """Take what left the catalogue out of the index; return what is to be embedded, and how much others embedded."""
    ids = {_key_of(entry_id, sha256, box): entry_id for entry_id, sha256, box in store.catalogue.images()}
    there = index.keys()
    index.remove([int(key) for key in there if int(key) not in ids])
    adopted = index.adopt(np.fromiter(ids, np.int64)) if isinstance(index, FaissIndex) else 0
    seen.unusable = {key: entry for key, entry in seen.unusable.items() if key in ids}
    known = {*map(int, index.keys()), *seen.unusable}
    named = store.catalogue.named([entry_id for key, entry_id in ids.items() if key not in known])
    return sorted(named.values(), key=lambda entry: entry.number), adopted


def _take_over(
    lab: Lab, store: Store, index: CatalogueIndex, embedder: Embedder, waiting: Sequence[Entry]
) -> list[Entry]:
    """Move what version 0.1.0 embedded from the store into the index; return what is left to embed."""
    waiting = _missing(index, waiting)
    embedded = store.embeddings.image_ids(embedder.id) if waiting else set()
    known = [entry for entry in waiting if entry.id in embedded]
    if not known:
        return waiting
    label = _labeller(store)
    for start in range(0, len(known), _TAKEN_OVER):
        part = known[start : start + _TAKEN_OVER]
        pooled, grid = store.embeddings.get(embedder.id, [entry.id for entry in part])
        if grid is not None:
            index.add([label(entry) for entry in part], Features(pooled, grid))
            with Store.open(lab.store) as writer:
                writer.embeddings.remove(embedder.id, [entry.id for entry in part])
    return _missing(index, waiting)


def _missing(index: CatalogueIndex, entries: Sequence[Entry]) -> list[Entry]:
    """Those that are not in the index: an update that was interrupted has added some."""
    if not entries:
        return []
    keys = np.array([_key(entry) for entry in entries], np.int64)
    return [entry for entry, is_there in zip(entries, np.isin(keys, index.keys()), strict=True) if not is_there]


def _as_it_is(lab: Lab, embedder: Embedder, index: CatalogueIndex) -> Searchable:
    """What another process, which is building the index, has added so far."""
    with Store.open(lab.store, writing=False) as store:
        waiting = store.catalogue.count() - store.catalogue.state().removed - len(index)
    seen = _read_seen(_folder(lab, embedder)) or _Seen()
    return Searchable(index, tuple(seen.unusable.values()), waiting=max(0, waiting - len(seen.unusable)))


def _open(lab: Lab, embedder: Embedder) -> CatalogueIndex:
    """The index where rig.yaml says that it is."""
    address = lab.rig.catalogue.milvus
    if address is None:
        return FaissIndex.open(_folder(lab, embedder), embedder.id)
    return MilvusIndex(embedder.id, address if "://" in address else str(lab.folder / address))


def _recover(lab: Lab, embedder: Embedder) -> CatalogueIndex:
    """The index; of a damaged one, what is whole: its parts are taken over like those of another machine."""
    folder = _folder(lab, embedder)
    try:
        return _open(lab, embedder)
    except CatalogueIndexError:
        if lab.rig.catalogue.milvus is not None:
            raise
        for name in ("manifest.json", _SEEN):
            (folder / name).unlink(missing_ok=True)
        return _open(lab, embedder)


def _folder(lab: Lab, embedder: Embedder) -> Path:
    return lab.catalogue / embedder.id


def _note_model(lab: Lab, embedder: Embedder) -> None:
    with Store.open(lab.store, writing=False) as store:
        if store.embeddings.has_model(embedder.id):
            return
    with Store.open(lab.store) as store:
        store.embeddings.add_model(embedder.id, embedder.name, embedder.card)


@contextmanager
def _alone(lab: Lab, embedder: Embedder, is_busy: Callable[[], None] | None, name: str = _LOCK) -> Iterator[bool]:
    """Be the only process that changes the index, or embeds a share; gives whether it is.

    If it is given what to call first, it waits.

    Raises
    ------
    LabError
        If the index cannot be written.
    """
    folder = _folder(lab, embedder)
    try:
        lock = FileLock(make_folder(folder) / name)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if is_busy is None:
                yield False
                return
            is_busy()
            lock.acquire()
        try:
            yield True
        finally:
            lock.release()
    except OSError as error:
        raise LabError(f"{error.filename or folder} cannot be written: {error.strerror}. {remedy(error)}") from error


def _labeller(store: Store) -> Callable[[Entry], GalleryEntry]:
    """What an index keeps of an entry."""

    @lru_cache(maxsize=4096)
    def type_of(coin: str) -> str | None:
        known = store.coins.get(coin)
        return known.type if known else None

    def label(entry: Entry) -> GalleryEntry:
        lot = entry.lot
        return GalleryEntry(
            entry.id,
            entry.coin_id,
            entry.side,
            (lot.type if lot else None) or type_of(entry.coin_id),
            _content(entry.sha256, None if entry.box is None else json.dumps(entry.box)),
            entry.catalogue,
            lot.date if lot else None,
            lot.metal if lot else None,
            lot.weight_g if lot else None,
        )

    return label


def _key(entry: Entry) -> int:
    return _key_of(entry.id, entry.sha256, None if entry.box is None else json.dumps(entry.box))


def _key_of(entry_id: str, sha256: str, box: str | None) -> int:
    """`GalleryEntry.key` of what it would be."""
    return hash_name(f"{entry_id}\0{_content(sha256, box)}")


def _content(sha256: str, box: str | None) -> str:
    return sha256[:16] + ("" if box is None else "".join(box.split()))


def _read_seen(folder: Path) -> _Seen | None:
    """Of which state the index is; None if that is not known."""
    try:
        document = parse_json((folder / _SEEN).read_bytes())
        is_same = document["software"] == _software()
        unusable = {int(key): str(entry) for key, entry in document["unusable"].items()} if is_same else {}
        return _Seen(CatalogueState(**document["state"]), unusable) if is_same else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _write_seen(folder: Path, seen: _Seen) -> None:
    document = {"state": asdict(seen.state), "software": _software(), "unusable": seen.unusable}
    write_atomically(folder / _SEEN, json.dumps(document))


def _software() -> str:
    return importlib.metadata.version("coinlab")
