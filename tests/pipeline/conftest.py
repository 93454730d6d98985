"""Labs to try commands on, and the command itself, run as a person runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibration.image import encode_jpeg
from rig.twin.coins.drawer import ProceduralDrawer
from rig.twin.coins.reproduction import reproduction

COINS = tuple(f"1994.{number}" for number in range(1, 7))
QUICK_PLAN = """\
sides: [obverse, reverse]
lights: [az060, az180, az300]
turntable_deg: [0, 180]
tilt_deg: [0]
"""

# A quarter of the pixels: the tests are about what happens to frames, not about their size.
SMALL_CAMERA = """\
  kind: twin
  optics: {width_px: 640, height_px: 480, focal_px: 2650, centre_px: [322.5, 237]}
"""


@dataclass(frozen=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Rig = Callable[..., Ran]


def command(*args: object) -> list[str]:
    return [sys.executable, "-c", "from pipeline.cli import main; main()", *map(str, args)]


def environment() -> dict[str, str]:
    return {**{k: v for k, v in os.environ.items() if k != "RIG_LAB"}, "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "200"}


def begin(*args: object) -> subprocess.Popen[str]:
    """Start `rig` with these arguments, and continue beside it."""
    return subprocess.Popen(
        command(*args), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Run `rig` with these arguments, in an empty folder."""

    def run(*args: object, timeout_s: float = 300, **extra: str) -> Ran:
        done = subprocess.run(
            command(*args),
            cwd=tmp_path,
            env=environment() | extra,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six coins, obverse beside reverse, photographed on white."""
    folder = tmp_path_factory.mktemp("photographs")
    drawer = ProceduralDrawer(seed=11)
    for number, coin in enumerate(COINS):
        both = [reproduction(drawer.side_texture(coin, side), number, "photograph") for side in ("obverse", "reverse")]
        (folder / f"{coin}.jpg").write_bytes(encode_jpeg(np.hstack(both), 95))
    return folder


@pytest.fixture(scope="session")
def made_lab(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated lab of two trays of three coins, never to be changed."""
    folder = tmp_path_factory.mktemp("made") / "lab"

    def run(*args: object) -> None:
        done = subprocess.run(command(*args), env=environment(), capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    run("init", "--coins", photographs, "--tray-size", 3, "--lab", folder)
    document = (folder / "rig.yaml").read_text()
    (folder / "rig.yaml").write_text(document.replace("  kind: twin\n", SMALL_CAMERA))
    run("calibrate", "--lab", folder)
    (folder / "plans" / "default.yaml").write_text(QUICK_PLAN)
    return folder


@pytest.fixture
def lab(made_lab: Path, tmp_path: Path) -> Path:
    """A calibrated lab of one's own: trays 1 and 2 of three coins each, a plan of 12 shots a coin."""
    return Path(shutil.copytree(made_lab, tmp_path / "lab"))


def with_faults(lab: Path, *faults: str) -> None:
    """Let these faults, in YAML, strike in the lab's twin."""
    document = (lab / "rig.yaml").read_text()
    (lab / "rig.yaml").write_text(document.replace("  seed:", f"  faults: [{', '.join(faults)}]\n  seed:"))
