"""docs/drivers.md says that a new turntable is one file and one line of the registry: done here as it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "drivers.md"
ALL_BUT_THE_TURNTABLE = "  arm: {kind: manual}\n  lightbox: {kind: manual}\n"

# What a lab's own code is: rig.yaml in, a station out. Prints what came of each step.
SCRIPT = """\
import json, sys, yaml
from rig.errors import DeviceError
from rig.station import Station, StationConfig
from rig.clock import SystemClock

config = StationConfig.model_validate(yaml.safe_load(open(sys.argv[1]))["station"])
told = {}
with Station(config, SystemClock(), ask=lambda request: True) as station:
    told["firmware"] = station.identities[1].firmware
    station.home()
    told["turned"] = [station.rotate_to(angle_deg) for angle_deg in (90.0, 12.5)]
    told["read"] = station.turntable.angle_deg()
    for angle_deg in (351.0, 340.0):
        try:
            told[str(angle_deg)] = station.rotate_to(angle_deg)
        except DeviceError as error:
            told[str(angle_deg)] = [type(error).__name__, str(error)]
print(json.dumps(told))
"""

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals")


class Rotor:
    """The head of the page's manual, on the far end of a terminal."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._far_end, near_end = os.openpty()
        tty.setraw(near_end)
        self._near_end = near_end  # kept open: a cable that is plugged in
        self.port = os.ttyname(near_end)
        self._angle_deg, self._target_deg, self._arrives_s = 211.0, 211.0, 0.0
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def unplug(self) -> None:
        os.close(self._near_end)
        self._thread.join(5)
        os.close(self._far_end)

    def _listen(self) -> None:
        waiting = b""
        while True:
            try:
                waiting += os.read(self._far_end, 100)
            except OSError:
                return
            *lines, waiting = waiting.split(b"\n")
            for line in lines:
                self.heard.append(line.decode())
                if answer := self._answer(line.decode()):
                    os.write(self._far_end, answer.encode() + b"\r\n")

    def _answer(self, command: str) -> str:
        rests = time.monotonic() >= self._arrives_s
        match command.split():
            case ["V"]:
                return "Rotor 2.1"
            case ["H"] | ["G", _] if not rests:
                return "E 1"
            case ["H"]:
                self._target_deg = 0.0
            case ["G", angle]:
                self._target_deg = float(angle)
            case ["?"]:
                return f"R {self._target_deg:.2f}" if rests else f"B {self._target_deg / 2:.2f}"
            case ["S"]:
                self._arrives_s = 0.0
                return ""
            case _:
                return "E 3"
        self._arrives_s = time.monotonic() + 0.15
        return "ok"


@pytest.fixture
def rotor() -> Iterator[Rotor]:
    made = Rotor()
    yield made
    made.unplug()


def blocks(language: str) -> list[str]:
    """The page's code blocks."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


def test_the_page_s_driver_works_as_it_stands_there(rotor: Rotor, tmp_path: Path) -> None:
    driver, to_import, line = blocks("python")
    assert [text.count("\n") for text in (to_import, line)] == [1, 1]
    shutil.copytree(ROOT / "rig", tmp_path / "rig", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "rig" / "turntables" / "rotor.py").write_text(driver)
    registry = tmp_path / "rig" / "registry.py"
    opening = "TURNTABLES: Registry = {\n"
    text = registry.read_text()
    assert text.count(opening) == 1
    registry.write_text(text.replace(opening, opening + line).replace("from typing", to_import + "from typing", 1))
    (yaml,) = blocks("yaml")
    rig_yaml = tmp_path / "rig.yaml"
    rig_yaml.write_text(re.sub(r"port: [^}]+", f"port: {rotor.port}", yaml) + ALL_BUT_THE_TURNTABLE)
    (tmp_path / "use.py").write_text(SCRIPT)
    ran = subprocess.run(
        [sys.executable, "use.py", rig_yaml], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["firmware"] == "Rotor 2.1"
    assert told["turned"] == [90.0, 12.5] and told["read"] == 12.5
    refused, message = told["351.0"]
    assert refused == "EnvelopeError" and rotor.port in message and "0 to 350" in message
    assert told["340.0"] == 340.0, "what was refused does no harm"
    moves = [command for command in rotor.heard if command[0] in "HG"]
    assert moves == ["H", "G 90.00", "G 12.50", "G 340.00"]


def test_every_driver_is_on_the_page() -> None:
    from rig.registry import ARMS, LIGHTBOXES, TURNTABLES

    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    for role, registry in (("turntable", TURNTABLES), ("arm", ARMS), ("lightbox", LIGHTBOXES)):
        assert {kind for kind, of in rows if of == role} == set(registry)
