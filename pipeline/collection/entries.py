"""Catalogue entries as images to compare, and as a person cites them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from calibration.image import Image
from calibration.outline import NoCoinError, crop_coin
from capture.store import Store, StoreError
from capture.store.records import Entry
from pipeline.lab import Lab

_HELD = 512  # crops of 150 kB


def entry_crop(store: Store, entry: Entry) -> Image:
    """The normalised crop of a catalogue entry; NoCoinError if no coin is found in its image."""
    return crop_coin(entry.cut(store.image(entry.sha256)))


class EntryCrops:
    """The crops of catalogue entries by their ids; those used last are held, as coins of one type share candidates."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._held: OrderedDict[str, Image] = OrderedDict()

    def __call__(self, entry_ids: Sequence[str]) -> dict[str, Image]:
        """The crops of those of these entries that can be read: one may have been removed, or its image damaged."""
        missing = {entry_id for entry_id in entry_ids if entry_id not in self._held}
        if missing:
            with Store.open(self._lab.store, writing=False) as store:
                for entry in store.catalogue.entries():
                    if entry.id in missing:
                        self._read(store, entry)
        for entry_id in entry_ids:
            if entry_id in self._held:
                self._held.move_to_end(entry_id)
        found = {entry_id: self._held[entry_id] for entry_id in entry_ids if entry_id in self._held}
        while len(self._held) > _HELD:
            self._held.popitem(last=False)
        return found

    def _read(self, store: Store, entry: Entry) -> None:
        try:
            self._held[entry.id] = entry_crop(store, entry)
        except (NoCoinError, StoreError):
            return
