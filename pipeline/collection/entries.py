"""Catalogue entries as images to compare, and as a person cites them."""

from __future__ import annotations

from calibration.image import Image
from calibration.outline import crop_coin
from capture.store import Store
from capture.store.records import Entry


def entry_crop(store: Store, entry: Entry) -> Image:
    """The normalised crop of a catalogue entry; NoCoinError if no coin is found in its image."""
    return crop_coin(entry.cut(store.image(entry.sha256)))
