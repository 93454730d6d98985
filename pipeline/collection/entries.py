"""Catalogue entries as images to compare, and as a person cites them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from calibration.durable_files import write_atomically
from calibration.image import Image, ImageError, decode_image, encode_png
from calibration.outline import NoCoinError, crop_coin
from capture.store import Store, StoreError
from capture.store.records import Entry
from pipeline.lab import Lab


def entry_crop(store: Store, entry: Entry) -> Image:
    """The normalised crop of a catalogue entry; NoCoinError if no coin is found in its image."""
    return crop_coin(entry.cut(store.image(entry.sha256)))


class EntryCrops:
    """The crops of catalogue entries, kept beside the index of a lab: once found, one is read in a few milliseconds."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._folder = lab.catalogue / "crops"

    def __call__(self, entry_ids: Sequence[str]) -> dict[str, Image]:
        """The crops of those of these entries that can be read: one may have been removed, or its image damaged."""
        found = {}
        with Store.open(self._lab.store, writing=False) as store:
            for entry in store.catalogue.entries():
                if entry.id in entry_ids:
                    with suppress(NoCoinError, StoreError):
                        found[entry.id] = self.read(store, entry)
        return found

    def read(self, store: Store, entry: Entry) -> Image:
        """The crop of one entry; NoCoinError if no coin is found in its image."""
        path = self._folder / f"{entry.id}.png"
        with suppress(OSError, ImageError):
            return decode_image(path.read_bytes(), path.name)
        crop = entry_crop(store, entry)
        with suppress(OSError):  # a lab that is read-only, or a full disk
            write_atomically(path, encode_png(crop), durable=False)
        return crop
