"""docs/drivers.md says that a new turntable or camera is one file and one line of its registry; tried here."""

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
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest

from calibration.image import encode_jpeg

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "drivers.md"
ALL_BUT_THE_TURNTABLE = "  arm: {kind: manual}\n  lightbox: {kind: manual}\n"

# What a lab's own code is: rig.yaml in, a station or a camera out. Prints what came of each step.
TURN = """\
import json, sys, yaml
from rig.errors import DeviceError
from rig.station import Station, StationConfig
from rig.clock import SystemClock

config = StationConfig.model_validate(yaml.safe_load(open(sys.argv[1]))["station"])
seen = {}
with Station(config, SystemClock(), ask=lambda request: True) as station:
    seen["firmware"] = station.identities[1].firmware
    station.home()
    seen["turned"] = [station.rotate_to(angle_deg) for angle_deg in (90.0, 12.5)]
    seen["read"] = station.turntable.angle_deg()
    for angle_deg in (351.0, 340.0):
        try:
            seen[str(angle_deg)] = station.rotate_to(angle_deg)
        except DeviceError as error:
            seen[str(angle_deg)] = [type(error).__name__, str(error)]
print(json.dumps(seen))
"""
EXPOSE = """\
import json, sys, yaml
from pydantic import TypeAdapter
from capture.cameras import CAMERAS
from rig.clock import SystemClock
from rig.errors import DeviceError

config = TypeAdapter(CAMERAS.config_type()).validate_python(yaml.safe_load(open(sys.argv[1]))["camera"])
camera = CAMERAS.make(config, SystemClock())
seen = {"firmware": camera.connect().firmware}
camera.configure(5000, 2.0)
images = [camera.grab(), camera.grab()]
seen["images"] = [[image.sequence, image.exposure_us, image.gain, image.image.mean()] for image in images]
camera.configure(2_000_000, 1.0)
try:
    camera.grab()
except DeviceError as error:
    seen["refused"] = [type(error).__name__, str(error)]
camera.close()
try:
    camera.grab()
except DeviceError as error:
    seen["closed"] = type(error).__name__
print(json.dumps(seen))
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


class Argus(BaseHTTPRequestHandler):
    """The camera of the page's manual."""

    def do_GET(self) -> None:
        url = urlparse(self.path)
        asked = parse_qs(url.query)
        if url.path == "/name":
            return self._send(200, b"Argus 7")
        exposure_us, gain = int(asked["exposure_us"][0]), float(asked["gain"][0])
        if exposure_us > 1_000_000:
            return self._send(400, b"")
        return self._send(200, encode_jpeg(np.full((24, 32, 3), exposure_us * gain / 100, np.uint8)))

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def argus() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Argus)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(5)
    server.server_close()


def run_as_the_page_says(
    folder: Path, rooms: Sequence[str], place: str, code: Sequence[str], registry: str, rig_yaml: str, script: str
) -> dict[str, Any]:
    """Put a driver, its import and its line where the page says; what a lab's own script prints then."""
    driver, to_import, line = code
    assert [text.count("\n") for text in (to_import, line)] == [1, 1]
    for room in rooms:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / place).write_text(driver)
    kind = line.split(":")[0].strip().strip('"')
    path = folder / registry
    text = path.read_text()
    name = Path(place).parts[-2].upper()
    opening = text[text.index(f"{name} = Registry(") :].split("{\n")[0] + "{\n"
    assert text.count(opening) == 1
    path.write_text(text.replace(opening, opening + line).replace("from rig.", to_import + "from rig.", 1))
    (folder / "rig.yaml").write_text(rig_yaml)
    (folder / "use.py").write_text(script)
    ran = subprocess.run(
        [sys.executable, "use.py", "rig.yaml"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, f"{kind}: {ran.stderr}"
    seen: dict[str, Any] = json.loads(ran.stdout)
    return seen


def test_the_page_s_turntable_works_as_it_stands_there(rotor: Rotor, tmp_path: Path) -> None:
    rig_yaml = re.sub(r"port: [^}]+", f"port: {rotor.port}", blocks("yaml")[-2]) + ALL_BUT_THE_TURNTABLE
    seen = run_as_the_page_says(
        tmp_path, ["rig"], "rig/turntables/rotor.py", blocks("python")[:3], "rig/registry.py", rig_yaml, TURN
    )
    assert seen["firmware"] == "Rotor 2.1"
    assert seen["turned"] == [90.0, 12.5] and seen["read"] == 12.5
    refused, message = seen["351.0"]
    assert refused == "EnvelopeError" and rotor.port in message and "0 to 350" in message
    assert seen["340.0"] == 340.0, "what was refused does no harm"
    moves = [command for command in rotor.heard if command[0] in "HG"]
    assert moves == ["H", "G 90.00", "G 12.50", "G 340.00"]


def test_the_page_s_camera_works_as_it_stands_there(argus: str, tmp_path: Path) -> None:
    rig_yaml = re.sub(r"address: [^}]+", f"address: {argus}", blocks("yaml")[-1])
    seen = run_as_the_page_says(
        tmp_path,
        ["rig", "calibration", "capture"],
        "capture/cameras/argus.py",
        blocks("python")[3:],
        "capture/cameras/__init__.py",
        rig_yaml,
        EXPOSE,
    )
    assert seen["firmware"] == "Argus 7"
    assert seen["images"] == [[1, 5000, 2.0, 100.0], [2, 5000, 2.0, 100.0]]
    assert seen["refused"][0] == "EnvelopeError" and argus in seen["refused"][1]
    assert seen["closed"] == "NotConnectedError"


def test_every_driver_is_on_the_page() -> None:
    from capture.cameras import CAMERAS
    from rig.registry import BALANCES, STATION

    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    for registry in (*STATION, BALANCES, CAMERAS):
        assert {kind for kind, role in rows if role == registry.role} == set(registry.drivers)
