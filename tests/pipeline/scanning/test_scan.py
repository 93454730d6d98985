"""The main job, as a technician gives it: `rig scan`."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest

from tests.pipeline.conftest import COINS, Rig, Scanned, command, with_faults
from tests.processes import Command, environment
from tests.terminals import Terminal

SHOTS = 6  # of each coin, by the lab's plan
SHORT = 4  # by the short one
TINY = 2  # by the shortest
SCAN = ("scan", "--tray", 1, "--no-identify")


def stored(lab: Path) -> list[tuple[str, int]]:
    """Every shot that has a good frame, and how many."""
    with sqlite3.connect(lab / "store" / "index.sqlite") as index:
        return index.execute(
            "SELECT shot_id, count(*) FROM frame WHERE quarantine_reason IS NULL AND shot_id NOT NULL GROUP BY shot_id"
        ).fetchall()


def frames_so_far(lab: Path) -> int:
    try:
        return len(stored(lab))
    except sqlite3.Error:
        return 0


def start(lab: Path, *more: object) -> Command:
    return Command(*SCAN, "--lab", lab, *more)


def places(lab: Path) -> set[str]:
    """Where the twin's coins are: in a slot, on the plate, on the arm."""
    return {coin["place"] for coin in json.loads((lab / "twin" / "world.json").read_text())["coins"]}


def wait_for_frames(lab: Path, scan: Command, count: int) -> None:
    while frames_so_far(lab) < count:
        assert scan.poll() is None, scan.communicate()[1]
        time.sleep(0.02)


def test_a_tray_is_scanned_and_reported_in_the_documented_json(rig: Rig, scanned: Scanned) -> None:
    answer = scanned.answer.json
    assert set(answer) >= {"tray", "session", "finished", "report", "coins"}
    assert answer["tray"] == "1" and answer["finished"]
    assert [coin["coin"] for coin in answer["coins"]] == list(COINS[:3])
    for slot, coin in enumerate(answer["coins"], 1):
        assert coin["slot"] == slot and coin["frames"] == SHOTS
        assert coin["verdict"] in ("match", "possible", "not in catalogue")
        assert set(coin["candidates"][0]) - {"registrations", "sales"} == {"coin", "entry", "probability"}
        assert coin["candidates"][0]["coin"] == coin["coin"], "its own photograph is in the catalogue"
    assert Path(answer["report"]).is_file()
    assert {count for _, count in stored(scanned.lab)} == {1}
    assert rig("store", "verify", "--lab", scanned.lab).code == 0


def test_a_person_is_asked_before_a_tray_is_scanned_again(scanned: Scanned, tmp_path: Path) -> None:
    lab = Path(shutil.copytree(scanned.lab, tmp_path / "lab"))
    terminal = Terminal()
    again = Command(*SCAN, "--lab", lab, before=terminal.before)
    while b"[y/N]" not in terminal.shown:
        assert again.poll() is None
        time.sleep(0.01)
    terminal.type("n\n")
    assert again.wait(60) == 0
    terminal.close()
    shown = " ".join(terminal.shown.decode().split())
    assert "Tray 1 was scanned to the end already" in shown and "Nothing was moved" in shown
    assert [count for _, count in stored(lab)] == [1] * 3 * SHOTS


def test_a_dry_run_moves_and_writes_nothing(rig: Rig, lab: Path) -> None:
    def files() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in lab.rglob("*") if path.is_file()}

    before = files()
    ran = rig("scan", "--tray", 1, "--dry-run", "--lab", lab, "--json")
    assert ran.code == 0
    assert ran.json["coins"] == 3 and len(ran.json["shots"]) == 3 * SHOTS and ran.json["time_s"] > 0
    assert len({shot["id"] for shot in ran.json["shots"]}) == 3 * SHOTS
    assert files() == before


@pytest.mark.parametrize("kills", [(6,), pytest.param((2, 4, 6), marks=pytest.mark.slow)])
def test_a_killed_scan_is_resumed_and_takes_every_shot_once(rig: Rig, short_lab: Path, kills: tuple[int, ...]) -> None:
    for frames in kills:
        scan = start(short_lab)
        wait_for_frames(short_lab, scan, frames)
        scan.send_signal(signal.SIGKILL)
        scan.communicate()
    resumed = rig(*SCAN, "--lab", short_lab, "--json")
    assert resumed.code == 0, resumed.err
    assert "Resuming the scan" in resumed.err
    assert [count for _, count in stored(short_lab)] == [1] * 2 * SHORT
    assert [coin["frames"] for coin in resumed.json["coins"]] == [SHORT] * 2
    verified = rig("store", "verify", "--lab", short_lab, "--json")
    assert verified.code == 0 and verified.json["problems"] == []


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_stopped_scan_parks_says_how_to_resume_and_does(rig: Rig, short_lab: Path, number: signal.Signals) -> None:
    lab = short_lab
    scan = start(lab, "--fresh")
    wait_for_frames(lab, scan, 5)
    scan.send_signal(number)
    out, err = scan.communicate(timeout=60)
    assert scan.returncode == 3, err
    assert "To resume, leave out --fresh" in err
    assert err.count("Stopping: the coin goes back into its slot") == 1
    assert "not taken yet" in out and "no good frame" not in out
    assert "Run the same command again to resume" in err and "Traceback" not in err
    assert places(lab) == {"slot"}
    assert rig(*SCAN, "--lab", lab).code == 0
    assert [count for _, count in stored(lab)] == [1] * 2 * SHORT


@pytest.mark.slow
def test_a_changed_plan_does_not_change_an_interrupted_scan(rig: Rig, lab: Path) -> None:
    scan = start(lab)
    wait_for_frames(lab, scan, 4)
    scan.kill()
    scan.communicate()
    (lab / "plans" / "default.yaml").write_text("sides: [obverse]\nlights: [az000]\nturntable_deg: [0]\n")
    resumed = rig(*SCAN, "--lab", lab, "--json")
    assert resumed.code == 0, resumed.err
    assert "plan changed" in resumed.err and "--fresh" in resumed.err
    assert [coin["frames"] for coin in resumed.json["coins"]] == [SHOTS] * 3
    fresh = rig(*SCAN, "--fresh", "--lab", lab, "--json")
    assert [coin["frames"] for coin in fresh.json["coins"]] == [1] * 3


FAULTS = {
    "unplugged": ("{kind: unplugged, device: turntable, after_messages: 20}", "turntable", "Plug the cable in"),
    "missing lightbox": ("{kind: unplugged, device: lightbox}", "lightbox", "cable"),
}


@pytest.mark.parametrize(
    ("fault", "device", "remedy"),
    [
        pytest.param(*fault, id=name, marks=() if name == "unplugged" else pytest.mark.slow)
        for name, fault in FAULTS.items()
    ],
)
def test_a_device_that_fails_is_named_and_the_scan_is_resumed_when_it_is_mended(
    rig: Rig, short_lab: Path, fault: str, device: str, remedy: str
) -> None:
    document = (short_lab / "rig.yaml").read_text()
    with_faults(short_lab, fault)
    failed = rig(*SCAN, "--lab", short_lab)
    assert failed.code == 1
    message = failed.err.strip().splitlines()[-1]
    assert f"{device} on twin://{device}" in message and remedy in message
    assert "Traceback" not in failed.err
    (short_lab / "rig.yaml").write_text(document)
    mended = rig(*SCAN, "--lab", short_lab)
    assert mended.code == 0, mended.err
    assert [count for _, count in stored(short_lab)] == [1] * 2 * SHORT


@pytest.mark.slow
@pytest.mark.parametrize(
    "fault",
    [
        "{kind: alarm, after_moves: 8}",
        pytest.param("{kind: brownout, device: arm, after_moves: 60}", marks=pytest.mark.slow),
    ],
)
def test_a_device_that_fails_once_is_recovered_and_the_scan_continues(rig: Rig, short_lab: Path, fault: str) -> None:
    with_faults(short_lab, fault)
    ran = rig(*SCAN, "--lab", short_lab)
    assert ran.code == 0, ran.err
    assert "Connected and homed again (attempt 1): the scan continues." in ran.err
    assert [count for _, count in stored(short_lab)] == [1] * 2 * SHORT


@pytest.mark.slow
def test_a_dead_lamp_ends_in_quarantine_with_its_reason(rig: Rig, lab: Path) -> None:
    with_faults(lab, "{kind: dead lamp, first: 25, last: 35}")  # the LEDs of az180
    ran = rig(*SCAN, "--lab", lab, "--json")
    assert ran.code == 3, ran.err
    assert [coin["quarantined"] for coin in ran.json["coins"]] == [2] * 3
    assert [coin["frames"] for coin in ran.json["coins"]] == [SHOTS - 2] * 3
    assert "dark" in ran.err
    assert rig("store", "verify", "--lab", lab).code == 0


def test_only_one_scan_drives_a_rig(rig: Rig, short_lab: Path) -> None:
    document = (short_lab / "rig.yaml").read_text()
    (short_lab / "rig.yaml").write_text(document.replace("speed: 1000 ", "speed: 8 "))
    first = start(short_lab)
    wait_for_frames(short_lab, first, 1)
    second = rig(*SCAN, "--lab", short_lab)
    first.kill()
    first.communicate()
    assert second.code == 1
    assert f"rig scan --tray 1 --no-identify --lab {short_lab} (process {first.pid}, since" in second.err
    assert "at tray 1" in second.err


def test_a_missing_lab_is_reported_and_none_is_made_where_one_was_named(rig: Rig, tmp_path: Path) -> None:
    for args, extra in (((*SCAN, "--lab", "nowhere"), {}), (SCAN, {"RIG_LAB": "nowhere"})):
        ran = rig(*args, **extra)
        assert ran.code == 1
        assert "there is no lab in nowhere" in ran.err and "rig init" in ran.err
        assert "--bench" in ran.err and "--collection" in ran.err
        assert not (tmp_path / "nowhere").exists()


def test_capture_does_without_torch(tiny_lab: Path) -> None:
    block = "import sys; sys.modules.update(dict.fromkeys(('torch', 'torchvision', 'faiss', 'safetensors')))"
    program = f"{block}; from pipeline.cli import main; main()"
    python, *_ = command()
    args = [python, "-c", program, "scan", "--tray", "1", "--lab", str(tiny_lab)]
    scanned = subprocess.run([*args, "--no-identify"], env=environment(), capture_output=True, text=True, check=False)
    assert scanned.returncode == 0, scanned.stderr
    refused = subprocess.run(args, env=environment(), capture_output=True, text=True, check=False)
    assert refused.returncode == 1
    assert "coinlab[identify]" in refused.stderr and "--no-identify" in refused.stderr
