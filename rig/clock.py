"""Time, real or scaled: what settling, motion and exposure wait on.

Links do not use it: their timeouts are wall-clock seconds, because a cable that is out stays out at any speed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What the hardware waits on."""

    def now(self) -> float:
        """Time since some fixed moment (s)."""

    def sleep(self, seconds: float) -> None:
        """Return when `seconds` have passed on this clock."""

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something when `seconds` have passed, in whatever thread, while the caller goes about its work."""


class SystemClock:
    """True time, for true hardware."""

    def now(self) -> float:
        """Time since some fixed moment (s)."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait (s)."""
        time.sleep(max(0.0, seconds))

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something in `seconds` from now."""
        timer = threading.Timer(seconds, action)
        timer.daemon = True
        timer.start()


class ScaledClock:
    """The twin's time, which passes only while somebody waits for hardware.

    So `now` is the sum of motion, settling and exposure, however slow the computer is, and a run of the twin is the
    same at every speed. At speed 1 it takes as long as the hardware would.

    Parameters
    ----------
    speed
        Hardware seconds in one wall-clock second; ``math.inf`` waits for nothing.
    """

    # A shorter nap than this costs more in the scheduler than it is worth: naps are saved up.
    _SHORTEST_NAP_S = 0.001

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"clock speed must be above 0, not {speed:g}")
        self.speed = speed
        self._now = 0.0
        self._owed_s = 0.0
        self._due: list[tuple[float, Callable[[], object]]] = []
        self._lock = threading.Lock()

    def now(self) -> float:
        """Hardware seconds so far."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Let `seconds` of hardware time pass, in ``seconds / speed`` of wall time."""
        until_s = self._now + seconds
        while self._due and self._due[0][0] <= until_s:
            due_s, action = self._due.pop(0)
            self._pass(due_s - self._now)
            action()
        self._pass(until_s - self._now)

    def after(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something when `seconds` of hardware time have passed, in the thread that waits then."""
        self._due.append((self._now + seconds, action))
        self._due.sort(key=lambda due: due[0])

    def _pass(self, seconds: float) -> None:
        if seconds <= 0:
            return
        with self._lock:
            self._now += seconds
            self._owed_s += seconds / self.speed
            nap_s = self._owed_s if self._owed_s >= self._SHORTEST_NAP_S else 0.0
            self._owed_s -= nap_s
        if nap_s:
            started = time.monotonic()
            time.sleep(nap_s)
            with self._lock:
                self._owed_s -= time.monotonic() - started - nap_s  # an overlong nap is paid back by the next ones
