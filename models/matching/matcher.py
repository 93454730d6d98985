"""Which catalogue coin is this? The whole way from images to ranked coins, each step a line of `CoinMatcher.match`.

views --extract-----> features at every turn                             views, embedding.embedder
      --shortlist---> the entries nearest by pooled features             index
      --grid--------> each compared cell by cell, at its best turn       rotation, grid
      --verify------> the surface of the first few, the design removed   verification
      --same coin---> names that are one coin, sold twice, put together  same_coin
      --fuse--------> one score per coin, over sides and photographs     fusion
      --probability-> how sure it is                                     probability
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.image import Image
from models.embedding.embedder import Embedder, Features
from models.matching.fusion import Hit, ScoredCoin, fuse
from models.matching.index import CatalogueIndex, Rows
from models.matching.probability import Probability
from models.matching.rotation import search_rotation, turn_angles_deg
from models.matching.same_coin import CoinLinks, group_names, names_to_compare, weigh_rival
from models.matching.verification import LEAST_OTHERS, OTHERS, VERIFIED, Turned, compare_surfaces
from models.matching.views import View, crops_at_turns, group_views

SHORTLIST = 300
ReadCrops = Callable[[Sequence[str]], Mapping[str, Image]]


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
    read_crops
        Gives the crops of some entries, those that can be read; None if nothing is to be verified.
    """

    embedder: Embedder
    index: CatalogueIndex
    shortlist: int = SHORTLIST
    read_crops: ReadCrops | None = None

    def match(
        self, views: Sequence[View], probability: Probability, compare: Callable[[Sequence[str]], CoinLinks]
    ) -> list[Match]:
        """Rank the catalogue's coins for one coin seen in some views, with probabilities; the best first.

        Parameters
        ----------
        compare
            Gives the links of some names, which `models.matching.same_coin` found.
        """
        searches = self.search_verified(views) if probability.verifies else self.search(views)
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

    def rank_verified(self, views: Sequence[View]) -> list[ScoredCoin]:
        """Rank the catalogue's names, the first few of them by their surface."""
        return fuse(self.search_verified(views))

    def search(self, views: Sequence[View], allowed: Rows | None = None) -> list[dict[str, Hit]]:
        """Search for one coin: for every name that is shortlisted its best entry.

        Views of one side whose turns are known are put into one search, every other view into a search of its own.
        """
        return [self._search_group(group, self.extract(group), allowed) for group in self._groups(views)]

    def search_verified(self, views: Sequence[View]) -> list[dict[str, Hit]]:
        """Search for one coin and verify the names that rank first over all searches."""
        groups = [(group, self.extract(group)) for group in self._groups(views)]
        searches = [self._search_group(group, turned) for group, turned in groups]
        first = [each.coin for each in fuse(searches)[:VERIFIED]]
        return [
            {**hits, **self._verify(group, turned, hits, first)}
            for (group, turned), hits in zip(groups, searches, strict=True)
        ]

    def _groups(self, views: Sequence[View]) -> list[list[View]]:
        return group_views(views) if len(self.index) else []

    def _search_group(self, group: Sequence[View], turned: Features, allowed: Rows | None = None) -> dict[str, Hit]:
        return self.compare_grids(turned, self.find_shortlist(turned, group[0].side, allowed))

    def _verify(
        self, group: Sequence[View], turned: Features, hits: Mapping[str, Hit], first: Sequence[str]
    ) -> dict[str, Hit]:
        """The first names' hits with their surface; none if too few others show what coins of the design share."""
        if self.read_crops is None:
            return {}
        rest = sorted((hit for name, hit in hits.items() if name not in first), key=lambda hit: -hit.score)[:OTHERS]
        chosen = {name: hits[name] for name in first if name in hits}
        crops = self.read_crops([hit.entry.entry_id for hit in (*chosen.values(), *rest)])
        chosen = {name: hit for name, hit in chosen.items() if hit.entry.entry_id in crops}
        rest = [hit for hit in rest if hit.entry.entry_id in crops]
        if len(rest) < LEAST_OTHERS or not chosen:
            return {}
        turns_deg = turn_angles_deg(len(turned.grid))
        # One photograph is compared as it lies. Of many, the one lit as the best candidate's entry is.
        lies_deg = 0.0 if len(group) == 1 else max(chosen.values(), key=lambda hit: hit.score).turn_deg

        def lay(hit: Hit) -> Turned:
            return Turned(crops[hit.entry.entry_id], lies_deg - hit.turn_deg)

        query = turned.grid[turns_deg.index(lies_deg)]
        surfaces = compare_surfaces(self.embedder, query, [lay(hit) for hit in chosen.values()], [*map(lay, rest)])
        return {
            name: replace(hit, surface=surface) for (name, hit), surface in zip(chosen.items(), surfaces, strict=True)
        }

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
