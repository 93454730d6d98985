"""Sides and photographs of one coin fused: one score for each coin of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.matching.gallery import GalleryEntry


@dataclass(frozen=True)
class Hit:
    """The best entry of a coin in one search, its score, and how far the query was turned for it."""

    score: float
    entry: GalleryEntry
    turn_deg: float


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


def fuse(searches: Sequence[Mapping[str, Hit]], best_names: Mapping[str, str] | None = None) -> list[ScoredCoin]:
    """Mean over searches, the best first; a coin that one search's shortlist left out scores there as the last on it.

    Parameters
    ----------
    best_names
        Names that are another name's coin: of these the best hit of each search counts, whichever name it has. So a
        coin whose obverse was printed in one sale and whose reverse in another is seen whole.
    """
    floors = [min((hit.score for hit in hits.values()), default=0.0) for hits in searches]
    searches = [_by_coin(hits, best_names or {}) for hits in searches]
    scored = []
    for coin in sorted(set().union(*searches)):
        hits = [search[coin] for search in searches if coin in search]
        scores = tuple(
            search[coin].score if coin in search else floor for search, floor in zip(searches, floors, strict=True)
        )
        entries, turns_deg = tuple(hit.entry.entry_id for hit in hits), tuple(hit.turn_deg for hit in hits)
        scored.append(ScoredCoin(coin, float(np.mean(scores)), entries, turns_deg, scores))
    return sorted(scored, key=lambda each: -each.score)


def _by_coin(hits: Mapping[str, Hit], best_names: Mapping[str, str]) -> Mapping[str, Hit]:
    found: dict[str, Hit] = {}
    for name, hit in hits.items():
        coin = best_names.get(name, name)
        if coin not in found or hit.score > found[coin].score:
            found[coin] = hit
    return found
