"""How many coins of catalogue pages are found, paired and numbered: the table in docs/catalogue.md.

    RIG_SHARED=shared python -m tests.bench.catalogue_plates 200 --seed 1 [--keep DIR]

Every page has a layout of its own, drawn within what a period printed; its coins are photographs of Roman coins, none
of those that settings were chosen on, and made-up ones. `--keep` keeps pages on which anything was wrong.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from calibration.image import read_image
from calibration.outline import NoCoinError, find_coin
from calibration.printed_page import find_page_coins
from pipeline.collection.sources.numbering import Numbered, read_page_numbers
from pipeline.collection.sources.numbers import can_read_numbers
from pipeline.collection.sources.pairs import PagePair, each_alone, pair_sides
from rig.sides import SIDES
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.pipeline.collection.period_pages import FINE, Period, PeriodCoin, PeriodPage, Sheet, make_period_page
from tests.pipeline.collection.plate_pages import CoinPhoto, overlap

SHARED = Path(os.environ.get("RIG_SHARED", "../shared"))
SEEN_BEFORE = 120  # Roman coins that settings were chosen on
MADE = 0.2  # of the coins
ROMAN_FONTS = (
    "LiberationSerif-BoldItalic.ttf",
    "DejaVuSerif-Italic.ttf",
    "DejaVuSerifCondensed.ttf",
    "LiberationSerif-Regular.ttf",
)
PLAIN_FONTS = (
    "LiberationSansNarrow-Regular.ttf",
    "LiberationSansNarrow-Bold.ttf",
    "DejaVuSansCondensed.ttf",
    "LiberationMono-Regular.ttf",
    "LiberationSans-Italic.ttf",
)
Rng = Any
Both = tuple[CoinPhoto, CoinPhoto]


def main() -> None:
    """Make pages, look at them, and print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first page, to share them out")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    counts, has_reader = Counter[str](), can_read_numbers()
    of_period: dict[str, Counter[str]] = {}
    for number in range(options.first, options.first + options.pages):
        rng = np.random.default_rng([options.seed, number])
        name = list(PERIODS)[number % len(PERIODS)]
        period = draw_troubles(PERIODS[name](rng), rng)
        coins = [draw_coin(rng, is_ragged=name == "ragged flans") for _ in range(draw_count(period, rng))]
        page = make_period_page(period, coins, int(rng.integers(2**31)), lambda sheet, *room: decorate(sheet, *room))
        found = find_page_coins(page.image)
        pairs = pair_sides(found)
        read = (
            read_page_numbers(page.image, pairs, each_alone(found))[0] if has_reader else [Numbered(None)] * len(pairs)
        )
        judged, wrong = judge(page, pairs, read)
        counts += judged
        of_period[name] = of_period.get(name, Counter()) + judged
        print(number, name, json.dumps(judged), *wrong, sep="  ", flush=True)
        if wrong and options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            Image.fromarray(page.image).save(options.keep / f"{options.seed}-{number}.png")
    for name, each in [*of_period.items(), ("all", counts)]:
        print(f"{name}: {summary(each)}")


def summary(counts: Counter[str]) -> str:
    """What was found, in words."""

    def share(part: str, whole: str) -> str:
        return f"{counts[part]} of {counts[whole]} {part} ({100 * counts[part] / max(1, counts[whole]):.1f} %)"

    return (
        f"{counts['pages']} pages: {share('found', 'images')}; {share('paired', 'coins')}; "
        f"{share('numbered', 'numbers')}, {counts['misnumbered']} misnumbered without waiting; {counts['waiting']} of "
        f"the coins wait; {counts['false']} false images, {counts['false waiting']} more wait"
    )


def judge(page: PeriodPage, pairs: list[PagePair], read: list[Numbered]) -> tuple[Counter[str], list[str]]:
    """What is right on a page, counted; and what is wrong, a phrase each."""
    counts, wrong = Counter(pages=1, images=2 * len(page.coins), coins=len(page.coins)), list[str]()
    cut = [(side, pair, number) for pair, number in zip(pairs, read, strict=True) for side in _sides(pair)]
    truth = [box for coin in page.coins for box in (coin.obverse, coin.reverse)]
    for box in truth:
        best = max((overlap(side.box, box) for side, _, _ in cut), default=0.0)
        counts["found"] += best > 0.9
        if best <= 0.9:
            wrong.append(f"{box} {best:.2f}")
    for side, pair, number in cut:
        if not any(overlap(side.box, box) > 0.5 for box in truth):
            waits = bool(pair.doubts or number.doubt)
            counts["false waiting" if waits else "false"] += 1
            wrong.append(f"{'waiting ' if waits else ''}false {side.box}")
    for coin in page.coins:
        _judge_coin(coin, pairs, read, counts, wrong)
    return counts, wrong


def _judge_coin(
    coin: PeriodCoin, pairs: list[PagePair], read: list[Numbered], counts: Counter[str], wrong: list[str]
) -> None:
    at = next((n for n, pair in enumerate(pairs) if overlap(coin.obverse, pair.obverse.box) > 0.5), None)
    reverse = None if at is None else pairs[at].reverse
    is_paired = reverse is not None and overlap(coin.reverse, reverse.box) > 0.5
    counts["paired"] += is_paired
    waits = at is not None and bool(pairs[at].doubts or read[at].doubt)
    counts["waiting"] += waits
    if not is_paired:
        wrong.append(f"{'waiting ' if waits else ''}unpaired {coin.obverse}")
    if coin.number is not None:
        value = None if at is None else read[at].value
        counts["numbers"] += 1
        counts["numbered"] += value == coin.number
        counts["misnumbered"] += value not in (None, coin.number) and not waits
        if value != coin.number:
            wrong.append(f"{coin.number} read {value}")


def _sides(pair: PagePair) -> list[Any]:
    return [side for side in (pair.obverse, pair.reverse) if side is not None]


# --- layouts ----------------------------------------------------------------------------------------------------------


def _pick(rng: Rng, *options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def _grid(rng: Rng, way: str) -> dict[str, Any]:
    """So many columns and rows as fit a way of pairing."""
    columns, rows = {"beside": ((2, 5), (4, 9)), "below": ((4, 7), (2, 4)), "rows": ((4, 8), (2, 4))}[way]
    page = _pick(rng, (150, 215), (165, 235), (200, 270))
    return {
        "columns": int(rng.integers(*columns)),
        "rows": int(rng.integers(*rows)),
        "way": way,
        "page_mm": page,
        "gap": _pick(rng, (0.0, 0.05), (0.03, 0.2), (0.1, 0.35)),
        "angle": float(rng.uniform(15, 75)),
    }


def collotype(rng: Rng) -> Period:
    """Casts and coins of mixed sizes on toned paper, continuous tone: before 1900."""
    return Period(
        **_grid(rng, _pick(rng, "beside", "beside", "rows")),
        mm=(float(rng.uniform(10, 14)), float(rng.uniform(26, 36))),
        paper=float(rng.uniform(0.8, 0.92)),
        manner=_pick(rng, "cast", "cast", "photograph"),
        shadow=float(rng.uniform(0.05, 0.35)),
        number=_pick(rng, "below", "below", "left"),
        font=_pick(rng, *ROMAN_FONTS),
    )


def casts_on_black(rng: Rng) -> Period:
    """Casts on black card with white numbers: 1890 to 1935."""
    return Period(
        **_grid(rng, _pick(rng, "beside", "beside", "below")),
        mm=(float(rng.uniform(11, 16)), float(rng.uniform(22, 32))),
        panel=float(rng.uniform(0.04, 0.2)),
        manner="cast",
        lpi=_pick(rng, 0, 133, 150),
        number=_pick(rng, "left", "below"),
        font=_pick(rng, *ROMAN_FONTS, *PLAIN_FONTS),
    )


def halftone(rng: Rng) -> Period:
    """Photographs or casts cut out on white, screened: 1920 to 1960."""
    return Period(
        **_grid(rng, _pick(rng, "beside", "below", "rows")),
        mm=(float(rng.uniform(12, 16)), float(rng.uniform(20, 32))),
        manner=_pick(rng, "photograph", "photograph", "cast"),
        lpi=_pick(rng, 100, 120, 133, 150),
        paper=float(rng.uniform(0.88, 0.96)),
        number=_pick(rng, "below", "left"),
        font=_pick(rng, *ROMAN_FONTS, *PLAIN_FONTS),
    )


def beside_text(rng: Rng) -> Period:
    """A coin at each paragraph: the 1970s and later."""
    grid = _grid(rng, "beside") | {"columns": int(rng.integers(1, 3)), "rows": int(rng.integers(3, 6))}
    return Period(
        **grid,
        mm=(18, 26),
        lpi=_pick(rng, 0, 120, 133, 150),
        number="line",
        paper=float(rng.uniform(0.93, 1.0)),
        font=_pick(rng, *ROMAN_FONTS, *PLAIN_FONTS),
    )


def on_grey(rng: Rng) -> Period:
    """Photographs on a screened grey ground: the 1960s to 1980s."""
    return Period(
        **_grid(rng, _pick(rng, "beside", "below")),
        mm=(15, 27),
        panel=float(rng.uniform(0.5, 0.72)),
        lpi=_pick(rng, 110, 120, 133),
        number="below",
        font=_pick(rng, *PLAIN_FONTS),
    )


def colour(rng: Rng) -> Period:
    """Colour with drop shadows: the 1990s."""
    return Period(
        **_grid(rng, _pick(rng, "beside", "below")),
        mm=(16, 32),
        manner="colour",
        shadow=float(rng.uniform(0.2, 0.55)),
        paper=float(rng.uniform(0.94, 1.0)),
        font=_pick(rng, *PLAIN_FONTS),
        number=_pick(rng, "below", "left"),
    )


def for_the_screen(rng: Rng) -> Period:
    """Compressed pages of PDFs made for the screen: since 2005."""
    return Period(
        **_grid(rng, "beside") | {"columns": int(rng.integers(1, 4))},
        mm=(16, 28),
        manner=_pick(rng, "colour", "photograph"),
        shadow=_pick(rng, 0.0, 0.3),
        paper=1.0,
        font=_pick(rng, *PLAIN_FONTS),
        jpeg=int(rng.integers(45, 85)),
        dpi=_pick(rng, 150, 200),
    )


def bilevel(rng: Rng) -> Period:
    """A plate of 1920 to 1960, scanned in black and white."""
    return Period(
        **_grid(rng, _pick(rng, "beside", "below")),
        mm=(12, 24),
        lpi=_pick(rng, 85, 100, 120, 133),
        is_bilevel=True,
        font=_pick(rng, *ROMAN_FONTS),
    )


def ragged(rng: Rng) -> Period:
    """Flans with ragged edges, a coarse screen."""
    return Period(
        **_grid(rng, _pick(rng, "beside", "beside", "rows")),
        mm=(16, 30),
        lpi=_pick(rng, 85, 100, 110),
        paper=float(rng.uniform(0.9, 0.96)),
        font=_pick(rng, *ROMAN_FONTS),
    )


PERIODS: dict[str, Callable[[Rng], Period]] = {
    "collotype": collotype,
    "casts on black": casts_on_black,
    "halftone": halftone,
    "beside text": beside_text,
    "on grey": on_grey,
    "colour": colour,
    "for the screen": for_the_screen,
    "black and white": bilevel,
    "ragged flans": ragged,
}


def draw_troubles(period: Period, rng: Rng) -> Period:
    """The same, askew, stamped or bent into the spine."""
    return replace(
        period,
        skew_deg=float(rng.normal(0, 0.9)),
        has_stamp=bool(rng.random() < 0.12),
        has_gutter=bool(rng.random() < 0.15) and not period.jpeg,
    )


def draw_count(period: Period, rng: Rng) -> int:
    """How many coins: all places are taken, or the last row is not full, or there is none in it."""
    most = period.columns * period.rows
    return max(1, most - int(rng.choice([0, 0, rng.integers(period.columns), period.columns])))


# --- what is printed --------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _roman() -> list[Path]:
    return sorted((SHARED / "data" / "toulouse").rglob("*.jpg"))[SEEN_BEFORE:]


def draw_coin(rng: Rng, *, is_ragged: bool) -> Both:
    """Both sides of a coin: a photograph's, or a made one's."""
    while True:
        try:
            drawn = _made(int(rng.integers(60))) if rng.random() < MADE else roman_coin(_pick(rng, *_roman()))
            return (_ragged(drawn[0], rng), _ragged(drawn[1], rng)) if is_ragged else drawn
        except NoCoinError:
            continue


@lru_cache(maxsize=256)
def roman_coin(path: Path) -> Both:
    image = read_image(path)
    half = image.shape[1] // 2
    one, two = (_photo(np.ascontiguousarray(part)) for part in (image[:, :half], image[:, half:]))
    return one, two


@lru_cache(maxsize=60)
def _made(number: int) -> Both:
    drawer = ProceduralDrawer(seed=29)
    one, two = (
        _photo(reproduction(drawer.side_texture(f"page.{number}", side), number, "photograph")) for side in SIDES
    )
    return one, two


def _photo(image: Any) -> CoinPhoto:
    return CoinPhoto(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255, find_coin(image).mask)


def _ragged(photo: CoinPhoto, rng: Rng) -> CoinPhoto:
    """The same with an edge that was struck off the flan, or has cracked."""
    rows, columns = np.nonzero(photo.mask)
    y, x = np.mgrid[: photo.mask.shape[0], : photo.mask.shape[1]]
    y, x = y - rows.mean(), x - columns.mean()
    angle, radius = np.arctan2(y, x), np.sqrt(len(rows) / np.pi)
    edge = sum(float(rng.normal(0, 0.02)) * np.cos(n * angle + float(rng.uniform(0, 6))) for n in range(2, 9))
    return CoinPhoto(photo.tone, photo.mask & (np.hypot(x, y) < radius * (0.97 + edge)))


def decorate(sheet: Sheet, top: int, bottom: int) -> None:
    """What else is on pages and is no coin."""
    rng, (height, width) = sheet.rng, sheet.tones.shape[:2]
    if bottom - top > sheet.px(25):
        _pick(rng, _framed_image, _paragraph, _initial)(sheet, top + sheet.px(2), bottom - sheet.px(2))
    if rng.random() < 0.2:
        _ruler(sheet, sheet.px(30), height - sheet.px(5))
    if rng.random() < 0.12:
        for y in (0.3, 0.7):  # holes of a file
            cv2.circle(
                sheet.tones, (sheet.px(4.5), int(y * height)), sheet.px(2.8), (0.02, 0.02, 0.02), -1, cv2.LINE_AA
            )
    if rng.random() < 0.1:
        place = (int(rng.uniform(0.2, 0.8) * width), int(rng.uniform(0.2, 0.8) * height))
        ring = np.zeros((height, width), np.uint8)
        cv2.circle(ring, place, sheet.px(38), 255, sheet.px(2.5), cv2.LINE_AA)  # of a cup
        sheet.tones *= 1 - 0.12 * cv2.GaussianBlur(ring, (0, 0), sheet.px(0.4))[..., None].astype(np.float32) / 255
    if rng.random() < 0.15:  # black beside the page on the scanner's glass
        sheet.tones[:, : sheet.px(3)] = 0.03
        sheet.tones[: sheet.px(2)] = 0.03


def _framed_image(sheet: Sheet, top: int, bottom: int) -> None:
    """A view of something, four-sided."""
    width = sheet.tones.shape[1]
    high = min(bottom - top, sheet.px(60))
    wide = min(int(high * float(sheet.rng.uniform(1.0, 1.6))), width - sheet.px(30))
    coarse = sheet.rng.uniform(0.1, 0.9, (7, 9)).astype(np.float32)
    view = np.clip(cv2.resize(coarse, (wide, high), interpolation=cv2.INTER_CUBIC), 0.05, 0.9)
    left = (width - wide) // 2
    sheet.tones[top : top + high, left : left + wide] = view[..., None]


def _paragraph(sheet: Sheet, top: int, bottom: int) -> None:
    words = ("der", "Sammlung", "seltener", "Münzen", "portrait", "of", "the", "emperor", "holding", "sceptre")
    for y in range(top, bottom - sheet.px(3), sheet.px(3.2)):
        sheet.write(" ".join(sheet.rng.permutation(words)[:8]), sheet.px(12), y, 2.3)


def _initial(sheet: Sheet, top: int, bottom: int) -> None:
    """A letter in white on black, and a filled round one: how printers begin chapters and mark lots."""
    side = min(bottom - top, sheet.px(18))
    y, x = top, sheet.px(14)
    sheet.tones[y : y + side, x : x + side] = 0.1
    sheet.write(_pick(sheet.rng, "M", "R", "G"), x + side // 4, y, side / sheet.px_per_mm * 0.8, ink=0.95)
    middle = (x + 3 * side, y + side // 2)
    cv2.circle(sheet.tones, middle, side // 3, (0.1, 0.1, 0.1), -1, cv2.LINE_AA)
    sheet.write("7", middle[0] - side // 8, middle[1] - side // 5, side / sheet.px_per_mm * 0.35, ink=0.95)


def _ruler(sheet: Sheet, x: int, y: int) -> None:
    """A scale in centimetres, its parts black and white by turns."""
    for part in range(5):
        tone = 0.06 if part % 2 else 0.97
        sheet.tones[y : y + sheet.px(1.6), x + part * sheet.px(10) : x + (part + 1) * sheet.px(10)] = tone
    cv2.rectangle(sheet.tones, (x, y), (x + sheet.px(50), y + sheet.px(1.6)), (0.06, 0.06, 0.06), FINE)


if __name__ == "__main__":
    main()
