"""Which number belongs to which coin of a page, and which numbers fit into their row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibration.image import Image
from pipeline.collection.sources.numbers import PageNumber, read_numbers
from pipeline.collection.sources.pairs import PagePair

PLACES = ("below", "above", "left", "right", "between")
FARTHEST, TEXT_FARTHEST = 0.9, 9.0  # of a coin's diameter, from its number
SAME_PX = 40  # of a side of the boxes of a number that was found twice
LEAST_READ = 0.5  # of a page's coins; if fewer have a number, none is believed
ALONG = 0.3  # of a distance along the lines of print counts
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
    fit is replaced where its neighbours leave one possibility, and doubtful elsewhere: also where what was read is
    missing among the others, since the order of the coins may be wrong then, and not the number.
    """
    return _number(pairs, _find_place(pairs, numbers, is_text=is_text).found)


def _number(pairs: Sequence[PagePair], found: Mapping[int, int]) -> list[Numbered]:
    """The number of each coin, given those that stand beside them."""
    values = [found.get(each) for each in range(len(pairs))]
    # what has no number and may be no coin, a stain or a hole, has no place in the order
    by_row = [each for each, pair in enumerate(pairs) if each in found or not pair.doubts]
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


def read_page_numbers(
    page: Image, pairs: Sequence[PagePair], images: Sequence[PagePair]
) -> tuple[list[Numbered], list[Numbered]]:
    """The numbers printed beside a page's coins, or at the beginning of paragraphs: of its pairs, and of each image."""
    coins = [image.obverse for image in images]
    numbers = read_numbers(page, coins)
    of_images = number_pairs(images, numbers)
    sure = sum(not pair.doubts for pair in pairs)
    place = _find_place(pairs, numbers)
    if place.weight < 2 * sure:
        in_text = _find_place(pairs, read_numbers(page, coins, is_text=True), is_text=True)
        place = in_text if in_text.weight > place.weight else place
    return _number(pairs, place.found), of_images


def _column(pairs: Sequence[PagePair], one: int) -> float:
    """The leftmost coin of the column that a coin stands in."""
    x, radius = pairs[one].obverse.centre[0], pairs[one].obverse.radius
    return min(pair.obverse.centre[0] for pair in pairs if abs(pair.obverse.centre[0] - x) < 0.7 * radius)


@dataclass(frozen=True)
class _Place:
    """The number of each coin that has one in a place beside it.

    ``weight`` counts these, and once more those that are nearer to their coin than to others.
    """

    found: dict[int, int]
    weight: int
    distance: float


def _find_place(pairs: Sequence[PagePair], numbers: Sequence[PageNumber], *, is_text: bool = False) -> _Place:
    """Where numbers stand beside the coins of this page."""
    numbers = _without_marks(numbers)
    nearest = [min(range(len(pairs)), key=lambda one: _apart(pairs[one], number), default=0) for number in numbers]
    farthest = TEXT_FARTHEST if is_text else FARTHEST
    places = [_assign(pairs, numbers, place, farthest, nearest) for place in PLACES]
    return max(places, key=lambda place: (place.weight, -place.distance))


def _without_marks(numbers: Sequence[PageNumber]) -> list[PageNumber]:
    """Numbers without digits that stand at several places: the gaps between coins are read as 1."""
    places: dict[int, list[PageNumber]] = {}
    for number in numbers:
        others = places.setdefault(number.value, [])
        if all(max(abs(a - b) for a, b in zip(number.box, other.box, strict=True)) > SAME_PX for other in others):
            others.append(number)
    return [number for number in numbers if number.value > 9 or len(places[number.value]) == 1]


def _apart(pair: PagePair, number: PageNumber) -> float:
    """How far a number is from a coin; those in a line with it are near."""
    left, top, right, bottom = _around(pair)
    x, y = (number.box[0] + number.box[2]) / 2, (number.box[1] + number.box[3]) / 2
    return max(top - y, y - bottom, 0.0) + ALONG * max(left - x, x - right, 0.0)


def _around(pair: PagePair) -> tuple[int, int, int, int]:
    """The box around both sides of a coin."""
    one, two = pair.obverse.box, (pair.reverse or pair.obverse).box
    return min(one[0], two[0]), min(one[1], two[1]), max(one[2], two[2]), max(one[3], two[3])


def _assign(
    pairs: Sequence[PagePair], numbers: Sequence[PageNumber], place: str, farthest: float, nearest: Sequence[int]
) -> _Place:
    """Numbers that stand in a place beside coins, the nearest first."""
    options = []
    for one, pair in enumerate(pairs):
        for two, number in enumerate(numbers):
            distance = _distance(_around(pair), number.box, place)
            if distance is not None and distance <= farthest * 2 * pair.obverse.radius:
                options.append((distance / pair.obverse.radius, one, two))
    taken: dict[int, int] = {}
    total = 0.0
    for distance, one, two in sorted(options):
        if one not in taken and two not in taken.values():
            taken[one] = two
            total += distance
    found = {one: numbers[two].value for one, two in taken.items()}
    return _Place(found, len(found) + sum(nearest[two] == one for one, two in taken.items()), total)


def _distance(around: Sequence[int], box: Sequence[int], place: str) -> float | None:
    """How far a number is from a coin, if it stands in that place beside it."""
    left, top, right, bottom = around
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    wide, high = box[2] - box[0], box[3] - box[1]
    is_within = left - 2 * wide <= x <= right
    if place == "below" and y > bottom - high and left - wide / 2 <= x <= right + wide / 2:
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
    if len(known) < LEAST_READ * len(values):  # they may belong to other coins, or be none
        few = "its number was read as {}, and those of most others were not"
        return [Numbered(None, None if each is None else few.format(each)) for each in values]
    is_trusted = len(run) >= max(2, len(known) / 2) or len(values) == 1
    trusted = {place: value for place in run if (value := values[place]) is not None} if is_trusted else {}
    lots = {*trusted.values()}
    fitted = []
    for place, value in enumerate(values):
        if place in trusted:
            fitted.append(Numbered(value))
            continue
        below = [number + place - at for at, number in trusted.items() if at < place][-1:]
        above = [number + place - at for at, number in trusted.items() if at > place][:1]
        expected = (below + above)[:1]
        is_pinned = below == above if below and above else _is_close(value, expected)
        is_anothers = value is not None and value not in lots and min(lots, default=0) < value < max(lots, default=0)
        if expected and is_pinned and not is_anothers:
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
