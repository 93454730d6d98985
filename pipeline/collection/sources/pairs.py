"""Which coin images of a page are the two sides of one coin, and in which order coins are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.printed_page import PageCoin

ALIGNED = 0.4  # radii that the centres of two sides may be off a common line
LIKE_SIZED = 1.3  # radius of one side over the other's
FARTHEST = 2.4  # sums of radii between their centres
CLEAR = 1.08  # distance of the next best arrangement over that of the best


@dataclass(frozen=True)
class PagePair:
    """A coin of a page: obverse and reverse; of one side alone it is not known which. ``doubts`` are why it waits."""

    obverse: PageCoin
    reverse: PageCoin | None
    doubts: tuple[str, ...]


def pair_sides(coins: Sequence[PageCoin]) -> list[PagePair]:
    """Pair the coins of a page, side by side or one below the other, as more of them fit; in reading order."""
    beside, below = _arrange(coins, 0), _arrange(coins, 1)
    best, other = sorted((beside, below), key=lambda pairs: (-len(pairs), _mean_distance(coins, pairs)))
    is_open = len(best) == len(other) and _mean_distance(coins, other) < CLEAR * _mean_distance(coins, best)
    if is_open:
        best = beside  # as most catalogues have it
    found = []
    for one, two in best:
        doubts = list(dict.fromkeys((*coins[one].doubts, *coins[two].doubts)))
        if is_open and len(best) > 1:
            doubts.append("its other side may stand beside it or below it")
        found.append(PagePair(coins[one], coins[two], tuple(doubts)))
    paired = {each for pair in best for each in pair}
    found += [
        PagePair(coin, None, (*coin.doubts, "its other side was not found"))
        for number, coin in enumerate(coins)
        if number not in paired
    ]
    return _in_reading_order(found)


def _arrange(coins: Sequence[PageCoin], axis: int) -> list[tuple[int, int]]:
    """Pairs along an axis, the closest first; each coin in one alone, the left or upper one first."""
    options = []
    for one, first in enumerate(coins):
        for two, second in enumerate(coins):
            step = [b - a for a, b in zip(first.centre, second.centre, strict=True)]
            radii = sorted((first.radius, second.radius))
            if one == two or step[axis] <= 0 or radii[1] > LIKE_SIZED * radii[0]:
                continue
            if abs(step[1 - axis]) <= ALIGNED * radii[0] and step[axis] <= FARTHEST * sum(radii):
                options.append((step[axis] / sum(radii), one, two))
    pairs: list[tuple[int, int]] = []
    taken: set[int] = set()
    for _, one, two in sorted(options):
        if not {one, two} & taken:
            pairs.append((one, two))
            taken |= {one, two}
    return pairs


def _mean_distance(coins: Sequence[PageCoin], pairs: Sequence[tuple[int, int]]) -> float:
    if not pairs:
        return float("inf")
    total = 0.0
    for one, two in pairs:
        (x, y), (u, v) = coins[one].centre, coins[two].centre
        total += max(abs(u - x), abs(v - y)) / (coins[one].radius + coins[two].radius)
    return total / len(pairs)


def _in_reading_order(pairs: Sequence[PagePair]) -> list[PagePair]:
    """Row by row from the upper left."""
    rows: list[list[PagePair]] = []
    for pair in sorted(pairs, key=lambda pair: pair.obverse.centre[1]):
        first = rows[-1][0].obverse if rows else None
        if first is not None and pair.obverse.centre[1] - first.centre[1] < first.radius:
            rows[-1].append(pair)
        else:
            rows.append([pair])
    return [pair for row in rows for pair in sorted(row, key=lambda pair: pair.obverse.centre[0])]
