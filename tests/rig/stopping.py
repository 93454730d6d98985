"""A clock that stops a device in the middle of a move, at the very moment it is wanted."""

from __future__ import annotations

import math
from collections.abc import Callable

from rig.clock import ScaledClock

STEP_S = 0.002


class StoppingClock(ScaledClock):
    """Lets time pass in small steps until something holds, then does something, once."""

    def __init__(self) -> None:
        super().__init__(math.inf)
        self._when: Callable[[], bool] | None = None
        self._then: Callable[[], object] = lambda: None

    def do(self, then: Callable[[], object], when: Callable[[], bool]) -> None:
        """Do `then` as soon as `when` holds."""
        self._when, self._then = when, then

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        while seconds > 0 and self._when is not None:
            step_s = min(seconds, STEP_S)
            super().sleep(step_s)
            seconds -= step_s
            if self._when():
                self._when = None
                self._then()
        super().sleep(seconds)
