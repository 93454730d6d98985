"""Small images for reports: cut out around the coin, turned, inlined; and thumbnails that are kept.

A thumbnail of a frame is made while the scan has the image in memory, so that a report of a whole night decodes next
to nothing. They are no records: any of them may be deleted, and is made again from the store when a report needs it.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np

from calibration.durable_files import hash_bytes, write_atomically
from calibration.image import Image, ImageError, decode_image, encode_jpeg
from calibration.outline import find_coins
from capture.store import Store, StoreError
from capture.store.records import Entry, Frame
from pipeline.lab import Lab

THUMBNAIL_PX = 144
PORTRAIT_MARGIN = 1.3  # half the cut over the coin's radius, which is that of a disc of its area: coins are not round
_PAPER = (236, 236, 236)
_JPEG_END = b"\xff\xd9"

CoinPlace = tuple[tuple[float, float], float]
"""Where a coin is in an image: centre (x, y) and radius, px."""


class Thumbnails:
    """Square thumbnails of frames and entries, `THUMBNAIL_PX` wide, kept in ``reports/thumbnails``.

    Attributes
    ----------
    unreadable
        Images of the store that could not be read, by file, and what is wrong with each.
    """

    def __init__(self, lab: Lab, store: Store) -> None:
        self.unreadable: dict[str, str] = {}
        self._folder = lab.reports / "thumbnails"
        self._store = store

    def keep(self, frame: Frame, image: Image) -> None:
        """Keep the thumbnail of a frame of which the calibrated image is in memory."""
        thumbnail = _make_small(cut_out(image, find_place(frame, image)))
        self._write(self._path(frame.calibrated_sha256 or frame.sha256), thumbnail)

    def frame(self, frame: Frame) -> Image | None:
        """The thumbnail of a frame, (`THUMBNAIL_PX`, `THUMBNAIL_PX`, 3) uint8; None if its image is damaged."""
        sha256 = frame.calibrated_sha256 or frame.sha256
        return self._thumbnail(sha256, sha256, lambda image: cut_out(image, find_place(frame, image)))

    def entry(self, entry: Entry) -> Image | None:
        """The thumbnail of a catalogue entry; None if its image is damaged."""
        key = hash_bytes(f"{entry.sha256} {entry.box}".encode())
        return self._thumbnail(
            entry.sha256, key, lambda image: cut_out(side := entry.cut(image), find_coin_place(side))
        )

    def _thumbnail(self, sha256: str, key: str, shown: Callable[[Image], Image]) -> Image | None:
        path = self._path(key)
        with suppress(OSError, ImageError):  # it was never made
            data = path.read_bytes()
            if data.endswith(_JPEG_END):  # else a power failure cut it short
                return decode_image(data, str(path))
        try:
            return self._write(path, _make_small(shown(self._store.image(sha256))))
        except (StoreError, ImageError) as error:
            self.unreadable[sha256] = str(error)
            return None

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / f"{key[2:]}.jpg"

    def _write(self, path: Path, thumbnail: Image) -> Image:
        data = encode_jpeg(thumbnail, 84)
        with suppress(OSError):  # on a full disk a report is better made slowly than a scan ended
            write_atomically(path, data, durable=False)
        return decode_image(data, str(path))  # as the next report sees it


def find_place(frame: Frame, image: Image) -> CoinPlace | None:
    """Where the coin is in a frame's image, as the quality check measured it; None if there is no coin."""
    metrics = frame.quality
    if metrics.get("coins") == 0:
        return None
    if "radius_px" in metrics and "centre_px" in metrics:
        (x, y), (left, top, _, _) = metrics["centre_px"], metrics.get("calibrated_box_px", (0, 0, 0, 0))
        return (float(x - left), float(y - top)), float(metrics["radius_px"])
    return find_coin_place(image)  # the check ended before it looked for the coin, or the frame was imported


def cut_out(image: Image, place: CoinPlace | None) -> Image:
    """The square around the coin, its border repeated where it leaves the image; the whole image without a coin."""
    if place is None:
        return image
    (x, y), radius_px = place
    half = max(1, round(PORTRAIT_MARGIN * radius_px))
    left, top = round(x) - half, round(y) - half
    height, width = image.shape[:2]
    inside = image[max(0, top) : max(0, top + 2 * half), max(0, left) : max(0, left + 2 * half)]
    over = (max(0, -top), max(0, top + 2 * half - height), max(0, -left), max(0, left + 2 * half - width))
    if inside.size == 0:
        return image
    return np.asarray(cv2.copyMakeBorder(inside, *over, cv2.BORDER_REPLICATE), np.uint8) if any(over) else inside


def portrait(image: Image, place: CoinPlace | None, by_deg: float, size_px: int) -> Image:
    """A coin upright: rotated counter-clockwise about its centre, and so large that all coins are of one size.

    Without a place the whole image is brought to `size_px` and left as it is.
    """
    if place is None:
        return resize(image, size_px)
    (x, y), radius_px = place
    factor = max(
        1, int(2 * PORTRAIT_MARGIN * radius_px // (2 * size_px))
    )  # whole numbers first, or fine detail aliases
    height, width = (side // factor for side in image.shape[:2])
    if factor > 1:
        whole = image[: height * factor, : width * factor]
        image = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    scale = size_px * factor / (2 * PORTRAIT_MARGIN * radius_px)
    turn = cv2.getRotationMatrix2D((x / factor, y / factor), by_deg, scale)
    turn[0, 2] += (size_px - 1) / 2 - x / factor
    turn[1, 2] += (size_px - 1) / 2 - y / factor
    return np.asarray(cv2.warpAffine(image, turn, (size_px, size_px), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def frame_portrait(store: Store, frame: Frame, size_px: int, turn_deg: float = 0.0) -> Image:
    """A frame's coin (`portrait`), rotated as if the turntable had not turned, and counter-clockwise from there.

    Raises
    ------
    StoreError, ImageError
        If the frame's image is lost or damaged.
    """
    image = store.image(frame.calibrated_sha256 or frame.sha256)
    return portrait(image, find_place(frame, image), turn_deg - (frame.turntable_read_deg or 0.0), size_px)


def entry_portrait(store: Store, entry: Entry, size_px: int) -> Image:
    """An entry's coin side (`portrait`), as it is printed.

    Raises
    ------
    StoreError, ImageError
        If the entry's image is lost or damaged.
    """
    side = entry.cut(store.image(entry.sha256))
    return portrait(side, find_coin_place(side), 0.0, size_px)


def lamp_deg(lab: Lab, frame: Frame) -> float | None:
    """Where a frame's light comes from in its `frame_portrait`, counter-clockwise from the right.

    None where it comes from all around, or is not known.
    """
    light = lab.rig.station.lightbox.lights.get(frame.light or "")
    if light is None or light.azimuth_deg is None:
        return None
    return light.azimuth_deg - (frame.turntable_read_deg or 0.0)


def find_coin_place(image: Image) -> CoinPlace | None:
    """Where the largest coin of an image is; None if there is none."""
    found = find_coins(image)
    return (found[0].centre_px, found[0].radius_px) if found else None


def rotate(image: Image, by_deg: float) -> Image:
    """An image rotated counter-clockwise about its middle, its size kept."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), by_deg, 1.0)
    return np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def resize(image: Image, size_px: int) -> Image:
    """An image with its longer side brought to `size_px`."""
    factor = max(image.shape[:2]) // (2 * size_px)
    if factor > 1 and min(image.shape[:2]) >= factor:  # by a whole number first, which is three times as fast
        height, width = (side // factor for side in image.shape[:2])
        whole = image[: height * factor, : width * factor]
        image = np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    scale = size_px / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)


def as_data_url(image: Image, quality: int) -> str:
    """An image as the ``src`` of an ``img``."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(image, quality)).decode()


def _make_small(image: Image) -> Image:
    small = resize(image, THUMBNAIL_PX)
    height, width = small.shape[:2]
    square = np.full((THUMBNAIL_PX, THUMBNAIL_PX, 3), _PAPER, np.uint8)
    top, left = (THUMBNAIL_PX - height) // 2, (THUMBNAIL_PX - width) // 2
    square[top : top + height, left : left + width] = small
    return square
