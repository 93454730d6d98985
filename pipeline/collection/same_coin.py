"""Which names of the lab's catalogue are one coin, as far as they were compared: found once, kept beside the index.

`rig catalogue build` compares every name with all others. What it has not compared, a query compares when it needs it:
only the names that the query may be. What is kept is derived, as the index is: it can be thrown away. What persons
decided (`rig confirm`, `rig reject`) is in the journal, and counts above it.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from itertools import combinations

from filelock import FileLock

from calibration.durable_files import write_atomically
from capture.store import Store
from models.matching.fusion import Hit
from models.matching.gallery import Where
from models.matching.matcher import CoinMatcher
from models.matching.probability import POSSIBLE_PROBABILITY, Probability
from models.matching.rotation import TURNS
from models.matching.same_coin import CoinLinks, link_names
from models.matching.views import View
from pipeline.collection.decisions import Decisions
from pipeline.collection.entries import UNREADABLE, entry_crop
from pipeline.collection.kept_links import LINKS, ComparedName, links_path, read_links
from pipeline.lab import Lab
from pipeline.reporter import Progress

log = logging.getLogger(__name__)

_SAVE_EVERY_S = 20.0
_FEW_TURNS = 12
_LIKE = 0.05  # probability by few turns, from which on all are tried


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
        self._path = links_path(lab, matcher.embedder.id)
        self._compared = read_links(self._path)
        with Store.open(lab.store, writing=False) as store:
            self._decided = _read_decided(store)

    def __call__(self, names: Sequence[str]) -> CoinLinks:
        """The links of these names, each compared with all others unless it was before."""
        self._compare([name for name in names if not self._is_compared(name, self._entries(name))])
        return self.links

    @property
    def links(self) -> CoinLinks:
        """What is known so far."""
        return CoinLinks({name: compared.links for name, compared in self._compared.items()}, self._decided)

    def compare_all(self, progress: Progress) -> None:
        """Compare every name of the catalogue that was not compared yet; forget those that have left it."""
        known = self._matcher.index.coins()
        self._compared = {name: self._compared[name] for name in known if name in self._compared}
        self._compare([name for name, ids in known.items() if not self._is_compared(name, ids)], progress)

    def _compare(self, names: Sequence[str], progress: Progress = lambda done, total: None) -> None:
        if not names:
            return
        saved_s = time.monotonic()
        with Store.open(self._lab.store, writing=False) as store:
            for number, name in enumerate(names):
                progress(number, len(names))
                self._compare_name(store, name)
                for other, chance in self._compared[name].links.items():
                    # A name that was compared before this one came does not know it.
                    if chance >= POSSIBLE_PROBABILITY and name not in self._known_to(other):
                        self._compare_name(store, other)
                if time.monotonic() - saved_s > _SAVE_EVERY_S:
                    self._save()  # so that an interrupted comparison continues where it was
                    saved_s = time.monotonic()
        progress(len(names), len(names))
        self._save()

    def _compare_name(self, store: Store, name: str) -> None:
        """Search for one name's coin among all others: at few turns, and at all where that finds any like it.

        The surface of those that it may be is compared.
        """
        views = []
        for entry in store.catalogue.entries(name):
            try:
                views.append(View(entry_crop(store, entry), entry.side))
            except UNREADABLE:
                continue
        links: dict[str, float] = {}
        searches: list[dict[str, Hit]] = []
        for turns in (_FEW_TURNS, TURNS):
            searches = self._matcher.search(views, Where(but_coin=name), turns)
            links = link_names(searches, self._probability)
            if max(links.values(), default=0.0) < _LIKE:
                break
        self._compared[name] = ComparedName(self._entries(name), self._matcher.verify_links(views, searches, links))

    def _is_compared(self, name: str, ids: Sequence[str]) -> bool:
        return name in self._compared and sorted(self._compared[name].entries) == ids

    def _entries(self, name: str) -> list[str]:
        return [entry.entry_id for entry in self._matcher.index.of_coin(name)]

    def _known_to(self, name: str) -> dict[str, float]:
        return self._compared[name].links if self._is_compared(name, self._entries(name)) else {}

    def _save(self) -> None:
        document = {
            name: {"entries": each.entries, LINKS: {other: round(p, 4) for other, p in each.links.items()}}
            for name, each in self._compared.items()
        }
        try:
            with FileLock(self._path.with_suffix(".lock")):  # searches and builds beside each other write it
                write_atomically(self._path, json.dumps(document))
        except OSError as error:
            log.warning("%s was not written (%s): names are compared again next time.", self._path, error)


def _read_decided(store: Store) -> dict[frozenset[str], bool]:
    """Pairs of the catalogue's names that a person decided are one coin, or two.

    Two names that were both confirmed to be a coin of the lab are one coin too.
    """
    decisions = Decisions.read(store)
    decided_on = {entry for _, entry in (*decisions.confirmed, *decisions.rejected)}
    name_of = {entry.id: entry.coin_id for entry in store.catalogue.live(decided_on).values()}
    names = {entry.coin_id for entry in store.catalogue.of_coins({coin for coin, _ in decisions.confirmed})}
    lots: dict[str, set[str]] = {}
    for coin, entry in decisions.confirmed:
        if entry in name_of:
            lots.setdefault(coin, {coin} & names).add(name_of[entry])
    decided = {
        frozenset((coin, name_of[entry])): False
        for coin, entry in decisions.rejected
        if entry in name_of and coin != name_of[entry]
    }
    return decided | {frozenset(pair): True for names in lots.values() for pair in combinations(sorted(names), 2)}
