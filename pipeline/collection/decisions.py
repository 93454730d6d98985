"""What persons decided about matches, as it counts now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from capture.store import Store
from capture.store.journal_lines import (
    MatchConfirmed,
    MatchRejected,
    MatchReviewed,
    MatchUndone,
    MatchUnsure,
    PersonLine,
)

Pair = tuple[str, str]
"""A coin and an entry's id."""

Decision = Literal["same coin", "same die", "same type", "different", "unsure"]
"""Of the middle three another coin: of one die with this one, of one type, or neither."""


@dataclass(frozen=True)
class Decisions:
    """What counts now of what persons decided about matches.

    Attributes
    ----------
    opinions
        Of each pair, the latest decision of everybody who decided about it and did not take it back; the newest last.
    """

    opinions: Mapping[Pair, Mapping[str, MatchReviewed]] = field(default_factory=dict)

    @classmethod
    def read(cls, store: Store, coin: str | None = None) -> Decisions:
        """Read them from the journal, about one coin or all."""
        return cls.of(store.journal.lines(MatchReviewed, MatchUndone, coin=coin))

    @classmethod
    def of(cls, lines: Iterable[PersonLine]) -> Decisions:
        """Those of lines of the journal, oldest first."""
        lines = list(lines)
        undone = {line.undoes for line in lines if isinstance(line, MatchUndone)}
        opinions: dict[Pair, dict[str, MatchReviewed]] = {}
        for line in lines:
            if isinstance(line, MatchReviewed) and line.number not in undone:
                for entry in line.entries:
                    of_pair = opinions.setdefault((line.coin, entry), {})
                    of_pair.pop(line.who, None)
                    of_pair[line.who] = line
        return cls(opinions)

    def latest(self, pair: Pair) -> MatchReviewed | None:
        """The decision about a pair that counts: of several persons the latest. None without any."""
        of_pair = self.opinions.get(pair)
        return list(of_pair.values())[-1] if of_pair else None

    def is_disputed(self, pair: Pair) -> bool:
        """Whether one person holds the two to be one coin, and another does not."""
        held = {type(line) for line in self.opinions.get(pair, {}).values()}
        return {MatchConfirmed, MatchRejected} <= held

    @property
    def confirmed(self) -> frozenset[Pair]:
        """Pairs that are one coin."""
        return frozenset(pair for pair in self.opinions if isinstance(self.latest(pair), MatchConfirmed))

    @property
    def rejected(self) -> frozenset[Pair]:
        """Pairs that are two coins."""
        return frozenset(pair for pair in self.opinions if isinstance(self.latest(pair), MatchRejected))


def decision_of(line: MatchReviewed) -> Decision:
    """What a line of the journal decides."""
    match line:
        case MatchConfirmed():
            return "same coin"
        case MatchUnsure():
            return "unsure"
        case MatchRejected(share="die"):
            return "same die"
        case MatchRejected(share="type"):
            return "same type"
    return "different"


def line_of(decision: Decision, coin: str, entries: tuple[str, ...], who: str, why: str) -> MatchReviewed:
    """The line of the journal that keeps a decision."""
    match decision:
        case "same coin":
            return MatchConfirmed(coin=coin, entries=entries, who=who, why=why)
        case "unsure":
            return MatchUnsure(coin=coin, entries=entries, who=who, why=why)
        case "same die":
            return MatchRejected(coin=coin, entries=entries, who=who, why=why, share="die")
        case "same type":
            return MatchRejected(coin=coin, entries=entries, who=who, why=why, share="type")
        case "different":
            return MatchRejected(coin=coin, entries=entries, who=who, why=why)
