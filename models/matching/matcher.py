"""Which catalogue coin is this? The whole way from images to ranked coins, each step a line of `CoinMatcher.match`.

views --extract-----> features at every turn                             views, embedding.embedder
      --shortlist---> the entries nearest by pooled features             index
      --grid--------> each compared cell by cell, at its best turn       rotation, grid
      --same coin---> names that are one coin, sold twice, put together  same_coin
      --fuse--------> one score per coin, over sides and photographs     fusion
      --probability-> how sure it is                                     probability
      --record------> what is recorded of the first few                  facts
      --verify------> the first few laid on the query, the fine          verification, registration,
                      surface compared in register, under one light      surface, relighting, relation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from models.embedding.embedder import Embedder, Features
from models.matching.facts import weigh_facts
from models.matching.fusion import Hit, ScoredCoin, fuse
from models.matching.gallery import Where
from models.matching.index import EVERYTHING, CatalogueIndex, Rows
from models.matching.probability import Probability
from models.matching.rotation import TURNS, search_rotation
from models.matching.same_coin import (
    LINK_DOUBT,
    MOST_ALIKE,
    OPEN_LINK,
    CoinLinks,
    group_names,
    names_to_compare,
    weigh_rival,
)
from models.matching.verification import (
    MOST_VERIFIED,
    VERIFIED,
    Comparisons,
    ReadCrop,
    is_open,
    is_settled,
    shipped_verification,
)
from models.matching.views import View, crops_at_turns, group_views

SHORTLIST = 300
WITH_RECORD = 20  # candidates whose record is read

WeighRecord = Callable[[Sequence[str]], float]
"""ln of how many times as probable the records of some names are if these are the coin."""


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
    comparisons
        The query, turned as it was, on each of the entries that were compared (``scored.entries``); empty unless it was
        verified.
    """

    scored: ScoredCoin
    entry: str
    probability: float
    also: tuple[OtherName, ...] = ()
    comparisons: Comparisons = ()


@dataclass(frozen=True)
class CoinMatcher:
    """A model and the catalogue as that model sees it.

    Attributes
    ----------
    shortlist
        How many entries a side are compared cell by cell.
    read_crop, verified
        Reads the crop of an entry; and how many candidates are verified. Without it, none is.
    """

    embedder: Embedder
    index: CatalogueIndex
    shortlist: int = SHORTLIST
    read_crop: ReadCrop | None = None
    verified: int = VERIFIED

    def match(
        self,
        views: Sequence[View],
        probability: Probability,
        compare: Callable[[Sequence[str]], CoinLinks],
        where: Where = EVERYTHING,
        weigh_record: WeighRecord | None = None,
    ) -> list[Match]:
        """Rank the catalogue's coins for one coin seen in some views, with probabilities; the best first.

        Parameters
        ----------
        compare
            Gives the links of some names, which `models.matching.same_coin` found.
        where
            Which entries are compared.
        weigh_record
            Compares what is known of the coin with what is recorded of a candidate's names.
        """
        searches = self.search(views, where)
        ranked = fuse(searches)
        links = compare(names_to_compare(ranked, probability))
        groups = group_names(ranked, links, probability)
        coins = fuse(searches, {name: best for best, others in groups.items() for name in others})
        by_name = {each.coin: each for each in ranked}
        matches = [
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
        if weigh_record is not None:
            matches = _with_records(matches, weigh_record)
        return self.verify(views, searches, matches)

    def verify(
        self, views: Sequence[View], searches: Sequence[Mapping[str, Hit]], matches: Sequence[Match]
    ) -> list[Match]:
        """Lay the first on the query, and weigh what is found; the best first.

        So it does with the next few unless that settles it, and with every one that comes first thereby, as long as it
        could be possible.
        """
        if self.read_crop is None:
            return list(matches)
        verification, compared = shipped_verification(), dict[int, Comparisons]()
        by_search = [match.probability for match in matches]
        chances, order = by_search, list(range(len(matches)))
        few = 1
        while waiting := [n for n in order[:few] if n not in compared]:
            if len(compared) >= MOST_VERIFIED or not is_open(chances[order[0]]):
                break
            for number in waiting:
                names = {matches[number].scored.coin, *(other.coin for other in matches[number].also)}
                compared[number] = verification.compare(views, searches, names, self.read_crop)
            chances = verification.weigh(by_search, compared)
            order.sort(key=lambda number: -chances[number])
            is_first_alone = len(compared) == 1 and not is_settled(chances[order[0]])
            few = self.verified if is_first_alone else 1
        return [
            replace(matches[number], probability=chances[number], comparisons=compared.get(number, ()))
            for number in order
        ]

    def verify_links(
        self, views: Sequence[View], searches: Sequence[Mapping[str, Hit]], links: Mapping[str, float]
    ) -> dict[str, float]:
        """The probabilities that other names are one name's coin, once the surface of those that may be was compared.

        The search takes a coin of one die, in one style of print, for the same coin. Those that it hardly takes for
        the coin are left out.
        """
        if self.read_crop is None:
            return dict(links)
        verification, found = shipped_verification(), dict[str, float]()
        for name, chance in links.items():
            if chance >= OPEN_LINK:
                compared = verification.compare(views, searches, {name}, self.read_crop)
                (found[name],) = verification.weigh([min(chance, MOST_ALIKE)], {0: compared}, LINK_DOUBT)
        return found

    def rank(self, views: Sequence[View], where: Where = EVERYTHING) -> list[ScoredCoin]:
        """Rank the catalogue's names by similarity to one coin seen in some views, the best first."""
        return fuse(self.search(views, where))

    def search(self, views: Sequence[View], where: Where = EVERYTHING, turns: int = TURNS) -> list[dict[str, Hit]]:
        """Search for one coin: for every name that is shortlisted its best entry.

        Views of one side whose turns are known are put into one search, every other view into a search of its own.

        Parameters
        ----------
        turns
            How many turns are tried: most of the time goes into embedding the coin at each.
        """
        if len(self.index) == 0:
            return []
        searches = []
        for group in group_views(views):
            turned = self.extract(group, turns)
            rows = self.find_shortlist(turned, group[0].side, where)
            searches.append(self.compare_grids(turned, rows))
        return searches

    def extract(self, group: Sequence[View], turns: int = TURNS) -> Features:
        """Features of a group of views at every turn that is tried."""
        return self.embedder.embed(crops_at_turns(group, turns))

    def find_shortlist(self, turned: Features, side: str | None, where: Where = EVERYTHING) -> Rows:
        """The entries of this side nearest by pooled features, at any turn."""
        return self.index.search(turned.pooled, self.shortlist, replace(where, side=side or where.side))

    def compare_grids(self, turned: Features, rows: Rows) -> dict[str, Hit]:
        """For every shortlisted name its best entry, compared cell by cell at every turn."""
        if len(rows) == 0:
            return {}
        found = search_rotation(turned.grid, self.index.grids(rows))
        best: dict[str, Hit] = {}
        entries = self.index.entries(rows)
        for entry, score, turn_deg in zip(entries, found.scores, found.turns_deg, strict=True):
            if entry.coin not in best or score > best[entry.coin].score:
                best[entry.coin] = Hit(float(score), entry, float(turn_deg))
        return best


def _with_records(matches: Sequence[Match], weigh_record: WeighRecord) -> list[Match]:
    """The same with what is recorded of the first few weighed; the best first."""
    ratios = [
        weigh_record([match.scored.coin, *(other.coin for other in match.also)]) for match in matches[:WITH_RECORD]
    ]
    chances = weigh_facts([match.probability for match in matches], ratios)
    weighed = [replace(match, probability=chance) for match, chance in zip(matches, chances, strict=True)]
    return sorted(weighed, key=lambda match: -match.probability) if any(ratios) else weighed
