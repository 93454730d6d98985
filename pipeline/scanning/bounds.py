"""When nothing more may be begun tonight: somebody asked to stop, the time is up, or the disk is full."""

from __future__ import annotations

import os
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType

from capture.engine.events import Event, ScanStarted
from pipeline.lab import Lab
from pipeline.scanning.batch_plan import BatchPlan
from pipeline.scanning.disk import find_shortage
from pipeline.scanning.watch import Watch


class Bounds:
    """Asked before each coin, by the runner too.

    Attributes
    ----------
    stopped
        Somebody asked to stop.
    why
        What was answered last, other than that it may go on.
    """

    def __init__(self, lab: Lab, watch: Watch, plan: BatchPlan) -> None:
        self._lab = lab
        self._watch = watch
        self._until = plan.until
        # A deadline that a clock which is set meanwhile does not move.
        left_s = (plan.until - datetime.now(UTC)).total_seconds() if plan.until else float("inf")
        self._over_s = time.monotonic() + left_s
        self._coin_bytes = plan.disk_bytes // max(1, sum(each.coins for each in plan.to_do))
        self.stopped = False
        self.why: str | None = None
        self.is_scanning = False

    def __call__(self) -> str | None:
        """Why nothing more may be begun; None to go on."""
        why = "Stopped as asked; the same command goes on." if self.stopped else self._time() or self._disk()
        if why is not None:
            self.why = why
        return why

    def told(self, event: Event) -> None:
        """Note that the runner has begun: it sees to signals itself from then on."""
        if isinstance(event, ScanStarted):
            self.is_scanning = True

    @contextmanager
    def heeding_signals(self) -> Iterator[None]:
        """Ctrl-C and SIGTERM ask to stop; the second one does what it always does. A terminal that goes is let go."""
        former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        former_hang_up = signal.signal(signal.SIGHUP, _let_go_of_terminal)

        def ask(number: int, frame: FrameType | None) -> None:
            handler = former[signal.Signals(number)]
            if (self.stopped or self.is_scanning) and callable(handler):
                handler(number, frame)
            self.stopped = True

        for number in former:
            signal.signal(number, ask)
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)
            signal.signal(signal.SIGHUP, former_hang_up)

    def _time(self) -> str | None:
        if time.monotonic() + self._watch.coin_s() <= self._over_s or self._until is None:
            return None
        return f"The time is up: the next coin would not be back by {self._until:%H:%M}. The same command goes on."

    def _disk(self) -> str | None:
        return find_shortage(self._lab, self._coin_bytes)


def _let_go_of_terminal(number: int, frame: FrameType | None) -> None:
    """Somebody logged out: the night goes on, in the log."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):  # a file or a pipe is still there
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
