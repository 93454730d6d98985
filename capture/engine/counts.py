"""What frames come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from capture.store.records import Frame


@dataclass(frozen=True)
class FrameCounts:
    """Good frames, retakes, and shots that have no good frame."""

    good: int
    retakes: int
    quarantined: int


def count_frames(frames: Sequence[Frame]) -> FrameCounts:
    """Count all frames of some shots, quarantined ones included."""
    good = {frame.shot_id for frame in frames if frame.is_good}
    return FrameCounts(
        good=len(good),
        retakes=sum(frame.attempt > 1 for frame in frames),
        quarantined=len({frame.shot_id for frame in frames} - good),
    )
