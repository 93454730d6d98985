"""Which catalogue coin is this? The whole way from images to ranked coins, each step a line of `CoinMatcher.match`.

views --extract-----> features at every turn                             views, embedding.embedder
      --shortlist---> the entries nearest by pooled features             index
      --grid--------> each compared cell by cell, at its best turn       rotation, grid
      --same coin---> names that are one coin, sold twice, put together  same_coin
      --fuse--------> one score per coin, over sides and photographs     fusion
      --probability-> how sure it is                                     probability
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.embedding.embedder import Embedder, Features
from models.matching.fusion import Hit, ScoredCoin, fuse
from models.matching.index import CatalogueIndex, Rows
from models.matching.probability import Probability
from models.matching.rotation import search_rotation
from models.matching.same_coin import CoinLinks, group_names, names_to_compare, weigh_rival
from models.matching.views import View, crops_at_turns, group_views

SHORTLIST = 300


@dataclass(frozen=True)
class OtherName:
    """Another name of a coin in the catalogue, its entries, and the probability that it is the same coin."""

    coin: str
    entries: tuple[str, ...]
    probability: float


@dataclass(frozen=True)
class Match:
    """A catalogue coin, and the probability that it is the one that was asked about.

    Attributes
    ----------
    scored
        By its best name; of its other names too, what is most similar of each side.
    entry
        The most similar entry of its best name.
    also
        Its other names: a coin that was sold twice has two.
    """

    scored: ScoredCoin
    entry: str
    probability: float
    also: tuple[OtherName, ...] = ()


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

    def match(
        self, views: Sequence[View], probability: Probability, compare: Callable[[Sequence[str]], CoinLinks]
    ) -> list[Match]:
        """Rank the catalogue's coins for one coin seen in some views, with probabilities; the best first.

        Parameters
        ----------
        compare
            Gives the links of some names, which `models.matching.same_coin` found.
        """
        searches = self.search(views)
        ranked = fuse(searches)
        links = compare(names_to_compare(ranked, probability))
        groups = group_names(ranked, links, probability)
        coins = fuse(searches, {name: best for best, others in groups.items() for name in others})
        by_name = {each.coin: each for each in ranked}
        return [
            Match(
                coin,
                by_name[coin.coin].entries[0],
                chance,
                tuple(
                    OtherName(name, by_name[name].entries, linked)
                    for name, linked in sorted(groups[coin.coin].items(), key=lambda other: -other[1])
                ),
            )
            for coin, chance in zip(coins, weigh_rival(coins, groups, links, probability), strict=True)
        ]

    def rank(self, views: Sequence[View], allowed: Rows | None = None) -> list[ScoredCoin]:
        """Rank the catalogue's names by similarity to one coin seen in some views, the best first.

        Parameters
        ----------
        allowed
            Rows of the index that may be candidates (all).
        """
        return fuse(self.search(views, allowed))

    def search(self, views: Sequence[View], allowed: Rows | None = None) -> list[dict[str, Hit]]:
        """Search for one coin: for every name that is shortlisted its best entry.

        Views of one side whose turns are known are put into one search, every other view into a search of its own.
        """
        if len(self.index) == 0:
            return []
        searches = []
        for group in group_views(views):
            turned = self.extract(group)
            rows = self.find_shortlist(turned, group[0].side, allowed)
            searches.append(self.compare_grids(turned, rows))
        return searches

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

    def compare_grids(self, turned: Features, rows: Rows) -> dict[str, Hit]:
        """For every shortlisted name its best entry, compared cell by cell at every turn."""
        if len(rows) == 0:
            return {}
        found = search_rotation(turned.grid, self.index.grids(rows))
        best: dict[str, Hit] = {}
        for row, score, turn_deg in zip(rows, found.scores, found.turns_deg, strict=True):
            entry = self.index.entries[row]
            if entry.coin not in best or score > best[entry.coin].score:
                best[entry.coin] = Hit(float(score), entry, float(turn_deg))
        return best
