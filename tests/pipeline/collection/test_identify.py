"""`rig identify`, and the catalogue it asks."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.image import encode_jpeg, read_image
from tests.pipeline.conftest import COINS, Rig, command
from tests.processes import environment


@pytest.fixture
def photo(photographs: Path, tmp_path: Path) -> Path:
    """The obverse of the second coin, turned, smaller, darker."""
    image = read_image(photographs / f"{COINS[1]}.jpg")
    side = image[:, : image.shape[1] // 2]
    small = cv2.resize(side, None, fx=0.8, fy=0.8, interpolation=cv2.INTER_AREA)
    centre = (small.shape[1] / 2, small.shape[0] / 2)
    turned = cv2.warpAffine(
        small, cv2.getRotationMatrix2D(centre, 70, 1), small.shape[1::-1], borderValue=(250, 250, 250)
    )
    path = tmp_path / "photo.jpg"
    path.write_bytes(encode_jpeg((turned * 0.8).astype("uint8")))
    return path


def test_a_photograph_finds_its_coin_at_any_turn(rig: Rig, lab: Path, photo: Path) -> None:
    ran = rig("identify", photo, "--lab", lab, "--json")
    assert ran.code == 0, ran.err
    (answer,) = ran.json
    assert set(answer) == {"image", "verdict", "candidates"}
    assert answer["image"] == str(photo)
    assert answer["candidates"][0]["coin"] == COINS[1]
    assert COINS[1] in answer["candidates"][0]["entry"] and "obverse" in answer["candidates"][0]["entry"]
    probabilities = [each["probability"] for each in answer["candidates"]]
    assert probabilities == sorted(probabilities, reverse=True) and sum(probabilities) <= 1.001
    (laid,) = answer["candidates"][0]["registrations"]
    assert laid["entry"] == answer["candidates"][0]["entry"] and laid["side"] == "obverse" and laid["inliers"] > 100
    matrix = np.array(laid["matrix"])
    assert np.hypot(*matrix[:, 0]) == pytest.approx(1.0, abs=0.03), "both crops hold the coin, so that scales agree"
    assert np.abs(matrix @ (0.5, 0.5, 1.0) - 0.5).max() < 0.02, "and so do their centres"
    turned = np.degrees(np.arctan2(-matrix[1, 0], matrix[0, 0]))
    assert abs((laid["turn_deg"] + turned + 70.0 + 180.0) % 360.0 - 180.0) < 2.0, "it was turned by 70 degrees"


def test_a_file_that_is_no_image_is_reported_and_the_others_are_answered(rig: Rig, lab: Path, photo: Path) -> None:
    text, blank = photo.with_name("notes.txt"), photo.with_name("blank.png")
    text.write_text("no image")
    cv2.imwrite(str(blank), 255 * (read_image(photo) > -1).astype("uint8"))
    mixed = rig("identify", text, photo, blank, "missing.jpg", "--lab", lab, "--json")
    assert mixed.code == 3
    assert [bool(each.get("error")) for each in mixed.json] == [True, False, True, True]
    alone = rig("identify", text, "--lab", lab)
    assert alone.code == 1
    assert "notes.txt" in alone.err and "JPEG" in alone.err and "Traceback" not in alone.err


def test_every_coin_of_an_image_has_an_answer_and_the_catalogue_takes_one_side_an_image(
    rig: Rig, lab: Path, photo: Path, photographs: Path, tmp_path: Path
) -> None:
    stitched = [read_image(photographs / f"{coin}.jpg") for coin in COINS]
    sides = [cv2.resize(image[:, : image.shape[1] // 2], (160, 160)) for image in stitched]
    page = np.vstack([np.hstack(sides[:3]), np.hstack(sides[3:])])
    images = {
        "page_obv.png": page,
        "many_rev.png": np.vstack([np.hstack([cv2.resize(page, None, fx=0.5, fy=0.5)] * 4)] * 4),
        "wide.png": np.vstack([np.hstack(sides[:4]), np.hstack(sides[2:])]),
        "across.png": np.pad(sides[0], ((0, 0), (80, 80), (0, 0)), mode="edge"),
        "blank_obv.png": np.full((160, 160, 3), 240, np.uint8),
        "lot1_obv.png": sides[0],
    }
    (tmp_path / "sale").mkdir()
    for name, image in images.items():
        cv2.imwrite(str(tmp_path / "sale" / name), cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    added = rig("catalogue", "add", tmp_path / "sale", "--lab", lab, "--json")
    assert (added.code, added.json["entries"], len(added.json["refused"])) == (3, 1, 5)
    why = {name: next(line for line in added.json["refused"] if name in line) for name in images if "lot1" not in name}
    assert "shows 6 coins" in why["page_obv.png"] and "shows 96 coins" in why["many_rev.png"]
    assert all("--pages" in why[name] for name in ("page_obv.png", "many_rev.png"))
    assert "(left half) shows 4 coins" in why["wide.png"] and "lies across its middle" in why["across.png"]
    assert "no coin was found" in why["blank_obv.png"]
    two = tmp_path / "two.png"
    cv2.imwrite(str(two), cv2.cvtColor(page[:, 160:][:160], cv2.COLOR_RGB2BGR))
    answers = rig("identify", two, "--lab", lab, "--json").json
    assert [each["candidates"][0]["coin"] for each in answers] == [COINS[1], COINS[2]]
    assert [each["coin_number"] for each in answers] == [1, 2]
    for x, (left, top, right, bottom) in zip((0, 160), (each["box"] for each in answers), strict=True):
        assert x <= left < x + 30 and 0 <= top < 30 and x + 130 < right <= x + 160 and 130 < bottom <= 160
    beyond = rig("identify", tmp_path / "sale" / "page_obv.png", "--coin", 7, "--lab", lab)
    assert beyond.code == 1 and "shows 6 coins: there is no coin 7" in beyond.err


@pytest.mark.slow
def test_a_page_is_answered_coin_by_coin_and_two_sides_in_one_image_as_one_coin(
    rig: Rig, lab: Path, photographs: Path, tmp_path: Path
) -> None:
    stitched = [read_image(photographs / f"{coin}.jpg") for coin in COINS]
    sides = [cv2.resize(image[:, : image.shape[1] // 2], (160, 160)) for image in stitched]
    small = [cv2.resize(side, (80, 80), interpolation=cv2.INTER_AREA) for side in sides]
    page = np.full((640, 480, 3), 250, np.uint8)
    page[280:360] = np.hstack(small)
    cv2.imwrite(str(tmp_path / "page.png"), cv2.cvtColor(page, cv2.COLOR_RGB2BGR))
    answers = rig("identify", tmp_path / "page.png", "--report", "--lab", lab, "--json").json
    assert [each["coin_number"] for each in answers] == [1, 2, 3, 4, 5, 6]
    assert sum(each["candidates"][0]["coin"] == coin for coin, each in zip(COINS, answers, strict=True)) >= 5
    assert "page.png, coin 2: " in rig("identify", tmp_path / "page.png", "--coin", 2, "--lab", lab).out
    both = photographs / f"{COINS[2]}.jpg"
    (together,) = rig("identify", both, "--same-coin", "--lab", lab, "--json").json
    assert together["candidates"][0]["coin"] == COINS[2] and "box" not in together
    asked = rig("identify", tmp_path / "page.png", "--same-coin", "--lab", lab)
    assert asked.code == 1 and "--coin 1 to --coin 6" in asked.err


@pytest.mark.slow
def test_what_needs_no_model_is_done_before_one_is_loaded(rig: Rig, lab: Path, photo: Path) -> None:
    blank = photo.with_name("blank.png")
    cv2.imwrite(str(blank), np.full((200, 200, 3), 240, np.uint8))
    block = "import sys; sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'faiss', 'safetensors')))"
    program = f"{block}; from pipeline.cli import main; main()"
    args = [command()[0], "-c", program, "identify", "--lab", str(lab)]
    for image, why in ((blank, "no coin was found"), (photo, "identifying needs torch")):
        ran = subprocess.run([*args, str(image)], env=environment(), capture_output=True, text=True, check=False)
        assert ran.returncode == 1 and why in ran.stderr
        assert ran.stderr.startswith("Looking for the coin in 1 photograph.\n")


def test_images_of_the_same_coin_are_one_item_whatever_they_are(rig: Rig, lab: Path, photo: Path) -> None:
    text, other = photo.with_name("notes.txt"), photo.with_name("empty.jpg")
    text.write_text("no image")
    other.touch()
    (answer,) = rig("identify", "--same-coin", photo, text, "--lab", lab, "--json").json
    assert answer["candidates"][0]["coin"] == COINS[1] and "notes.txt" in answer["error"]
    ran = rig("identify", "--same-coin", text, other, "--lab", lab, "--json")
    (answer,) = ran.json
    assert (ran.code, answer["verdict"], answer["candidates"]) == (1, None, [])
    assert "notes.txt" in answer["error"] and "empty.jpg" in answer["error"]


def test_an_empty_catalogue_is_reported(rig: Rig, lab: Path, photo: Path) -> None:
    assert rig("catalogue", "remove", *COINS, "--lab", lab).code == 0
    for args in (("identify", photo), ("scan", "--tray", 1)):
        ran = rig(*args, "--lab", lab)
        assert ran.code == 1
        assert "is empty" in ran.err and "rig catalogue add" in ran.err
        assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.slow
def test_a_coin_taken_out_of_the_catalogue_is_not_found_until_it_is_restored(rig: Rig, lab: Path, photo: Path) -> None:
    def first() -> str:
        return str(rig("identify", photo, "--lab", lab, "--json").json[0]["candidates"][0]["coin"])

    assert rig("catalogue", "remove", COINS[1], "--dry-run", "--lab", lab).code == 0
    assert first() == COINS[1]
    assert rig("catalogue", "remove", COINS[1], "--lab", lab, "--json").json == {"coins": {COINS[1]: 2}}
    assert first() != COINS[1]
    again = rig("catalogue", "remove", COINS[1], "--lab", lab)
    assert again.code == 1 and COINS[1] in again.err
    assert rig("catalogue", "restore", COINS[1], "--lab", lab).code == 0
    assert first() == COINS[1]


def test_adding_twice_changes_nothing_and_a_bad_image_is_refused(
    rig: Rig, lab: Path, photographs: Path, tmp_path: Path
) -> None:
    again = rig("catalogue", "add", photographs, "--lab", lab, "--json")
    assert again.code == 0 and again.json["entries"] == 0 and again.json["known"] == 2 * len(COINS)
    more = Path(shutil.copytree(photographs, tmp_path / "more"))
    (more / "broken_obv.jpg").write_bytes(b"not an image")
    (more / "scan.jpg").write_bytes(b"not an image")  # neither side is named: it would have to show both
    (more / "square.png").write_bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1].tobytes())
    (more / "photo_obv.heic").write_bytes(b"....ftypheic....")
    (more / "notes.txt").write_text("lots 1 to 6")
    (more / "unreadable_obv.jpg").symlink_to("/proc/self/mem")
    mixed = rig("catalogue", "add", more, "--lab", lab, "--json")
    assert mixed.code == 3
    assert mixed.json["entries"] == 2 * len(COINS) and mixed.json["skipped"] == ["notes.txt"]
    refused = mixed.json["refused"]
    assert len(refused) == 5
    for name in ("broken_obv.jpg", "scan.jpg", "square.png", "photo_obv.heic", "unreadable_obv.jpg"):
        assert sum(name in line for line in refused) == 1
    assert any("call it square_obv.png or square_rev.png" in line for line in refused)
    printed = rig("catalogue", "add", more, "--lab", lab)
    assert "5 could not be used" in printed.out and "no images: notes.txt" in printed.err
    listed = rig("catalogue", "list", "--lab", lab, "--json").json
    assert listed == [{"sale": folder.name, "coins": 6, "entries": 12} for folder in (photographs, more)]
    entries = rig("catalogue", "list", "--sale", "more", "--lab", lab)
    assert "more: 6 coins, 12 entries" in entries.out and f"{COINS[0]}  obverse  {COINS[0]}.jpg" in entries.out
    assert sum(rig("catalogue", "remove", "--sale", "more", "--lab", lab, "--json").json["coins"].values()) == 12
    assert [sale["sale"] for sale in rig("catalogue", "list", "--lab", lab, "--json").json] == [photographs.name]
    assert rig("catalogue", "list", "--removed", "--lab", lab, "--json").json == [
        {"sale": "more", "coins": 6, "entries": 12}
    ]
    gone = rig("catalogue", "remove", "--sale", "more", "--lab", lab)
    assert gone.code == 1 and "not in the catalogue: sale more" in gone.err
    assert rig("catalogue", "remove", "--lab", lab).code == 2
    assert rig("catalogue", "restore", COINS[0], "--sale", "more", "--lab", lab, "--json").json == {
        "coins": {COINS[0]: 2}
    }
    nothing = rig("catalogue", "add", tmp_path / "nowhere", "--lab", lab)
    assert nothing.code == 2 and "is not a folder" in nothing.err


def test_a_model_that_does_not_exist_is_reported(rig: Rig, lab: Path, photo: Path) -> None:
    ran = rig("identify", photo, "--model", "resnet7000", "--lab", lab)
    assert ran.code == 1 and "starter" in ran.err and "Traceback" not in ran.err


@pytest.mark.slow
def test_a_lost_catalogue_image_is_no_evidence_and_stops_no_answer(rig: Rig, lab: Path, photo: Path) -> None:
    from capture.store import Store

    before = rig("identify", photo, "--lab", lab, "--json").json[0]["candidates"][0]
    with Store.open(lab / "store", writing=False) as store:
        (sha256,) = {entry.sha256 for entry in store.catalogue.entries() if entry.id == before["entry"]}
    (image,) = lab.glob(f"store/files/{sha256[:2]}/{sha256[2:]}*")
    image.unlink()
    ran = rig("identify", photo, "--lab", lab, "--report", "--json")
    assert ran.code == 0, ran.err
    best = ran.json[0]["candidates"][0]
    assert best["coin"] == before["coin"]
    assert best["registrations"][0]["matrix"] is None and best["registrations"][0]["inliers"] is None
