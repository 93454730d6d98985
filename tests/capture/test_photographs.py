"""Coins photographed elsewhere: which file shows what, where the coin is on it, and what to do when there is none."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibration.outline import find_coin
from capture.photographs import PhotoDrawer, photo_sides, read_photo
from rig.twin.coins.drawer import DrawerError
from rig.twin.coins.procedural import procedural_side
from rig.twin.coins.reproduction import reproduction

SHARED = os.environ.get("RIG_SHARED")


def _photo(coin: str, side: str = "obverse") -> np.ndarray:
    return cv2.resize(reproduction(procedural_side(coin, side), 3, "photograph"), (300, 300))  # type: ignore[arg-type]


def _write(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1])
    return path


def test_stitched_and_single_photographs_are_distinguished(tmp_path: Path) -> None:
    stitched = _write(tmp_path / "2024.1.1.jpg", np.hstack([_photo("a"), _photo("a", "reverse")]))
    obverse = _write(tmp_path / "2024.1.2_obv.png", _photo("b"))
    reverse = _write(tmp_path / "2024.1.2_REV.jpg", _photo("b", "reverse"))
    (tmp_path / "notes.txt").write_text("not a photograph")
    coins = photo_sides(tmp_path)
    assert list(coins) == ["2024.1.1", "2024.1.2"]
    assert {side: photo.half for side, photo in coins["2024.1.1"].items()} == {"obverse": "left", "reverse": "right"}
    assert coins["2024.1.1"]["obverse"].path == stitched
    assert coins["2024.1.2"]["obverse"].path == obverse
    assert coins["2024.1.2"]["reverse"].path == reverse
    left = read_photo(coins["2024.1.1"]["obverse"])
    assert left.shape == (300, 300, 3)
    assert np.abs(left.astype(int) - _photo("a")).mean() < 6


def test_hidden_files_and_a_stray_image_do_not_reject_a_folder(tmp_path: Path) -> None:
    _write(tmp_path / "2024.1.2_obv.png", _photo("b"))
    _write(tmp_path / "cover.jpg", _photo("c"))
    (tmp_path / ".thumbnails").mkdir()
    for name in ("._2024.1.2_obv.png", ".hidden_obv.jpg", "Thumbs.db"):
        (tmp_path / name).write_bytes(b"not an image")
    assert list(photo_sides(tmp_path)) == ["2024.1.2"]


@given(
    name=st.text(st.sampled_from("abcXYZ019._- é"), min_size=1, max_size=12).filter(lambda name: name[0] != "."),
    side=st.sampled_from(["obv", "rev", "obverse", "reverse", "OBV", "Reverse"]),
    joint=st.sampled_from(["_", "-"]),
)
def test_any_name_before_the_side_is_the_coins(
    tmp_path_factory: pytest.TempPathFactory, name: str, side: str, joint: str
) -> None:
    folder = tmp_path_factory.mktemp("photos")
    (folder / f"{name}{joint}{side}.png").write_bytes(b"x")
    expected = "obverse" if side.lower().startswith("obv") else "reverse"
    assert {coin: list(sides) for coin, sides in photo_sides(folder).items()} == {name: [expected]}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no photographs"),
        ({"coin.jpg": "square"}, "call it coin_obv.jpg"),
        ({"coin.jpg": "text"}, "not an image"),
        ({"coin.jpg": "empty"}, "is an empty file"),
        ({"coin_obv.jpg": "square", "coin_obverse.png": "square"}, "both show the obverse of coin"),
    ],
)
def test_bad_folders_say_what_to_do(tmp_path: Path, files: dict[str, str], message: str) -> None:
    for name, content in files.items():
        if content == "square":
            _write(tmp_path / name, np.full((60, 60, 3), 255, np.uint8))
        else:
            (tmp_path / name).write_bytes(b"" if content == "empty" else b"not an image")
    with pytest.raises(DrawerError, match=message):
        photo_sides(tmp_path)


def test_missing_folder_and_missing_coin(tmp_path: Path) -> None:
    with pytest.raises(DrawerError, match="cannot be listed"):
        photo_sides(tmp_path / "nowhere")
    _write(tmp_path / "a_obv.jpg", _photo("a"))
    drawer = PhotoDrawer(tmp_path)
    with pytest.raises(DrawerError, match="no photograph of the reverse of a"):
        drawer.side_texture("a", "reverse")


def test_photograph_without_a_coin(tmp_path: Path) -> None:
    _write(tmp_path / "a_obv.png", np.full((200, 200, 3), 250, np.uint8))
    with pytest.raises(DrawerError, match="no coin was found"):
        PhotoDrawer(tmp_path).side_texture("a", "obverse")


def test_surface_keeps_the_photographs_colours(tmp_path: Path) -> None:
    image = np.full((400, 400, 3), 255, np.uint8)
    rng = np.random.default_rng(1)
    coin = np.clip(rng.normal((150, 110, 70), 6, (400, 400, 3)), 0, 255).astype(np.uint8)
    inside = np.zeros((400, 400), np.uint8)
    cv2.circle(inside, (200, 200), 150, 255, -1)
    image[inside > 0] = coin[inside > 0]
    _write(tmp_path / "a_obv.png", image)
    surface = PhotoDrawer(tmp_path, diameter_mm=25.0).side_texture("a", "obverse")
    assert surface.diameter_mm == 25.0
    red, green, blue = surface.albedo[surface.coverage > 0.9].mean(axis=0)
    assert red / green == pytest.approx((150 / 110) ** 2.2, rel=0.1)
    assert green / blue == pytest.approx((110 / 70) ** 2.2, rel=0.1)


@pytest.mark.skipif(SHARED is None, reason="RIG_SHARED is not set")
def test_roman_coins_are_found_on_their_photographs() -> None:
    coins = photo_sides(Path(str(SHARED)) / "data" / "toulouse")
    assert len(coins) == 579
    for coin in list(coins)[::60]:
        for photo in coins[coin].values():
            mask = find_coin(read_photo(photo)).mask.astype(np.uint8)
            contour = max(cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0], key=cv2.contourArea)
            _, radius = cv2.minEnclosingCircle(contour)
            assert 0.75 < cv2.contourArea(contour) / (np.pi * radius**2) <= 1
            assert 90 < radius < 230
