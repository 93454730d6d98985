"""The lot numbers printed beside the coins of a page, read by RapidOCR where it is installed.

Text is looked for around the coins alone, as what is darker or lighter than its surroundings and as high as print; the
recogniser then reads each piece. Which number belongs to which coin: `pipeline.collection.sources.numbering`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import cv2
import numpy as np

from calibration.image import Image
from calibration.printed_page import PageCoin

LOW, HIGH = 0.0045, 0.022  # of the longer side: letters are as high
APART = 45  # grey levels between print and what it is printed on
AROUND = 1.3  # of a coin's radius from its box: numbers are no farther away
LONGEST = 7.0  # heights: of a longer line its beginning is read
SURE = 0.5  # of the recogniser
WORKING_PX = 1800
NUMBER = re.compile(r"^\W{0,2}(?:nos?|nr|n°|lot|los)?\W{0,2}(\w{1,5})(?:\W|$)", re.IGNORECASE)
LOOK_ALIKE = str.maketrans("lI|iOoQSsBZzG", "1111000558226")


@dataclass(frozen=True)
class PageNumber:
    """A number on a page: its box (left, top, right, bottom), px."""

    value: int
    box: tuple[int, int, int, int]


def can_read_numbers() -> bool:
    """Whether RapidOCR is installed."""
    return find_spec("rapidocr") is not None


def read_numbers(page: Image, coins: Sequence[PageCoin], *, is_text: bool = False) -> list[PageNumber]:
    """Read the numbers printed near coins.

    Parameters
    ----------
    page
        RGB, (H, W, 3) uint8.
    is_text
        Whether they begin paragraphs: they may be as far away as the page is wide.
    """
    boxes = _find_print(page, coins, is_text=is_text)
    found = []
    for box, (text, score) in zip(boxes, _recognise([_crop(page, box) for box in boxes]), strict=True):
        value = number_of(text)
        if value is not None and score >= SURE:
            found.append(PageNumber(value, box))
    return found


def number_of(text: str) -> int | None:
    """The number that a text begins with; letters that look like digits are read as such among digits."""
    matched = NUMBER.match(text.strip())
    if matched is None:
        return None
    word = matched[1]
    digits = sum(each.isdigit() for each in word)
    if not word.isdigit():
        if digits > 1 and word[:-1].isdigit() and word[-1] in "abcd":  # 131a
            word = word[:-1]
        elif digits * 2 >= len(word):
            word = word.translate(LOOK_ALIKE)
    return int(word) if word.isdecimal() and int(word) > 0 else None


def _find_print(page: Image, coins: Sequence[PageCoin], *, is_text: bool) -> list[tuple[int, int, int, int]]:
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, WORKING_PX / max(grey.shape))
    size = (round(grey.shape[1] * scale), round(grey.shape[0] * scale))
    small = cv2.resize(cv2.GaussianBlur(grey, (0, 0), 0.7 / scale), size, interpolation=cv2.INTER_AREA)
    longest = max(size)
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (round(HIGH * longest), round(HIGH * longest)))
    near = np.zeros_like(small)
    for coin in coins:
        reach = AROUND * coin.radius
        left, top, right, bottom = (round(side * scale) for side in coin.box)
        margin = round(reach * scale)
        aside = size[0] if is_text else margin
        near[max(0, top - margin) : bottom + margin, max(0, left - aside) : right + aside] = 1
    for coin in coins:
        (x, y), (left, top, right, bottom) = coin.centre, coin.box
        axes = (round((right - left) * scale * 0.51), round((bottom - top) * scale * 0.51))
        cv2.ellipse(near, (round(x * scale), round(y * scale)), axes, 0, 0, 360, 0, cv2.FILLED)
    found = []
    for way in (cv2.MORPH_BLACKHAT, cv2.MORPH_TOPHAT):
        ink = ((cv2.morphologyEx(small, way, kernel) > APART) & (near > 0)).astype(np.uint8)
        joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, round(0.006 * longest)), np.uint8))
        count, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
        for left, top, width, height, area in stats[1:count]:
            if LOW * longest <= height <= HIGH * longest and width >= 0.25 * height and area > 0.2 * width * height:
                right = left + min(width, round(LONGEST * height))
                box = tuple(round(side / scale) for side in (left, top, right, top + height))
                found.append((box[0], box[1], box[2], box[3]))
    return found


def _crop(page: Image, box: tuple[int, int, int, int]) -> Image:
    """Print on its ground, dark on light, with a margin."""
    left, top, right, bottom = box
    margin = max(2, (bottom - top) // 4)
    part = page[max(0, top - margin) : bottom + margin, max(0, left - margin) : right + margin]
    ground = float(np.median(np.concatenate([part[0], part[-1]])))
    return np.ascontiguousarray(255 - part if ground < 110 else part)


def _recognise(crops: Sequence[Image]) -> list[tuple[str, float]]:
    """What each piece says, and how sure that is, from 0 to 1."""
    read = [_reader()(np.ascontiguousarray(crop[..., ::-1])) for crop in crops]
    return [(each.txts[0], float(each.scores[0])) if each.txts else ("", 0.0) for each in read]


@lru_cache(maxsize=1)
def _reader() -> Any:
    """RapidOCR with the models that come with it, recognising alone."""
    from rapidocr import RapidOCR

    return RapidOCR(params={"Global.log_level": "error", "Global.use_cls": False, "Global.use_det": False})
