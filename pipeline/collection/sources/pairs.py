"""Which coin images of a page are the two sides of one coin, and in which order coins are read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from calibration.printed_page import PageCoin

ALIGNED = 0.45  # radii that the centres of two sides may be off a common line
LIKE_SIZED = 1.35  # radius of one side over the other's
FARTHEST = 2.4  # sums of radii between their centres
ALONE = 1.5  # cost of a coin without its other side: more than that of any pair
SIZE_COUNTS = 3.0  # cost of a difference in size (natural logarithm of the ratio); a gap of one sum of radii costs 1
APART_COUNTS, MOST_APART = 0.2, math.log(2.0)  # what gaps between pairs, wider than those within, save a coin; no more
CLEAR = 0.04  # cost a coin between the two arrangements; closer ones are doubtful


@dataclass(frozen=True)
class PagePair:
    """A coin of a page: obverse and reverse; of one side alone it is not known which. ``doubts`` are why it waits."""

    obverse: PageCoin
    reverse: PageCoin | None
    doubts: tuple[str, ...]


def each_alone(coins: Sequence[PageCoin]) -> list[PagePair]:
    """Every coin image by itself, in reading order."""
    return _in_reading_order([PagePair(coin, None, coin.doubts) for coin in coins])


@dataclass(frozen=True)
class _Arrangement:
    pairs: tuple[tuple[int, int], ...]
    cost: float


def pair_sides(coins: Sequence[PageCoin]) -> list[PagePair]:
    """Pair the coins of a page, side by side or one below the other, whichever fits better; in reading order."""
    beside, below = _arrange(coins, 0), _arrange(coins, 1)
    best = below if below.cost < beside.cost else beside  # as most catalogues have it
    is_open = bool(below.pairs and beside.pairs) and abs(below.cost - beside.cost) < CLEAR * len(coins)
    found = []
    for one, two in best.pairs:
        doubts = list(dict.fromkeys((*coins[one].doubts, *coins[two].doubts)))
        if is_open and len(best.pairs) > 1:
            doubts.append("its other side may stand beside it or below it")
        found.append(PagePair(coins[one], coins[two], tuple(doubts)))
    paired = {each for pair in best.pairs for each in pair}
    found += [
        PagePair(coin, None, (*coin.doubts, "its other side was not found"))
        for number, coin in enumerate(coins)
        if number not in paired
    ]
    return _in_reading_order(found)


def _arrange(coins: Sequence[PageCoin], axis: int) -> _Arrangement:
    """Pairs of neighbours along an axis, the left or upper one first, so that they cost least in all."""
    pairs: list[tuple[int, int]] = []
    within, between = list[float](), list[float]()
    cost = 0.0
    for line in _lines(coins, axis):
        chosen = _pair_line([coins[each] for each in line], axis)
        pairs += [(line[one], line[one + 1]) for one in chosen.pairs_at]
        cost += chosen.cost
        for place, (one, two) in enumerate(pairwise(line)):
            (within if place in chosen.pairs_at else between).append(_apart(coins[one], coins[two], axis))
    return _Arrangement(tuple(pairs), cost - len(coins) * _saving(within, between))


def _saving(within: Sequence[float], between: Sequence[float]) -> float:
    """What an arrangement saves a coin by its pairs standing apart: where it is wrong, all gaps of a line are alike."""
    if not within or not between:
        return 0.0
    return APART_COUNTS * min(max(math.log(median(between) / median(within)), 0.0), MOST_APART)


def _lines(coins: Sequence[PageCoin], axis: int) -> list[list[int]]:
    """Rows (axis 0) or columns (axis 1): each coin followed by its nearest neighbour that it is nearest to as well."""
    after = {one: _neighbour(coins, one, axis, 1) for one in range(len(coins))}
    before = {one: _neighbour(coins, one, axis, -1) for one in range(len(coins))}
    follows = {one: two for one, two in after.items() if two is not None and before[two] == one}
    starts = sorted(set(after) - set(follows.values()))
    lines = []
    for start in starts:
        line = [start]
        while line[-1] in follows:
            line.append(follows[line[-1]])
        lines.append(line)
    return lines


def _neighbour(coins: Sequence[PageCoin], one: int, axis: int, sign: int) -> int | None:
    near: tuple[float, int] | None = None
    for two, coin in enumerate(coins):
        step = [sign * (b - a) for a, b in zip(coins[one].centre, coin.centre, strict=True)]
        least = min(coins[one].radius, coin.radius)
        if two != one and step[axis] > 0 and abs(step[1 - axis]) <= ALIGNED * least:
            near = min(near, (step[axis], two)) if near else (step[axis], two)
    return near[1] if near else None


@dataclass(frozen=True)
class _Line:
    pairs_at: tuple[int, ...]
    cost: float


def _pair_line(line: Sequence[PageCoin], axis: int) -> _Line:
    """Which coins of a line are the first of a pair, by the least cost of the whole line."""
    best = [_Line((), 0.0), _Line((), ALONE)]
    for place, (one, two) in enumerate(pairwise(line)):
        alone = _Line(best[-1].pairs_at, best[-1].cost + ALONE)
        cost = _cost(one, two, axis)
        paired = _Line((*best[-2].pairs_at, place), best[-2].cost + cost)
        best.append(min(alone, paired, key=lambda option: option.cost))
    return best[len(line)]


def _cost(one: PageCoin, two: PageCoin, axis: int) -> float:
    """Of a pair: the gap between its sides, and how much they differ in size; infinite where it cannot be one."""
    radii = sorted((one.radius, two.radius))
    apart = _apart(one, two, axis)
    if radii[1] > LIKE_SIZED * radii[0] or apart > FARTHEST:
        return math.inf
    return abs(apart - 1.0) + SIZE_COUNTS * math.log(radii[1] / radii[0])


def _apart(one: PageCoin, two: PageCoin, axis: int) -> float:
    """How far the centres of two coins are apart along an axis, in sums of their radii."""
    return (two.centre[axis] - one.centre[axis]) / (one.radius + two.radius)


def _in_reading_order(pairs: Sequence[PagePair]) -> list[PagePair]:
    """Row by row from the upper left; what may be no coin, a hole or a stain, begins a row only where none is."""
    rows: list[list[PagePair]] = []
    for pair in sorted(pairs, key=lambda pair: (bool(pair.doubts), pair.obverse.centre[1])):
        nearest = min(rows, key=lambda row: _below(row[0], pair), default=[])
        if nearest and _below(nearest[0], pair) < max(nearest[0].obverse.radius, pair.obverse.radius):
            nearest.append(pair)
        else:
            rows.append([pair])
    rows.sort(key=lambda row: row[0].obverse.centre[1])
    return [pair for row in rows for pair in sorted(row, key=lambda pair: pair.obverse.centre[0])]


def _below(one: PagePair, other: PagePair) -> float:
    """How much lower or higher one stands than the other, px."""
    return abs(other.obverse.centre[1] - one.obverse.centre[1])
