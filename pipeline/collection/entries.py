"""Catalogue entries as images to compare, and as a person cites them."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.image import Image, ImageError
from calibration.outline import NoCoinError, crop_coin
from capture.store import Store, StoreError
from capture.store.records import Entry
from pipeline.lab import Lab


def entry_crop(store: Store, entry: Entry) -> Image:
    """The normalised crop of a catalogue entry; NoCoinError if no coin is found in its image."""
    return crop_coin(entry.cut(store.image(entry.sha256)))


@dataclass(frozen=True)
class EntryCrops:
    """Reads the crops of a lab's catalogue entries, by id."""

    lab: Lab

    def __call__(self, entry_id: str) -> Image | None:
        """The crop of an entry; None if it has left the catalogue, its image is damaged, or no coin is found in it."""
        try:
            with Store.open(self.lab.store, writing=False) as store:
                for entry in store.catalogue.entries():
                    if entry.id == entry_id:
                        return entry_crop(store, entry)
        except (NoCoinError, ImageError, StoreError):
            pass
        return None
