"""How long a scan takes over what the devices alone need: motion, settling and exposure on their own clock.

The twin runs in real time, so that both are seconds of the same clock; frames are calibrated, checked, encoded,
written and identified beside it. The camera plays back 12 MP images that the twin's has taken in the same scan
before, since rendering them would take the processor that a real camera leaves alone. Nothing is asserted of the
ratio: it is printed, to be compared with the one of another day or machine.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.pipeline.conftest import command
from tests.pipeline.serve.conftest import serving
from tests.processes import environment

PLAN = """\
sides: [obverse, reverse]
lights: [az000, az060, az120, az180, az240, az300]
turntable_deg: [0, 90]
tilt_deg: [0]
"""
LOOKED_AT = ("/bench", "/bench", "/review?only=all", "/collection?what=frames", "/coin?name=1994.1")
STEP_S = 5  # between two looks of those whose page does not look by itself
LARGE_CAMERA = """\
  kind: twin
  optics: {width_px: 4056, height_px: 3040, focal_px: 16794.4, centre_px: [2045.4, 1502.0]}
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """A calibrated lab whose camera plays back what its twin would show in the scan of the two coins of tray 1."""
    return record(tmp_path_factory.mktemp("recorded"), photographs, 2, PLAN)


@pytest.fixture(scope="module")
def one_coin(tmp_path_factory: pytest.TempPathFactory, photographs: Path) -> Path:
    """Such a lab with one coin on tray 1, of which one side is photographed: 12 shots in some 40 s."""
    return record(tmp_path_factory.mktemp("one"), photographs, 1, PLAN.replace(", reverse", ""))


def record(folder: Path, photographs: Path, coins: int, plan: str) -> Path:
    lab, images = folder / "lab", folder / "images"
    images.mkdir()

    def run(*command: object) -> None:
        done = subprocess.run(
            [sys.executable, *map(str, command)], env=environment(), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr

    def rig(*args: object) -> None:
        run("-c", "from pipeline.cli import main; main()", *args, "--lab", lab)

    rig("init", "--coins", photographs, "--tray-size", coins)
    (lab / "plans" / "default.yaml").write_text(plan)
    document = (lab / "rig.yaml").read_text()
    (lab / "rig.yaml").write_text(document.replace("  kind: twin\n", LARGE_CAMERA))
    rig("calibrate")
    rig("catalogue", "build")
    rehearsal = shutil.copytree(lab, folder / "rehearsal")
    run("-m", "tests.bench.record", images, "scan", "--tray", 1, "--no-identify", "--lab", rehearsal)
    shutil.rmtree(rehearsal)
    (lab / "rig.yaml").write_text(document.replace("  kind: twin\n", f"  kind: replay\n  folder: {images}\n"))
    return lab


@pytest.mark.bench
@pytest.mark.parametrize("mode", ["photograph only", "photograph and identify"])
def test_wall_time_over_hardware_time(recorded: Path, tmp_path: Path, mode: str) -> None:
    lab, stages = shutil.copytree(recorded, tmp_path / "lab"), tmp_path / "stages.json"
    more = ["--no-identify"] if mode == "photograph only" else []
    command = [sys.executable, "-m", "tests.bench.stages", stages, "scan", "--tray", "1", "--realtime", "--lab", lab]
    ran = subprocess.run(
        [*map(str, command), "--json", *more], env=environment(), capture_output=True, text=True, check=False
    )
    scan = json.loads(ran.stdout)
    frames = sum(coin["frames"] for coin in scan["coins"])
    assert frames == 48, ran.stderr
    wall_s, hardware_s, load = scan["wall_s"], scan["hardware_s"], os.getloadavg()[0]
    seconds = json.loads(stages.read_text())
    seconds["the rest"] = wall_s - sum(seconds.values())
    table = Table(f"{mode}: real time, 12 MP, {frames} frames, load {load:.1f}", "s", "of hardware time")
    for stage, took_s in sorted(seconds.items(), key=lambda each: -each[1]):
        table.add_row(stage, f"{took_s:.1f}", f"{took_s / hardware_s:.3f}")
    table.add_row("wall", f"{wall_s:.1f}", f"{wall_s / hardware_s:.3f}")
    table.add_row("hardware", f"{hardware_s:.1f}", "1.000")
    Console(width=110).print(table)


@pytest.mark.bench
def test_wall_time_with_five_browsers_open(one_coin: Path, tmp_path: Path, browser: Any) -> None:
    """Scans alone and scans with the page open in five browsers, which look while they run: as many of each, in turn.

    Each has its machine for itself but for the page, which is served in both. What is left of the ratio's difference
    is to be at most 0.01; two scans of one kind show how much it varies by itself.
    """
    table = Table("browsers", "wall s", "hardware s", "wall / hardware", "load")
    lab = Path(shutil.copytree(one_coin, tmp_path / "lab"))
    ratios: dict[int, list[float]] = {0: [], len(LOOKED_AT): []}
    with serving(lab) as served:
        scan_beside(lab, served.address, [], browser)  # the first pays for what is read from disk
        for browsers in (0, 5, 5, 0):
            found = scan_beside(lab, served.address, LOOKED_AT[:browsers], browser)
            wall_s, hardware_s = found["wall_s"], found["hardware_s"]
            ratios[browsers].append(wall_s / hardware_s)
            load = f"{os.getloadavg()[0]:.1f}"
            table.add_row(str(browsers), f"{wall_s:.2f}", f"{hardware_s:.2f}", f"{wall_s / hardware_s:.4f}", load)
    alone, beside = (sum(each) / len(each) for each in ratios.values())
    spread = max(max(each) - min(each) for each in ratios.values())
    table.add_row("difference", "", "", f"{beside - alone:+.4f}", f"of one kind: {spread:.4f}")
    Console(width=110).print(table)


def scan_beside(lab: Path, address: str, looked_at: Sequence[str], browser: Any) -> dict[str, Any]:
    """What a scan came to while these pages were looked at, each in a browser of its own."""
    pages = [browser.new_context().new_page() for _ in looked_at]
    for page, path in zip(pages, looked_at, strict=True):
        page.goto(address + path, wait_until="commit")
    scan = subprocess.Popen(
        [*command("scan", "--tray", 1, "--realtime", "--fresh", "--json", "--lab", lab)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    looks = 0
    while scan.poll() is None:
        time.sleep(STEP_S)
        for page, path in zip(pages, looked_at, strict=True):
            if path != "/bench":  # which looks by itself
                page.goto(address + path, wait_until="commit")
        looks += 1
    out, err = scan.communicate()
    for page in pages:
        page.context.close()
    assert scan.returncode in (0, 3) and looks > 1, err
    found: dict[str, Any] = json.loads(out)
    return found
