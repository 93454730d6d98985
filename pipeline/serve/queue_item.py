"""An item of the review queue: what is to be looked at, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "disputed", "surprising", "possible", "quarantined", "match", "cut", "duplicate", "unsure", "unknown", "decided"
]
ORDER: tuple[Reason, ...] = (
    "disputed",
    "surprising",
    "possible",
    "quarantined",
    "match",
    "cut",
    "duplicate",
    "unsure",
    "unknown",
    "decided",
)
Kind = Literal["match", "quarantined", "cut", "duplicate"]


@dataclass(frozen=True)
class QueueItem:
    """Something in the queue.

    Attributes
    ----------
    session
        In which a coin was identified or photographed; of a cut its sale, of a duplicate nothing.
    coin
        The coin, or the catalogue's name for it.
    candidate
        What it may be the coin of, with that `probability`.
    verdict
        Of the match; else empty.
    kind
        What has to be decided.
    """

    session: str
    coin: str
    reason: Reason
    verdict: str = ""
    candidate: str = ""
    probability: float = 0.0
    kind: Kind = "match"

    def as_json(self) -> dict[str, object]:
        """As plain data for the page's script."""
        return {**vars(self), "probability": round(self.probability, 3)}


def urgency(item: QueueItem) -> tuple[float, ...]:
    """What the queue is sorted by."""
    if item.kind != "match":
        return (ORDER.index(item.reason), -item.probability)
    certainty = item.probability if item.reason in ("match", "surprising") else abs(item.probability - 0.5)
    return (ORDER.index(item.reason), certainty)
