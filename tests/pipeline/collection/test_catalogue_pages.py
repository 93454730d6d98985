"""Scanned pages: coins are cut out of them and paired; ornaments and text are left out; what is doubtful waits."""

from __future__ import annotations

import itertools
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from calibration.every_coin import cut_out
from calibration.image import decode_image
from calibration.outline import find_coin, normalise
from calibration.printed_page import PageCoin, find_page_coins
from calibration.screen import find_screen
from capture.store import Store
from pipeline.collection.sources.numbering import Numbered, number_pairs
from pipeline.collection.sources.numbers import PageNumber, number_of
from pipeline.collection.sources.page_coins import NO_OTHER_SIDE, ReadPage, cut_coins
from pipeline.collection.sources.pages import ScannedPage, read_pages
from pipeline.collection.sources.pairs import PagePair, each_alone, pair_sides
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction
from tests.pipeline.collection.period_pages import PERIODS, Period, PeriodPage, make_period_page
from tests.pipeline.collection.plate_pages import LAYOUTS, CoinPhoto, Layout, MadePage, make_page, overlap
from tests.pipeline.conftest import COINS, Rig, command


@pytest.fixture
def lab(rig: Rig, tmp_path: Path) -> Path:
    """A lab without devices, its catalogue empty."""
    assert rig("init", "--collection", "--lab", tmp_path / "lab").code == 0
    return tmp_path / "lab"


@pytest.fixture(scope="module")
def photos() -> list[tuple[CoinPhoto, CoinPhoto]]:
    """Both sides of made-up coins, as a photographer has them."""
    drawer = ProceduralDrawer(seed=11)
    found = []
    for number, coin in enumerate(COINS[:3]):
        pair = []
        for side in ("obverse", "reverse"):
            image = reproduction(drawer.side_texture(coin, side), number, "photograph")  # type: ignore[arg-type]
            pair.append(CoinPhoto(image[..., 0].astype(np.float32) / 255, find_coin(image).mask))
        found.append((pair[0], pair[1]))
    return found


def judge(page: MadePage | PeriodPage) -> tuple[int, int, int, int]:
    """Coin images found (overlap over 0.9), all there are, false ones that do not wait, and pairs that are right."""
    pairs = pair_sides(find_page_coins(page.image))
    boxes = [side.box for pair in pairs for side in (pair.obverse, pair.reverse) if side is not None]
    truth = [box for coin in page.coins for box in (coin.obverse, coin.reverse)]
    found = sum(any(overlap(box, each) > 0.9 for each in boxes) for box in truth)
    false = sum(
        not any(overlap(side.box, box) > 0.5 for box in truth)
        for pair in pairs
        if not pair.doubts
        for side in (pair.obverse, pair.reverse)
        if side is not None
    )
    right = sum(
        any(
            pair.reverse is not None
            and overlap(coin.obverse, pair.obverse.box) > 0.5
            and overlap(coin.reverse, pair.reverse.box) > 0.5
            for pair in pairs
        )
        for coin in page.coins
    )
    return found, len(truth), false, right


def test_a_page_becomes_coins_with_boxes_and_a_second_time_nothing(
    rig: Rig, lab: Path, tmp_path: Path, photos: list[tuple[CoinPhoto, CoinPhoto]]
) -> None:
    page = make_page(Layout(1, 3, lpi=133, has_numbers=False), photos, seed=1, dpi=110)
    first, empty = Image.fromarray(page.image), Image.new("RGB", (600, 800), "white")
    first.save(tmp_path / "hess.pdf", save_all=True, append_images=[empty], resolution=300)  # as it will be read
    add = ("catalogue", "add", tmp_path / "hess.pdf", "--sale", "Hess 1936-03-18", "--lab", lab, "--json")
    added = rig(*add)
    assert (added.json["pages"], added.json["empty"], added.json["coins"]) == (1, 1, 3), added.out + added.err
    shown = rig("catalogue", "show", "Hess 1936-03-18, page 1, coin 2", "--lab", lab, "--json").json["coins"][0]
    assert shown["record"] == {"date": "1936-03-18", "page": "1"}
    truth = page.coins[1]
    for entry, box in zip(shown["entries"], (truth.obverse, truth.reverse), strict=True):
        assert overlap(box, tuple(entry["box"])) > 0.9
    again = rig(*add).json
    assert (again["known"], again["pages"], again["coins"]) == (1, 0, 0)
    assert rig("store", "verify", "--lab", lab).code == 0


@pytest.mark.slow
def test_pages_that_are_added_later_to_a_sale_are_of_other_coins(
    rig: Rig, lab: Path, tmp_path: Path, photos: list[tuple[CoinPhoto, CoinPhoto]]
) -> None:
    for number, name in enumerate(("plates", "more plates", "still more"), 1):
        (tmp_path / name).mkdir()
        page = make_page(Layout(1, 3, lpi=133, has_numbers=False), photos, seed=number, dpi=110)
        Image.fromarray(page.image).save(tmp_path / name / f"{number}.png")
        added = rig("catalogue", "add", tmp_path / name, "--pages", "--sale", "Hess", "--lab", lab, "--json")
        assert (added.json["pages"], added.json["coins"]) == (1, 3), added.err
    with Store.open(lab / "store", writing=False) as store:
        entries = store.catalogue.entries(sale="Hess")
    assert len(entries) == 18 and len({entry.coin_id for entry in entries}) == 9
    assert "Hess, 3.png, coin 2" in {entry.coin_id for entry in entries}


def test_what_is_doubtful_waits_for_a_person(
    rig: Rig, lab: Path, tmp_path: Path, photos: list[tuple[CoinPhoto, CoinPhoto]]
) -> None:
    page = make_page(Layout(1, 2, has_text=False, has_numbers=False), photos, seed=2, dpi=150)
    box = page.coins[1].reverse
    page.image[box[1] : box[3], box[0] : box[2]] = 240  # one side alone is left
    (tmp_path / "pages").mkdir()
    Image.fromarray(page.image).save(tmp_path / "pages" / "12.png")
    added = rig("catalogue", "add", tmp_path / "pages", "--pages", "--sale", "Ball 6", "--lab", lab, "--json")
    assert (added.code, added.json["coins"], added.json["waiting"]) == (3, 1, 1)
    assert rig("catalogue", "restore", "--sale", "Ball 6", "--lab", lab, "--json").json == {"coins": {}}
    assert rig("catalogue", "list", "--removed", "--lab", lab, "--json").json == []
    stats = rig("catalogue", "stats", "--lab", lab, "--json").json
    assert (stats["entries"], stats["waiting"], stats["removed"]) == (2, 1, 0)
    listed = rig("catalogue", "check", "--lab", lab, "--json").json
    (cut,) = listed["waiting"]
    assert cut["doubt"] == "its other side was not found" and "data:image" in Path(tmp_path, listed["page"]).read_text()
    assert rig("catalogue", "check", "--accept", "nothing", "--lab", lab).code == 1
    assert rig("catalogue", "check", "--accept", cut["coin"], "--lab", lab, "--json").json["accepted"] == [cut["coin"]]
    assert rig("catalogue", "list", "--lab", lab, "--json").json == [{"sale": "Ball 6", "coins": 2, "entries": 3}]


def test_every_page_of_a_scanners_file_is_read_or_named(tmp_path: Path) -> None:
    def tones(number: int) -> np.ndarray:
        return np.full((30, 20), 100 + number, np.uint16) * 257

    with tifffile.TiffWriter(tmp_path / "scan.tif") as scan:
        scan.write(tones(0)[:9, :9], subfiletype=1)  # a thumbnail of each page stands before it
        for number in (1, 2):
            scan.write(tones(number))
            scan.write(tones(number)[:9, :9], subfiletype=1)
    for kept in (None, 1, 2):  # the data of the last image, and its directory, are lost
        (tmp_path / "scan.tif").write_bytes((tmp_path / "scan.tif").read_bytes()[: None if kept is None else -100])
        pages = [page for _, page in read_pages(tmp_path / "scan.tif")]
        shown = [(page.number, page.image.shape, int(page.image.mean())) for page in pages if not isinstance(page, str)]
        assert shown == [(1, (30, 20, 3), 101), (2, (30, 20, 3), 102)][: len(shown)] and len(shown) + (kept or 0) >= 2
        assert all("behind page" in page for page in pages if isinstance(page, str))
        for page in pages:
            if not isinstance(page, str):
                assert np.array_equal(decode_image(page.data, "as it is stored"), page.image)


ROW_OF_FOUR = ((190, 31), (560, -4), (970, 31), (1350, -37))  # where coins of a row stand, and how much lower, px
ROW = [PagePair(PageCoin((x, 0, x + 90, 90)), PageCoin((x + 100, 0, x + 190, 90)), ()) for x in range(0, 1500, 300)]


@pytest.mark.parametrize(
    ("read", "numbered"),
    [
        ({0: 129, 1: 130, 2: 13, 3: 132, 4: 133}, [129, 130, 131, 132, 133]),  # a digit lost
        ({0: 129, 1: 130, 3: 132, 4: 133}, [129, 130, 131, 132, 133]),  # one not read
        ({0: 129, 1: 130, 2: 131, 3: 132, 4: 183}, [129, 130, 131, 132, 133]),  # the last one misread
        ({0: 129, 1: 130, 2: 131, 3: 135, 4: 141}, [129, 130, 131, 135, 141]),  # not every lot is shown
        ({0: 129, 1: 130, 2: 7, 3: 135, 4: 136}, [129, 130, None, 135, 136]),  # not to be known
        ({0: 129, 1: 130, 2: 131, 3: 132, 4: 9}, [129, 130, 131, 132, None]),
        ({0: 124, 1: 126, 2: 127, 3: 128, 4: 125}, [124, 126, 127, 128, None]),  # a lot is missing: the order is wrong
        ({0: 129, 1: 131, 2: 132, 3: 130, 4: 134}, [129, 131, 132, None, 134]),
        ({1: 1}, [None] * 5),
        ({}, [None] * 5),
    ],
)
def test_numbers_that_do_not_fit_are_corrected_by_the_others_or_doubtful(
    read: dict[int, int], numbered: list[int | None]
) -> None:
    numbers = [PageNumber(value, (at * 300 + 80, 95, at * 300 + 120, 115)) for at, value in read.items()]
    found = number_pairs(ROW, numbers)
    assert [each.value for each in found] == numbered
    assert all(bool(each.doubt) == (each.value is None) for at, each in enumerate(found) if at in read)


def test_a_hole_in_the_paper_does_not_change_the_order_of_the_coins() -> None:
    rows = [[PageCoin((x, y + tilt, x + 270, y + tilt + 270)) for x, tilt in ROW_OF_FOUR] for y in (300, 1000, 1700)]
    holes = [PageCoin((10, y, 80, y + 70), ("it is of another size than the others",)) for y in (740, 1758)]
    found = each_alone([*holes, *reversed(rows[2]), *rows[0], *rows[1]])
    assert [each.obverse for each in found if not each.doubts] == [coin for row in rows for coin in row]


def test_rows_as_close_as_sides_do_not_hide_that_reverses_stand_below() -> None:
    coins = [
        PageCoin((x, y + below, x + 100, y + below + 100))
        for y in (0, 350)
        for below in (0, 126)
        for x in range(0, 738, 123)
    ]
    pairs = pair_sides(coins)
    assert len(pairs) == 12 and not any(pair.doubts for pair in pairs)
    assert all(pair.reverse and pair.reverse.box[0] == pair.obverse.box[0] for pair in pairs)


def test_a_paragraph_belongs_to_the_coin_that_it_stands_beside_not_to_the_one_that_it_touches() -> None:
    boxes = [(584, 500, 1174, 788), (1654, 490, 2232, 762), (654, 1454, 1158, 1696), (1732, 1448, 2206, 1667)]
    pairs = [
        PagePair(PageCoin((left, top, (left + right) // 2 - 5, bottom)), PageCoin((left + 295, top, right, bottom)), ())
        for left, top, right, bottom in boxes
    ]
    at = {660: (1162, 508), 659: (87, 519), 662: (1178, 1460), 661: (105, 1470)}
    numbers = [PageNumber(value, (x, y, x + 199, y + 29)) for value, (x, y) in at.items()]
    assert [each.value for each in number_pairs(pairs, numbers, is_text=True)] == [659, 660, 661, 662]
    assert [each.value for each in number_pairs(pairs, numbers[::4], is_text=True)] == [None] * 4  # too few
    gaps = [PageNumber(1, (left + 290, bottom - 30, left + 310, bottom)) for left, _, _, bottom in boxes]
    assert number_pairs(pairs, gaps) == [Numbered(None)] * 4  # no number is printed, and none waits for one


def read_of(number: int, values: Sequence[int | None], *, is_numbered: bool = True) -> ReadPage:
    """A page of a row of coin images, which have these numbers."""
    page = ScannedPage(number, f"{number}.png", b"", np.zeros((1, 1, 3), np.uint8))
    images = [PagePair(PageCoin((x, 0, x + 90, 90)), None, ()) for x in range(0, 100 * len(values), 100)]
    pairs = [PagePair(a.obverse, b.obverse, ()) for a, b in zip(images[::2], images[1::2], strict=True)]
    numbered = [Numbered(value if is_numbered else None) for value in values]
    return ReadPage(page, pairs, [Numbered(None)] * len(pairs), images, numbered)


def test_what_joins_coins_or_hangs_on_them_is_no_part_of_them(photos: list[tuple[CoinPhoto, CoinPhoto]]) -> None:
    tones, boxes = np.full((1700, 1100), 0.94, np.float32), []
    shadow, text = np.zeros_like(tones), np.zeros(tones.shape, np.uint8)
    places = [(x, y) for y in (350, 800, 1350) for x in (330, 740)]
    for number, (x, y) in enumerate(places):
        photo = photos[number % 3][number // 3]
        rows, columns = np.flatnonzero(photo.mask.any(axis=1)), np.flatnonzero(photo.mask.any(axis=0))
        cut = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        tone = cv2.resize(0.08 + 0.7 * photo.tone[cut], (200, 200), interpolation=cv2.INTER_AREA)
        mask = cv2.resize(photo.mask[cut].astype(np.float32), (200, 200), interpolation=cv2.INTER_AREA) > 0.5
        boxes.append((x - 100, y - 100, x + 100, y + 100))
        cv2.ellipse(shadow, (x, y + 14), (100, 100), 0, 0, 360, 1.0, cv2.FILLED)
        part = tones[y - 100 : y + 100, x - 100 : x + 100]
        part[mask] = tone[mask]
        cv2.putText(text, "1595", (x - 40, y + 132), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 230, 4, cv2.LINE_AA)
    ring = np.zeros_like(tones)
    cv2.circle(ring, (535, 575), 300, 1.0, 30, cv2.LINE_AA)  # of a cup, through four coins
    on_paper = cv2.GaussianBlur(shadow, (0, 0), 8) * (tones > 0.9)
    page = (tones * (1 - 0.13 * ring) * (1 - 0.4 * on_paper) * (255 - text.astype(np.float32))).astype(np.uint8)
    found = find_page_coins(np.dstack([page] * 3))
    overlaps = [max(overlap(coin.box, box) for coin in found) for box in boxes]
    assert len(found) == 6 and min(overlaps) > 0.9, overlaps


def test_plates_that_face_each_other_are_paired_by_their_numbers() -> None:
    pages = [read_of(1, [7, 8, 9, 10]), read_of(2, [8, 7, None, 10]), read_of(3, [1, 2, 3, 4], is_numbered=False)]
    facing, beside = cut_coins(pages)
    assert [(coin.number, coin.reverse and (coin.reverse.page.number, coin.reverse.box[0])) for coin in facing] == [
        (7, (2, 100)), (8, (2, 0)), (9, None), (10, (2, 300)), (None, None),
    ]  # fmt: skip
    assert [coin.doubts for coin in facing] == [(), (), (NO_OTHER_SIDE,), (), (NO_OTHER_SIDE,)]
    assert [coin.reverse and coin.reverse.page.number for coin in beside] == [3, 3]
    (left_alone,) = cut_coins([read_of(1, [7, 8, 9, 10])])  # its neighbours are other coins
    assert all(coin.reverse is None and coin.doubts for coin in left_alone)


def test_what_encloses_paper_joins_no_coins(photos: list[tuple[CoinPhoto, CoinPhoto]]) -> None:
    page = make_page(Layout(1, 2, has_text=False, has_numbers=False), photos, seed=2, dpi=150)
    cup = np.zeros(page.image.shape[:2], np.uint8)
    (left, top, right, bottom), low = page.coins[0].reverse, page.coins[1].reverse
    cv2.circle(cup, ((left + right) // 2, (bottom + low[1]) // 2), (low[1] - top) // 2, 40, 5)
    page.image[:] = cv2.subtract(page.image, cv2.GaussianBlur(cup, (0, 0), 1.5)[..., None].repeat(3, axis=2))
    assert judge(page) == (4, 4, 0, 2)


def test_a_coin_as_light_as_its_ground_waits(photos: list[tuple[CoinPhoto, CoinPhoto]]) -> None:
    def lit(photo: CoinPhoto) -> CoinPhoto:
        return CoinPhoto(photo.tone - photo.tone[photo.mask].mean() + np.float32(0.6), photo.mask)

    layout = Layout(1, 2, ground=0.55, has_text=False, has_numbers=False)  # 0.1 + 0.75 * 0.6
    page = make_page(layout, [photos[0], (lit(photos[1][0]), photos[1][1])], seed=2, dpi=150)
    pairs = pair_sides(find_page_coins(page.image))
    (waits,) = (pair for pair in pairs if pair.doubts)
    assert len(pairs) == 2 and waits.doubts == ("it is as light as its ground",)
    assert overlap(waits.obverse.box, page.coins[1].obverse) > 0.8


def test_a_printers_screen_is_removed_for_comparing(photos: list[tuple[CoinPhoto, CoinPhoto]]) -> None:
    plain, screened = (
        make_page(Layout(1, 1, lpi=lpi, has_text=False, has_numbers=False), photos, seed=2, dpi=150) for lpi in (0, 50)
    )
    for box in (screened.coins[0].obverse, screened.coins[0].reverse):
        unprinted, printed = (cut_out(page.image, box) for page in (plain, screened))
        assert find_screen(unprinted.part, unprinted.outline) is None
        assert find_screen(printed.part, printed.outline) == pytest.approx(3.0, abs=0.1)
        as_it_is = normalise(printed.part, printed.outline)
        before, after = (
            np.corrcoef(unprinted.crop().ravel(), crop.ravel())[0, 1] for crop in (as_it_is, printed.crop())
        )
        assert after > 0.8 > before + 0.1, (before, after)


@pytest.mark.slow
def test_coins_that_touch_can_all_be_searched(
    rig: Rig, lab: Path, tmp_path: Path, photos: list[tuple[CoinPhoto, CoinPhoto]]
) -> None:
    (tmp_path / "pages").mkdir()
    for seed in (4, 7):
        page = make_page(Layout(1, 3, lpi=66, touching=True, has_numbers=False), photos, seed, dpi=200)
        Image.fromarray(page.image).save(tmp_path / "pages" / f"{seed}.png")
    rig("catalogue", "add", tmp_path / "pages", "--pages", "--sale", "Hess", "--lab", lab)
    assert rig("catalogue", "check", "--accept-all", "--lab", lab).code == 0
    built = rig("catalogue", "build", "--lab", lab, "--json")
    assert (built.code, built.json["entries"], built.json["unusable"]) == (0, 12, []), built.out + built.err


def test_letters_among_digits_are_read_as_digits() -> None:
    assert [number_of(text) for text in ("13l", "No. 1O5", "508. from", "131a", "IV", "laureate", "(77)")] == [
        131, 105, 508, 131, None, None, 77,
    ]  # fmt: skip


@pytest.mark.slow
def test_coins_are_named_by_the_numbers_beside_them(
    rig: Rig, lab: Path, tmp_path: Path, photos: list[tuple[CoinPhoto, CoinPhoto]]
) -> None:
    pytest.importorskip("rapidocr", reason="RapidOCR (the extra `plates`) is not installed")
    (tmp_path / "pages").mkdir()
    pages = []
    for number, period in enumerate(PERIODS[:6]):
        page = make_period_page(period, _many(photos, period.columns * period.rows), seed=100 * number)
        Image.fromarray(page.image).save(tmp_path / "pages" / f"{number}.png")
        pages.append(page)
    added = rig("catalogue", "add", tmp_path / "pages", "--pages", "--sale", "Hess", "--lab", lab, "--json").json
    assert added["numbered"] >= 0.95 * sum(len(page.coins) for page in pages)
    for page in pages:
        shown = rig("catalogue", "show", f"Hess, lot {page.coins[1].number}", "--lab", lab, "--json").json["coins"][0]
        assert overlap(page.coins[1].obverse, tuple(shown["entries"][0]["box"])) > 0.9
        assert shown["record"]["lot"] == str(page.coins[1].number)


@pytest.mark.slow
def test_reverses_on_the_facing_page_are_added_with_their_obverses(
    rig: Rig, lab: Path, tmp_path: Path, photos: list[tuple[CoinPhoto, CoinPhoto]]
) -> None:
    pytest.importorskip("rapidocr", reason="RapidOCR (the extra `plates`) is not installed")
    (tmp_path / "pages").mkdir()
    coins = _many(photos, 9)
    boxes = []
    for side in (0, 1):
        period = Period(3, 3, (20, 26), number="below", lpi=133)
        page = make_period_page(period, [(coin[side], coin[side]) for coin in coins], seed=5)
        for coin in page.coins:  # of both sides that a pair has, one stays
            left, top, right, bottom = coin.reverse
            page.image[top - 3 : bottom + 3, left - 3 : right + 3] = 237
        boxes.append([coin.obverse for coin in page.coins])
        Image.fromarray(page.image).save(tmp_path / "pages" / f"{side}.png")
    added = rig("catalogue", "add", tmp_path / "pages", "--pages", "--sale", "Hess", "--lab", lab, "--json").json
    assert (added["pages"], added["coins"], added["numbered"]) == (2, 9, 9), added
    number = page.coins[4].number
    shown = rig("catalogue", "show", f"Hess, lot {number}", "--lab", lab, "--json").json["coins"][0]
    assert [entry["source"] for entry in shown["entries"]] == ["0.png", "1.png"] and shown["record"]["page"] == "1-2"
    for entry, truth in zip(shown["entries"], boxes, strict=True):
        assert overlap(truth[4], tuple(entry["box"])) > 0.9
    again = rig("catalogue", "add", tmp_path / "pages", "--pages", "--sale", "Hess", "--lab", lab, "--json").json
    assert (again["known"], again["coins"]) == (2, 0)


@pytest.mark.slow
def test_adding_pages_that_was_killed_is_completed_by_the_same_command(
    rig: Rig, lab: Path, tmp_path: Path, photos: list[tuple[CoinPhoto, CoinPhoto]]
) -> None:
    pages = tmp_path / "pages"
    pages.mkdir()
    for seed in range(4):
        page = make_page(Layout(1, 3, lpi=133, has_numbers=False), photos, seed, dpi=150)
        Image.fromarray(page.image).save(pages / f"{seed}.png")
    add = ("catalogue", "add", pages, "--pages", "--sale", "Hess", "--lab", lab, "--json")
    for most in (6, 12):  # killed when so many coin sides are in the store, or somewhat later
        running = subprocess.Popen(command(*add), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while running.poll() is None and _count_entries(lab) < most:
            time.sleep(0.01)
        running.kill()
        assert running.wait() == -signal.SIGKILL
    added = rig(*add)
    assert 1 <= added.json["known"] < 4
    assert added.json["pages"] + added.json["known"] == 4, added.out + added.err
    assert rig("catalogue", "list", "--lab", lab, "--json").json == [{"sale": "Hess", "coins": 12, "entries": 24}]
    assert rig("store", "verify", "--lab", lab).code == 0


def _count_entries(lab: Path) -> int:
    with (
        suppress(sqlite3.OperationalError),  # the store is being made
        closing(sqlite3.connect(f"file:{lab / 'store' / 'index.sqlite'}?mode=ro", uri=True)) as index,
    ):
        return int(index.execute("SELECT count(*) FROM entry").fetchone()[0])
    return 0


@pytest.mark.slow
def test_plates_of_eight_layouts(photos: list[tuple[CoinPhoto, CoinPhoto]]) -> None:
    pages = [
        make_page(layout, _many(photos, layout.columns * layout.rows), seed=100 * number + seed)
        for number, layout in enumerate(LAYOUTS)
        for seed in range(3)
    ]
    assert_found(pages)


@pytest.mark.slow
def test_plates_of_six_periods(photos: list[tuple[CoinPhoto, CoinPhoto]]) -> None:
    pages = [
        make_period_page(period, _many(photos, period.columns * period.rows), seed=100 * number)
        for number, period in enumerate(PERIODS)
    ]
    assert_found(pages)


def _many(photos: list[tuple[CoinPhoto, CoinPhoto]], count: int) -> list[tuple[CoinPhoto, CoinPhoto]]:
    return list(itertools.islice(itertools.cycle(photos), count))


def assert_found(pages: Sequence[MadePage | PeriodPage]) -> None:
    judged = [judge(page) for page in pages]
    found, total, false, right = (sum(each) for each in zip(*judged, strict=True))
    coins = sum(len(page.coins) for page in pages)
    assert found / total >= 0.98 and right / coins >= 0.98 and false == 0, (found, total, false, right, coins)
