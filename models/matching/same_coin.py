"""Which names of the catalogue are one and the same coin: it was sold twice, or stands in two catalogues.

Every lot has a name of its own, so that a coin that was sold twice has two. They are no rivals: that a query resembles
both is no reason to doubt either. So the names of a catalogue are compared with each other, each searched for like a
query (`link_names`), and of two names the probability that they are one coin is kept (`CoinLinks`). When a query
is matched, names that are more probably one coin than not are put together (`group_names`).

Links are proposals: only a person confirms that two lots show one coin, or denies it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from models.matching.duplicates import join_names
from models.matching.fusion import Hit, ScoredCoin, fuse
from models.matching.probability import POSSIBLE_PROBABILITY, Probability

OPEN_LINK = 0.05  # by the search; below it two names are not compared more closely
LINKED = 0.6  # on 217 euro coins, 14 of them twice: three links in four are right, three coins in four are linked
MOST_NAMES = 8  # of one coin that are looked for
_WITHOUT_LINK = 0.02  # that two names are one coin if neither resembled the other so far that they were compared
_LEAST_ODDS = 1e-4
_STRONGEST = 20.0  # odds: similarity to one query is not taken for more
MOST_ALIKE = _STRONGEST / (1.0 + _STRONGEST)  # nor that of two names
LINK_DOUBT = 3.0  # ln: of a catalogue's coins many more share a die than are one; the surface must speak for it


@dataclass(frozen=True)
class CoinLinks:
    """Names of a catalogue that may be one coin.

    Attributes
    ----------
    seen_from
        For each name that was compared with the others: those that resemble it, and the probability that each is the
        same coin. Two names that are one coin resemble each other both ways.
    decided
        Pairs of names that a person decided are one coin, or two.
    """

    seen_from: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    decided: Mapping[frozenset[str], bool] = field(default_factory=dict)

    def probability(self, first: str, second: str) -> float:
        """The probability that two names are one coin, of both directions; 0 if they were not compared.

        What a person decided is certain.
        """
        if (decision := self.decided.get(frozenset((first, second)))) is not None:
            return float(decision)
        return (self.seen_from.get(first, {}).get(second, 0.0) + self.seen_from.get(second, {}).get(first, 0.0)) / 2.0

    def beforehand(self, first: str, second: str) -> float:
        """The probability that two names are one coin before a query is seen; not 0 if they were not compared."""
        is_known = (
            frozenset((first, second)) in self.decided
            or second in self.seen_from.get(first, {})
            or first in self.seen_from.get(second, {})
        )
        return self.probability(first, second) if is_known else _WITHOUT_LINK

    def pairs(self) -> tuple[tuple[str, str, float], ...]:
        """Pairs of names that are more probably one coin than not, the most probable first."""
        found = {tuple(sorted((name, other))) for name, others in self.seen_from.items() for other in others}
        found |= {tuple(sorted(pair)) for pair in self.decided}
        linked = ((one, other, self.probability(one, other)) for one, other in found)
        return tuple(sorted((pair for pair in linked if pair[2] >= LINKED), key=lambda pair: (-pair[2], pair)))


def link_names(searches: Sequence[Mapping[str, Hit]], probability: Probability) -> dict[str, float]:
    """How probable it is that other names are the coin of one name, given the searches for each of its sides.

    Each of the others is judged by the sides that it shows: a second sale may have printed one side only.
    """
    shown: dict[tuple[int, ...], list[str]] = {}
    for name in sorted(set().union(*searches)):
        shown.setdefault(tuple(n for n, hits in enumerate(searches) if name in hits), []).append(name)
    found: dict[str, float] = {}
    for sides, names in shown.items():
        linked = link_candidates(fuse([searches[side] for side in sides]), probability)
        found |= {name: linked[name] for name in names if name in linked}
    return found


def link_candidates(ranked: Sequence[ScoredCoin], probability: Probability) -> dict[str, float]:
    """How probable it is that other names are the coin of one name, given how the others rank when it is searched for.

    Of a coin that was sold six times five names rank first, none of which leads the next. So the first, the first two,
    and so on to `MOST_NAMES`, are each in turn taken for the coin: the last of them is judged by what comes after,
    which has to be as many names again.
    """
    of_photographs = probability.single or probability
    best, found = 0.0, {}
    for place in reversed(range(_most_names(ranked))):
        best = max(best, of_photographs.of_first(ranked[place:]))
        found[ranked[place].coin] = best
    return found


def names_to_compare(ranked: Sequence[ScoredCoin], probability: Probability) -> list[str]:
    """The names that a query may be, had it no rivals: for these it matters which are one coin."""
    found: list[str] = []
    for place in range(_most_names(ranked)):
        if probability.of_first(ranked[place:]) >= POSSIBLE_PROBABILITY:
            found = [each.coin for each in ranked[: place + 1]]
    return found


def group_names(
    ranked: Sequence[ScoredCoin], links: CoinLinks, probability: Probability
) -> dict[str, dict[str, float]]:
    """Put names together that are more probably one coin than not.

    Names are linked as they were compared with each other; of the best coin also by the query itself, since a query
    that two names resemble makes it more probable that they are one coin.

    Returns
    -------
    dict
        The best ranked name of each coin, and its other names with the probability that they are that coin.
    """
    place = {each.coin: number for number, each in enumerate(ranked)}
    seen = [(name, other) for name in place for other in links.seen_from.get(name, {})]
    linked = [
        (name, other)
        for name, other in (*seen, *map(tuple, links.decided))
        if name in place and other in place and links.probability(name, other) >= LINKED
    ]
    members: dict[str, list[str]] = {}
    for name, group in join_names(list(place), linked).items():
        members.setdefault(group, []).append(name)
    groups: dict[str, dict[str, float]] = {}
    for best, *others in sorted(members.values(), key=lambda names: place[names[0]]):
        together = [best, *others]
        groups[best] = {name: max(links.probability(name, each) for each in together) for name in others}
    if ranked:
        _add_rivals(groups, ranked, links, probability)
    return groups


def weigh_rival(
    coins: Sequence[ScoredCoin],
    groups: Mapping[str, Mapping[str, float]],
    links: CoinLinks,
    probability: Probability,
) -> list[float]:
    """The probability of each coin, in their order, where the second may be another lot of the first.

    Whether it is one is not certain enough to put them together, but neither is that it is a rival: the coin is in the
    catalogue all the more if it is there twice.
    """
    chances = probability.of(coins)
    if len(coins) < 2:
        return chances
    first, rival, *others = coins
    names, other_names = ((each.coin, *groups[each.coin]) for each in (first, rival))
    pairs = [(name, other) for name in names for other in other_names]
    if any(links.decided.get(frozenset(pair)) is False for pair in pairs):
        return chances
    together = probability.of_first([first, *others])
    known = max(links.beforehand(*pair) for pair in pairs)
    linked = _linked_by_query(known, together, probability.of_first([rival, *others]))
    best, *rest = ((1.0 - linked) * chance for chance in chances)
    return [best + linked * max(together, chances[0]), *rest]


def _most_names(ranked: Sequence[ScoredCoin]) -> int:
    """How many names may be one coin: no more than there are others to compare it with."""
    return min(len(ranked), max(1, min(MOST_NAMES, len(ranked) // 2)))


def _add_rivals(
    groups: dict[str, dict[str, float]], ranked: Sequence[ScoredCoin], links: CoinLinks, probability: Probability
) -> None:
    """Add the next best names to the best coin for as long as the query makes it probable that they are one."""
    first = ranked[0]
    own = groups[first.coin]
    rivals = [each for each in ranked[1:] if each.coin not in own]
    while rivals:
        rival, *others = rivals
        if any(links.decided.get(frozenset((rival.coin, name))) is False for name in (first.coin, *own)):
            return
        known = max(links.beforehand(rival.coin, name) for name in (first.coin, *own))
        chance = _linked_by_query(known, probability.of_first([first, *others]), probability.of_first([rival, *others]))
        if chance < LINKED:
            return
        own |= {rival.coin: chance, **groups.pop(rival.coin)}
        rivals = [each for each in others if each.coin not in own]


def _linked_by_query(linked: float, first: float, second: float) -> float:
    """The probability that two names are one coin, given that a query is each of them with these probabilities.

    By Bayes' rule, the query being in the catalogue or not with equal probability: if they are one coin the query is
    both or neither, if they are two it is one of them or neither.
    """
    one, other = (min(_odds(chance), _STRONGEST) for chance in (first, second))
    return 1.0 / (1.0 + (0.25 * (one + other) + 0.5) / (0.5 * one * other + 0.5) / max(_odds(linked), _LEAST_ODDS))


def _odds(chance: float) -> float:
    return chance / max(1.0 - chance, 1e-6)
