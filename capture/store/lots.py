"""Lots: one version each of what a sale or collection says of a coin, and where that was read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from capture.store.lot_details import LotDetails
from capture.store.records import StoredRow


@dataclass(frozen=True)
class Lot(StoredRow):
    """One version of what a sale says of a coin; of several the one with the highest number counts.

    Attributes
    ----------
    catalogue
        The sale or collection (`Entry.catalogue`).
    content
        What is known (`LotDetails.known`).
    source, source_sha256
        The file it was read from and where in it, and the file's hash; None where it was no file.
    number
        Greater than that of everything stored before, whatever the clock says.
    """

    number: int
    coin_id: str
    catalogue: str
    content: dict[str, Any]
    source: str
    source_sha256: str | None
    added_at: str

    @property
    def details(self) -> LotDetails:
        """What is stated of the coin."""
        return LotDetails.of(self.content)


@dataclass(frozen=True)
class NewLot:
    """What is stated of a coin, to be stored; see `Lot`."""

    coin: str
    catalogue: str
    details: LotDetails
    source: str
    source_sha256: str | None = None
