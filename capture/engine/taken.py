"""What an exposure hands to whoever keeps it."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.bracket import BracketImage
from capture.cameras import RawImage


@dataclass(frozen=True)
class Taken:
    """An exposure, and where turntable and camera say they stood (deg); of a bracket, ``raw`` is the first image."""

    raw: RawImage
    turntable_read_deg: float
    tilt_read_deg: float
    sources: tuple[BracketImage, ...] = ()
