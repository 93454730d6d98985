"""Catalogue entries as images to compare, and as a person cites them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from calibration.every_coin import cut_out, find_one_coin
from calibration.image import Image, ImageError
from calibration.outline import NoCoinError
from capture.store import Store, StoreError
from capture.store.records import Entry
from pipeline.lab import Lab

UNREADABLE = (NoCoinError, ImageError, StoreError)
"""What an entry may fail with whose image is damaged or lost (`rig store verify` names it), or shows no coin."""


def entry_crop(store: Store, entry: Entry) -> Image:
    """The normalised crop of a catalogue entry; NoCoinError if no coin is found in its image."""
    if entry.box is None:
        return find_one_coin(store.image(entry.sha256)).crop()
    image = page_of(store, entry)
    left, top, right, bottom = entry.box
    height, width = image.shape[:2]
    if left <= 0 or top <= 0 or right >= width or bottom >= height:
        return find_one_coin(entry.cut(image)).crop()  # half of an image: beyond is the other side
    return cut_out(image, (left, top, right, bottom)).crop()


def page_of(store: Store, entry: Entry) -> Image:
    """The whole image that an entry is part of."""
    return _page(store, entry.sha256)


@lru_cache(maxsize=2)
def _page(store: Store, sha256: str) -> Image:
    """Kept, since a page has many entries, one after the other."""
    return store.image(sha256)


@dataclass(frozen=True)
class EntryCrops:
    """Reads the crops of a lab's catalogue entries, by id."""

    lab: Lab

    def __call__(self, entry_id: str) -> Image | None:
        """The crop of an entry; None if it has left the catalogue, its image is damaged, or no coin is found in it."""
        try:
            with Store.open(self.lab.store, writing=False) as store:
                entry = store.catalogue.get(entry_id)
                if entry is not None and entry.removed_at is None:
                    return entry_crop(store, entry)
        except UNREADABLE:
            pass
        return None
