"""What sales say of a candidate, against what is known of the coin itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from capture.store import Store
from capture.store.records import Coin, Entry, Frame
from pipeline.reports.pages import cite
from pipeline.reports.results import diameter_mm
from pipeline.reports.sales import chain_of_sales

UNITS = {"weight": " g", "diameter": " mm", "axis": " h"}
DIGITS = {"weight": 2, "diameter": 1, "axis": 0}


@dataclass(frozen=True)
class OwnMeasures:
    """What is known of a coin itself: as it was measured, else as the catalogue has it under the coin's own name."""

    weight: float | None = None
    diameter: float | None = None
    axis: float | None = None

    def words(self, name: str) -> str | None:
        """A measure with its unit; None where it is not known."""
        return _words(name, getattr(self, name))


def own_measures(
    weight_g: float | None, frames: Sequence[Frame], entries: Sequence[Entry], known: Coin | None
) -> OwnMeasures:
    """What is known of a coin: as it was weighed, by its frames, and by the entries under its own name."""
    lots = [entry.lot for entry in entries if entry.lot is not None]
    return OwnMeasures(
        weight=_first([weight_g, *(lot.weight_g for lot in lots)]),
        diameter=_first(
            [diameter_mm(frames), *(lot.diameter_mm for lot in lots), known.diameter_mm if known else None]
        ),
        axis=_first(lot.axis_h for lot in lots),
    )


def record_rows(published: Sequence[Entry], known: Coin | None, own: OwnMeasures) -> list[dict[str, Any]]:
    """What a candidate's record says: ``name``, ``value``, and ``own`` where the coin itself has that measure too."""
    if not published:
        return []
    entry = published[0]
    lot = entry.lot
    measures = {
        "weight": lot.weight_g if lot else None,
        "diameter": (lot.diameter_mm if lot else None) or (known.diameter_mm if known else None),
        "axis": lot.axis_h if lot else None,
    }
    stated = {
        "sale": entry.catalogue,
        "date": lot.date if lot else None,
        "lot": lot.lot if lot else None,
        "printed": ", ".join(_place(lot.page, lot.plate)) if lot else None,
        "names": entry.coin_id,
        "type": (lot.type if lot else None) or (known.type if known else None),
        "metal": lot.metal if lot else None,
        "price": lot.price if lot else None,
        "provenance": lot.provenance if lot else None,
    }
    return [
        *({"name": name, "value": value, "own": None} for name, value in stated.items() if value),
        *(
            {"name": name, "value": _words(name, value), "own": own.words(name)}
            for name, value in measures.items()
            if value is not None
        ),
    ]


def sales_rows(store: Store, names: Iterable[str]) -> list[dict[str, Any]]:
    """The sales in which the catalogue has a coin under these names, oldest first: ``citation`` and ``date``."""
    entries = {entry.id: entry for entry in store.catalogue.of_coins(list(names))}
    return [
        {"citation": cite(entries[sale["entry"]]), "date": sale.get("date")}
        for sale in chain_of_sales(entries.values())
    ]


def _place(page: str | None, plate: str | None) -> list[str]:
    return [*([f"p. {page}"] if page else []), *([f"pl. {plate}"] if plate else [])]


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _words(name: str, value: float | None) -> str | None:
    return None if value is None else f"{value:.{DIGITS[name]}f}{UNITS[name]}"
