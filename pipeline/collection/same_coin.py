"""Which names of the lab's catalogue are one coin, as far as they were compared: found once, kept beside the index.

`rig catalogue build` compares every name with all others. What it has not compared, a query compares when it needs it:
only the names that the query may be. What is kept is derived, as the index is: it can be thrown away. What persons
decided (`rig confirm`, `rig reject`) is in the journal, and counts above it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np

from calibration.durable_files import parse_json, write_atomically
from capture.store import Store
from models.matching.matcher import CoinMatcher
from models.matching.probability import POSSIBLE_PROBABILITY, Probability
from models.matching.same_coin import CoinLinks, link_names
from models.matching.views import View
from pipeline.collection.decisions import Decisions
from pipeline.collection.entries import UNREADABLE, entry_crop
from pipeline.lab import Lab
from pipeline.reporter import Progress

log = logging.getLogger(__name__)

_SAVE_EVERY = 50  # names
_LINKS = "same_coin"  # "links", which 0.1.0 wrote, had not seen the surface: names are compared again


@dataclass
class _Compared:
    """A name that was compared with the others: by which entries, and which others may be the same coin."""

    entries: list[str]
    links: dict[str, float] = field(default_factory=dict)


class CatalogueLinks:
    """The links of a lab's catalogue by one model; called with names, it compares them if need be.

    Parameters
    ----------
    matcher
        The model and its index, which the links are kept beside.
    """

    def __init__(self, lab: Lab, matcher: CoinMatcher, probability: Probability) -> None:
        self._lab = lab
        self._matcher = matcher
        self._probability = probability
        self._path = lab.catalogue / f"{matcher.embedder.id}-same-coin.json"
        self._compared = _read(self._path)
        self._entries: dict[str, list[str]] = {}
        for entry in matcher.index.entries:
            self._entries.setdefault(entry.coin, []).append(entry.entry_id)
        with Store.open(lab.store, writing=False) as store:
            self._decided = _read_decided(store)

    def __call__(self, names: Sequence[str]) -> CoinLinks:
        """The links of these names, each compared with all others unless it was before."""
        self._compare([name for name in names if not self._is_compared(name)])
        return self.links

    @property
    def links(self) -> CoinLinks:
        """What is known so far."""
        return CoinLinks({name: compared.links for name, compared in self._compared.items()}, self._decided)

    def compare_all(self, progress: Progress) -> None:
        """Compare every name of the catalogue that was not compared yet."""
        self._compare([name for name in self._entries if not self._is_compared(name)], progress)

    def _compare(self, names: Sequence[str], progress: Progress = lambda done, total: None) -> None:
        if not names:
            return
        with Store.open(self._lab.store, writing=False) as store:
            for number, name in enumerate(names):
                progress(number, len(names))
                self._compare_name(store, name)
                for other, chance in self._compared[name].links.items():
                    # A name that was compared before this one came does not know it.
                    if chance >= POSSIBLE_PROBABILITY and name not in self._known_to(other):
                        self._compare_name(store, other)
                if number % _SAVE_EVERY == _SAVE_EVERY - 1:
                    self._save()  # so that an interrupted comparison continues where it was
        progress(len(names), len(names))
        self._save()

    def _compare_name(self, store: Store, name: str) -> None:
        """Search for one name's coin among all other names, and compare the surface of those that may be it."""
        index = self._matcher.index
        others = np.array([row for row, entry in enumerate(index.entries) if entry.coin != name], np.int64)
        views = []
        for entry in store.catalogue.entries(name):
            try:
                views.append(View(entry_crop(store, entry), entry.side))
            except UNREADABLE:
                continue
        searches = self._matcher.search(views, others)
        links = self._matcher.verify_links(views, searches, link_names(searches, self._probability))
        self._compared[name] = _Compared(self._entries[name], links)

    def _is_compared(self, name: str) -> bool:
        return name in self._compared and self._compared[name].entries == self._entries.get(name)

    def _known_to(self, name: str) -> dict[str, float]:
        return self._compared[name].links if self._is_compared(name) else {}

    def _save(self) -> None:
        document = {
            name: {"entries": each.entries, _LINKS: {other: round(p, 4) for other, p in each.links.items()}}
            for name, each in self._compared.items()
            if name in self._entries
        }
        try:
            write_atomically(self._path, json.dumps(document))
        except OSError as error:
            log.warning("%s was not written (%s): names are compared again next time.", self._path, error)


def _read_decided(store: Store) -> dict[frozenset[str], bool]:
    """Pairs of the catalogue's names that a person decided are one coin, or two.

    Two names that were both confirmed to be a coin of the lab are one coin too.
    """
    decisions = Decisions.read(store)
    name_of = {entry.id: entry.coin_id for entry in store.catalogue.entries()}
    lots: dict[str, set[str]] = {}
    for coin, entry in decisions.confirmed:
        if entry in name_of:
            lots.setdefault(coin, {coin} & set(name_of.values())).add(name_of[entry])
    decided = {
        frozenset((coin, name_of[entry])): False
        for coin, entry in decisions.rejected
        if entry in name_of and coin != name_of[entry]
    }
    return decided | {frozenset(pair): True for names in lots.values() for pair in combinations(sorted(names), 2)}


def _read(path: Path) -> dict[str, _Compared]:
    """What was kept; nothing if it cannot be read, since all of it can be found again."""
    try:
        return {name: _Compared(each["entries"], each[_LINKS]) for name, each in parse_json(path.read_bytes()).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
