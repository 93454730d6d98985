"""The coins of scanned pages: both sides on one page, or obverses on one and reverses on the page that faces it.

On plates that face each other every coin image has a number of its own, and the next page has the same numbers; where
both sides are on one page, at most every other image has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from calibration.printed_page import find_page_coins
from pipeline.collection.sources.numbering import Numbered, read_page_numbers
from pipeline.collection.sources.numbers import can_read_numbers
from pipeline.collection.sources.pages import ScannedPage
from pipeline.collection.sources.pairs import LIKE_SIZED, PagePair, each_alone, pair_sides

NO_OTHER_SIDE = "its other side was not found"
SHARED = 0.5  # of the numbers of the page that has fewer, on both: pages that face each other
ONE_SIDED, FEWEST = 0.75, 3  # of a page's images have a number of their own, and how many: one side each


@dataclass(frozen=True)
class CutSide:
    """A coin side on a page: its box (left, top, right, bottom), px."""

    page: ScannedPage
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class CutCoin:
    """A coin cut out of pages; of one side alone it is not known which. ``doubts`` are why it waits."""

    obverse: CutSide
    reverse: CutSide | None
    number: int | None
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class ReadPage:
    """A page that was looked at.

    Attributes
    ----------
    pairs, numbered
        Its coins if both sides are on it, and their numbers.
    images, numbered_images
        Every coin image by itself, and their numbers.
    """

    page: ScannedPage
    pairs: Sequence[PagePair]
    numbered: Sequence[Numbered]
    images: Sequence[PagePair]
    numbered_images: Sequence[Numbered]


def read_page(page: ScannedPage) -> ReadPage:
    """Find a page's coins and their numbers."""
    coins = find_page_coins(page.image)
    pairs, images = pair_sides(coins), each_alone(coins)
    if pairs and can_read_numbers():
        numbered, of_images = read_page_numbers(page.image, pairs, images)
    else:
        numbered, of_images = [Numbered(None)] * len(pairs), [Numbered(None)] * len(images)
    return ReadPage(page, pairs, numbered, images, of_images)


def cut_coins(pages: Iterable[ReadPage]) -> Iterator[list[CutCoin]]:
    """The coins of each page, or of two that face each other, in the order of the pages."""
    waiting: ReadPage | None = None
    for page in pages:
        if waiting is None:
            waiting = page
        elif coins := _facing(waiting, page):
            yield coins
            waiting = None
        else:
            yield _on_page(waiting)
            waiting = page
    if waiting is not None:
        yield _on_page(waiting)


def _on_page(read: ReadPage) -> list[CutCoin]:
    known = [each for each in read.numbered_images if each.value is not None]
    if len(known) >= max(FEWEST, ONE_SIDED * len(read.images)):  # the page that faces it is missing
        return [_alone(read, image, each) for image, each in zip(read.images, read.numbered_images, strict=True)]
    return [
        CutCoin(
            CutSide(read.page, pair.obverse.box),
            None if pair.reverse is None else CutSide(read.page, pair.reverse.box),
            numbered.value,
            (*pair.doubts, *filter(None, [numbered.doubt])),
        )
        for pair, numbered in zip(read.pairs, read.numbered, strict=True)
    ]


def _facing(one: ReadPage, two: ReadPage) -> list[CutCoin]:
    """The coins of two pages whose images have the same numbers; none if they do not face each other."""
    first, second = ({each.value for each in read.numbered_images} - {None} for read in (one, two))
    both, fewer = first & second, min(len(one.images), len(two.images))
    if len(both) < max(2 if fewer > 1 else 1, SHARED * fewer):
        return []
    reverses = {each.value: image for image, each in zip(two.images, two.numbered_images, strict=True)}
    coins = []
    for image, numbered in zip(one.images, one.numbered_images, strict=True):
        if numbered.value not in both:
            coins.append(_alone(one, image, numbered))
            continue
        other = reverses[numbered.value]
        doubts = [*image.doubts, *other.doubts]
        radii = sorted((image.obverse.radius, other.obverse.radius))
        if radii[1] > LIKE_SIZED * radii[0]:
            doubts.append("its sides are of different sizes")
        obverse, reverse = CutSide(one.page, image.obverse.box), CutSide(two.page, other.obverse.box)
        coins.append(CutCoin(obverse, reverse, numbered.value, tuple(dict.fromkeys(doubts))))
    rest = zip(two.images, two.numbered_images, strict=True)
    return coins + [_alone(two, image, numbered) for image, numbered in rest if numbered.value not in both]


def _alone(read: ReadPage, image: PagePair, numbered: Numbered) -> CutCoin:
    doubts = (*image.doubts, NO_OTHER_SIDE, *filter(None, [numbered.doubt]))
    return CutCoin(CutSide(read.page, image.obverse.box), None, numbered.value, doubts)
