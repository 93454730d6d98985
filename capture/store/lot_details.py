"""What a sale or collection says of a coin: lot and page, weight and type."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class LotDetails:
    """What is stated of a coin; None where nothing is.

    Attributes
    ----------
    date
        Of the sale, ISO 8601, as exact as it is known: ``1936-03-18``, ``1936-03`` or ``1936``.
    lot
        Its number in the sale, or the collection's number of the object.
    type, type_uri
        What it depicts, such as ``RRC 44/5``, and the address of that type.
    weight_g, diameter_mm
        In grams, and the largest diameter in millimetres.
    axis_h
        Die axis in hours, more than 0 and up to 12.
    price
        As it is printed, with its currency.
    url
        Where the lot or object is described.
    doubt
        Why its images, cut out of a page, wait for a person (`rig catalogue check`): until then they are removed.
    """

    date: str | None = None
    lot: str | None = None
    page: str | None = None
    plate: str | None = None
    type: str | None = None
    type_uri: str | None = None
    weight_g: float | None = None
    diameter_mm: float | None = None
    axis_h: float | None = None
    metal: str | None = None
    price: str | None = None
    provenance: str | None = None
    rights: str | None = None
    url: str | None = None
    doubt: str | None = None

    @classmethod
    def of(cls, content: dict[str, Any]) -> Self:
        """Make them of what is stored; what a later version added is passed over."""
        return cls(**{each.name: content[each.name] for each in fields(cls) if each.name in content})

    def known(self) -> dict[str, Any]:
        """What is known, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


FIELDS = tuple(each.name for each in fields(LotDetails) if each.name != "doubt")
"""What a source may say of a coin."""
