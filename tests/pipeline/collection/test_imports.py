"""`rig import` and `rig evaluate`: hand-held photographs with their labels."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow

from calibration.image import encode_jpeg, read_image
from tests.pipeline.conftest import COINS, Rig
from tests.pipeline.loop import frame


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    """Three coins, photographed on two days each under another lamp, and a label file."""
    folder = tmp_path / "holiday"
    folder.mkdir()
    lines = ["file,coin_id,denomination,placement"]
    for coin in COINS[:3]:
        for day, lamp_deg, turns in (("monday", 100.0, 0), ("tuesday", 190.0, 1)):
            name = f"{coin}-{day}.jpg"
            (folder / name).write_bytes(encode_jpeg(frame(coin, lamp_deg, turns)))
            lines.append(f"{name},{coin},follis,{day}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.mark.slow
def test_labelled_photographs_are_imported_once_and_evaluated(rig: Rig, lab: Path, holiday: Path) -> None:
    args = ("import", holiday, "--labels", holiday / "labels.csv", "--lab", lab, "--json")
    assert rig(*args, "--dry-run").json["photographs"] == 6
    first = rig(*args)
    assert first.code == 0, first.err
    assert {key: first.json[key] for key in ("photographs", "coins", "sessions", "known")} == {
        "photographs": 6,
        "coins": 3,
        "sessions": 2,
        "known": 0,
    }
    assert rig(*args).json["known"] == 6
    evaluated = rig("evaluate", "--synthetic", 2, "--lab", lab, "--json")
    assert evaluated.code == 0, evaluated.err
    assert set(evaluated.json) >= {
        *("protocol", "rank1", "rank5", "rank10", "map", "queries", "labels", "rank1_interval95"),
    }
    assert evaluated.json["queries"] == 3 and evaluated.json["labels"] == 3
    assert evaluated.json["rank1"] >= 0.3 and evaluated.json["excluded"] == []
    assert rig("store", "verify", "--lab", lab).code == 0


BAD_LABELS = {
    "no column": ("name,coin\na.jpg,1\n", "line 1", "file"),
    "no coin": ("file,coin\na.jpg,\n", "line 2", "both be given"),
    "odd side": ("file,coin,side\na.jpg,1,front\n", "line 2", "obverse or reverse"),
    "no lines": ("file,coin\n", "no lines", "columns"),
}


@pytest.mark.parametrize(("text", "where", "remedy"), BAD_LABELS.values(), ids=BAD_LABELS)
def test_a_bad_label_file_is_reported_and_nothing_is_imported(
    rig: Rig, lab: Path, holiday: Path, text: str, where: str, remedy: str
) -> None:
    (holiday / "labels.csv").write_text(text)
    ran = rig("import", holiday, "--labels", holiday / "labels.csv", "--lab", lab)
    assert ran.code == 1
    assert where in ran.err and remedy in ran.err
    assert rig("evaluate", "--lab", lab).code == 1


def test_missing_damaged_and_coinless_images_are_left_out_with_a_word(rig: Rig, lab: Path, holiday: Path) -> None:
    (holiday / f"{COINS[0]}-monday.jpg").unlink()
    (holiday / f"{COINS[1]}-monday.jpg").write_bytes(b"\xff\xd8\xff broken")
    cv2.imwrite(str(holiday / f"{COINS[2]}-monday.jpg"), np.full((200, 200, 3), 240, np.uint8))
    ran = rig("import", holiday, "--labels", holiday / "labels.csv", "--lab", lab, "--json")
    assert ran.code == 3
    assert ran.json["photographs"] == 4 and ran.json["quarantined"] == 1 and len(ran.json["refused"]) == 2


def test_a_photograph_of_several_coins_is_quarantined_and_its_coins_are_listed(
    rig: Rig, lab: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "desk"
    folder.mkdir()
    both = np.hstack([frame(coin, 100.0, 0) for coin in COINS[:2]])
    (folder / f"{COINS[0]}.jpg").write_bytes(encode_jpeg(both))
    done = rig("import", folder, "--lab", lab, "--json")
    boxes = done.json["several"][f"{COINS[0]}.jpg"]
    assert len(boxes) == 2 and boxes[0][2] <= both.shape[1] / 2 <= boxes[1][0]
    assert "two coins" in done.json["failures"][f"{COINS[0]}.jpg"]


def test_without_labels_names_and_folders_tell_the_coin(rig: Rig, lab: Path, holiday: Path, tmp_path: Path) -> None:
    loose = tmp_path / "loose"
    (loose / "A.7").mkdir(parents=True)
    for source, target in zip(sorted(holiday.glob("*.jpg")), ("B.1_obv.jpg", "B.1_rev.jpg", "A.7/1.jpg"), strict=False):
        (loose / target).write_bytes(source.read_bytes())
    ran = rig("import", loose, "--lab", lab, "--json")
    assert ran.code == 0 and ran.json["photographs"] == 3 and ran.json["coins"] == 2
    assert rig("evaluate", "--lab", lab).code == 1, "nothing was seen in two sessions"


def test_a_corrected_label_table_counts_from_then_on(rig: Rig, lab: Path, holiday: Path) -> None:
    table = holiday / "labels.csv"
    args = ("import", holiday, "--labels", table, "--lab", lab, "--json")
    assert rig(*args).code == 0
    name = f"{COINS[0]}-monday.jpg"
    table.write_text(table.read_text().replace(f"{name},{COINS[0]},", f"{name},{COINS[1]},"))
    expected = {name: COINS[1]}
    assert rig(*args, "--dry-run").json["relabelled"] == expected == rig(*args).json["relabelled"]
    assert rig(*args).json["relabelled"] == {}
    (line,) = rig("reviews", "--lab", lab, "--json").json
    assert (line["coin"], line["was"]) == (COINS[1], [COINS[0]])
    assert rig("label", COINS[2], "--frame", *line["frames"], "--why", "I looked", "--lab", lab).code == 0
    assert rig(*args).json["relabelled"] == {}, "what a person decided since is not undone by the same table"
    elsewhere = holiday.parent / "backup"
    shutil.copytree(holiday, elsewhere)
    (elsewhere / "labels.csv").write_text(f"file,coin\n{COINS[1]}-monday.jpg,{COINS[0]}\n")
    ran = rig("import", elsewhere, "--labels", elsewhere / "labels.csv", "--lab", lab)
    assert ran.code == 3 and f"was imported from {holiday.name} as coin {COINS[1]}, not {COINS[0]}" in ran.err


@pytest.mark.slow
def test_a_backup_imported_as_another_session_is_no_success(rig: Rig, lab: Path, holiday: Path, tmp_path: Path) -> None:
    assert rig("import", holiday, "--labels", holiday / "labels.csv", "--lab", lab).code == 0
    backup = tmp_path / "backup"
    backup.mkdir()
    lines = ["file,coin,type,session"]
    for coin in COINS[:3]:
        image = read_image(holiday / f"{coin}-monday.jpg")
        (backup / f"{coin}.jpg").write_bytes(encode_jpeg(np.ascontiguousarray(np.rot90(image)), 70))
        lines.append(f"{coin}.jpg,{coin},follis,wednesday")
    (backup / "labels.csv").write_text("\n".join(lines) + "\n")
    assert rig("import", backup, "--labels", backup / "labels.csv", "--lab", lab).code == 0
    ran = rig("evaluate", "--synthetic", 2, "--lab", lab, "--json")
    assert ran.json["queries"] == 3, "tuesday's photographs alone"
    assert {(each["image"], each["copy_of"]) for each in ran.json["excluded"]} == {
        (f"{coin}.jpg", f"{coin}-monday.jpg") for coin in COINS[:3]
    }
    built = rig("dataset", "build", "all", "--test", 0.34, "--validation", 0, "--lab", lab, "--json")
    assert built.code == 0, built.err
    assert built.json["copies"] == 3 and sum(built.json[part]["frames"] for part in ("train", "test")) == 6


def test_two_cards_with_the_same_names_are_both_imported(rig: Rig, lab: Path, holiday: Path, tmp_path: Path) -> None:
    assert rig("import", holiday, "--labels", holiday / "labels.csv", "--lab", lab).code == 0
    other = tmp_path / "other" / holiday.name
    other.mkdir(parents=True)
    (other / f"{COINS[0]}-monday.jpg").write_bytes((holiday / f"{COINS[1]}-tuesday.jpg").read_bytes() + b" ")
    ran = rig("import", other, "--lab", lab)
    assert ran.code == 0 and "Imported 1 photograph" in ran.out
    assert "another photograph of this name was imported" in ran.err and "rig store delete --frame" in ran.err


def test_a_folder_whose_name_no_encoding_knows(
    rig: Rig, lab: Path, holiday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / os.fsdecode(b"q\xff")
    folder.mkdir()
    (folder / "c1_obv.jpg").write_bytes((holiday / f"{COINS[0]}-monday.jpg").read_bytes())
    monkeypatch.setattr(sys, "argv", ["rig", "import", str(folder)])
    ran = rig("import", folder, "--lab", lab, "--json")
    assert ran.code == 0 and ran.json["photographs"] == 1, ran.err
    ran = rig("catalogue", "add", folder, "--lab", lab)
    assert ran.code == 2 and "--sale NAME" in ran.err


def test_links_pipes_and_names_that_no_disk_can_have_cost_no_other_photograph(
    rig: Rig, lab: Path, holiday: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "odd"
    (folder / "c1").mkdir(parents=True)
    (folder / "c1" / "1.jpg").write_bytes((holiday / f"{COINS[0]}-monday.jpg").read_bytes())
    for name in ("back", "again"):
        (folder / "c1" / name).symlink_to("..")  # two ways round in each folder: 2 ** 40 paths
    (folder / "a link").symlink_to("c1")
    (folder / "self.jpg").symlink_to("self.jpg")
    (folder / "gone_obv.jpg").symlink_to("nowhere.jpg")
    os.mkfifo(folder / "pipe_obv.jpg")
    ran = rig("import", folder, "--lab", lab, "--json", "--dry-run")
    assert (ran.code, ran.json["photographs"], ran.json["coins"], ran.json["known"]) == (3, 1, 1, 0), ran.err
    assert all(name in " ".join(ran.json["refused"]) for name in ("self.jpg", "gone_obv.jpg", "pipe_obv.jpg"))
    table = folder / "labels.csv"
    table.write_text(f"file,coin\nself.jpg,A\n{300 * 'n'}.jpg,B\nc1/1.jpg,C\n")
    ran = rig("import", folder, "--labels", table, "--lab", lab, "--json")
    assert (ran.code, ran.json["photographs"], len(ran.json["refused"])) == (3, 1, 2), ran.err
    added = rig("catalogue", "add", folder, "--lab", lab, "--json")
    assert added.code != 0
    assert all(name in added.out + added.err for name in ("self.jpg", "gone_obv.jpg", "pipe_obv.jpg"))


def test_copies_within_an_import_were_not_there_before(rig: Rig, lab: Path, holiday: Path) -> None:
    name = f"{COINS[0]}-monday.jpg"
    (holiday / "again").mkdir()
    shutil.copy(holiday / name, holiday / "again" / "copy.jpg")
    shutil.copy(holiday / name, holiday / "other.jpg")
    with (holiday / "labels.csv").open("a") as table:
        table.write(f"again/copy.jpg,{COINS[0]},follis,monday\nother.jpg,{COINS[1]},follis,monday\n")
    args = ("import", holiday, "--labels", holiday / "labels.csv", "--lab", lab)
    planned = rig(*args, "--json", "--dry-run")
    assert (planned.json["photographs"], planned.json["known"]) == (6, 0)
    assert planned.json["copies"] == {"again/copy.jpg": name}
    (contradiction,) = planned.json["refused"]
    assert "other.jpg is the same photograph as" in contradiction
    ran = rig(*args)
    assert "from 2 sessions; 0 were there already." in ran.out and f"  again/copy.jpg = {name}" in ran.out
    assert rig(*args, "--json").json["known"] == 8, "from then on they were there"


def test_of_a_file_of_several_pages_the_others_are_named(rig: Rig, lab: Path, holiday: Path, tmp_path: Path) -> None:
    pages = [Pillow.fromarray(read_image(path)) for path in sorted(holiday.glob("*.jpg"))[:3]]
    folder = tmp_path / "scans"
    folder.mkdir()
    pages[0].save(folder / "c1_obv.tif", save_all=True, append_images=pages[1:])
    pages[0].save(folder / "c2_obv.tif")
    ran = rig("import", folder, "--lab", lab, "--json")
    assert (ran.code, ran.json["photographs"], ran.json["more_pages"]) == (3, 2, {"c1_obv.tif": 3}), ran.err
    for args in (("identify", folder / "c1_obv.tif"), ("catalogue", "add", folder)):
        ran = rig(*args, "--lab", lab)
        assert "c1_obv.tif has 3 pages, and only the first was read" in ran.err and "tiffsplit" in ran.err
        assert "c2_obv.tif has" not in ran.err


def test_a_name_in_other_letters_is_hinted_at(rig: Rig, lab: Path, holiday: Path) -> None:
    (holiday / "0.jpg").write_bytes((holiday / f"{COINS[0]}-monday.jpg").read_bytes())
    (holiday / "labels.csv").write_text("file,coin\n0.JPG,A\n")
    ran = rig("import", holiday, "--labels", holiday / "labels.csv", "--lab", lab)
    assert ran.code == 3 and f"0.JPG does not exist. Did you mean {holiday / '0.jpg'}?" in ran.err
    ran = rig("import", holiday, "--labels", holiday / "Label.csv", "--lab", lab)
    assert ran.code == 1 and f"Did you mean {holiday / 'labels.csv'}?" in ran.err
    ran = rig("identify", holiday.parent / "Holiday" / "O.jpg", "--lab", lab)
    assert ran.code != 0 and f"Did you mean {holiday / '0.jpg'}?" in ran.err
    assert "Did you mean" not in rig("identify", holiday / "zebra.png", "--lab", lab).err


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.uint32, np.int16])
def test_numbers_whose_range_nobody_knows_are_refused_with_the_reason(
    rig: Rig, lab: Path, tmp_path: Path, kind: type
) -> None:
    folder = tmp_path / "scans"
    folder.mkdir()
    for name, shape in (("grey", (40, 60)), ("colour", (40, 60, 3))):
        (folder / f"{name}_obv.tif").write_bytes(cv2.imencode(".tiff", np.ones(shape, kind))[1].tobytes())
    ran = rig("import", folder, "--lab", lab, "--dry-run")
    assert ran.code == 3 and ran.err.count("holds 32-bit or floating-point numbers") == 2, ran.err
    assert "8 or 16 bits" in ran.err and "OpenCV" not in ran.err and "loadsave" not in ran.err


def test_bytes_that_are_no_letters_are_called_that(rig: Rig, lab: Path, holiday: Path, tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    photograph = (holiday / f"{COINS[0]}-monday.jpg").read_bytes()
    for name in (b"Ath\xe8nes_obv.jpg", b"a\x07_obv.jpg", b"\xff\xfe_obv.jpg"):
        (folder / os.fsdecode(name)).write_bytes(photograph)
    ran = rig("import", folder, "--lab", lab, "--json", "--dry-run")
    err = ran.err
    assert ran.code == 2 and "holds no photograph that can be used" in err
    assert "holds a byte that is no letter in UTF-8 (0xE8). Rename it." in err and "(0xFF)" in err, (ran.err, ran.out)
    assert "control character (U+0007)" in err and "U+DC" not in err
