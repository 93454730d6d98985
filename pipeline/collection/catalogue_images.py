"""Looking at images before they enter the catalogue: each has to show one coin, or obverse beside reverse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibration.decoding import count_pages
from calibration.image import Image, ImageError, decode_image, read_image_bytes
from calibration.outline import find_coins
from capture.store.records import NewEntry
from pipeline.collection.additions import Addition
from pipeline.collection.photographs import require_one_coin

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class ReadEntries:
    """The entries of one image file, and how many pages it has: the first was read."""

    entries: tuple[NewEntry, ...]
    pages: int = 1


def read_entries(shown: Sequence[Addition], sale: str, by_reference: bool = False) -> ReadEntries | str:
    """The entries of one image file, which shows these coin sides; or why it cannot be used, in a sentence."""
    path = shown[0].photo.path
    try:
        data = read_image_bytes(path)
        image = decode_image(data, str(path))
        boxes = [_box(image, each.photo.half) for each in shown]
        for each, box in zip(shown, boxes, strict=True):
            if box is None:
                require_one_coin(image, str(path))
            else:
                require_one_coin(image[:, box[0] : box[2]], f"{path} ({each.photo.half} half)")
        if any(boxes) and _lies_across(image):
            return f"{path}: a coin lies across its middle, where obverse and reverse should meet. Cut it by hand."
    except ImageError as error:
        return str(error)
    entries = (
        NewEntry(each.coin, data, each.source, sale, each.side, box, reference=path if by_reference else None)
        for each, box in zip(shown, boxes, strict=True)
    )
    return ReadEntries(tuple(entries), count_pages(data))


def _box(image: Image, half: str | None) -> Box | None:
    """Where a half is, from left and top to right and bottom; None for a whole image."""
    if half is None:
        return None
    height, width = image.shape[:2]
    return (0, 0, width // 2, height) if half == "left" else (width // 2, 0, width, height)


def _lies_across(image: Image) -> bool:
    middle = image.shape[1] / 2
    return any(abs(coin.centre_px[0] - middle) < coin.radius_px / 2 for coin in find_coins(image))
