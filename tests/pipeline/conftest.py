"""Labs to try commands on, and the command itself, run as a person runs it."""

from __future__ import annotations

import shutil
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
from tests.processes import Ran, run
from tests.shared import make_once

COINS = tuple(f"1994.{number}" for number in range(1, 7))
QUICK_PLAN = """\
sides: [obverse, reverse]
lights: [az060, az180, az300]
turntable_deg: [0]
tilt_deg: [0]
"""

SHORT_PLAN = "sides: [obverse, reverse]\nlights: [az060]\nturntable_deg: [0, 180]\n"
TINY_PLAN = "sides: [obverse, reverse]\nlights: [az060]\nturntable_deg: [0]\n"

# A quarter of the pixels: the tests are about what happens to frames, not about their size.
SMALL_CAMERA = """\
  kind: twin
  optics: {width_px: 640, height_px: 480, focal_px: 2650, centre_px: [322.5, 237]}
"""


Rig = Callable[..., Ran]


def command(*args: object) -> list[str]:
    """A `rig` that imports for itself, for what a fork cannot show: its own terminal, or that torch is not needed."""
    return [sys.executable, "-c", "from pipeline.cli import main; main()", *map(str, args)]


def run_well(*args: object, **how: Any) -> Ran:
    """Run `rig` with these arguments, which has to succeed."""
    ran = run(*args, **how)
    assert ran.code == 0, ran.err
    return ran


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Run `rig` with these arguments, in an empty folder; keywords beside ``timeout_s`` are variables."""

    def run_here(*args: object, timeout_s: float = 300, **env: str) -> Ran:
        return run(*args, cwd=tmp_path, env=env, timeout_s=timeout_s)

    return run_here


@pytest.fixture(scope="session")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six coins, obverse beside reverse, photographed on white."""

    def make(folder: Path) -> None:
        folder.mkdir()
        drawer = ProceduralDrawer(seed=11)
        for number, coin in enumerate(COINS):
            sides = (drawer.side_texture(coin, side) for side in ("obverse", "reverse"))
            both = np.hstack([reproduction(side, number, "photograph") for side in sides])
            (folder / f"{coin}.jpg").write_bytes(encode_jpeg(both, 95))

    return make_once(tmp_path_factory, "photographs", make)


@pytest.fixture(scope="session")
def made_lab(photographs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calibrated lab of two trays of three coins, its catalogue embedded and its twin fast, never to be changed."""

    def make(folder: Path) -> None:
        run_well("init", "--coins", photographs, "--tray-size", 3, "--lab", folder)
        document = (folder / "rig.yaml").read_text()
        document = document.replace("  kind: twin\n", SMALL_CAMERA).replace("speed: 25 ", "speed: 1000 ")
        (folder / "rig.yaml").write_text(document)
        run_well("calibrate", "--lab", folder)
        run_well("catalogue", "build", "--lab", folder)
        (folder / "plans" / "default.yaml").write_text(QUICK_PLAN)

    return make_once(tmp_path_factory, "lab", make)


@pytest.fixture
def lab(made_lab: Path, tmp_path: Path) -> Path:
    """A calibrated lab of one's own: trays 1 and 2 of three coins each, a plan of 6 shots a coin."""
    return Path(shutil.copytree(made_lab, tmp_path / "lab"))


def lay_out(lab: Path, plan: str, *trays: tuple[str, ...]) -> Path:
    """Give a lab this plan, and coins to its trays 1, 2 and so on."""
    for folder in ("plans", "trays"):
        (lab / folder).mkdir(exist_ok=True)
    (lab / "plans" / "default.yaml").write_text(plan)
    for number, coins in enumerate(trays, 1):
        slots = "".join(f"  {slot}: {coin}\n" for slot, coin in enumerate(coins, 1))
        (lab / "trays" / f"{number}.yaml").write_text(f"slots:\n{slots}")
    return lab


@pytest.fixture
def short_lab(lab: Path) -> Path:
    """Such a lab with 2 coins on tray 1, 1 on tray 2, 4 shots of each: what happens does not depend on the length."""
    return lay_out(lab, SHORT_PLAN, COINS[:2], COINS[3:4])


@pytest.fixture
def tiny_lab(lab: Path) -> Path:
    """Such a lab with 1 coin on tray 1 and 2 shots of it: for what happens to any scan."""
    return lay_out(lab, TINY_PLAN, COINS[:1])


@dataclass(frozen=True)
class Scanned:
    """A lab whose tray 1 was scanned and identified, and what `rig scan --json` printed.

    Attributes
    ----------
    lab
        Never to be changed.
    """

    lab: Path
    answer: Ran


@pytest.fixture(scope="session")
def scanned(made_lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Scanned:
    """A scan that many tests look at."""

    def make(folder: Path) -> None:
        shutil.copytree(made_lab, folder / "lab")
        ran = run_well("scan", "--tray", 1, "--lab", folder / "lab", "--json")
        (folder / "out").write_text(ran.out)
        (folder / "err").write_text(ran.err)

    folder = make_once(tmp_path_factory, "scanned", make)
    return Scanned(folder / "lab", Ran(0, *((folder / name).read_text() for name in ("out", "err"))))


def with_faults(lab: Path, *faults: str) -> None:
    """Let these faults, in YAML, strike in the lab's twin."""
    document = (lab / "rig.yaml").read_text()
    (lab / "rig.yaml").write_text(document.replace("  seed:", f"  faults: [{', '.join(faults)}]\n  seed:"))
