"""Where a coin was sold or published: its chain of sales, oldest first."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from capture.store.records import Entry

_SHOWN = ("lot", "date", "page", "plate")
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|2[01]\d\d)(?!\d)")


def chain_of_sales(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The sales in which a coin stands, oldest first: coin, sale, and what is known of lot, date, page and plate.

    A sale of which nothing is recorded is placed by the year in its name.
    """
    found: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        found.setdefault((entry.catalogue, entry.coin_id), entry)
    return [_as_sale(entry) for entry in sorted(found.values(), key=_when)]


def describe_sales(sales: Iterable[Mapping[str, Any]]) -> str:
    """A chain of sales in a line: ``lot 231, Hess 1936; lot 118, Santamaria 1951``."""
    return "; ".join(describe_sale(each) for each in sales)


def describe_sale(sale: Mapping[str, Any]) -> str:
    """A coin of a sale, in words."""
    own = str(sale["coin"]).removeprefix(f"{sale['sale']}, ")
    name = f"lot {sale['lot']}" if "lot" in sale else own
    return ", ".join(filter(None, (name, sale["sale"], f"pl. {sale['plate']}" if "plate" in sale else "")))


def _as_sale(entry: Entry) -> dict[str, Any]:
    known = entry.lot.known() if entry.lot else {}
    return {
        "coin": entry.coin_id,
        "entry": entry.id,
        "sale": entry.catalogue,
        **{name: known[name] for name in _SHOWN if name in known},
    }


def _when(entry: Entry) -> tuple[str, int]:
    year = _YEAR.search(entry.catalogue)
    return (entry.lot.date if entry.lot and entry.lot.date else year[0] if year else "9999", entry.number)
