"""`rig bench` holds the rig and does what lines say: one step at a time, and nothing for whoever is not there."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.bench.session import drive_bench
from pipeline.lab import open_lab
from tests.pipeline.conftest import SMALL_CAMERA, command
from tests.processes import run


def make_bench(folder: Path, speed: float) -> Path:
    """A lab of a twin and nothing else."""
    folder.mkdir(exist_ok=True)
    (folder / "rig.yaml").write_text(f"twin: {{coins: procedural, speed: {speed}}}\ncamera:\n{SMALL_CAMERA}")
    return folder


def test_orders_are_carried_out_one_at_a_time_and_in_the_end_the_rig_is_let_go(tmp_path: Path) -> None:
    lab, typed, states = open_lab(make_bench(tmp_path / "lab", 1000)), queue.Queue[str](), queue.Queue[Any]()
    lines: Iterator[str] = iter(typed.get, "")
    session = threading.Thread(target=lambda: drive_bench(lab, lines, states.put, realtime=False))
    session.start()

    def order(**sent: Any) -> Any:
        typed.put(json.dumps(sent))
        while not (state := states.get(timeout=20)).done or state.doing is not None or not states.empty():
            pass
        return state

    assert "not homed" in order(do="turn", by_deg=5).problem
    assert (home := order(do="home")).is_homed and home.problem is None and home.angle_deg == 0
    turned = order(do="turn", by_deg=-5)
    assert turned.angle_deg == pytest.approx(355, abs=0.1)
    x_mm, y_mm, z_mm = turned.cup_mm
    assert order(do="move", by_mm=[0, 0, 10]).cup_mm == (x_mm, y_mm, z_mm + 10)
    refused = order(do="move", by_mm=[0, -50, 0])
    assert "outside its envelope" in refused.problem and refused.is_homed, "nothing was sent"
    assert order(do="light", name="az060").light == "az060"
    assert "no light" in order(do="light", name="sun").problem
    assert order(do="stop").problem.startswith("Stopped.")
    assert "not homed" in order(do="turn", by_deg=5).problem, "after a stop no position is believed"
    typed.put('{"do": "jump"}')
    typed.put("{")
    typed.put("")
    session.join(20)
    assert not session.is_alive()
    assert run("status", "--lab", lab.folder, "--json").json["holder"] is None


class Bench:
    """`rig bench` in a process of its own."""

    def __init__(self, lab: Path) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command("bench", "--lab", lab), stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def order(self, **sent: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(sent) + "\n")
        self.process.stdin.flush()

    def wait_for(self, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if is_wanted(state := json.loads(line)):
                return dict(state)
        raise AssertionError(self.process.communicate()[1])


@pytest.fixture
def slow_bench(tmp_path: Path) -> Iterator[Bench]:
    """A twin as slow as life: homing takes many seconds."""
    bench = Bench(make_bench(tmp_path / "lab", 1))
    yield bench
    bench.process.kill()
    bench.process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["stop", "silence", "end of input"])
def test_what_moves_is_stopped_when_asked_and_when_nobody_is_there(slow_bench: Bench, way: str) -> None:
    slow_bench.wait_for(lambda state: True)
    slow_bench.order(do="home")
    slow_bench.order(do="turn", by_deg=5)  # while homing: dropped
    slow_bench.wait_for(lambda state: state["doing"] == "home")
    if way == "stop":
        slow_bench.order(do="stop")
    elif way == "end of input":
        assert slow_bench.process.stdin is not None
        slow_bench.process.stdin.close()
    stopped = slow_bench.wait_for(lambda state: state["doing"] is None)
    assert stopped["done"] == 1 and "topped" in stopped["problem"] and not stopped["is_homed"]
    if way == "end of input":
        assert slow_bench.process.wait(30) == 0
    else:
        slow_bench.order(do="turn", by_deg=5)
        assert "not homed" in slow_bench.wait_for(lambda state: state["done"] == 2)["problem"]
        slow_bench.order(do="end")
        assert slow_bench.process.wait(30) == 0


@pytest.mark.slow
def test_of_two_that_want_the_rig_the_second_is_refused(tmp_path: Path) -> None:
    lab = make_bench(tmp_path / "lab", 1000)
    first = Bench(lab)
    first.wait_for(lambda state: True)
    second = run("bench", "--lab", lab)
    assert second.code == 1 and "in use by" in second.err and second.out == ""
    first.order(do="end")
    assert first.process.wait(30) == 0
