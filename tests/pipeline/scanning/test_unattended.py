"""A scan or a batch whose terminal is closed, or whose output nobody reads: no coin stays out of its slot."""

from __future__ import annotations

import functools
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.conftest import Rig
from tests.pipeline.scanning.test_scan import SCAN, SHORT, TINY, places, stored, wait_for_frames
from tests.processes import Command, run
from tests.terminals import Terminal

NIGHT = ("batch", "--trays", "1", "--no-identify")


def set_speed(lab: Path, speed: int) -> None:
    """How fast the twin runs: slowly, for time to do something in the middle of a scan."""
    document = (lab / "rig.yaml").read_text()
    (lab / "rig.yaml").write_text(re.sub(r"speed: \d+", f"speed: {speed}", document))


def no_reader(number: int) -> None:
    """Standard output (1) or error (2) becomes a pipe that nobody reads any more."""
    reading, writing = os.pipe()
    os.dup2(writing, number)
    os.close(reading)


def full_disk() -> None:
    """Standard output becomes a file on a disk that is full."""
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def hang_up_twice(scan: Command, terminal: Terminal) -> None:
    """As a shell that is closed does: the system hangs up, and so does the shell."""
    terminal.close()
    time.sleep(0.05)
    scan.send_signal(signal.SIGHUP)


def terminate_and_hang_up(scan: Command, terminal: Terminal) -> None:
    """As systemd does when the computer is shut down."""
    scan.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    terminal.close()


@pytest.mark.parametrize(
    ("end", "why"),
    [
        pytest.param(hang_up_twice, "The terminal was closed. Stopped", id="window closed"),
        pytest.param(terminate_and_hang_up, "Stopped on request", id="computer shut down", marks=pytest.mark.slow),
    ],
)
def test_a_scan_whose_terminal_is_closed_puts_the_coin_back(
    rig: Rig, short_lab: Path, end: Callable[[Command, Terminal], None], why: str
) -> None:
    set_speed(short_lab, 30)
    terminal = Terminal()
    scan = Command(*SCAN, "--lab", short_lab, before=terminal.before)
    wait_for_frames(short_lab, scan, 2)
    end(scan, terminal)
    assert scan.wait(60) == 3
    assert places(short_lab) == {"slot"}
    seen = rig("status", "--lab", short_lab)
    assert "stopped at" in seen.out and why in seen.out and "Resume with `rig scan" in seen.out
    assert "Traceback" not in terminal.shown.decode()


@pytest.mark.slow
def test_a_batch_whose_terminal_is_closed_continues(short_lab: Path) -> None:
    terminal = Terminal()
    batch = Command("batch", "--trays", "1-2", "--no-identify", "--lab", short_lab, before=terminal.before)
    wait_for_frames(short_lab, batch, 2)
    hang_up_twice(batch, terminal)
    assert batch.wait(60) == 0
    assert [count for _, count in stored(short_lab)] == [1] * 3 * SHORT


@pytest.mark.parametrize(
    ("command", "number"),
    [
        pytest.param(SCAN, 1, id="scan's output", marks=pytest.mark.slow),
        pytest.param(SCAN, 2, id="scan's errors", marks=pytest.mark.slow),
        pytest.param(NIGHT, 1, id="batch's output"),
        pytest.param(NIGHT, 2, id="batch's errors", marks=pytest.mark.slow),
    ],
)
def test_a_scan_that_nobody_reads_is_finished(
    rig: Rig, tiny_lab: Path, command: tuple[object, ...], number: int
) -> None:
    ran = run(*command, "--lab", tiny_lab, before=functools.partial(no_reader, number))
    assert ran.code == 0
    assert "Traceback" not in ran.err and "Errno" not in ran.err
    assert [count for _, count in stored(tiny_lab)] == [1] * TINY
    assert rig("status", "--lab", tiny_lab, "--json").json["status"]["ended"]["state"] == "done"


def test_a_result_that_cannot_be_written_is_a_failure(tiny_lab: Path) -> None:
    ran = run(*SCAN, "--json", "--lab", tiny_lab, before=full_disk)
    assert ran.code == 1
    assert "standard output could not be written: No space left on device" in ran.err
    assert [count for _, count in stored(tiny_lab)] == [1] * TINY


@pytest.mark.slow  # by default one interrupt puts it back
def test_a_second_interrupt_names_the_coin_that_is_out_of_its_slot(rig: Rig, short_lab: Path) -> None:
    set_speed(short_lab, 10)
    scan = Command(*SCAN, "--lab", short_lab)
    wait_for_frames(short_lab, scan, 2)
    scan.send_signal(signal.SIGINT)
    while "Stopping:" not in scan.err:
        time.sleep(0.01)
    scan.send_signal(signal.SIGINT)
    _, err = scan.communicate(60)
    assert scan.returncode == 3
    coin = re.search(r"Coin 1994\.\d of slot \d .*Leave it there: the same command finds it", err)
    assert coin is not None, err
    ended = rig("status", "--lab", short_lab).out
    assert coin.group() in ended and "left over" in ended and "scanning" not in ended
    set_speed(short_lab, 1000)
    assert rig(*SCAN, "--lab", short_lab).code == 0
    assert places(short_lab) == {"slot"}
