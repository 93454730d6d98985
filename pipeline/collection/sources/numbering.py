"""Which number belongs to which coin of a page, and which numbers fit into their row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from calibration.image import Image
from pipeline.collection.sources.numbers import PageNumber, read_numbers
from pipeline.collection.sources.pairs import PagePair

PLACES = ("below", "above", "left", "right", "between")
FARTHEST, TEXT_FARTHEST = 0.9, 9.0  # of a coin's diameter, from its number
MOST_SKIPPED = 40  # lots between two coins of a page that are not on it
SKIPPED_COSTS = 0.01  # of the length of a run


@dataclass(frozen=True)
class Numbered:
    """The number of a coin; None where none was read. ``doubt`` is why it may be wrong."""

    value: int | None
    doubt: str | None = None


def number_pairs(pairs: Sequence[PagePair], numbers: Sequence[PageNumber], *, is_text: bool = False) -> list[Numbered]:
    """The number of each coin, in the order of the coins.

    Numbers stand in one place beside all coins of a page (below, say), and grow from coin to coin. One that does not
    fit is replaced where its neighbours leave one possibility, and doubtful elsewhere.
    """
    ways = [_assign(pairs, numbers, place, TEXT_FARTHEST if is_text else FARTHEST) for place in PLACES]
    found = max(ways, key=lambda way: (len(way), -sum(distance for _, distance in way.values())))
    values = [found[each][0] if each in found else None for each in range(len(pairs))]
    by_row = list(range(len(pairs)))
    by_column = sorted(by_row, key=lambda each: (_column(pairs, each), pairs[each].obverse.centre[1]))
    order = max((by_row, by_column), key=lambda order: len(_growing([values[each] for each in order])))
    fitted = _fit([values[each] for each in order])
    result = [Numbered(None)] * len(pairs)
    for place, numbered in zip(order, fitted, strict=True):
        result[place] = numbered
    counts = Counter(each.value for each in result if each.value is not None)
    twice = {value for value, count in counts.items() if count > 1}
    return [
        Numbered(None, f"its number {each.value} is on the page twice") if each.value in twice else each
        for each in result
    ]


def read_page_numbers(page: Image, pairs: Sequence[PagePair]) -> list[Numbered]:
    """The number of each coin of a page, printed beside the coins or at the beginning of paragraphs."""
    coins = [side for pair in pairs for side in (pair.obverse, pair.reverse) if side is not None]
    beside = number_pairs(pairs, read_numbers(page, coins))
    if sum(each.value is not None for each in beside) * 2 >= len(pairs):
        return beside
    in_text = number_pairs(pairs, read_numbers(page, coins, is_text=True), is_text=True)
    return max((beside, in_text), key=lambda found: sum(each.value is not None for each in found))


def _column(pairs: Sequence[PagePair], one: int) -> float:
    """The leftmost coin of the column that a coin stands in."""
    x, radius = pairs[one].obverse.centre[0], pairs[one].obverse.radius
    return min(pair.obverse.centre[0] for pair in pairs if abs(pair.obverse.centre[0] - x) < 0.7 * radius)


def _assign(
    pairs: Sequence[PagePair], numbers: Sequence[PageNumber], place: str, farthest: float
) -> dict[int, tuple[int, float]]:
    """Numbers that stand in a place beside coins, the nearest first: by coin, with their distance."""
    options = []
    for one, pair in enumerate(pairs):
        sides = [pair.obverse.box, *([pair.reverse.box] if pair.reverse else [])]
        around = tuple(pick(side[at] for side in sides) for at, pick in enumerate((min, min, max, max)))
        for two, number in enumerate(numbers):
            distance = _distance(around, number.box, place)
            if distance is not None and distance <= farthest * 2 * pair.obverse.radius:
                options.append((distance / pair.obverse.radius, one, two))
    found: dict[int, tuple[int, float]] = {}
    taken: set[int] = set()
    for distance, one, two in sorted(options):
        if one not in found and two not in taken:
            found[one] = (numbers[two].value, distance)
            taken.add(two)
    return found


def _distance(around: Sequence[int], box: Sequence[int], place: str) -> float | None:
    """How far a number is from a coin, if it stands in that place beside it."""
    left, top, right, bottom = around
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    high, is_within = box[3] - box[1], left - 2 * (box[2] - box[0]) <= x <= right
    if place == "below" and y > bottom - high and left <= x <= right:
        return abs(y - bottom) + 0.2 * abs(x - (left + right) / 2)
    if place == "above" and y < top + high and is_within:
        return abs(y - top)
    if place == "left" and x < left and top - high <= y <= bottom + high:
        return left - box[2]
    if place == "right" and x > right and top - high <= y <= bottom + high:
        return box[0] - right
    if place == "between" and left < x < right and top < y < bottom:
        return 0.0
    return None


def _growing(values: Sequence[int | None]) -> list[int]:
    """The places of the longest run of values that grow by one or a few from coin to coin; skipping least."""
    best: dict[int, tuple[float, list[int]]] = {}
    for place, value in enumerate(values):
        if value is None:
            continue
        best[place] = (1.0, [place])
        for at, (length, run) in list(best.items())[:-1]:
            skipped = value - (values[at] or 0) - (place - at)
            option = (length + 1.0 - SKIPPED_COSTS * skipped, [*run, place])
            if 0 <= skipped <= MOST_SKIPPED and option[0] > best[place][0]:
                best[place] = option
    return max(best.values(), default=(0.0, []))[1]


def _fit(values: Sequence[int | None]) -> list[Numbered]:
    run = _growing(values)
    known = [each for each in values if each is not None]
    is_trusted = len(run) >= max(2, len(known) / 2) or len(values) == 1
    trusted = {place: value for place in run if (value := values[place]) is not None} if is_trusted else {}
    fitted = []
    for place, value in enumerate(values):
        if place in trusted:
            fitted.append(Numbered(value))
            continue
        below = [number + place - at for at, number in trusted.items() if at < place][-1:]
        above = [number + place - at for at, number in trusted.items() if at > place][:1]
        expected = (below + above)[:1]
        is_pinned = below == above if below and above else _is_close(value, expected)
        if expected and is_pinned:
            fitted.append(Numbered(expected[0]))
        elif value is not None:
            fitted.append(Numbered(None, f"its number was read as {value}, which does not fit its neighbours"))
        else:
            fitted.append(Numbered(None))
    return fitted


def _is_close(value: int | None, expected: Sequence[int]) -> bool:
    """Whether a number was misread in one digit, or lost some at an end."""
    if value is None or not expected:
        return False
    read, right = str(value), str(expected[0])
    if len(read) == len(right):
        return sum(a != b for a, b in zip(read, right, strict=True)) <= 1
    return right.endswith(read) or right.startswith(read)
