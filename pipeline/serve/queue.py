"""What most deserves a look: every identified coin as it was last ranked, in the order in which a person should see it.

1. coins about which two persons disagree;
2. surprising matches: two coins of the lab matched with one coin of the catalogue, or a match of another type;
3. possible matches, the least certain first;
4. matches that nobody confirmed yet, the least certain first;
5. coins that somebody looked at and was unsure about;
6. coins that are not in the catalogue, the most similar first;
7. what is decided.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from capture.store import Store
from capture.store.journal_lines import MatchConfirmed, MatchReviewed, MatchUndone, MatchUnsure, PersonLine
from capture.store.records import RankedCoin
from pipeline.collection.decisions import Decisions
from pipeline.reports.cards import MATCH, POSSIBLE

Reason = Literal["disputed", "surprising", "possible", "match", "unsure", "unknown", "decided"]
ORDER: tuple[Reason, ...] = ("disputed", "surprising", "possible", "match", "unsure", "unknown", "decided")
LOOKED_THROUGH = 5  # candidates of a coin; once the first is rejected, the next is asked about
LEAST_PROBABILITY = 0.05  # of a candidate that is worth asking about after the one before it was rejected


@dataclass(frozen=True)
class QueueItem:
    """A coin in the queue: why it is there, and the probability of the candidate that it is about."""

    session: str
    coin: str
    reason: Reason
    verdict: str
    candidate: str
    probability: float

    def as_json(self) -> dict[str, object]:
        """As plain data for the page's script."""
        return {**vars(self), "probability": round(self.probability, 3)}


class ReviewQueue:
    """The queue of a store, worked out again when something was ranked or decided since."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ranked: list[RankedCoin] = []
        self._types: Mapping[str, str | None] = {}
        self._number = -1
        self._lines: list[PersonLine] = []
        self._read_until = -1
        self._items: list[QueueItem] = []
        self._store: Store | None = None

    def items(self, store: Store) -> list[QueueItem]:
        """Every coin, the one that most deserves a look first."""
        with self._lock:
            if store is not self._store:
                self._store, self._number, self._read_until, self._lines = store, -1, -1, []
            number, last = store.rankings.last_number(), store.journal.last_number()
            if number != self._number:
                self._ranked = store.rankings.latest_of_each_coin(LOOKED_THROUGH)
                self._types = store.coins.types()
            if last != self._read_until:
                since = max(0, self._read_until)
                self._lines += store.journal.lines(MatchReviewed, MatchUndone, after=since)
            if (number, last) != (self._number, self._read_until):
                self._items = order(self._ranked, Decisions.of(self._lines), self._types)
                self._number, self._read_until = number, last
            return self._items


def order(ranked: list[RankedCoin], decisions: Decisions, types: Mapping[str, str | None]) -> list[QueueItem]:
    """Coins in the order in which a person should see them."""
    claimed = Counter(each.candidates[0][0] for each in ranked if each.verdict == MATCH)
    items = [_item(each, decisions, types, claimed) for each in ranked]
    return sorted(items, key=_urgency)


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


def _urgency(item: QueueItem) -> tuple[float, ...]:
    certainty = item.probability if item.reason in ("match", "surprising") else abs(item.probability - 0.5)
    return (ORDER.index(item.reason), certainty)
