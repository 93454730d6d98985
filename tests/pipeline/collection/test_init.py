"""`rig init`: a lab out of nothing, and never over one."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.pipeline.conftest import COINS, Rig
from tests.processes import Command


def test_trays_of_photographs_are_filled_in_order(rig: Rig, photographs: Path, tmp_path: Path) -> None:
    made = rig("init", "--coins", photographs, "--tray-size", 4, "--lab", "lab", "--json")
    assert made.code == 0, made.err
    assert made.json == {"lab": "lab", "trays": ["1", "2"], "coins": len(COINS), "entries": 2 * len(COINS)}
    assert COINS[4] in (tmp_path / "lab" / "trays" / "2.yaml").read_text()
    assert rig("scan", "--tray", 2, "--dry-run", "--lab", "lab").code == 0


def test_as_many_trays_of_procedural_coins_as_are_asked_for(rig: Rig, photographs: Path, tmp_path: Path) -> None:
    made = rig("init", "--trays", 2, "--tray-size", 3, "--lab", "lab", "--json")
    assert made.code == 0, made.err
    assert made.json == {"lab": "lab", "trays": ["1", "2"], "coins": 6, "entries": 12}
    assert "3: 2024.2.3" in (tmp_path / "lab" / "trays" / "2.yaml").read_text()
    both = rig("init", "--trays", 2, "--coins", photographs, "--lab", "other")
    assert both.code == 2 and "exclude one another" in both.err and not (tmp_path / "other").exists()


def test_a_bench_lab_holds_nothing_made_up_and_says_what_to_fill_in(rig: Rig, tmp_path: Path) -> None:
    made = rig("init", "--bench", "--lab", "lab", "--json")
    assert made.code == 0, made.err
    assert made.json == {"lab": "lab", "trays": ["1"], "coins": 0, "entries": 0}
    assert rig("catalogue", "list", "--lab", "lab", "--json").json == []
    empty = rig("scan", "--tray", 1, "--dry-run", "--lab", "lab")
    assert empty.code == 1 and "Every slot is empty" in empty.err
    (tmp_path / "lab" / "trays" / "1.yaml").write_text("slots:\n  1: 2024.1.1\n")
    assert rig("scan", "--tray", 1, "--dry-run", "--lab", "lab", "--json").json["coins"] == 1
    missing = rig("calibrate", "--lab", "lab")
    assert missing.code == 1
    assert [missing.err.count(f"/dev/serial/by-id/{each}") for each in ("LIGHTBOX", "TURNTABLE", "ARM")] == [1, 1, 1]
    assert "devices do not answer" in missing.err and missing.err.count("rig devices") == 1
    both = rig("init", "--bench", "--collection", "--lab", "other")
    assert both.code == 2 and "exclude one another" in both.err and not (tmp_path / "other").exists()


def test_a_collection_needs_no_devices(rig: Rig, photographs: Path) -> None:
    assert rig("init", "--collection", "--lab", "lab").code == 0
    added = rig("catalogue", "add", photographs, "--lab", "lab", "--json")
    assert added.code == 0 and added.json["coins"] == len(COINS)
    for command in (("doctor",), ("home",), ("scan", "--tray", "1", "--dry-run")):
        ran = rig(*command, "--lab", "lab")
        assert ran.code == 1 and "describes no devices" in ran.err and "Traceback" not in ran.err


def test_a_lab_or_any_other_folder_is_never_written_over(
    rig: Rig, lab: Path, photographs: Path, tmp_path: Path
) -> None:
    before = (lab / "rig.yaml").read_text()
    assert rig("init", "--coins", photographs, "--lab", lab).code == 2
    assert (lab / "rig.yaml").read_text() == before
    other = tmp_path / "letters"
    other.mkdir()
    (other / "letter.txt").write_text("dear")
    refused = rig("init", "--coins", photographs, "--lab", other)
    assert refused.code == 2 and "not empty" in refused.err
    assert [path.name for path in other.iterdir()] == ["letter.txt"]


def test_an_interrupted_init_leaves_no_half_lab(tmp_path: Path) -> None:
    making = Command("init", "--lab", "lab", cwd=tmp_path)
    while not (tmp_path / ".lab.unfinished" / "store").exists():
        assert making.poll() is None
        time.sleep(0.02)
    making.send_signal(signal.SIGINT)
    assert making.wait(timeout=60) == 3
    assert list(tmp_path.iterdir()) == []


def test_folders_without_usable_photographs_are_reported(rig: Rig, tmp_path: Path) -> None:
    for name, content in (("empty", None), ("wrong", b"text")):
        (tmp_path / name).mkdir()
        if content:
            (tmp_path / name / "coin.jpg").write_bytes(content)
        ran = rig("init", "--coins", name, "--lab", f"lab-{name}")
        assert ran.code in (1, 2) and name in ran.err and "Traceback" not in ran.err
        assert not (tmp_path / f"lab-{name}").exists()
