"""What sales say of a candidate, against what is known of the coin itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from capture.store import Store
from capture.store.journal_lines import CoinMeasured, CoinWeighed
from capture.store.records import Coin, Entry, Frame
from pipeline.reports.pages import cite
from pipeline.reports.sales import chain_of_sales
from pipeline.reports.scan_results import diameter_mm
from pipeline.wording import minute

UNITS = {"weight": " g", "diameter": " mm", "thickness": " mm", "axis": " h"}
DIGITS = {"weight": 2, "diameter": 1, "thickness": 1, "axis": 0}


@dataclass(frozen=True)
class OwnMeasure:
    """A measure of the coin itself, with its unit, and where it comes from.

    Attributes
    ----------
    name
        ``weight``, ``diameter``, ``thickness`` or ``axis``.
    how
        ``weighed`` and ``measured``: by somebody (`who`, `at`); ``frames``: as its frames show it; ``stated``: as the
        catalogue has it under the coin's own name; ``imported``: as it was imported.
    who
        Empty where it is not known, as of lines of former versions.
    at
        When, to the minute, as clocks here show it.
    """

    name: str
    value: str
    how: str
    who: str = ""
    at: str = ""

    def as_json(self) -> dict[str, str]:
        """As plain data; ``origin`` names the text that says where it comes from."""
        return {**vars(self), "origin": f"{self.how} by" if self.who else self.how}


def own_measures(
    store: Store, coin: str, frames: Sequence[Frame], entries: Sequence[Entry], known: Coin | None
) -> dict[str, OwnMeasure]:
    """What is known of a coin by name: what a person measured, else its frames, else entries under its own name."""
    weighed, measured = store.coins.weighed(coin), store.coins.measured(coin)
    lots = [entry.lot for entry in entries if entry.lot is not None]
    found = {
        "weight": [
            _by_person("weight", weighed.grams, "weighed", weighed) if weighed else None,
            *(_measure("weight", lot.weight_g, "stated") for lot in lots),
        ],
        "diameter": [
            _by_person("diameter", measured.diameter_mm, "measured", measured) if measured else None,
            _measure("diameter", diameter_mm(frames), "frames"),
            *(_measure("diameter", lot.diameter_mm, "stated") for lot in lots),
            _measure("diameter", known.diameter_mm if known else None, "imported"),
        ],
        "thickness": [
            _by_person("thickness", measured.thickness_mm, "measured", measured) if measured else None,
        ],
        "axis": [
            _by_person("axis", measured.axis_h, "measured", measured) if measured else None,
            *(_measure("axis", lot.axis_h, "stated") for lot in lots),
        ],
    }
    best = {name: next(filter(None, measures), None) for name, measures in found.items()}
    return {name: measure for name, measure in best.items() if measure is not None}


def record_rows(published: Sequence[Entry], known: Coin | None, own: Mapping[str, OwnMeasure]) -> list[dict[str, Any]]:
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
            {"name": name, "value": _words(name, value), "own": own[name].as_json() if name in own else None}
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


def _by_person(name: str, value: float | None, how: str, line: CoinWeighed | CoinMeasured) -> OwnMeasure | None:
    measure = _measure(name, value, how)
    return replace(measure, who=line.who, at=minute(line.at)) if measure is not None else None


def _measure(name: str, value: float | None, how: str) -> OwnMeasure | None:
    return None if value is None else OwnMeasure(name, _words(name, value), how)


def _words(name: str, value: float) -> str:
    return f"{value:.{DIGITS[name]}f}{UNITS[name]}"
