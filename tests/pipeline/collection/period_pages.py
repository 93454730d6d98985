"""Catalogue pages after the layouts of six periods, another set than `plate_pages`: other fonts, screens and troubles.

The periods follow what is described of them in print: collotypes of casts with mixed sizes (1880s), casts on black card
with white numbers (1900 to 1935), silhouetted casts and photographs in fine halftone, rows of obverses above rows of
reverses (1930s, 1950s), photographs beside text and on a screened grey ground (1970s), colour with drop shadows
(1990s), compressed pages made for the screen (2010s).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from tests.pipeline.collection.plate_pages import Box, CoinPhoto

FINE = 2  # pixels of the printed page to one of the scan
WORDS = ("Syracuse", "Tétradrachme", "tête", "d'Aréthuse", "à", "droite", "Rv.", "Quadrige", "Bust", "Rev.", "exergue")


@dataclass(frozen=True)
class Period:
    """How pages of a period look.

    Attributes
    ----------
    columns, rows
        Of coins.
    mm
        Least and largest diameter.
    way
        ``beside``, ``below``, or ``rows``: a row of obverses above the row of their reverses.
    paper, panel
        Tone of the paper, and of the card or screened ground that coins lie on; None where they lie on paper.
    manner
        ``photograph``, ``cast`` or ``colour``.
    shadow
        Depth of a shadow, 0 to 1.
    lpi, angle
        The screen; 0 for a continuous tone.
    number
        Where it is printed: ``below``, ``left`` (above the left side), ``line`` (begins a paragraph) or ``""``.
    """

    columns: int
    rows: int
    mm: tuple[float, float] = (18.0, 26.0)
    way: str = "beside"
    paper: float = 0.93
    panel: float | None = None
    manner: str = "photograph"
    shadow: float = 0.0
    lpi: int = 0
    angle: float = 45.0
    number: str = "below"
    font: str = "LiberationSerif-Regular.ttf"
    skew_deg: float = 0.0
    gap: tuple[float, float] = (0.04, 0.25)
    is_bilevel: bool = False
    jpeg: int = 0
    dpi: int = 300
    has_stamp: bool = False
    has_gutter: bool = False
    page_mm: tuple[int, int] = (150, 215)

    @property
    def is_colour(self) -> bool:
        """Whether anything on the page has a colour."""
        return self.manner == "colour" or self.has_stamp


PERIODS = (
    Period(3, 5, (12, 32), paper=0.86, manner="cast", shadow=0.25, font="LiberationSerif-Italic.ttf", skew_deg=0.7),
    Period(3, 5, (14, 30), panel=0.07, manner="cast", lpi=150, number="left", skew_deg=-1.2),
    Period(4, 7, (11, 20), panel=0.12, manner="cast", number="left", font="DejaVuSans.ttf", has_gutter=True),
    Period(5, 3, (16, 27), way="rows", manner="cast", lpi=133, angle=30.0, has_stamp=True),
    Period(3, 6, (13, 27), lpi=150, angle=75.0, font="LiberationSans-Regular.ttf", skew_deg=-0.8, gap=(0.0, 0.08)),
    Period(1, 5, (20, 24), lpi=120, number="line", font="LiberationSans-Bold.ttf", paper=0.97),
    Period(3, 5, (16, 26), panel=0.62, lpi=120, angle=15.0, number="below", font="LiberationSerif-Bold.ttf"),
    Period(2, 4, (20, 32), way="below", manner="colour", shadow=0.5, paper=0.96, font="DejaVuSerif.ttf"),
    Period(2, 5, (18, 26), manner="colour", shadow=0.3, paper=1.0, font="DejaVuSans-Bold.ttf", jpeg=70, dpi=150),
    Period(4, 6, (12, 19), lpi=133, is_bilevel=True, font="LiberationSerif-Bold.ttf", skew_deg=2.2),
)


@dataclass(frozen=True)
class PeriodCoin:
    """The truth about a coin of a page: boxes of its sides, its number (None where none is printed)."""

    obverse: Box
    reverse: Box
    number: int | None


@dataclass(frozen=True)
class PeriodPage:
    image: npt.NDArray[np.uint8]
    coins: tuple[PeriodCoin, ...]


class Sheet:
    """A page that is being printed: (H, W, 1 or 3) tones from 0 to 1 at `FINE` times the scan's resolution."""

    def __init__(self, period: Period, seed: int) -> None:
        self.period, self.rng = period, np.random.default_rng(seed)
        self.px_per_mm = FINE * period.dpi / 25.4
        width, height = (round(side * self.px_per_mm) for side in period.page_mm)
        self.tones = np.full((height, width, 3 if period.is_colour else 1), period.paper, np.float32)
        if period.manner == "colour":
            self.tones *= np.array([1.0, 0.99, 0.96], np.float32)
        self.is_text = np.zeros((height, width), bool)
        self.dark_ground = period.panel is not None and period.panel < 0.4

    def px(self, mm: float) -> int:
        return round(mm * self.px_per_mm)

    def write(self, text: str, x: int, y: int, mm: float, font: str | None = None, ink: float = 0.1) -> None:
        """Print text with its upper left corner at a place, ``mm`` high."""
        face = _font(font or self.period.font, self.px(mm))
        _, _, right, bottom = face.getbbox(text)
        drawn = Image.new("L", (int(right) + 2, int(bottom) + 2), 0)
        ImageDraw.Draw(drawn).text((0, 0), text, font=face, fill=255)
        alpha = np.asarray(drawn, np.float32) / 255
        part = self.tones[y : y + alpha.shape[0], x : x + alpha.shape[1]]
        alpha = alpha[: part.shape[0], : part.shape[1], None]
        part[:] = part * (1 - alpha) + ink * alpha
        self.is_text[y : y + alpha.shape[0], x : x + alpha.shape[1]] = True


def _font(name: str, size: int) -> Any:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return ImageFont.load_default(size)


def make_period_page(
    period: Period,
    coins: Sequence[tuple[CoinPhoto, CoinPhoto]],
    seed: int,
    decorate: Callable[[Sheet, int, int], None] | None = None,
) -> PeriodPage:
    """Print coins after a period's layout and scan the page.

    Parameters
    ----------
    decorate
        Called to print more that is no coin, between two heights (px) where no coin will be.
    """
    sheet = Sheet(period, seed)
    rng, (height, width) = sheet.rng, sheet.tones.shape[:2]
    top, bottom, side = sheet.px(18), height - sheet.px(16), sheet.px(9)
    if period.panel is not None:
        y, x = np.mgrid[-1 : 1 : (bottom - top) * 1j, -1 : 1 : (width - 2 * side) * 1j].astype(np.float32)
        lit = period.panel * (1 + 0.12 * x * float(rng.normal()) * 0.5 + 0.1 * y * float(rng.normal()) * 0.5)
        grain = cv2.GaussianBlur(rng.normal(0, 1, lit.shape).astype(np.float32), (0, 0), 3.0)
        sheet.tones[top:bottom, side : width - side] = np.clip(lit + 0.05 * period.panel * grain, 0.02, 1)[..., None]
    sheet.write(f"PLATE {rng.integers(1, 60)}", width // 2 - sheet.px(9), sheet.px(5), 4.2)
    sheet.write(" ".join(rng.permutation(WORDS)[:6]), side, sheet.px(12), 2.6)
    sheet.write(str(rng.integers(1, 200)), width - side - sheet.px(6), sheet.px(6), 3.0)
    sheet.write(" ".join(rng.permutation(WORDS)[:9]), side, height - sheet.px(11), 2.4)
    _decorate(sheet)
    first, truths = int(rng.integers(1, 1900)), []
    cell_w, cell_h = (width - 2 * side) / period.columns, (bottom - top) / period.rows
    if decorate is not None:
        decorate(sheet, round(top + cell_h * -(-len(coins) // period.columns)), bottom)
    for place, (obverse, reverse) in enumerate(coins[: period.columns * period.rows]):
        column, row = place % period.columns, place // period.columns
        x, y = side + (column + 0.5) * cell_w, top + (row + 0.46) * cell_h
        text_room = cell_w * 0.4 if period.number == "line" else 0.0
        coins_w = cell_w - text_room
        room = min(coins_w / 2.2, cell_h / 1.4) if period.way == "beside" else min(coins_w / 1.2, cell_h / 2.5)
        size = min(float(sheet.px(float(rng.uniform(*period.mm)))), room)
        apart = size * (1 + float(rng.uniform(*period.gap))) + (sheet.px(1) if period.shadow else 0)
        apart = min(apart, (coins_w - size) * 0.95) if period.way == "beside" else min(apart, cell_h * 0.5)
        x += float(rng.normal(0, 0.01)) * coins_w + text_room * 0.5
        half = (apart / 2, 0.0) if period.way == "beside" else (0.0, apart / 2)
        boxes = [
            _lay(sheet, photo, x + sign * half[0], y + sign * half[1], size * float(rng.uniform(0.96, 1.0)))
            for sign, photo in zip((-1, 1), (obverse, reverse), strict=True)
        ]
        truths.append(PeriodCoin(boxes[0], boxes[1], first + place if period.number else None))
        _number(sheet, truths[-1], int(side + column * cell_w))
    return _scan(sheet, truths)


def _number(sheet: Sheet, coin: PeriodCoin, left: int) -> None:
    period, ink = sheet.period, 0.95 if sheet.dark_ground else 0.08
    number = "" if coin.number is None else str(coin.number)
    if period.number == "below":
        low = max(coin.obverse[3], coin.reverse[3])
        middle = (coin.obverse[0] + coin.reverse[2]) // 2
        sheet.write(number, middle - sheet.px(0.55 * len(number)), low + sheet.px(0.8), 2.5, ink=ink)
    elif period.number == "left":
        sheet.write(number, coin.obverse[0] - sheet.px(1.5), coin.obverse[1] - sheet.px(2.6), 2.3, ink=ink)
    elif period.number == "line":
        room = coin.obverse[0] - sheet.px(1.5) - left
        for line in range(7):
            words = [f"{number}."] if line == 0 else []
            for word in sheet.rng.permutation(WORDS)[:4]:
                if _font(period.font, sheet.px(2.3)).getlength(" ".join([*words, word])) < room:
                    words.append(word)
            sheet.write(" ".join(words), left, coin.obverse[1] + sheet.px(3.3 * line), 2.3)


def _lay(sheet: Sheet, photo: CoinPhoto, x: float, y: float, size: float) -> Box:
    """One side, of a size, at a place: its box."""
    rows, columns = np.nonzero(photo.mask)
    cut = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
    scale = size / max(photo.mask[cut].shape)
    shape = (max(8, round(photo.mask[cut].shape[1] * scale)), max(8, round(photo.mask[cut].shape[0] * scale)))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    tone = cv2.resize(photo.tone[cut], shape, interpolation=way)
    mask = cv2.resize(photo.mask[cut].astype(np.float32), shape, interpolation=way)
    mask = np.clip((cv2.GaussianBlur(mask, (0, 0), 1.2) - 0.5) * 3 + 0.5, 0, 1)
    if sheet.period.manner == "cast":  # plaster: light, low in contrast, its relief from the slow part taken out
        slow = cv2.GaussianBlur(tone, (0, 0), size / 6)
        tone = np.clip(0.68 + 0.75 * (tone - slow), 0.25, 0.93)
        tone = np.minimum(tone, 0.72) if sheet.period.paper > 0.9 and sheet.period.panel is None else tone
    elif sheet.period.manner == "photograph":
        tone = 0.08 + 0.7 * tone
    colour = tone[..., None] * np.float32([1.0, 0.93, 0.8] if sheet.period.manner == "colour" else [1.0])
    left, top = round(x - shape[0] / 2), round(y - shape[1] / 2)
    if sheet.period.shadow:
        _cast_shadow(sheet, mask, left, top, size)
    part = sheet.tones[top : top + shape[1], left : left + shape[0]]
    part[:] = colour * mask[..., None] + part * (1 - mask[..., None])
    rows, columns = np.nonzero(mask > 0.5)
    return left + int(columns.min()), top + int(rows.min()), left + int(columns.max()) + 1, top + int(rows.max()) + 1


def _cast_shadow(sheet: Sheet, mask: npt.NDArray[np.float32], left: int, top: int, size: float) -> None:
    reach, soft = int(0.16 * size), 0.035 * size
    step = int(0.045 * size)
    wide = cv2.copyMakeBorder(
        mask, reach + step, reach - step, reach + step, reach - step, cv2.BORDER_CONSTANT, value=0
    )
    wide = cv2.GaussianBlur(wide, (0, 0), soft)
    y, x = top - reach, left - reach
    part = sheet.tones[max(0, y) : y + wide.shape[0], max(0, x) : x + wide.shape[1]]
    part *= 1 - sheet.period.shadow * wide[max(0, -y) :, max(0, -x) :][: part.shape[0], : part.shape[1], None]


def _decorate(sheet: Sheet) -> None:
    """What is no coin: a printer's device, a rule, a library's stamp, a drawn shield, a scale."""
    height, width = sheet.tones.shape[:2]
    rng = sheet.rng
    x, y, radius = width - sheet.px(20), height - sheet.px(8), sheet.px(5)
    for share in np.linspace(1.0, 0.3, 4):
        cv2.circle(sheet.tones, (x, y), int(share * radius), (0.15, 0.15, 0.15), sheet.px(0.3), cv2.LINE_AA)
    for turn in np.arange(0, 2 * np.pi, np.pi / 9):
        tip = (int(x + radius * np.cos(turn)), int(y + radius * np.sin(turn)))
        inner = (int(x + 0.5 * radius * np.cos(turn + 0.17)), int(y + 0.5 * radius * np.sin(turn + 0.17)))
        cv2.line(sheet.tones, inner, tip, (0.15, 0.15, 0.15), sheet.px(0.3), cv2.LINE_AA)
    cv2.rectangle(
        sheet.tones,
        (sheet.px(9), height - sheet.px(12)),
        (width - sheet.px(9), height - sheet.px(11.8)),
        (0.1, 0.1, 0.1),
        -1,
    )
    shield = np.array([[0, 0], [8, 0], [8, 6], [4, 10], [0, 6]], np.float32) * sheet.px(1) + [sheet.px(10), sheet.px(3)]
    cv2.polylines(sheet.tones, [shield.astype(np.int32)], True, (0.2, 0.2, 0.2), sheet.px(0.5), cv2.LINE_AA)
    cv2.fillPoly(sheet.tones, [(shield * 0.6 + 0.4 * shield.mean(0)).astype(np.int32)], (0.45, 0.45, 0.45))
    if sheet.period.has_stamp:
        place = (int(rng.uniform(0.3, 0.7) * width), height - sheet.px(26))
        ring = np.zeros((height, width), np.uint8)
        cv2.circle(ring, place, sheet.px(11), 255, sheet.px(0.7), cv2.LINE_AA)
        cv2.circle(ring, place, sheet.px(7), 255, sheet.px(0.4), cv2.LINE_AA)
        for turn in np.linspace(0, 2 * np.pi, 22, endpoint=False):
            spot = (int(place[0] + sheet.px(9) * np.cos(turn)), int(place[1] + sheet.px(9) * np.sin(turn)))
            cv2.putText(ring, "B", spot, cv2.FONT_HERSHEY_SIMPLEX, sheet.px(1) / 22, 255, sheet.px(0.25))
        sheet.tones *= 1 - ring[..., None] / np.float32(255) * np.array([0.45, 0.55, 0.25], np.float32)


def _scan(sheet: Sheet, truths: Sequence[PeriodCoin]) -> PeriodPage:
    """The printer's screen, then a scanner: each pixel is the mean of an area."""
    period, rng = sheet.period, sheet.rng
    tones = sheet.tones
    if period.lpi:
        threshold = _screen(tones.shape[:2], FINE * period.dpi / period.lpi, np.radians(period.angle))
        grey = tones[..., 0]
        dots = np.clip((grey - threshold) * np.float32(5) + np.float32(0.5), 0, 1)
        is_line = sheet.is_text & ((grey < 0.2) | (grey > 0.92))
        inked = np.where(
            (grey >= min(period.paper, 0.93) - 0.01) | is_line, grey, np.float32(0.06) + np.float32(0.88) * dots
        )
        tones = np.repeat(inked[..., None], tones.shape[2], axis=2)
    size = (tones.shape[1] // FINE, tones.shape[0] // FINE)
    page: Any = cv2.resize(cv2.GaussianBlur(tones, (0, 0), 0.6 * FINE), size, interpolation=cv2.INTER_AREA)
    page = page.reshape(*page.shape[:2], -1)
    y, x = np.mgrid[0 : 1 : size[1] * 1j, 0 : 1 : size[0] * 1j].astype(np.float32)
    if not period.jpeg:
        through = cv2.GaussianBlur(np.roll(page[:, ::-1], size[1] // 9, axis=0), (0, 0), 5).reshape(page.shape)
        page = page - 0.025 * (1 - through)
        for _ in range(4):
            spot, reach = rng.uniform(0, 1, 2).astype(np.float32), float(rng.uniform(0.02, 0.08))
            stain = np.exp(-(((x - spot[0]) * 0.7) ** 2 + (y - spot[1]) ** 2) / (2 * reach**2))
            page = page * (1 - 0.09 * stain[..., None] * np.float32([0.7, 0.9, 1.2] if period.is_colour else [0.9]))
    if period.has_gutter:
        page = page * (1 - 0.55 * np.exp(-x / 0.035))[..., None]
    page = page + rng.normal(0, 0.012, page.shape).astype(np.float32)
    matrix = cv2.getRotationMatrix2D((size[0] / 2, size[1] / 2), period.skew_deg, 1.0)
    page = cv2.warpAffine(page.astype(np.float32), matrix, size, borderValue=(period.paper,) * 3)
    page = page.reshape(*page.shape[:2], -1)
    page = (page[..., :1] > 0.5).astype(np.float32) if period.is_bilevel else page
    image = np.clip(page * 255, 0, 255).astype(np.uint8)
    image = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    if period.jpeg:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, period.jpeg])
        image = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    turned = [PeriodCoin(_scanned(c.obverse, matrix), _scanned(c.reverse, matrix), c.number) for c in truths]
    return PeriodPage(image, tuple(turned))


def _screen(shape: tuple[int, ...], pitch: float, angle: float) -> npt.NDArray[np.float32]:
    """The tone at which ink begins: cosines along two axes, each as products of those of rows and of columns."""
    down, across = (np.arange(size)[:, None] * 2 * np.pi / pitch for size in shape)
    rows, columns = [], []
    for a, b in ((np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))):
        rows += [np.cos(b * down), -np.sin(b * down)]
        columns += [np.cos(a * across), np.sin(a * across)]
    product = np.hstack(rows).astype(np.float32) @ np.hstack(columns).astype(np.float32).T
    return np.float32(0.5) + np.float32(0.245) * product


def _scanned(box: Box, matrix: Any) -> Box:
    """The box in the scan; of a round thing its centre turns with the page, its size stays."""
    left, top, right, bottom = (side / FINE for side in box)
    x, y = matrix @ np.array([(left + right) / 2, (top + bottom) / 2, 1.0])
    wide, high = (right - left) / 2, (bottom - top) / 2
    return round(x - wide), round(y - high), round(x + wide), round(y + high)
