"""Which catalogue coin is this? The whole way from images to ranked coins, each step a line of `CoinMatcher.rank`.

views --extract----> features at every turn               (views, embedding.embedder)
      --shortlist--> the entries nearest by pooled features      (index)
      --grid-------> each of them compared cell by cell, at its best turn      (rotation, grid)
      --fuse-------> one score per coin, over sides and photographs
      --probability-> how sure it is, and the verdict            (probability)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.embedding.embedder import Embedder, Features
from models.matching.index import CatalogueIndex, GalleryEntry, Rows
from models.matching.rotation import search_rotation
from models.matching.scored import ScoredCoin
from models.matching.views import View, crops_at_turns, group_views

SHORTLIST = 300


@dataclass(frozen=True)
class _Hit:
    """The best entry of a coin in one search, its score, and how far the query was turned for it."""

    score: float
    entry: GalleryEntry
    turn_deg: float


@dataclass(frozen=True)
class CoinMatcher:
    """A model and the catalogue as that model sees it.

    Attributes
    ----------
    shortlist
        How many entries a side are compared cell by cell.
    """

    embedder: Embedder
    index: CatalogueIndex
    shortlist: int = SHORTLIST

    def rank(self, views: Sequence[View], allowed: Rows | None = None) -> list[ScoredCoin]:
        """Rank the catalogue's coins by similarity to one coin seen in some views.

        Parameters
        ----------
        views
            Images of one coin. Views of one side whose turns are known are fused into one search, every other view is
            searched by itself, then the searches are fused.
        allowed
            Rows of the index that may be candidates (all).

        Returns
        -------
        list of ScoredCoin
            Best first, one per coin.
        """
        if len(self.index) == 0 or not views:
            return []
        searches = []
        for group in group_views(views):
            turned = self.extract(group)
            rows = self.find_shortlist(turned, group[0].side, allowed)
            searches.append(self.compare_grids(turned, rows))
        return fuse(searches)

    def extract(self, group: Sequence[View]) -> Features:
        """Features of a group of views at every turn that is tried."""
        return self.embedder.embed(crops_at_turns(group))

    def find_shortlist(self, turned: Features, side: str | None, allowed: Rows | None = None) -> Rows:
        """The entries of this side nearest by pooled features, at any turn."""
        rows = np.arange(len(self.index), dtype=np.int64) if allowed is None else allowed
        if side is not None:
            entries = self.index.entries
            rows = np.array([row for row in rows if entries[row].side in (side, None)], np.int64)
        return self.index.search(turned.pooled, self.shortlist, rows)

    def compare_grids(self, turned: Features, rows: Rows) -> dict[str, _Hit]:
        """For every shortlisted coin its best entry, compared cell by cell at every turn."""
        if len(rows) == 0:
            return {}
        found = search_rotation(turned.grid, self.index.grids(rows))
        best: dict[str, _Hit] = {}
        for row, score, turn_deg in zip(rows, found.scores, found.turns_deg, strict=True):
            entry = self.index.entries[row]
            if entry.coin not in best or score > best[entry.coin].score:
                best[entry.coin] = _Hit(float(score), entry, float(turn_deg))
        return best


def fuse(searches: Sequence[dict[str, _Hit]]) -> list[ScoredCoin]:
    """Mean over searches; a coin that one search's shortlist left out scores there as the last on it."""
    floors = [min((hit.score for hit in hits.values()), default=0.0) for hits in searches]
    scored = []
    for coin in sorted(set().union(*searches)):
        hits = [search[coin] for search in searches if coin in search]
        scores = tuple(
            search[coin].score if coin in search else floor for search, floor in zip(searches, floors, strict=True)
        )
        entries, turns_deg = tuple(hit.entry.entry_id for hit in hits), tuple(hit.turn_deg for hit in hits)
        scored.append(ScoredCoin(coin, float(np.mean(scores)), entries, turns_deg, scores))
    return sorted(scored, key=lambda each: -each.score)
