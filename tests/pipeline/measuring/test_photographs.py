"""`rig calibrate flat` and `colour`, and `rig measure`, on made-up photographs with a known answer and on real ones."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.colour import difference, reference_light
from calibration.image import Image, encode_png, read_image
from calibration.response import to_image, to_linear
from tests.pipeline.conftest import Rig
from tests.pipeline.measuring.conftest import save_all

SHARED = os.environ.get("RIG_SHARED")
real = pytest.mark.skipif(SHARED is None, reason="RIG_SHARED is not set")
DATA = Path(SHARED or ".") / "data" / "calibration"
CAST = np.array(
    [[0.55, 0.12, 0.02], [0.08, 0.7, 0.10], [0.03, 0.15, 0.4]]
)  # what a camera under a lamp makes of colours
EUROS_MM = {"_DSC1772.JPG": (24.25, 19.75, 21.25, 25.75, 23.25, 22.25), "_DSC1773.JPG": (25.75,) * 3 + (23.25, 22.25)}


def falling(height: int, width: int) -> np.ndarray:
    """Light that falls off to one side and to the corners, (H, W, 1)."""
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    return ((0.75 + 0.2 * x) * (1 - 0.15 * (x**2 + y**2)))[..., None].astype(np.float32)


def table(*, board: bool, coins: bool = False) -> np.ndarray:
    """Light (600, 800, 3) of a table with a board of squares of 40 px, and three coins of 130, 110 and 90 px."""
    seen = np.full((600, 800, 3), 0.55, np.float32)
    if board:
        y, x = np.indices((400, 280))
        seen[20:420, 500:780] = np.where((x // 40 + y // 40) % 2 == 0, 0.02, 0.8)[..., None]
    if coins:
        for x, y, across in COINS_PX:
            cv2.circle(seen, (x + 5, y + 5), across // 2 + 2, (0.3, 0.3, 0.3), cv2.FILLED)
        seen = cv2.GaussianBlur(seen, (0, 0), 7)  # soft shadows
        if board:
            y, x = np.indices((400, 280))
            seen[20:420, 500:780] = np.where((x // 40 + y // 40) % 2 == 0, 0.02, 0.8)[..., None]
        for x, y, across in COINS_PX:
            shift = 4
            cv2.circle(seen, (x << shift, y << shift), across << (shift - 1), (0.2, 0.17, 0.1), cv2.FILLED, 0, shift)
            cv2.circle(seen, (x << shift, y << shift), (across - 16) << (shift - 1), (0.35, 0.3, 0.2), 3, 0, shift)
    return seen


COINS_PX = ((120, 150, 130), (300, 180, 110), (200, 430, 90))


def photographed(light: np.ndarray, seed: int, dark: float = 0.004) -> Image:
    noise = np.random.default_rng(seed).normal(0, 0.004, light.shape)
    return to_image(np.clip(light + dark + noise, 0, 1).astype(np.float32))


def chart(*, cast: np.ndarray = CAST, light: float = 1.0) -> Image:
    """A ColorChecker as a camera sees it that stores light."""
    seen = np.full((400, 560, 3), 0.12)
    for number, patch in enumerate(reference_light()):
        row, column = divmod(number, 6)
        seen[40 + 82 * row : 110 + 82 * row, 40 + 82 * column : 110 + 82 * column] = np.clip(patch, 0, None)
    ground = seen * 0 + 0.35
    ground[20:380, 20:540] = 0.02
    inner = np.zeros((400, 560), bool)
    for number in range(24):
        row, column = divmod(number, 6)
        inner[40 + 82 * row : 110 + 82 * row, 40 + 82 * column : 110 + 82 * column] = True
    seen = np.where(inner[..., None], seen, ground) @ cast * light
    seen += np.random.default_rng(1).normal(0, 0.001, seen.shape)
    return np.pad(np.clip(seen * 255, 0, 255).round().astype(np.uint8), ((60, 60), (60, 60), (0, 0)), mode="edge")


@pytest.mark.slow
def test_a_flat_is_taken_through_the_board_that_lies_in_it(rig: Rig, tmp_path: Path) -> None:
    light = falling(600, 800)
    save_all([photographed(table(board=True) * light, n) for n in (1, 2)], tmp_path / "flat")
    dark = photographed(np.zeros((600, 800, 3), np.float32), 3)
    dark[100, 200] = dark[400, 33] = 160
    save_all([dark], tmp_path / "dark")
    coins = photographed(table(board=True, coins=True) * light, 5)
    coins[100, 200] = coins[400, 33] = 255
    save_all([coins], tmp_path / "coins")
    ran = rig("calibrate", "flat", "--dark", "dark", "--flat", "flat", "--out", "flat.npz", "--json")
    assert ran.code == 0 and ran.json["hot_pixels"] == 2 and 0.02 < ran.json["masked"] < 0.5, ran.err
    done = rig("calibrate", "apply", "coins", "--flat", "flat.npz", "--out", "even", "--json")
    assert done.code == 0, done.err
    even = read_image(Path(tmp_path / "even" / "0.tif"))
    light = to_linear(even)
    places = ((20, 20), (450, 30), (20, 570), (780, 580))
    patches = [float(light[y - 15 : y + 15, x - 15 : x + 15].mean()) for x, y in places]
    assert max(patches) / min(patches) < 1.03, patches
    assert int(even[400, 33].max()) < 230, "hot pixels are mended"
    measured = rig("measure", "coins", "--board", "chessboard:6x9:5", "--flat", "flat.npz", "--json")
    assert measured.code == 0, measured.err
    found = sorted(coin["diameter_mm"] for coin in measured.json["photographs"][0]["coins"])
    assert found == pytest.approx([(across + 1) / 8 for across in (90, 110, 130)], rel=0.012)


def test_a_coin_that_is_not_round_is_measured_by_its_outline(rig: Rig, tmp_path: Path) -> None:
    """A flan as ancient ones are: no circle fits, and the circle around it is not its diameter."""
    image = np.full((400, 400, 3), 230, np.uint8)
    turn = np.linspace(0, 2 * np.pi, 360, endpoint=False)
    radius = 110 * (1 + 0.05 * np.cos(2 * turn) + 0.03 * np.cos(3 * turn + 1) + 0.02 * np.cos(5 * turn))
    edge = np.stack([200 + radius * np.cos(turn), 200 + radius * np.sin(turn)], axis=1)
    cv2.fillPoly(image, [edge.round().astype(np.int32)], (90, 85, 70))
    (tmp_path / "flan.png").write_bytes(encode_png(cv2.GaussianBlur(image, (0, 0), 1.0)))
    ran = rig("measure", "flan.png", "--mm-per-pixel", 0.1, "--json")
    assert ran.code == 0, ran.err
    (coin,) = ran.json["photographs"][0]["coins"]
    area = cv2.contourArea(edge.astype(np.float32))
    assert coin["round"] is False and coin["diameter_mm"] == pytest.approx(0.2 * np.sqrt(area / np.pi), rel=0.02)
    assert coin["diameter_max_mm"] / coin["diameter_min_mm"] > 1.06


def test_frames_that_are_no_good_are_refused(rig: Rig, tmp_path: Path) -> None:
    card = photographed(falling(160, 200) * np.full((160, 200, 3), 0.5, np.float32), 1)
    save_all([card], tmp_path / "flat")
    save_all([card], tmp_path / "light")
    save_all([card[:, :100]], tmp_path / "small")
    save_all([np.full_like(card, 255)], tmp_path / "clipped")
    save_all([np.random.default_rng(3).integers(40, 220, card.shape).astype(np.uint8)], tmp_path / "noise")
    for options, reason in (
        (("--flat", "flat", "--dark", "light"), "dark frame is light"),
        (("--flat", "flat", "--bias", "small"), "different sizes"),
        (("--flat", "clipped"), "over-exposed"),
        (("--flat", "nowhere"), "does not exist"),
    ):
        ran = rig("calibrate", "flat", *options)
        assert ran.code in (1, 2) and reason in ran.err, ran.err


@pytest.mark.slow
def test_colours_come_out_true_whatever_the_lamp(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "chart.png").write_bytes(encode_png(chart()))
    ran = rig("calibrate", "colour", "--image", "chart.png", "--out", "colour.yaml", "--json")
    assert (
        ran.code == 0
        and ran.json["charts"][0]["ciede2000"]["mean"] < 1.5
        and ran.json["charts"][0]["response"] == "linear"
    ), ran.err
    done = rig("calibrate", "apply", "chart.png", "--colour", "colour.yaml", "--out", "true")
    assert done.code == 0, done.err
    true = to_linear(read_image(tmp_path / "true" / "chart.tif"))
    patches = np.array(
        [
            true[115 + 82 * row : 155 + 82 * row, 115 + 82 * column : 155 + 82 * column].reshape(-1, 3).mean(axis=0)
            for row in range(4)
            for column in range(6)
        ]
    )
    assert difference(patches, np.clip(reference_light(), 0, 1)).mean() < 2.0
    corners = "135,135 545,135 545,381 135,381"
    by_hand = rig("calibrate", "colour", "--image", "chart.png", "--corners", corners, "--json")
    assert by_hand.code == 0 and by_hand.json["charts"][0]["ciede2000"]["mean"] < 1.5, by_hand.err


@pytest.mark.slow
def test_charts_that_are_no_good_are_refused_with_the_reason(rig: Rig, tmp_path: Path) -> None:
    good = chart()
    shaded = (good * np.linspace(1, 0.4, good.shape[1])[None, :, None]).astype(np.uint8)
    for name, image, reason in (
        ("upside-down", good[::-1, ::-1], "upside down"),
        ("clipped", np.clip(good.astype(int) * 3, 0, 255).astype(np.uint8), "clipped"),
        ("dark", good // 5, "badly lit"),
        ("shaded", shaded, "light falls by"),
        ("none", np.full_like(good, 90), "shows no ColorChecker"),
    ):
        (tmp_path / f"{name}.png").write_bytes(encode_png(np.ascontiguousarray(image)))
        ran = rig("calibrate", "colour", "--image", f"{name}.png", "--out", "colour.yaml")
        assert ran.code == 1 and reason in ran.err, (name, ran.err)
    wrong = rig("calibrate", "colour", "--image", "upside-down.png", "--corners", "1,1 2,2")
    assert wrong.code == 2 and "four places" in wrong.err
    assert not (tmp_path / "colour.yaml").exists()


def test_files_that_are_no_calibration_are_refused(rig: Rig, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encode_png(np.full((60, 80, 3), 90, np.uint8)))
    (tmp_path / "bad.yaml").write_text("kind: lens\nmatrix: [[1, 2], [3]]\n")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 damaged")
    for option, file in (("--lens", "bad.yaml"), ("--colour", "bad.yaml"), ("--flat", "bad.npz"), ("--flat", "no.npz")):
        ran = rig("calibrate", "apply", "a.png", option, file, "--out", "out")
        assert ran.code == 1 and f"rig calibrate {option[2:]}" in ran.err.replace("\n", " "), ran.err
    assert rig("calibrate", "apply", "a.png", "--out", "out").code == 2
    folder = rig("calibrate", "flat", "--flat", "a.png", "--out", tmp_path)
    assert folder.code == 2 and "is a folder" in folder.err
    small = rig("calibrate", "flat", "--flat", "a.png")
    assert small.code == 1 and "too small" in small.err
    assert rig("measure", "a.png").code == 2 and rig("measure", "a.png", "--board", "chessboard:9x6").code == 2


@real
@pytest.mark.slow
def test_real_coins_measure_what_they_should(rig: Rig) -> None:
    """A Nikon's frames, the squares of 12.5 mm (swapnilbaad/Coin-Identidication, geometry_calibration.m)."""
    frames = [option for kind in ("bias", "dark", "flat") for option in (f"--{kind}", DATA / "coins_dslr" / kind)]
    ran = rig("calibrate", "flat", *frames, "--out", "flat.npz", "--json")
    assert ran.code == 0 and ran.json["hot_pixels"] > 50 and ran.json["gain"][1] < 1.6, ran.err
    measured = rig(
        "measure", DATA / "coins_dslr" / "coins", "--board", "chessboard:7x7:12.5", "--flat", "flat.npz", "--json"
    )
    assert measured.code == 0, measured.err
    for photograph in measured.json["photographs"]:
        found = [coin["diameter_mm"] for coin in photograph["coins"]]
        assert found == pytest.approx(EUROS_MM[photograph["file"]], rel=0.02), json.dumps(photograph)


@real
@pytest.mark.slow
@pytest.mark.parametrize("model", ["linear", "root-polynomial"])
def test_real_charts_become_true_and_the_third_is_refused(rig: Rig, model: str) -> None:
    for name in ("d65_colorchecker.jpg", "TL84_colorchecker.jpg"):
        ran = rig("calibrate", "colour", "--image", DATA / "colorchecker" / name, "--model", model, "--json")
        assert ran.code == 0 and ran.json["charts"][0]["ciede2000"]["mean"] < 3, ran.err
    refused = rig("calibrate", "colour", "--image", DATA / "colorchecker" / "exposure30.jpg", "--model", model)
    assert refused.code == 1 and "badly lit" in refused.err


def test_a_folder_of_charts_is_reported_chart_by_chart(rig: Rig, tmp_path: Path) -> None:
    save_all([chart(), chart() // 5], tmp_path / "charts")
    ran = rig("calibrate", "colour", "--images", "charts", "--json")
    assert ran.code == 3 and [each["file"] for each in ran.json["charts"]] == ["0.png"] and "badly lit" in ran.err
    assert rig("calibrate", "colour", "--images", "charts", "--out", "colour.yaml").code == 2, "which one to keep?"


@pytest.mark.slow
def test_noise_of_single_pixels_is_no_unevenness_and_the_edge_of_a_shadow_is(rig: Rig, tmp_path: Path) -> None:
    noisy = np.clip(chart() + np.random.default_rng(4).normal(0, 3, chart().shape), 0, 255)
    (tmp_path / "noisy.png").write_bytes(encode_png(noisy.astype(np.uint8)))
    ran = rig("calibrate", "colour", "--image", "noisy.png", "--corners", "135,135 545,135 545,381 135,381", "--json")
    assert ran.code == 0 and ran.json["charts"][0]["ciede2000"]["mean"] < 2, ran.err
    noisy[:, :302] *= 0.5  # the shadow's edge runs through the third column of patches
    (tmp_path / "shadow.png").write_bytes(encode_png(noisy.astype(np.uint8)))
    ran = rig("calibrate", "colour", "--image", "shadow.png", "--corners", "135,135 545,135 545,381 135,381")
    assert ran.code == 1 and "patch 3 of the chart is uneven" in ran.err, ran.err
