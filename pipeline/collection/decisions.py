"""What persons decided about matches, as it counts now."""

from __future__ import annotations

from dataclasses import dataclass

from capture.store import Store
from capture.store.journal_lines import MatchConfirmed, MatchReviewed


@dataclass(frozen=True)
class Decisions:
    """What counts now of what persons decided about matches: pairs of a coin and an entry's id."""

    confirmed: frozenset[tuple[str, str]]
    rejected: frozenset[tuple[str, str]]

    @classmethod
    def read(cls, store: Store) -> Decisions:
        """Read them from the journal."""
        latest: dict[tuple[str, str], MatchReviewed] = {}
        for line in store.journal.lines(MatchReviewed):
            latest |= {(line.coin, entry): line for entry in line.entries}
        confirmed = frozenset(pair for pair, line in latest.items() if isinstance(line, MatchConfirmed))
        return cls(confirmed, frozenset(latest) - confirmed)
