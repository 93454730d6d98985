"""What is kept of which names of the catalogue may be one coin, and the pairs a person has not decided about yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from calibration.durable_files import parse_json
from capture.store.journal_lines import MatchConfirmed, MatchUnsure
from capture.store.records import Entry
from models.matching.same_coin import CoinLinks
from pipeline.collection.decisions import Decisions
from pipeline.lab import Lab

LINKS = "same_coin"  # "links", which 0.1.0 wrote, had not seen the surface: names are compared again


@dataclass
class ComparedName:
    """A name that was compared with the others: by which entries, and which others may be the same coin."""

    entries: list[str]
    links: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ProposedDuplicate:
    """Two names of the catalogue that are more probably one coin than not, and what one person at least left open."""

    coin: str
    other: str
    probability: float
    is_unsure: bool = False


def links_path(lab: Lab, embedder_id: str) -> Path:
    """Where the links are kept that a model found."""
    return lab.catalogue / f"{embedder_id}-same-coin.json"


def newest_links(lab: Lab) -> Path | None:
    """The links that were found last; None if the catalogue was never compared with itself."""
    return max(lab.catalogue.glob("*-same-coin.json"), key=lambda path: path.stat().st_mtime_ns, default=None)


def read_links(path: Path) -> dict[str, ComparedName]:
    """What was kept; nothing if it cannot be read, since all of it can be found again."""
    try:
        return {
            name: ComparedName(each["entries"], each[LINKS]) for name, each in parse_json(path.read_bytes()).items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def probable_pairs(compared: Mapping[str, ComparedName]) -> tuple[tuple[str, str, float], ...]:
    """Pairs of names that are more probably one coin than not, the most probable first."""
    return CoinLinks({name: each.links for name, each in compared.items()}).pairs()


def propose_duplicates(
    pairs: Iterable[tuple[str, str, float]], entries: Mapping[str, Entry], decisions: Decisions
) -> list[ProposedDuplicate]:
    """Those of the pairs that nobody decided about.

    Parameters
    ----------
    pairs
        Of names (`probable_pairs`).
    entries
        Those of the names that are matched against, by id.
    """
    named = {entry.coin_id for entry in entries.values()}
    unsure: dict[frozenset[str], bool] = {}
    confirmed: dict[str, set[str]] = {}  # by name, the coins of the lab that were confirmed to be it
    for coin, entry in decisions.opinions:
        latest = decisions.latest((coin, entry))
        if entry in entries and latest is not None:
            unsure[frozenset((coin, entries[entry].coin_id))] = isinstance(latest, MatchUnsure)
            if isinstance(latest, MatchConfirmed):
                confirmed.setdefault(entries[entry].coin_id, set()).add(coin)
    return [
        ProposedDuplicate(one, other, probability, unsure.get(frozenset((one, other)), False))
        for one, other, probability in pairs
        if {one, other} <= named
        and unsure.get(frozenset((one, other))) is not False
        and not confirmed.get(one, set()) & confirmed.get(other, set())  # else both are one coin of the lab
    ]
