"""A catalogue coin and how similar it is to the one that was asked about."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ScoredCoin:
    """A catalogue coin and how similar it is.

    Attributes
    ----------
    score
        Mean of the similarity in each search (of a side, or of a photograph), which are in ``side_scores``.
    entries, turns_deg
        What was compared, and how far the query was turned for it.
    """

    coin: str
    score: float
    entries: tuple[str, ...] = ()
    turns_deg: tuple[float, ...] = ()
    side_scores: tuple[float, ...] = ()
