"""By hand: `rig jog` at a terminal, `rig focus`, what `--log` keeps, and what `rig print` prints."""

from __future__ import annotations

import functools
import os
import re
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from calibration.board import BoardSpec, find_board
from calibration.image import read_image
from calibration.plate import RingSpec, plate_angle_deg
from capture.quality import Expected, check
from pipeline.commands.terminal import output
from pipeline.lab import open_lab
from rig.clock import ScaledClock
from rig.station import StationConfig
from rig.twin import world as twin_world
from rig.twin.lab import make_world
from tests.pipeline.conftest import Rig
from tests.processes import Command

if sys.platform == "win32":
    pytest.skip("no pseudo-terminals", allow_module_level=True)

PLACE = re.compile(
    r"plate (?P<plate>[\d.]+) deg   cup x (?P<x>\S+)  y (?P<y>\S+)  z (?P<z>\S+) mm   step (?P<step>\S+) mm, \S+ deg"
)
LEFT, RIGHT = "\x1b[D", "\x1bOC"
PATIENCE_S = 60.0


class Terminal:
    """A command in a terminal of its own."""

    def __init__(self, cwd: Path, *args: object) -> None:
        self._mine, self._theirs = os.openpty()
        self.process = Command(*args, cwd=cwd, before=functools.partial(_sit_at, os.ttyname(self._theirs)))
        self.shown = ""

    def press(self, key: str) -> None:
        os.write(self._mine, key.encode())

    def wait_for(self, pattern: str, since: int = 0) -> re.Match[str]:
        """Read until something is shown."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := re.search(pattern, self.shown[since:])) is None:
            left_s = deadline - time.monotonic()
            assert left_s > 0, f"{pattern!r} is not in {self.shown[since:]!r}"
            if select.select([self._mine], [], [], left_s)[0]:
                self.shown += self._read()
        return found

    def place_after(self, key: str) -> dict[str, float]:
        """Press a key and read where things are then."""
        since = len(self.shown)
        self.press(key)
        found = self.wait_for(PLACE.pattern, since)
        return {name: float(value) for name, value in found.groupdict().items()}

    def end(self) -> int:
        """Read to the end."""
        os.close(self._theirs)
        while piece := self._read():
            self.shown += piece
        code = self.process.wait(PATIENCE_S)
        os.close(self._mine)
        return code

    def _read(self) -> str:
        try:
            return os.read(self._mine, 10_000).decode()
        except OSError:  # the command has let go of its end
            return ""


def _sit_at(terminal: str) -> None:
    """Read and write there, in the new process."""
    opened = os.open(terminal, os.O_RDWR)
    for number in range(3):
        os.dup2(opened, number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    output.console.is_interactive = output.errors.is_interactive = True  # rich asks that when one is made: at import


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_(*args: object) -> Terminal:
        opened.append(Terminal(tmp_path, *args))
        return opened[-1]

    yield open_
    for each in opened:
        each.process.kill()
        each.process.wait()


def test_jog_moves_what_its_keys_say_and_prints_the_line_for_rig_yaml(
    terminal: Callable[..., Terminal], lab: Path
) -> None:
    jog = terminal("jog", "--lab", lab, "--log", lab / "wire.log")
    start = {name: float(value) for name, value in jog.wait_for(PLACE.pattern).groupdict().items()}
    assert start == {"plate": 0, "x": 130, "y": -160, "z": 100, "step": 0.5}
    assert jog.place_after("3")["step"] == 10
    assert jog.place_after(LEFT)["plate"] == 45
    assert jog.place_after(RIGHT)["plate"] == 0
    assert jog.place_after(RIGHT)["plate"] == 315, "an endless plate turns past 0"
    assert jog.place_after("w")["x"] == 140
    assert jog.place_after("s")["x"] == 130
    assert jog.place_after("a")["y"] == -150
    assert jog.place_after("2")["step"] == 2
    assert jog.place_after("f")["z"] == 98
    assert jog.place_after("?")["z"] == 98, "other keys do nothing"
    jog.press("q")
    assert jog.end() == 0
    line = jog.shown.strip().splitlines()[-1].strip()
    assert line == "bench: {rest_mm: [130.0, -150.0, 98.0]}"
    assert StationConfig.model_validate(yaml.safe_load(line)).bench.rest_mm == (130, -150, 98)


def test_jog_refuses_to_leave_the_envelope_and_resumes(terminal: Callable[..., Terminal], lab: Path) -> None:
    document = (lab / "rig.yaml").read_text()
    (lab / "rig.yaml").write_text(
        document.replace("station:\n", "station:\n  envelope: {low_mm: [100, -163, 0], high_mm: [300, 220, 170]}\n")
    )
    log = lab / "wire.log"
    jog = terminal("jog", "--lab", lab, "--log", log)
    jog.wait_for(PLACE.pattern)
    assert jog.place_after("2")["step"] == 2
    assert jog.place_after("d")["y"] == -162
    moves = log.read_text().count("G0 X")
    assert jog.place_after("d")["y"] == -162
    assert "outside its envelope" in jog.shown
    assert log.read_text().count("G0 X") == moves, "nothing was sent"
    for _ in range(6):
        z_mm = jog.place_after("f")["z"]
    assert z_mm == 88
    assert jog.place_after("w")["x"] == 130, "2 mm sideways below the safe height"
    assert "safe height" in jog.shown
    assert jog.place_after("1")["step"] == 0.5
    assert jog.place_after("w")["x"] == 130.5, "small steps may be taken anywhere"
    jog.press("q")
    assert jog.end() == 0


def test_jog_needs_a_terminal_and_parks_when_interrupted(
    rig: Rig, terminal: Callable[..., Terminal], lab: Path
) -> None:
    piped = rig("jog", "--lab", lab)
    assert piped.code == 2 and "terminal" in piped.err
    jog = terminal("jog", "--lab", lab)
    jog.wait_for(PLACE.pattern)
    assert jog.place_after("3")["step"] == 10
    assert jog.place_after("w")["x"] == 140
    jog.press("\x03")
    jog.process.send_signal(signal.SIGINT)  # this terminal controls nobody: Ctrl-C as the system would hand it on
    assert jog.end() == 3
    assert yaml.safe_load((lab / "twin" / "world.json").read_text())["cup_mm"] == [130, -160, 100]


def test_focus_shows_sharpness_until_it_is_interrupted(rig: Rig, terminal: Callable[..., Terminal], lab: Path) -> None:
    focus = terminal("focus", "--light", "az060", "--lab", lab)
    focus.wait_for("no coin is found")
    focus.process.send_signal(signal.SIGINT)
    assert focus.end() == 0
    assert "Best sharpness: 0.000" in focus.shown
    assert rig("focus", "--light", "az061", "--lab", lab).code == 2


def test_focus_shows_the_sharpness_of_the_coin_on_the_plate(terminal: Callable[..., Terminal], lab: Path) -> None:
    state = lab / "twin" / "world.json"
    world = make_world(StationConfig(), ScaledClock(), seed=3, state_path=state)
    world.fill({1: "1994.1"})
    twin_world.use(None)
    state.write_text(state.read_text().replace('"place": "slot"', '"place": "plate"'))
    focus = terminal("focus", "--light", "az060", "--lab", lab)
    now, best = focus.wait_for(r"(0\.\d+) █+ +best (0\.\d+)").groups()
    focus.process.send_signal(signal.SIGINT)
    assert focus.end() == 0
    assert 0.05 < float(now) <= float(best), "in focus: above what a frame must have"


def test_a_log_holds_every_line_both_ways(rig: Rig, lab: Path, tmp_path: Path) -> None:
    log = tmp_path / "wire.log"
    assert rig("home", "--lab", lab, "--log", log).code == 0
    lines = log.read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} \w+ on \S+ (>>|<<|--) ", line) for line in lines)
    heard = [line.split(" ", 1)[1] for line in lines]
    for device, way, printed in (
        ("turntable on twin://turntable", "<<", "Grbl 1.1"),
        ("turntable on twin://turntable", ">>", "$H"),
        ("turntable on twin://turntable", "<<", "ok"),
        ("arm on twin://arm", ">>", "#"),
        ("arm on twin://arm", "<<", "$"),
        ("lightbox on twin://lightbox", ">>", "{"),
        ("lightbox on twin://lightbox", "<<", "{"),
    ):
        assert any(line.startswith(f"{device} {way} ") and printed in line for line in heard), (device, way, printed)
    before = len(lines)
    assert rig("park", "--lab", lab, "--log", log).code == 0
    assert len(log.read_text().splitlines()) > before, "added to, never written over"
    nowhere = rig("home", "--lab", lab, "--log", tmp_path / "no" / "wire.log")
    assert nowhere.code == 2 and "--log" in nowhere.err


def test_prints_are_true_to_scale(rig: Rig, tmp_path: Path) -> None:
    board, ring = tmp_path / "board.png", tmp_path / "ring.png"
    printed = rig("print", "board", board)
    assert printed.code == 0 and "55 x 40 mm" in printed.out and "300 dpi" in printed.out
    view = find_board(read_image(board), BoardSpec())
    assert len(view.corners_px) == 70
    first, last = view.corners_px[0], view.corners_px[-1]
    assert abs(last[0] - first[0]) == pytest.approx(9 * 5 / 25.4 * 300, abs=0.5)
    assert abs(last[1] - first[1]) == pytest.approx(6 * 5 / 25.4 * 300, abs=0.5)
    assert b"pHYs" + (11811).to_bytes(4) * 2 + b"\x01" in board.read_bytes()
    assert rig("print", "ring", ring).code == 0
    plate = plate_angle_deg(read_image(ring))
    assert plate is not None and abs((plate.angle_deg + 180) % 360 - 180) < 0.2
    corners, _, _ = cv2.aruco.ArucoDetector(RingSpec().opencv_dictionary).detectMarkers(read_image(ring))
    sides_px = [np.linalg.norm(each[0, 0] - each[0, 1]) for each in corners]
    assert len(sides_px) >= 4 and np.median(sides_px) == pytest.approx(3.4 / 25.4 * 300, abs=1.0)
    assert rig("print", "ring", ring).code == 2
    assert rig("print", "ring", tmp_path / "ring.jpg").code == 2


def test_a_large_board_is_printed_or_refused_with_what_to_give(rig: Rig, lab: Path, tmp_path: Path) -> None:
    rig_yaml = (lab / "rig.yaml").read_text()
    for board, expected in {
        "{squares_x: 16, squares_y: 12}": "Give dictionary: DICT_5X5_100",
        "{squares_x: 16, squares_y: 12, dictionary: DICT_4X4_100}": "another dictionary, such as DICT_5X5_250",
        "{squares_x: 9, squares_y: 9, square_mm: 200, marker_mm: 150}": "mm can be printed",
    }.items():
        (lab / "rig.yaml").write_text(f"{rig_yaml}board: {board}\n")
        refused = rig("print", "board", tmp_path / "board.png", "--lab", lab)
        assert refused.code in (1, 2) and expected in " ".join(refused.err.split()), refused.err
    (lab / "rig.yaml").write_text(f"{rig_yaml}board: {{squares_x: 16, squares_y: 12, dictionary: DICT_5X5_100}}\n")
    assert rig("print", "board", tmp_path / "board.png", "--lab", lab).code == 0
    assert len(find_board(read_image(tmp_path / "board.png"), open_lab(lab).rig.board).corners_px) == 15 * 11


def test_a_ring_of_another_size_is_printed_and_looked_for(rig: Rig, lab: Path, tmp_path: Path) -> None:
    document = yaml.safe_load((lab / "rig.yaml").read_text())
    other = {"markers": 16, "radius_mm": 30.0, "marker_mm": 5.0, "first_id": 60}
    (lab / "rig.yaml").write_text(yaml.safe_dump(document | {"quality": {"ring": other}}))
    printed = rig("print", "ring", tmp_path / "ring.png", "--lab", lab)
    assert printed.code == 0 and "70 x 70 mm" in printed.out and "`quality: ring:`" in printed.out
    image = read_image(tmp_path / "ring.png")
    assert plate_angle_deg(image) is None
    metrics = check(image, limits=open_lab(lab).rig.quality, expected=Expected(0.0, "none")).metrics
    assert metrics["plate_markers"] == 16 and abs((metrics["plate_deg"] + 180) % 360 - 180) < 0.2
    (lab / "rig.yaml").write_text(yaml.safe_dump(document | {"quality": {"ring": {"markers": 90}}}))
    wrong = rig("print", "ring", tmp_path / "other.png", "--lab", lab)
    assert wrong.code == 1 and "quality" in wrong.err and "more than the 100 markers" in wrong.err
