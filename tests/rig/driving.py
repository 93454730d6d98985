"""A process of its own that drives a station over real terminals, for tests that end it."""

from __future__ import annotations

import signal
import sys
import time
from multiprocessing.context import ForkServerProcess
from typing import Any

from rig.station import Station, StationConfig
from tests.processes import server

INTERRUPTED = 130


class FastClock:
    """True time, faster than life, and so the same in every process."""

    SPEED = 40.0

    def now(self) -> float:
        return time.monotonic() * self.SPEED

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds) / self.SPEED)


def start(config: StationConfig, *, fails: bool = False) -> ForkServerProcess:
    """Start a process that homes, lights and then brings coins back and forth; one that `fails` does so after the
    first."""
    process = server().Process(target=_drive, args=(config.model_dump(mode="json"), fails), daemon=True)
    process.start()
    return process


def _drive(settings: dict[str, Any], fails: bool) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(INTERRUPTED))  # as the command line does
    with Station(StationConfig.model_validate(settings), FastClock()) as station:
        station.home()
        station.show("all")
        while True:
            station.load(1)
            if fails:
                raise RuntimeError("something that nobody thought of")
            station.rotate_to(90)
            station.rotate_to(0)
            station.flip()
            station.unload(1)
