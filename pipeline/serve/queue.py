"""What most deserves a look: every identified coin as it was last ranked, in the order in which a person should see it.

1. coins about which two persons disagree;
2. surprising matches: two coins of the lab matched with one coin of the catalogue, or a match of another type;
3. possible matches, the least certain first;
4. frames in quarantine (`pipeline.serve.other_work`, as 6);
5. matches that nobody confirmed yet, the least certain first;
6. the catalogue's own: uncertain cuts of plates, lots that may be one coin;
7. coins that somebody looked at and was unsure about;
8. coins that are not in the catalogue, the most similar first;
9. what is decided.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping

from capture.store import Store
from capture.store.journal_lines import MatchConfirmed, MatchReviewed, MatchUndone, MatchUnsure, PersonLine
from capture.store.records import RankedCoin
from pipeline.collection.decisions import Decisions
from pipeline.lab import Lab
from pipeline.reports.cards import MATCH, POSSIBLE
from pipeline.serve.other_work import OtherWork
from pipeline.serve.queue_item import QueueItem, Reason, urgency

LOOKED_THROUGH = 5  # candidates of a coin; once the first is rejected, the next is asked about
LEAST_PROBABILITY = 0.05  # of a candidate that is worth asking about after the one before it was rejected


class ReviewQueue:
    """The queue of a lab's store, worked out again when something was ranked, decided or stored since."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._store: Store | None = None

    def _forget(self, store: Store) -> None:
        """Begin again: the store is another one."""
        self._store = store
        self._ranked: dict[str, RankedCoin] = {}
        self._types: Mapping[str, str | None] = {}
        self._number = self._read_until = -1
        self._lines: list[PersonLine] = []
        self._decisions = Decisions()
        self._matches: list[QueueItem] = []
        self._other_work = OtherWork(self._lab, store)
        self._others: list[QueueItem] = []
        self._items: list[QueueItem] = []

    def items(self, store: Store) -> list[QueueItem]:
        """Everything, what most deserves a look first."""
        with self._lock:
            if store is not self._store:
                self._forget(store)
            number, last = store.rankings.last_number(), store.journal.last_number()
            if last != self._read_until:
                since = max(0, self._read_until)
                if new_lines := store.journal.lines(MatchReviewed, MatchUndone, after=since):
                    self._lines += new_lines
                    self._decisions = Decisions.of(self._lines)
            if number != self._number:
                new = store.rankings.latest_of_each_coin(LOOKED_THROUGH, after=max(0, self._number))
                self._ranked |= {each.coin: each for each in new}
                self._types = store.coins.types()
            is_new = (number, last) != (self._number, self._read_until)
            if is_new:
                self._matches = order(list(self._ranked.values()), self._decisions, self._types)
                self._number, self._read_until = number, last
            others = self._other_work.items(self._decisions)
            if is_new or others != self._others:
                self._others = others
                self._items = sorted([*self._matches, *others], key=urgency)
            return self._items


def order(ranked: list[RankedCoin], decisions: Decisions, types: Mapping[str, str | None]) -> list[QueueItem]:
    """Coins in the order in which a person should see them."""
    claimed = Counter(each.candidates[0][0] for each in ranked if each.verdict == MATCH)
    items = [_item(each, decisions, types, claimed) for each in ranked]
    return sorted(items, key=urgency)


def _item(
    ranked: RankedCoin, decisions: Decisions, types: Mapping[str, str | None], claimed: Mapping[str, int]
) -> QueueItem:
    latest = [decisions.latest((ranked.coin, entry)) for _, entry, _ in ranked.candidates]
    is_rejected = [line is not None and not isinstance(line, MatchConfirmed | MatchUnsure) for line in latest]
    open_ranks = [
        rank
        for rank, (_, _, probability) in enumerate(ranked.candidates)
        if not is_rejected[rank] and (rank == 0 or probability >= LEAST_PROBABILITY)
    ]
    is_disputed = [decisions.is_disputed((ranked.coin, entry)) for _, entry, _ in ranked.candidates]
    shown = is_disputed.index(True) if any(is_disputed) else open_ranks[0] if open_ranks else 0
    candidate, _, probability = ranked.candidates[shown]
    reason: Reason
    if any(is_disputed):
        reason = "disputed"
    elif any(isinstance(line, MatchConfirmed) for line in latest) or not open_ranks:
        reason = "decided"
    elif isinstance(latest[shown], MatchUnsure):
        reason = "unsure"
    elif ranked.verdict == MATCH and shown == 0:
        own, its = types.get(ranked.coin), types.get(candidate)
        is_odd = claimed[candidate] > 1 or (own is not None and its is not None and own != its)
        reason = "surprising" if is_odd else "match"
    elif ranked.verdict == POSSIBLE or shown > 0:
        reason = "possible"
    else:
        reason = "unknown"
    return QueueItem(ranked.session_id, ranked.coin, reason, ranked.verdict, candidate, probability)
