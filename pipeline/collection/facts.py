"""What the lab measured of a coin against what the catalogue records of it (`models.matching.facts`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from capture.store import Store
from capture.store.records import Entry
from models.matching.facts import ComparedFact, Facts, compare_facts


def facts_of(store: Store, coin: str) -> Facts:
    """What is known of a coin of the lab: weighed, measured, and of which type."""
    known, measured = store.coins.get(coin), store.coins.measured(coin)
    return Facts(
        store.coins.weight_g(coin),
        measured.diameter_max_mm if measured else None,
        measured.axis_h if measured else None,
        known.type if known else None,
    )


def recorded_facts(entry: Entry) -> Facts:
    """What the catalogue records of an entry's coin."""
    lot = entry.lot
    return Facts(lot.weight_g, lot.diameter_mm, lot.axis_h, lot.type) if lot else Facts()


def compare_records(own: Facts, entries: Sequence[Entry]) -> list[tuple[ComparedFact, ...]]:
    """A coin against each record of some entries, those of one sale once."""
    records = dict.fromkeys((entry.catalogue, recorded_facts(entry)) for entry in entries)
    return [found for _, recorded in records if (found := compare_facts(own, recorded))]


def facts_as_json(compared: Sequence[Sequence[ComparedFact]]) -> list[dict[str, Any]]:
    """As plain data (docs/json.md)."""
    return [{**asdict(each), "ratio": round(each.ratio, 4)} for record in compared for each in record]
