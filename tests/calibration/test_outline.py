"""The coin's outline, on every kind of image that reaches it."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.image import Image, ImageError, read_image
from calibration.outline import GREY_MEAN, NoCoinError, Outline, find_coin, find_coins, normalise
from calibration.page_of_coins import count_page
from tests.variants import usually

WHITE, DARK, TEAL = (252, 252, 250), (26, 26, 28), (20, 130, 125)


def an_image(
    background: tuple[int, int, int] = WHITE,
    coins: tuple[tuple[float, float, float], ...] = ((200.0, 150.0, 90.0),),
    colour: tuple[int, int, int] = (128, 104, 70),
    size: tuple[int, int] = (400, 300),
    seed: int = 0,
) -> Image:
    """Coins (x, y, radius) with some relief on a plain background, and the sensor's noise."""
    rng = np.random.default_rng(seed)
    width, height = size
    image = np.full((height, width, 3), background, np.float32)
    relief = cv2.GaussianBlur(rng.normal(0, 1, (256, 256)).astype(np.float32), (0, 0), 4)
    relief /= relief.std()
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for centre_x, centre_y, radius in coins:
        inside = np.clip(radius - np.hypot(x - centre_x, y - centre_y) + 0.5, 0, 1)[:, :, None]
        u, v = (x - centre_x) / radius * 120 + 128, (y - centre_y) / radius * 120 + 128
        shade = 1 + 0.22 * cv2.remap(relief, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        image = image * (1 - inside) + inside * shade[:, :, None] * np.array(colour, np.float32)
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("background", [WHITE, DARK, TEAL])
def test_finds_a_coin_on_any_plain_background(background: tuple[int, int, int]) -> None:
    outline = find_coin(an_image(background))
    assert outline.centre_px == pytest.approx((200, 150), abs=1.0)
    assert outline.radius_px == pytest.approx(90, abs=2.0)
    assert outline.mask.shape == (300, 400)
    assert outline.mask[150, 200] and not outline.mask[5, 5]
    assert outline.confidence > 0.9


@given(
    x=st.floats(120, 280),
    y=st.floats(110, 190),
    radius=st.floats(40, 95),
    background=st.sampled_from([WHITE, DARK, TEAL]),
)
def test_finds_it_wherever_it_lies(x: float, y: float, radius: float, background: tuple[int, int, int]) -> None:
    outline = find_coin(an_image(background, ((x, y, radius),)))
    assert outline.centre_px == pytest.approx((x, y), abs=1.5)
    assert outline.radius_px == pytest.approx(radius, abs=2.5)


def test_the_bench_camera_at_full_size() -> None:
    outline = find_coin(an_image(DARK, ((700.0, 420.0, 230.0),), size=(1280, 960)))
    assert outline.centre_px == pytest.approx((700, 420), abs=2.5)
    assert outline.radius_px == pytest.approx(230, abs=5)


def test_a_shadow_on_a_dark_plate_is_not_the_coin() -> None:
    image = an_image((52, 52, 55))
    shadow = np.zeros(image.shape[:2], np.uint8)
    cv2.circle(shadow, (175, 160), 90, 1, cv2.FILLED)
    bare = find_coin(image).mask
    image[(shadow > 0) & ~cv2.dilate(bare.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)] = (8, 8, 9)
    outline = find_coin(image)
    assert outline.centre_px == pytest.approx((200, 150), abs=2)
    assert outline.radius_px == pytest.approx(90, abs=2.5)


def test_a_scale_bar_beside_the_coin_is_left_out() -> None:
    image = an_image(coins=((200.0, 150.0, 120.0),))
    cv2.rectangle(image, (326, 20), (332, 280), (10, 10, 10), cv2.FILLED)
    outline = find_coin(image)
    assert outline.centre_px == pytest.approx((200, 150), abs=1.5)
    assert outline.radius_px == pytest.approx(120, abs=2.5)


def test_two_coins_are_two() -> None:
    outlines = find_coins(an_image(DARK, ((110.0, 150.0, 70.0), (290.0, 150.0, 85.0))))
    assert [round(outline.radius_px / 5) * 5 for outline in outlines] == [85, 70]


@pytest.mark.parametrize("background", [WHITE, DARK, TEAL, (0, 0, 0)])
def test_an_empty_image_holds_no_coin(background: tuple[int, int, int]) -> None:
    image = an_image(background, coins=())
    assert find_coins(image) == []
    with pytest.raises(NoCoinError, match="no coin was found"):
        find_coin(image)
    assert issubclass(NoCoinError, ImageError)


def test_a_ruler_is_no_coin() -> None:
    image = an_image(coins=())
    cv2.rectangle(image, (50, 100), (350, 180), (60, 60, 60), cv2.FILLED)
    assert find_coins(image) == []


@pytest.mark.parametrize("count", [2, 3, 4])
def test_coins_that_touch_are_counted_one_by_one(count: int) -> None:
    reach = {2: 60.0, 3: 69.0, 4: 84.0}[count]
    angles = 0.4 + 2 * np.pi * np.arange(count) / count
    coins = tuple((float(200 + reach * np.cos(a)), float(190 + reach * np.sin(a)), 60.0) for a in angles)
    outlines = find_coins(an_image(DARK, coins, size=(400, 380)))
    assert len(outlines) == count
    for outline in outlines:
        assert min(np.hypot(outline.centre_px[0] - x, outline.centre_px[1] - y) for x, y, _ in coins) < 6
        assert outline.radius_px == pytest.approx(60, abs=4)


@pytest.mark.parametrize("holder", ["paper", "window of a holder", "capsule"])
def test_what_a_coin_lies_on_is_not_the_coin(holder: str) -> None:
    coin = an_image((235, 235, 230), ((300.0, 300.0, 70.0),), size=(600, 600))
    image = an_image((60, 45, 30), (), size=(600, 600))
    y, x = np.mgrid[:600, :600]
    inside = {
        "paper": (abs(x - 300) < 210) & (abs(y - 290) < 240),
        "window of a holder": np.hypot(x - 300, y - 300) < 120,
        "capsule": np.hypot(x - 300, y - 300) < 110,
    }[holder]
    image[inside] = coin[inside]
    if holder == "capsule":
        image[abs(np.hypot(x - 300, y - 300) - 113) < 4] = (120, 120, 125)
    (outline,) = find_coins(image)
    assert outline.centre_px == pytest.approx((300, 300), abs=2)
    assert outline.radius_px == pytest.approx(70, abs=3)


def test_a_board_or_a_sheet_without_a_coin_is_no_coin() -> None:
    sheet = an_image(DARK, (), size=(500, 400))
    sheet[60:340, 80:420] = an_image(WHITE, (), size=(340, 280))
    board = np.kron(np.indices((7, 9)).sum(axis=0) % 2, np.ones((40, 40)))[:, :, None]
    board = np.pad((255 - 230 * board).repeat(3, axis=2), ((60, 60), (60, 60), (0, 0)), constant_values=255)
    assert find_coins(sheet) == find_coins(board.astype(np.uint8)) == []


def a_room(coins: tuple[tuple[float, float, float], ...] = ()) -> Image:
    """A board that is held up before a desk and a wall: nothing at the image's border is one background."""
    image = an_image((105, 105, 108), coins, colour=(205, 190, 150), size=(640, 480))
    bare = an_image((105, 105, 108), (), size=(640, 480))
    on_coin = np.any(image.astype(int) - bare > 25, axis=2)
    for colour, corners in (
        ((40, 40, 42), ((0, 0), (640, 0), (640, 40), (0, 70))),  # the ceiling
        ((185, 185, 180), ((600, 120), (640, 110), (640, 380), (606, 360))),  # a notice
        ((60, 60, 62), ((0, 150), (110, 130), (120, 330), (0, 350))),  # a screen
        ((225, 225, 220), ((0, 420), (60, 350), (175, 365), (150, 479), (0, 479))),  # a keyboard
        ((215, 215, 210), ((240, 150), (430, 130), (460, 360), (230, 330))),  # the board
        ((150, 40, 40), ((470, 480), (480, 390), (560, 370), (600, 480))),  # a sleeve
    ):
        cv2.fillPoly(bare, [np.array(corners, np.int32)], colour, cv2.LINE_AA)
    bare[on_coin] = image[on_coin]
    return bare


def test_in_a_room_only_what_is_round_is_a_coin() -> None:
    assert find_coins(a_room()) == []
    (outline,) = find_coins(a_room(((340.0, 245.0, 60.0),)))
    assert outline.centre_px == pytest.approx((340, 245), abs=3)
    assert outline.radius_px == pytest.approx(60, abs=4)


def test_a_sheet_that_the_edge_cuts_off_is_no_coin() -> None:
    image = an_image((150, 120, 80), (), size=(640, 480))
    cv2.fillPoly(image, [np.array(((190, 40), (470, 80), (455, 479), (60, 479), (50, 450)), np.int32)], (245, 245, 242))
    assert find_coins(image) == []


CARDS = (
    ((200, 110), (430, 150), (500, 380), (150, 330)),
    ((240, 60), (470, 250), (370, 420), (190, 330)),
    ((300, 60), (520, 190), (330, 430), (170, 270)),
)


@pytest.mark.parametrize("corners", CARDS, ids=["card", "book", "screen"])
def test_cards_seen_askew_are_no_coins(corners: tuple[tuple[int, int], ...]) -> None:
    card = np.zeros((480, 640), np.uint8)
    cv2.fillPoly(card, [np.array(corners, np.int32)], (1,), cv2.LINE_8)
    rounded = cv2.morphologyEx(card, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (31, 31)))
    image = an_image(DARK, (), size=(640, 480))
    image[rounded > 0] = (190, 70, 60)
    assert find_coins(image) == []


@pytest.mark.parametrize("ground", [DARK, (8, 8, 9)])
def test_a_dark_coin_beside_bright_ones_is_counted(ground: tuple[int, int, int]) -> None:
    bright = ((130.0, 130.0, 85.0), (460.0, 140.0, 90.0), (150.0, 380.0, 80.0))
    image = an_image(ground, bright, colour=(225, 215, 195), size=(600, 500))
    dim = an_image(ground, ((440.0, 370.0, 78.0),), colour=(54, 44, 33), size=(600, 500))
    image[270:, 330:] = dim[270:, 330:]
    outlines = find_coins(image)
    assert len(outlines) == 4
    (dark,) = (each for each in outlines if each.centre_px[0] > 330 and each.centre_px[1] > 270)
    assert dark.centre_px == pytest.approx((440, 370), abs=3) and dark.radius_px == pytest.approx(78, abs=4)


def test_ground_that_a_lamp_lights_brightly_is_no_coin() -> None:
    image = an_image((40, 40, 42), ((250.0, 300.0, 105.0),), size=(640, 480)).astype(np.float32)
    y, x = np.mgrid[:480, :640].astype(np.float32)
    image *= 1 + 0.9 * np.exp(-((x - 520) ** 2 + (y - 160) ** 2) / (2 * 110**2))[:, :, None]
    (outline,) = find_coins(np.clip(image, 0, 255).astype(np.uint8))
    assert outline.centre_px == pytest.approx((250, 300), abs=3)


def test_the_dull_rim_of_a_dark_coin_is_no_mount_of_its_portrait() -> None:
    dull = (92, 72, 56)
    image = an_image((38, 38, 40), ((200.0, 150.0, 95.0),), colour=dull).astype(np.float32)
    y, x = np.mgrid[:300, :400]
    reach = np.hypot(x - 200, y - 150)
    image[reach < 93] = 0.5 * image[reach < 93] + 0.5 * np.array(dull)
    image[reach < 65] *= 1.45
    (outline,) = find_coins(image.astype(np.uint8))
    assert outline.radius_px == pytest.approx(95, abs=3)


def test_a_worn_coin_with_dark_hollows_is_no_pattern() -> None:
    image = an_image(DARK, colour=(110, 100, 80))
    for number in range(20):  # between letters and columns, and where the edge is clipped
        angle, reach = number * 2.4, 20.0 + 2.5 * number
        cv2.circle(image, (round(200 + reach * np.cos(angle)), round(150 + reach * np.sin(angle))), 5, DARK, cv2.FILLED)
    for angle in np.arange(8) * np.pi / 4:
        cv2.circle(image, (round(200 + 90 * np.cos(angle)), round(150 + 90 * np.sin(angle))), 15, DARK, cv2.FILLED)
    outline = find_coin(image)
    assert outline.centre_px == pytest.approx((200, 150), abs=3.0)
    assert outline.radius_px == pytest.approx(85, abs=5.0)


def test_light_that_falls_off_across_a_cloth_hides_no_coin() -> None:
    image = an_image((30, 110, 60), ((250.0, 160.0, 90.0),)).astype(np.float32)
    image[...] *= np.linspace(0.45, 1.35, 400)[None, :, None]
    outline = find_coin(np.clip(image, 0, 255).astype(np.uint8))
    assert outline.centre_px == pytest.approx((250, 160), abs=2)
    assert outline.radius_px == pytest.approx(90, abs=3)


def test_half_a_coin_keeps_its_outline() -> None:
    image = an_image(coins=((200.0, 150.0, 120.0),))
    image[150:] = an_image(coins=())[150:]
    cv2.rectangle(image, (326, 20), (332, 280), (10, 10, 10), cv2.FILLED)
    (outline,) = find_coins(image)
    assert outline.mask.sum() == pytest.approx(np.pi * 120**2 / 2, rel=0.05)
    assert outline.mask[100, 200] and not outline.mask[170, 200]


def test_a_coin_that_lost_a_piece_keeps_its_outline_beside_a_scale_bar() -> None:
    image = an_image(coins=((180.0, 150.0, 135.0),))
    piece = np.zeros((300, 400), np.uint8)
    cv2.circle(piece, (40, 165), 80, (1,), cv2.FILLED)
    image[piece > 0] = an_image(coins=())[piece > 0]
    cv2.rectangle(image, (386, 40), (399, 260), (10, 10, 10), cv2.FILLED)
    (outline,) = find_coins(image)
    assert outline.mask[150, 250] and not outline.mask[165, 90]


def test_normalising_undoes_place_size_brightness_and_colour() -> None:
    reference = normalise(*_found(an_image(WHITE)))
    elsewhere = an_image(DARK, ((230.0, 170.0, 60.0),), colour=(60, 66, 50), seed=0)
    crop = normalise(*_found(elsewhere))
    assert crop.shape == (224, 224, 3)
    assert np.array_equal(crop[:, :, 0], crop[:, :, 2])
    assert (crop[0, 0] == round(GREY_MEAN)).all()
    y, x = np.mgrid[:224, :224] - 111.5
    inside = np.hypot(x, y) < 95
    assert np.corrcoef(reference[inside][:, 0], crop[inside][:, 0])[0, 1] > 0.9


def test_normalising_turns_counter_clockwise() -> None:
    image, outline = _found(an_image())
    upright, turned = normalise(image, outline), normalise(image, outline, turned_deg=90.0)
    back = np.rot90(upright)
    y, x = np.mgrid[:224, :224] - 111.5
    inside = np.hypot(x, y) < 95
    assert np.corrcoef(back[inside][:, 0], turned[inside][:, 0])[0, 1] > 0.98


def _found(image: Image) -> tuple[Image, Outline]:
    return image, find_coin(image)


@pytest.fixture
def shared() -> Path:
    """The folder of real photographs."""
    folder = os.environ.get("RIG_SHARED")
    if not folder:
        pytest.skip("RIG_SHARED is not set: no real photographs here")
    return Path(folder) / "data"


@pytest.mark.parametrize("step", usually((18,), (18, 1)))
def test_real_studio_photographs(shared: Path, step: int) -> None:
    for path in sorted((shared / "toulouse").glob("*.jpg"))[::step]:
        image = read_image(path)
        half = image.shape[1] // 2
        for side in (image[:, :half], image[:, half:]):
            outline = find_coin(np.ascontiguousarray(side))
            assert outline.confidence > 0.8, path.name
            assert 0.15 < outline.radius_px / half < 0.55, path.name


@pytest.mark.parametrize("step", usually((45,), (45, 4)))
def test_real_hand_held_photographs(shared: Path, step: int) -> None:
    folder = shared / "euro_same_coin"
    with (folder / "labels.csv").open() as file:
        names = [row["file"] for row in csv.DictReader(file)]
    for name in names[::step]:
        outline = find_coin(read_image(folder / name))
        assert outline.confidence > 0.8, name
        assert 0.35 < outline.radius_px / 288 < 0.5, name


def test_real_rooms_and_desks_hold_no_coin(shared: Path) -> None:
    """Chessboards before an office, a board on a desk, one with a computer mouse on it, a bare wall, colour charts."""
    names = [*(shared / "calibration").glob("ch*/*.jpg"), *(shared / "calibration").glob("coins_dslr/flat/*")]
    names += (shared / "calibration" / "colorchecker").glob("*.jpg")
    assert len(names) > 20
    assert [path.name for path in names if find_coins(read_image(path))] == []


def test_small_coins_beside_larger_ones_are_counted(shared: Path) -> None:
    folder = shared / "calibration" / "coins_dslr" / "coins"
    image = read_image(folder / "_DSC1772.JPG")
    assert count_page(image, find_coins(image)) == 6, "four that are large enough to be cut out, and two small ones"
