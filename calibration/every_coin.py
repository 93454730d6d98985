"""Every coin of an image: the one that it shows, several that lie beside each other, or a page of many.

Several are cut out as those of a catalogue's page are (`calibration.printed_page`): the same image has the same coins,
whether it is added to the catalogue, identified or imported.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calibration.image import Image
from calibration.outline import NoCoinError, Outline, find_coin, find_coins, normalise
from calibration.page_of_coins import count_page
from calibration.printed_page import find_page_coins
from calibration.screen import remove_screen

Box = tuple[int, int, int, int]
AROUND = 0.12  # of a box on a page, beyond it: the outline is found by what surrounds it
ROW = 0.5  # radii that centres may differ by in height, in one row
ITS_OWN = 0.75  # share of both boxes that an outline has in common with the box it was looked for in
BY_ITS_BOX = 0.5  # confidence of an outline that is but an ellipse in a box
SAME = 0.5  # share of both boxes that two ways of looking at one coin have in common


@dataclass(frozen=True)
class ShownCoin:
    """One coin of an image.

    Attributes
    ----------
    box
        Left, top, right, bottom in px of the image.
    part
        The image, or as much of it as shows the coin and what surrounds it.
    outline
        The coin in that part.
    corner_px
        Where the upper left corner of the part is in the image, (x, y).
    doubts
        Why it may be none, or not whole; empty if nothing says so.
    """

    box: Box
    part: Image
    outline: Outline
    corner_px: tuple[int, int] = (0, 0)
    doubts: tuple[str, ...] = ()

    @property
    def centre_px(self) -> tuple[float, float]:
        """Centre of the coin in the image, (x, y)."""
        return self.outline.centre_px[0] + self.corner_px[0], self.outline.centre_px[1] + self.corner_px[1]

    def crop(self) -> Image:
        """The coin alone, as `calibration.outline.normalise` makes it, without a printer's screen."""
        return normalise(remove_screen(self.part, self.outline), self.outline)


def find_every_coin(image: Image) -> list[ShownCoin]:
    """Find every coin, row by row from the upper left; an empty list if there is none.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    """
    coins = [ShownCoin(_box_of(outline), image, outline) for outline in find_coins(image)]
    is_page = bool(count_page(image, [coin.outline for coin in coins]))
    if len(coins) > 1 or is_page:
        coins = list(_as_on_a_page(image, coins, is_page=is_page))
    return _in_reading_order(coins)


def find_one_coin(image: Image) -> ShownCoin:
    """The largest coin of an image that shows one; NoCoinError if nothing compact stands out from the background."""
    outline = find_coin(image)
    return ShownCoin(_box_of(outline), image, outline)


def cut_out(image: Image, box: Box, doubts: tuple[str, ...] = ()) -> ShownCoin:
    """The coin that a box of a page is of, with what surrounds it."""
    left, top, right, bottom = _surroundings(box, image.shape)
    part = np.ascontiguousarray(image[top:bottom, left:right])
    one, two, three, four = box
    outline = _outline_at(part, (one - left, two - top, three - left, four - top))
    return ShownCoin(box, part, outline, (left, top), doubts)


def _as_on_a_page(image: Image, coins: list[ShownCoin], *, is_page: bool) -> Iterator[ShownCoin]:
    """The same coins with the boxes that they have on a page, and of a page those that are too small beside them."""
    on_page = find_page_coins(image)
    for coin in coins:
        found = next((each for each in on_page if _overlap(each.box, coin.box) > SAME), None)
        yield coin if found is None else cut_out(image, found.box, found.doubts)
    if is_page:
        for each in on_page:
            if not any(_overlap(each.box, coin.box) > SAME for coin in coins):
                yield cut_out(image, each.box, each.doubts)


def _outline_at(part: Image, box: Box) -> Outline:
    """The outline of the coin that a box of a page is of: an ellipse in it where a neighbour that touches hides it."""
    try:
        found = find_coin(part)
        if _overlap(_box_of(found), box) > ITS_OWN:
            return found
    except NoCoinError:
        pass
    left, top, right, bottom = box
    centre, axes = ((left + right - 1) / 2, (top + bottom - 1) / 2), ((right - left) / 2, (bottom - top) / 2)
    y, x = np.ogrid[: part.shape[0], : part.shape[1]]
    mask = ((x - centre[0]) / axes[0]) ** 2 + ((y - centre[1]) / axes[1]) ** 2 <= 1.0
    return Outline(centre, float(np.sqrt(axes[0] * axes[1])), np.asarray(mask, np.bool_), BY_ITS_BOX)


def _surroundings(box: Box, shape: tuple[int, ...]) -> Box:
    """A box on a page with what surrounds it, as far as an image of that shape has it."""
    left, top, right, bottom = box
    margin = round(AROUND * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(shape[1], right + margin), min(shape[0], bottom + margin)


def _box_of(outline: Outline) -> Box:
    rows, columns = np.flatnonzero(outline.mask.any(axis=1)), np.flatnonzero(outline.mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _overlap(one: Box, other: Box) -> float:
    """Area that both boxes have in common, of the area that either has."""
    across, down = (min(one[n + 2], other[n + 2]) - max(one[n], other[n]) for n in (0, 1))
    common = max(0, across) * max(0, down)
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return common / max(1, areas - common)


def _in_reading_order(coins: list[ShownCoin]) -> list[ShownCoin]:
    rows: list[list[ShownCoin]] = []
    for coin in sorted(coins, key=lambda coin: coin.centre_px[1]):
        largest = max(coin.outline.radius_px, rows[-1][0].outline.radius_px) if rows else 0.0
        if rows and coin.centre_px[1] - rows[-1][0].centre_px[1] < ROW * largest:
            rows[-1].append(coin)
        else:
            rows.append([coin])
    return [coin for row in rows for coin in sorted(row, key=lambda coin: coin.centre_px[0])]
