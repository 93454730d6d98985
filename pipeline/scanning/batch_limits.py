"""When nothing more may be begun in a batch: somebody asked to stop, the time is up, or the disk is full."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from pipeline.lab import Lab
from pipeline.scanning.batch_plan import BatchPlan
from pipeline.scanning.disk import find_shortage
from pipeline.scanning.monitor import JobMonitor
from pipeline.signals import Stop


class BatchLimits:
    """Asked before each tray, and by the engine before each coin.

    Attributes
    ----------
    stop
        Set when somebody asked to stop.
    reason
        What was answered last, other than that the batch may continue.
    """

    def __init__(self, lab: Lab, monitor: JobMonitor, plan: BatchPlan) -> None:
        self._lab = lab
        self._monitor = monitor
        self._until = plan.until
        # A deadline that a clock which is set meanwhile does not move.
        left_s = (plan.until - datetime.now(UTC)).total_seconds() if plan.until else float("inf")
        self._over_s = time.monotonic() + left_s
        self._coin_bytes = plan.disk_bytes // max(1, sum(each.coins for each in plan.to_do))
        self.stop = Stop()
        self.reason: str | None = None

    def find_reason_to_end(self) -> str | None:
        """Why nothing more may be begun; None to continue."""
        asked = "Stopped on request. Run the same command again to resume." if self.stop.is_set() else None
        reason = asked or self._lack_of_time() or find_shortage(self._lab, self._coin_bytes)
        if reason is not None:
            self.reason = reason
        return reason

    def _lack_of_time(self) -> str | None:
        if time.monotonic() + self._monitor.coin_s() <= self._over_s or self._until is None:
            return None
        return (
            f"The time is up: the next coin would not be back by {self._until:%H:%M}. Run the same command again to "
            "resume."
        )
