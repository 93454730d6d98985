"""How long a scan has left: by the coins that are done, from so much to so much; nothing before the first is back.

The first shots of a coin say little of the whole: lifting, turning over and the way back take longer than they do.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import mean

from capture.engine.events import CoinFinished, CoinStarted, Event, ShotTaken
from capture.store.journal_lines import CoinSkipped
from pipeline.wording import duration_range

UNSURE = 0.4  # share by which one coin alone may differ from the rest; of n coins an nth of it


@dataclass(frozen=True)
class TimeRange:
    """A time in seconds, and between which two it lies."""

    likely_s: float
    low_s: float
    high_s: float

    def in_words(self) -> str:
        """For a person."""
        return duration_range(self.low_s, self.high_s)


class TimeLeft:
    """Follows the events of a run; whoever asks says how many shots are left."""

    def __init__(self) -> None:
        self._paces_s: list[float] = []  # of each coin that is done, for a shot
        self._since_s = 0.0
        self._taken = 0

    def take_in(self, event: Event) -> None:
        """Take in what happened."""
        match event:
            case CoinStarted():
                self._since_s, self._taken = time.monotonic(), 0
            case ShotTaken(attempt=1):  # what is taken again takes its time, and brings nothing nearer
                self._taken += 1
            case CoinFinished() if self._taken:
                self._paces_s.append((time.monotonic() - self._since_s) / self._taken)
                self._taken = 0
            case CoinSkipped():
                self._taken = 0  # what it took says nothing of the others

    def of(self, shots: int) -> TimeRange | None:
        """How long so many shots should take; None before a coin is done."""
        if not self._paces_s:
            return None
        pace_s = mean(self._paces_s)
        least = UNSURE / len(self._paces_s) * pace_s
        low_s, high_s = min([*self._paces_s, pace_s - least]), max([*self._paces_s, pace_s + least])
        return TimeRange(shots * pace_s, shots * low_s, shots * high_s)
