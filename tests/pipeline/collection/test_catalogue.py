"""`rig catalogue add`: an image is known by its bytes, never by its folder or name."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from calibration.image import encode_lossless
from tests.pipeline.conftest import Rig

Fill = Callable[..., Path]


@pytest.fixture
def empty_lab(rig: Rig, tmp_path: Path) -> Path:
    lab = tmp_path / "empty"
    assert rig("init", "--collection", "--lab", lab).code == 0
    return lab


def coin_image(content: int) -> bytes:
    """A disc on white, of another surface for each content."""
    image = np.full((160, 160, 3), 250, np.uint8)
    inside = np.hypot(*np.mgrid[-80:80, -80:80]) < 60
    image[inside] = np.random.default_rng(content).integers(60, 130, (int(inside.sum()), 1))
    return encode_lossless(image)


@pytest.fixture
def plates(tmp_path: Path) -> Fill:
    """Write a folder of images, each of another content, into a year's folder."""

    def fill(year: str, **images: int) -> Path:
        folder = tmp_path / year / "plates"
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in images.items():
            (folder / f"{name}.jxl").write_bytes(coin_image(content))
        return folder

    return fill


def live(lab: Path) -> list[tuple[str, str]]:
    with sqlite3.connect(lab / "store" / "index.sqlite") as index:
        rows = index.execute("SELECT id, coin_id FROM entry WHERE removed_at IS NULL ORDER BY number").fetchall()
    return [(row[0], row[1]) for row in rows]


def test_another_folder_of_the_same_name_is_not_taken_for_the_first(rig: Rig, empty_lab: Path, plates: Fill) -> None:
    first, second = plates("1933", lot1_obv=1, lot1_rev=2), plates("1976", lot1_obv=3, lot1_rev=4)
    assert rig("catalogue", "add", first, "--lab", empty_lab, "--json").json["entries"] == 2
    again = rig("catalogue", "add", first, "--lab", empty_lab, "--json")
    assert (again.code, again.json["known"], again.json["entries"]) == (0, 2, 0)
    clash = rig("catalogue", "add", second, "--lab", empty_lab)
    assert clash.code == 3 and "lot1_obv.jxl (stored: plates, lot1_obv, obverse)" in clash.err
    assert "--replace" in clash.err and "--sale NAME" in clash.err
    named = rig("catalogue", "add", second, "--sale", "Hess 1976", "--lab", empty_lab, "--json").json
    assert (named["entries"], named["renamed"]) == (2, {"lot1": "Hess 1976, lot1"}), "lot 1 of two sales is two coins"
    assert {coin for _, coin in live(empty_lab)} == {"lot1", "Hess 1976, lot1"}
    again = rig("catalogue", "add", second, "--sale", "Hess 1976", "--lab", empty_lab, "--json").json
    assert (again["known"], again["entries"]) == (2, 0)


def test_images_by_reference_stay_where_they_are_and_one_that_was_moved_is_named(
    rig: Rig, empty_lab: Path, plates: Fill
) -> None:
    folder = plates("1933", lot1_obv=1, lot1_rev=2, lot2_obv=3)
    add = ("catalogue", "add", folder, "--reference", "--lab", empty_lab)
    assert rig(*add).code == 0
    files = [path for path in (empty_lab / "store" / "files").rglob("*") if not path.is_dir()]
    assert len(files) == 3 and all(path.is_symlink() for path in files)
    assert rig("store", "verify", "--lab", empty_lab).code == 0
    (folder / "lot1_obv.jxl").rename(folder / "elsewhere.jxl")
    (folder / "lot2_obv.jxl").write_bytes(coin_image(4))
    ran = rig("store", "verify", "--lab", empty_lab)
    assert ran.code == 1 and f"missing: {folder}/lot1_obv.jxl" in ran.err, ran.err
    assert f"damaged: {folder}/lot2_obv.jxl" in ran.err and "added by reference" in ran.err
    assert rig("store", "rebuild", "--lab", empty_lab).code in (0, 1)
    (folder / "lot2_obv.jxl").write_bytes(coin_image(3))
    moved = plates("1934", lot1_obv=1, lot1_rev=2, lot2_obv=3)
    assert rig("catalogue", "add", moved, "--reference", "--lab", empty_lab, "--json").json["known"] == 3
    assert rig("store", "verify", "--lab", empty_lab).code == 0
    assert rig("catalogue", "add", moved, "--lab", empty_lab, "--json").json["known"] == 3
    assert not any(path.is_symlink() for path in files) and rig("store", "verify", "--lab", empty_lab).code == 0


def test_a_corrected_image_takes_the_place_of_the_former(rig: Rig, empty_lab: Path, plates: Fill) -> None:
    folder = plates("1933", lot1_obv=1, lot2_obv=2)
    add = ("catalogue", "add", folder, "--lab", empty_lab, "--json")
    assert rig(*add).code == 0
    plates("1933", lot1_obv=9)
    corrected = rig(*add).json
    assert (corrected["replaced"], corrected["known"]) == (1, 1)
    assert [each for each, _ in live(empty_lab)] == ["plates, lot2_obv, obverse", "plates, lot1_obv, obverse (2)"]
    assert rig(*add).json["known"] == 2
    (folder / "lot2_obv.jxl").rename(folder / "lot3_obv.jxl")
    assert rig(*add).json["replaced"] == 1
    assert {coin for _, coin in live(empty_lab)} == {"lot1", "lot3"}
    plates("1933", lot1_obv=1)
    assert rig(*add, "--replace").json["replaced"] == 1, "also back to what it was"
    assert rig("catalogue", "restore", "lot1", "--lab", empty_lab, "--json").json == {"coins": {}}
    assert len(live(empty_lab)) == 2 and rig("store", "verify", "--lab", empty_lab).code == 0


def test_one_image_under_two_names_is_reported(rig: Rig, empty_lab: Path, plates: Fill) -> None:
    ran = rig("catalogue", "add", plates("1933", lot1_obv=1, lot7_obv=1), "--lab", empty_lab)
    assert ran.code == 3 and "lot7_obv.jxl is the same image as lot1_obv.jxl" in ran.err
    assert [coin for _, coin in live(empty_lab)] == ["lot1"]


def test_any_name_that_a_museum_uses(rig: Rig, empty_lab: Path, tmp_path: Path) -> None:
    name = "Боспорское царство, Пантикапей, статер, сатир влево, грифон влево на колосе, 340-325 до н.э., Эрмитаж"
    folder = tmp_path / "Каталог монет Северного Причерноморья"
    folder.mkdir()
    short = name[:110]
    (folder / f"{short}_obv.jxl").write_bytes(coin_image(1))
    assert rig("catalogue", "add", folder, "--lab", empty_lab, "--json").json["entries"] == 1
    assert live(empty_lab)[0][1] == short
    assert rig("store", "verify", "--lab", empty_lab).code == 0
    assert rig("store", "rebuild", "--lab", empty_lab).code == 0
    assert live(empty_lab)[0][1] == short, "the index made of the records has the whole name"


def test_an_empty_name_is_reported_as_that_and_no_sale(rig: Rig, empty_lab: Path, plates: Fill) -> None:
    assert rig("catalogue", "add", plates("1933", lot1_obv=1), "--lab", empty_lab).code == 0
    ran = rig("catalogue", "remove", "", "--lab", empty_lab)
    assert ran.code == 1 and "not in the catalogue: ''" in ran.err and "None" not in ran.err
