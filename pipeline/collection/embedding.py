"""Images of the catalogue embedded, by every core: crops in several threads, the network in its own."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from calibration.image import Image
from calibration.outline import NoCoinError
from capture.store import Store
from capture.store.records import Entry
from models.embedding.embedder import Embedder, Features
from models.matching.entries import embed_entries
from pipeline.collection.entries import UNREADABLE, entry_crop

_BATCH = 32  # images embedded at a time
_PART_S = 20.0  # of work that an interruption loses at most
_PART = 4096  # images


@dataclass
class Embedded:
    """Entries that were embedded, their features; and those that were not.

    Attributes
    ----------
    unusable
        Entries in whose image no coin is found.
    unreadable
        Entries whose image is damaged or lost: they are tried again the next time.
    """

    entries: list[Entry] = field(default_factory=list)
    features: Features | None = None
    unusable: list[Entry] = field(default_factory=list)
    unreadable: list[Entry] = field(default_factory=list)


def embed_images(
    store: Store, embedder: Embedder, entries: Sequence[Entry], progress: Callable[[int], None], *, every_core: bool
) -> Iterator[Embedded]:
    """Embed entries, in their order, a part of so many seconds of work at a time.

    Parameters
    ----------
    progress
        Called with how many are done.
    every_core
        Whether the network may use all of them: not while the rig works beside it.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if every_core and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cores)
    part, parts, begun_s = Embedded(), list[Features](), time.monotonic()
    with ThreadPoolExecutor(cores if every_core else 1, "crops") as pool:
        crops = _crops_ahead(pool, store, entries, ahead=_BATCH + 2 * cores)
        for start in range(0, len(entries), _BATCH):
            progress(start)
            found = []
            for entry in entries[start : start + _BATCH]:
                crop = next(crops)
                if isinstance(crop, NoCoinError):
                    part.unusable.append(entry)
                elif isinstance(crop, Exception):
                    part.unreadable.append(entry)
                else:
                    part.entries.append(entry)
                    found.append(crop)
            if found:
                parts.append(embed_entries(embedder, found))
            if time.monotonic() - begun_s > _PART_S or len(part.entries) >= _PART:
                yield _joined(part, parts)
                part, parts, begun_s = Embedded(), [], time.monotonic()
    if entries:
        progress(len(entries))
    yield _joined(part, parts)


def _crops_ahead(
    pool: ThreadPoolExecutor, store: Store, entries: Sequence[Entry], ahead: int
) -> Iterator[Image | Exception]:
    """The crop of each entry, or why there is none; so many are begun before they are asked for."""

    def crop(entry: Entry) -> Image | Exception:
        try:
            return entry_crop(store, entry)
        except UNREADABLE as error:
            return error

    waiting: deque[Future[Image | Exception]] = deque()
    try:
        for entry in entries:
            waiting.append(pool.submit(crop, entry))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for each in waiting:
            each.cancel()


def _joined(part: Embedded, parts: Sequence[Features]) -> Embedded:
    if parts:
        pooled, grid = (np.concatenate([getattr(each, name) for each in parts]) for name in ("pooled", "grid"))
        part.features = Features(pooled, grid)
    return part
