"""What a scan or a batch was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ScanOptions:
    """Options of one tray's scan.

    Attributes
    ----------
    plan
        Name of the plan that was asked for; without one, an interrupted scan's own, else the default one.
    fresh
        Start over, whatever was interrupted or finished.
    realtime
        Run a twin at the speed of the real devices.
    allow_uncalibrated
        Take frames though the calibration is missing, expired or another camera's, each of them marked.
    """

    plan: str | None = None
    fresh: bool = False
    realtime: bool = False
    allow_uncalibrated: bool = False


@dataclass(frozen=True)
class BatchOptions(ScanOptions):
    """Options of a batch.

    Attributes
    ----------
    until
        When the last coin has to be back in its slot; None for no limit.
    identify
        False to photograph only.
    """

    until: datetime | None = None
    identify: bool = True
