"""Options of the tests, and the signals they are run with."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Where Linux keeps files in memory. Half of the time of a test that stores frames is spent on forcing them onto a disk.
IN_MEMORY = Path("/dev/shm")
ROOM_BYTES = 4_000_000_000


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=2, help="how often tests/kills kills a command at a random point")
    parser.addoption("--first-chain", type=int, default=0, help="of the kills in tests/kills, to repeat a failed one")
    parser.addoption(
        "--states", type=int, default=5, help="of a lab after a power cut, for each command of tests/crash"
    )
    parser.addoption("--first-state", type=int, default=0, help="of those in tests/crash, to repeat a failed one")
    parser.addoption("--rewrite-answers", action="store_true", help="take what `rig --json` prints now as right")
    parser.addoption("--fuzz", type=int, default=10, help="how many made-up inputs each reader is given")


def pytest_configure(config: pytest.Config) -> None:
    settings.register_profile(
        "tests",
        max_examples=config.getoption("--fuzz"),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    settings.load_profile("tests")
    # Another place: `--basetemp DIR`, or that variable.
    if IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK) and shutil.disk_usage(IN_MEMORY).free > ROOM_BYTES:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))
    # A shell starts what it puts in the background with SIGINT ignored, and every process started from there inherits
    # that. Tests send it, as Ctrl-C would.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays: looking through it for garbage takes a tenth of a second each time


@pytest.fixture(scope="session")
def fuzz_rounds(request: pytest.FixtureRequest) -> int:
    """How many damaged inputs to give a reader: few by default, `--fuzz 10000` for all that can be thought of."""
    return int(request.config.getoption("--fuzz"))
