"""Pages of auction catalogues made up for tests, with the truth about every coin on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

Grey = npt.NDArray[np.float32]
Box = tuple[int, int, int, int]
WORDS = ("Antiochos", "III.", "AR", "Tetradrachme", "Kopf", "mit", "Diadem", "nach", "rechts", "Rs.", "Apollon")


@dataclass(frozen=True)
class CoinPhoto:
    """One coin side: its tones from 0 to 1, and where it is coin."""

    tone: Grey
    mask: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Truth:
    """A coin of a page: the boxes of its sides, and its number; ``number`` is None where none is printed."""

    obverse: Box
    reverse: Box
    number: int


@dataclass(frozen=True)
class MadePage:
    image: npt.NDArray[np.uint8]
    coins: tuple[Truth, ...]


@dataclass(frozen=True)
class Layout:
    """How a period prints its plates.

    Attributes
    ----------
    columns, rows
        Of coins.
    is_stacked
        Whether the reverse stands below the obverse.
    ground
        Tone of the paper, or of what casts lie on.
    manner
        ``photograph``, ``cast`` or ``ragged``.
    lpi
        Lines an inch of the screen; 0 for a collotype.
    is_bilevel
        Whether it was scanned in black and white.
    """

    columns: int
    rows: int
    is_stacked: bool = False
    ground: float = 0.95
    manner: str = "photograph"
    lpi: int = 0
    is_bilevel: bool = False
    has_text: bool = True
    has_numbers: bool = True
    skew_deg: float = 0.0
    touching: bool = False


LAYOUTS = (
    Layout(3, 7, lpi=133),  # halftone plates, coins in rows, 1950s
    Layout(2, 5, manner="cast", lpi=110),  # casts on white, with shadows, 1900s
    Layout(4, 4, is_stacked=True, lpi=150),  # reverses below obverses
    Layout(2, 4, ground=0.12, manner="cast"),  # casts on black: collotype of the 1890s
    Layout(2, 3, manner="ragged", lpi=85, skew_deg=1.6),  # coarse screen, askew
    Layout(3, 6, lpi=120, is_bilevel=True),  # a black-and-white scan
    Layout(1, 3, lpi=0, ground=1.0),  # colour print of the 1990s: text beside the coins
    Layout(3, 5, lpi=133, touching=True),
)


def make_page(layout: Layout, coins: Sequence[tuple[CoinPhoto, CoinPhoto]], seed: int, dpi: int = 300) -> MadePage:
    """Print coins on a page of 17 by 24 centimetres and scan it."""
    rng = np.random.default_rng(seed)
    width, height = int(6.7 * dpi), int(9.4 * dpi)
    page = np.full((height, width), layout.ground, np.float32)
    first = int(rng.integers(1, 900))
    truths: list[Truth] = []
    margin, top = int(0.5 * dpi), int(0.9 * dpi)
    cell_w = (width - 2 * margin) / layout.columns
    cell_h = (height - top - int(0.8 * dpi)) / layout.rows
    ink = 0.08 if layout.ground > 0.5 else 0.9
    across = (cell_w / 2.25, cell_h / 1.45) if not layout.is_stacked else (cell_w / 1.4, cell_h / 2.45)
    most = min(*across, 1.3 * dpi)
    for place, pair in enumerate(coins[: layout.columns * layout.rows]):
        column, row = place % layout.columns, place // layout.columns
        x, y = margin + (column + 0.5) * cell_w, top + (row + 0.42) * cell_h
        size = most * float(rng.uniform(0.8, 0.98))
        gap = size * (1.0 if layout.touching and rng.random() < 0.5 else 1.06)
        step = (0.0, gap / 2) if layout.is_stacked else (gap / 2, 0.0)
        boxes = [
            _place(
                page, photo, x + sign * step[0], y + sign * step[1], size * float(rng.uniform(0.97, 1.0)), layout, rng
            )
            for sign, photo in zip((-1, 1), pair, strict=True)
        ]
        number = first + place
        below = max(box[3] for box in boxes) + int(0.12 * dpi)
        if layout.has_numbers:
            _text(page, str(number), int(x - 0.1 * dpi), below, 0.09 * dpi, ink)
        truths.append(Truth(boxes[0], boxes[1], number))
    if layout.has_text:
        _text(page, "TAFEL " + "IVX"[int(rng.integers(3))], width // 2 - dpi // 3, int(0.5 * dpi), 0.14 * dpi, ink)
        for line in range(3):
            _text(
                page,
                " ".join(rng.permutation(WORDS)[:7]),
                margin,
                height - int((0.5 - 0.14 * line) * dpi),
                0.07 * dpi,
                ink,
            )
        _ornament(page, width // 2, height - int(0.62 * dpi), 0.2 * dpi, ink)
        cv2.rectangle(page, (width - dpi, int(0.45 * dpi)), (width - dpi // 2, int(0.48 * dpi)), ink, -1)  # type: ignore[call-overload]
    return _scan(page, truths, layout, dpi, rng)


def _place(page: Grey, photo: CoinPhoto, x: float, y: float, size: float, layout: Layout, rng: Any) -> Box:
    """Print one side with its mask's larger side of a size; its box."""
    rows, columns = np.nonzero(photo.mask)
    cut = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    scale = size / max(photo.mask[cut].shape)
    shape = (round(photo.mask[cut].shape[1] * scale), round(photo.mask[cut].shape[0] * scale))
    tone = cv2.resize(photo.tone[cut], shape, interpolation=cv2.INTER_AREA)
    mask = cv2.resize(photo.mask[cut].astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    if layout.manner == "ragged":
        mask = mask * _ragged(shape, rng)
    left, top = round(x - shape[0] / 2), round(y - shape[1] / 2)
    part = page[top : top + shape[1], left : left + shape[0]]
    if layout.manner == "cast":
        tone = 0.45 + 0.5 * tone
        depth = int(0.05 * size)
        shadow = np.zeros_like(
            page[top - 4 * depth : top + shape[1] + 4 * depth, left - 4 * depth : left + shape[0] + 4 * depth]
        )
        shadow[5 * depth : 5 * depth + shape[1], 5 * depth : 5 * depth + shape[0]] = mask
        shadow = cv2.GaussianBlur(shadow, (0, 0), 0.7 * depth)
        page[top - 4 * depth : top + shape[1] + 4 * depth, left - 4 * depth : left + shape[0] + 4 * depth] *= (
            1 - 0.35 * shadow
        )
    else:
        tone = 0.1 + 0.75 * tone
    part[:] = tone * mask + part * (1 - mask)
    rows, columns = np.nonzero(mask > 0.5)
    return left + int(columns.min()), top + int(rows.min()), left + int(columns.max()) + 1, top + int(rows.max()) + 1


def _ragged(shape: tuple[int, int], rng: Any) -> Grey:
    """A flan with an irregular edge."""
    y, x = np.mgrid[-1 : 1 : shape[1] * 1j, -1 : 1 : shape[0] * 1j]
    angle = np.arctan2(y, x)
    edge = sum(float(rng.normal(0, 0.02)) * np.cos(n * angle + float(rng.uniform(0, 6))) for n in range(2, 9))
    return (np.hypot(x, y) < 0.96 + edge).astype(np.float32)


def _text(page: Grey, text: str, x: int, y: int, height: float, ink: float) -> None:
    drawn = np.zeros((int(2 * height), page.shape[1] - x), np.uint8)
    place, size = (0, int(1.4 * height)), height / 22
    cv2.putText(drawn, text, place, cv2.FONT_HERSHEY_COMPLEX, size, 255, max(1, round(height / 11)), cv2.LINE_AA)  # type: ignore[call-overload]
    part = page[y : y + drawn.shape[0], x:]
    part += (drawn[: part.shape[0]] / np.float32(255)) * (ink - part)


def _ornament(page: Grey, x: int, y: int, radius: float, ink: float) -> None:
    """A rosette, as printers end a chapter with."""
    for share in (1.0, 0.8, 0.35):
        cv2.circle(page, (x, y), int(share * radius), ink, max(2, int(radius / 14)), cv2.LINE_AA)  # type: ignore[call-overload]
    for turn in range(8):
        far = (int(x + radius * np.cos(turn * np.pi / 4)), int(y + radius * np.sin(turn * np.pi / 4)))
        cv2.line(page, (x, y), far, ink, max(2, int(radius / 14)), cv2.LINE_AA)  # type: ignore[call-overload]


def _scan(page: Grey, truths: Sequence[Truth], layout: Layout, dpi: int, rng: Any) -> MadePage:
    """Screen, show-through, stains, skew, the scanner's noise."""
    height, width = page.shape
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    if layout.lpi:
        pitch, turn = dpi / layout.lpi, np.radians(45.0)
        u, v = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        threshold = 0.5 + 0.24 * (np.cos(2 * np.pi * u / pitch) + np.cos(2 * np.pi * v / pitch))
        sharp = np.clip((page - threshold) * 4 + 0.5, 0, 1)
        page = np.where(page > 0.93, page, cv2.GaussianBlur(sharp, (0, 0), 0.5)).astype(np.float32)
    through = cv2.GaussianBlur(np.roll(page[:, ::-1], dpi // 3, axis=0), (0, 0), 4)
    page = page - 0.02 * (1 - through)
    for _ in range(3):
        spot, size = (float(rng.uniform(0, width)), float(rng.uniform(0, height))), float(rng.uniform(0.2, 0.7)) * dpi
        page = page * (1 - 0.07 * np.exp(-((x - spot[0]) ** 2 + (y - spot[1]) ** 2) / (2 * size**2)))
    page = page * (1 - 0.05 * (x / width)) + rng.normal(0, 0.01, page.shape).astype(np.float32)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), layout.skew_deg, 1.0)
    page = cv2.warpAffine(page.astype(np.float32), matrix, (width, height), borderValue=layout.ground)
    if layout.is_bilevel:
        page = (page > 0.5).astype(np.float32)
    image = np.clip(page * 255, 0, 255).astype(np.uint8)
    turned = tuple(Truth(_turned(each.obverse, matrix), _turned(each.reverse, matrix), each.number) for each in truths)
    return MadePage(np.repeat(image[..., None], 3, axis=2), turned)


def _turned(box: Box, matrix: Any) -> Box:
    """The box of a round thing after the page was turned: its centre moves, its size stays."""
    cx, cy = matrix @ np.array([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2, 1.0])
    half_w, half_h = (box[2] - box[0]) / 2, (box[3] - box[1]) / 2
    return round(cx - half_w), round(cy - half_h), round(cx + half_w), round(cy + half_h)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (one, other)]
    return width * height / (sum(areas) - width * height)
