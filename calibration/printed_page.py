"""Coins on a printed page: halftone plates, photographs and plaster casts on paper or on a dark ground, with captions.

A page is looked at on a working copy in which the printer's screen is gone. What differs from its ground and is round
is a coin: text falls apart into what is too small, ornaments and drawings show the paper between their lines. Where a
coin ends is where its edge is steep: a cast's shadow ends softly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.background import Blob, disc
from calibration.image import Image
from calibration.page_edges import find_edges
from calibration.page_ground import find_ground
from calibration.separate import contour_of, separate, solidity
from calibration.shape import is_sheet

WORKING_PX = 1800  # longer side of the working copy
SCREEN = 1.6  # blur in working px: the dots of 85 lines an inch run together
SHARP_SCREEN = 1.0  # the same where an edge is looked for around a whole coin, and dots even out
LEAST_RADIUS, MOST_RADIUS = 0.011, 0.17  # of the longer side
LEAST_CONTRAST = 12.0  # grey levels between the ground and what stands out of it
DARK = 110.0  # grey level of card, slate or velvet
COIN_CONTRAST = 24.0  # grey levels, the median of a coin's, unless it shows relief
RELIEF = 12.0  # standard deviation of grey levels; of stains, and of coins that show through the paper, 8 at most
THIN = 0.006  # of the longer side: lines, letters and scale bars that touch a coin are thinner
LEAST_SOLIDITY, LEAST_ROUNDNESS, LONGEST = 0.86, 0.72, 1.5
SURE_ROUNDNESS = 0.86
FLAT = 5.0  # standard deviation of grey levels; of casts on black 9
DRAWN = ((0.12, 45.0), (0.3, 25.0))  # a drawing, or text: share that is as the ground, spread; coins 0.02, 40
SURE_PAPER, SURE_SPREAD = 0.02, 45.0
BILEVEL = 0.01  # share of a page that is neither black nor white, at most
ODD_SIZE = 2.2  # radius over the page's median, or under it
ROUGH, ROUGH_OVER_GROUND = 4.0, 2.5  # grey levels of relief, and over what paper shows: what is as light as its ground
ALIKE = 1.5  # radius of that over the page's median, or under it
BETWEEN_LINES = 0.4  # share of a drawing that is paper
CAPTION = 0.35  # of a coin's radius; what stands out of its outline and is narrower than twice that is none of it
NEARLY_ALL = 0.9  # of its area: where more would go, a part of the coin itself is as light as its ground
HANGS_ON = 0.6  # of a coin's radius: what hangs on it and would not hold a disc of that radius
FRAME = 0.9  # of the longer side
EXPLAINED = 0.8  # of a thing's area, by its coins; where it is less, something fainter may join them
FAINT = (0.25, 0.4, 0.55)  # of the strong contrast of a thing, its 90th percentile: fainter is what joins its coins
RELIEF_GAP = 0.004  # of the longer side: a coin's relief that is as its ground is narrower
NARROW = (0.011, 0.016)  # of the longer side: half as wide as what joins them
MOST_OF_IT = 0.5  # of a thing that is coins: of less only a part that happens to be round is left
MORE = 1.05  # times the area of coins, or it is not worth to look at them more closely


@dataclass(frozen=True)
class PageCoin:
    """A coin image on a page: its box (left, top, right, bottom) in px, and why it is doubtful; empty if it is not."""

    box: tuple[int, int, int, int]
    doubts: tuple[str, ...] = ()

    @property
    def centre(self) -> tuple[float, float]:
        """Of the box, (x, y) px."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def radius(self) -> float:
        """Half of the box's mean side, px."""
        return (self.box[2] - self.box[0] + self.box[3] - self.box[1]) / 4


@dataclass(frozen=True)
class _Found:
    blob: Blob
    x: int
    y: int
    radius: float
    roundness: float
    paper: float  # share of it that is as the ground
    spread: float  # of its grey levels
    is_faint: bool = False


def find_page_coins(page: Image) -> list[PageCoin]:
    """Find every coin image of a page.

    Parameters
    ----------
    page
        RGB, (H, W, 3) uint8; a coin should be 60 pixels wide at least.
    """
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, WORKING_PX / max(grey.shape))
    size = (max(16, round(grey.shape[1] * scale)), max(16, round(grey.shape[0] * scale)))
    small, sharp = (_descreened(grey, size, blur / scale) for blur in (SCREEN, SHARP_SCREEN))
    ground, seen = find_ground(small)
    is_bilevel = float(np.mean((grey[::3, ::3] > 40) & (grey[::3, ::3] < 215))) < BILEVEL
    found = [
        each
        for part in _standing_out(small, ground, seen)
        for each in _coins_in(part, small, sharp, ground)
        if is_bilevel or each.spread > FLAT
    ]
    usual = float(np.median([each.radius for each in found])) if found else math.nan
    found += _as_light_as_the_ground(sharp, ground, seen, found, usual)
    across, down = grey.shape[1] / size[0], grey.shape[0] / size[1]
    coins = []
    for each in found:
        if each.is_faint:
            outline = contour_of(each.blob)[:, 0, :] + np.array([each.x, each.y], np.float64)
        else:
            outline = find_edges(sharp, _rounded(each), (each.x, each.y))
        (left, top), (right, bottom) = outline.min(axis=0), outline.max(axis=0) + 1.0
        box = (
            max(0, math.floor(left * across)),
            max(0, math.floor(top * down)),
            min(grey.shape[1], math.ceil(right * across)),
            min(grey.shape[0], math.ceil(bottom * down)),
        )
        coins.append(PageCoin(box, tuple(_doubts(each, usual, box, grey.shape, is_bilevel=is_bilevel))))
    return coins


def _as_light_as_the_ground(
    small: npt.NDArray[np.float32], ground: npt.NDArray[np.float32], seen: Blob, found: list[_Found], usual: float
) -> list[_Found]:
    """What is as light as the ground, round, of the size of the page's coins, and rough as their relief is.

    It is for a person to look at: where it ends is not seen well.
    """
    longest = max(small.shape)
    slow = cv2.GaussianBlur(small, (0, 0), 4.0)
    # its running sums may fall a little below nought
    rough = np.sqrt(np.maximum(cv2.blur((small - slow) ** 2, (9, 9)), 0.0))
    usually = float(np.median(rough[seen > 0])) if seen.any() else 0.0
    mask = (rough > max(ROUGH, ROUGH_OVER_GROUND * usually)).astype(np.uint8)
    for each in found:
        left, top, width, height = cv2.boundingRect(each.blob)
        margin = round(0.15 * each.radius)
        rows = slice(max(0, each.y + top - margin), each.y + top + height + margin)
        mask[rows, max(0, each.x + left - margin) : each.x + left + width + margin] = 0
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc(0.005 * longest))
    opened = cv2.morphologyEx(cv2.erode(closed, disc(3)), cv2.MORPH_OPEN, disc(0.008 * longest))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    more = []
    for label in range(1, count):
        left, top, width, height = stats[label, :4]
        box = (slice(top, top + height), slice(left, left + width))
        part = (labels[box] == label).astype(np.uint8)
        for piece in separate(part, part):
            contour = contour_of(piece) if piece.any() else np.zeros((1, 1, 2), np.int32)
            hull = cv2.convexHull(contour)
            radius = math.sqrt(max(float(cv2.contourArea(hull)), 1.0) / math.pi)
            roundness = 4.0 * math.pi * float(cv2.contourArea(hull)) / max(cv2.arcLength(hull, True), 1.0) ** 2
            size = radius / usual if found else 1.0
            if not LEAST_RADIUS * longest <= radius <= MOST_RADIUS * longest or not 1 / ALIKE < size < ALIKE:
                continue
            if roundness < SURE_ROUNDNESS or solidity(contour) < LEAST_SOLIDITY or is_sheet(hull):
                continue
            tone = (small - ground)[box][piece > 0]
            if float(np.mean(np.abs(tone) < LEAST_CONTRAST / 2)) < BETWEEN_LINES:
                more.append(_Found(piece, left, top, radius, roundness, 0.0, 0.0, is_faint=True))
    return more


def _descreened(grey: npt.NDArray[Any], size: tuple[int, int], blur: float) -> npt.NDArray[np.float32]:
    """The working copy; blurred before it is made smaller, or a screen would beat with the pixels."""
    blurred = cv2.GaussianBlur(grey, (0, 0), blur)
    return np.asarray(cv2.resize(blurred, size, interpolation=cv2.INTER_AREA), np.float32)


def _standing_out(small: npt.NDArray[np.float32], ground: npt.NDArray[np.float32], seen: Blob) -> Iterator[Blob]:
    """Each connected thing of the page that is large enough, filled, without what is thin."""
    apart = small - ground
    apart = np.where(ground < DARK, np.maximum(apart, 0.0), apart)  # a shadow is darker there, and the coin is not
    noise = 1.4826 * float(np.median(np.abs(apart[np.abs(apart) < LEAST_CONTRAST])))
    mask = (np.abs(apart) > max(LEAST_CONTRAST, 4.0 * noise)).astype(np.uint8)
    yield from _whole_things(mask, (seen > 0))


def _whole_things(mask: Blob, seen: npt.NDArray[np.bool_] | None = None) -> Iterator[Blob]:
    """Each thing of a mask that is large enough: filled but where the ground is seen, without what is thin."""
    longest = max(mask.shape)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc(0.0022 * longest))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(closed)
    cv2.drawContours(filled, [each for each in contours if cv2.contourArea(each) > 60], -1, 1, cv2.FILLED)
    if seen is not None:
        filled[seen & (closed == 0)] = 0  # a frame's inside
    opened = cv2.morphologyEx(filled, cv2.MORPH_OPEN, disc(THIN * longest))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    least = math.pi * (LEAST_RADIUS * longest) ** 2
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < least:
            continue
        if max(stats[label, cv2.CC_STAT_WIDTH], stats[label, cv2.CC_STAT_HEIGHT]) > FRAME * longest:
            continue  # a frame around the page, or the black beside it
        yield (labels == label).astype(np.uint8)


def _coins_in(
    thing: Blob, small: npt.NDArray[np.float32], sharp: npt.NDArray[np.float32], ground: npt.NDArray[np.float32]
) -> list[_Found]:
    """The coins of one connected thing, also where something fainter or narrower joins them: a cup's ring, a stamp."""
    best = [each for each in _coins_of(thing, sharp, ground) if not _is_drawn(each)]
    if _area(best) > EXPLAINED * float(thing.sum()):
        return best
    for part_of_it in _without_joints(thing, np.abs(small - ground)):
        parts = _whole_things(part_of_it)
        found = [each for part in parts for each in _coins_of(part, sharp, ground) if not _is_drawn(each)]
        if _area(found) > max(MORE * _area(best), MOST_OF_IT * float(thing.sum())):
            best = found
    return best


def _without_joints(thing: Blob, strength: npt.NDArray[np.float32]) -> Iterator[Blob]:
    """A thing without what is faint for it; and without what is narrow, and the paper that this encloses."""
    longest = max(thing.shape)
    strong = float(np.percentile(strength[thing > 0], 90))
    for share in FAINT:
        if share * strong > LEAST_CONTRAST:
            yield ((strength > share * strong) & (thing > 0)).astype(np.uint8)
    apart = ((strength > LEAST_CONTRAST) & (thing > 0)).astype(np.uint8)
    closed = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, disc(RELIEF_GAP * longest))
    for share in NARROW:
        yield np.asarray(cv2.morphologyEx(closed, cv2.MORPH_OPEN, disc(share * longest)), np.uint8)


def _is_drawn(found: _Found) -> bool:
    """Whether it shows the paper between its lines."""
    return any(found.paper > paper and found.spread > spread for paper, spread in DRAWN)


def _area(coins: list[_Found]) -> float:
    return sum(math.pi * each.radius**2 for each in coins)


def _coins_of(thing: Blob, small: npt.NDArray[np.float32], ground: npt.NDArray[np.float32]) -> Iterator[_Found]:
    """The coins of one connected thing: one, several that touch, or none."""
    left, top, width, height = cv2.boundingRect(thing)
    margin = 4
    box = (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )
    part = np.ascontiguousarray(thing[box])
    longest = max(small.shape)
    for piece in separate(part, part):
        if not piece.any():
            continue
        piece = _without_captions(piece)
        contour = contour_of(piece)
        hull = cv2.convexHull(contour)
        area = float(cv2.contourArea(hull))
        radius = math.sqrt(max(area, 1.0) / math.pi)
        roundness = 4.0 * math.pi * area / max(cv2.arcLength(hull, True), 1.0) ** 2
        (_, _), sides, _ = cv2.minAreaRect(hull)
        if not LEAST_RADIUS * longest <= radius <= MOST_RADIUS * longest:
            continue
        if max(sides) > LONGEST * max(min(sides), 1.0) or is_sheet(hull):
            continue
        if solidity(contour) < LEAST_SOLIDITY or roundness < LEAST_ROUNDNESS:
            continue
        inside = cv2.erode(piece, disc(0.12 * radius)) > 0
        tone, paper = small[box][inside], ground[box][inside]
        if tone.size < 50:
            continue
        contrast, spread = float(np.median(np.abs(tone - paper))), float(np.std(tone))
        if contrast < (LEAST_CONTRAST if spread > RELIEF else COIN_CONTRAST):
            continue
        shown = float(np.mean(np.abs(tone - paper) < LEAST_CONTRAST))
        yield _Found(piece, box[1].start, box[0].start, radius, roundness, shown, spread)


def _rounded(found: _Found) -> Blob:
    """Its rough extent without what hangs on it, such as a number in its shadow; corners are found again as edges."""
    opened = np.asarray(cv2.morphologyEx(found.blob, cv2.MORPH_OPEN, disc(HANGS_ON * found.radius)), np.uint8)
    return opened if opened.sum() > NEARLY_ALL * found.blob.sum() else found.blob


def _without_captions(piece: Blob) -> Blob:
    """A thing without what is narrow for its size, such as a number that touches it; its largest part."""
    radius = math.sqrt(float(piece.sum()) / math.pi)
    opened = cv2.morphologyEx(piece, cv2.MORPH_OPEN, disc(CAPTION * radius))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return piece
    return (labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))).astype(np.uint8)


def _doubts(
    found: _Found, usual: float, box: tuple[int, int, int, int], shape: tuple[int, ...], *, is_bilevel: bool
) -> Iterator[str]:
    if found.roundness < SURE_ROUNDNESS:
        yield "it is not round"
    if found.is_faint:
        yield "it is as light as its ground"
    elif found.spread < FLAT:
        yield "it is all of one tone"
    elif found.paper > SURE_PAPER and found.spread > SURE_SPREAD and not is_bilevel:
        yield "it has few tones, as a drawing has"
    if not 1 / ODD_SIZE < found.radius / usual < ODD_SIZE:
        yield "it is of another size than the others"
    if min(box[0], box[1]) <= 1 or box[2] >= shape[1] - 1 or box[3] >= shape[0] - 1:
        yield "the edge of the page cuts it off"
