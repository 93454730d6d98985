"""How far a motor has come: trapezoidal speed profiles, as GRBL's planner makes them between two stops."""

from __future__ import annotations

import math
from dataclasses import dataclass

Point = tuple[float, ...]


@dataclass(frozen=True)
class Trapezoid:
    """Accelerate, cruise, decelerate over a distance; a triangle when the distance is too short to cruise.

    Units are those of the caller (mm or deg, and seconds); `distance` is not negative.
    """

    distance: float
    speed: float
    acceleration: float

    @property
    def peak_speed(self) -> float:
        """Highest speed reached."""
        return min(self.speed, math.sqrt(self.distance * self.acceleration))

    @property
    def duration_s(self) -> float:
        """From standstill to standstill (s)."""
        if self.distance == 0:
            return 0.0
        peak = self.peak_speed
        return self.distance / peak + peak / self.acceleration

    def travelled(self, elapsed_s: float) -> float:
        """Distance covered after `elapsed_s`."""
        left_s = self.duration_s - elapsed_s
        if elapsed_s <= 0:
            return 0.0
        if left_s <= 0:
            return self.distance
        ramp_s = self.peak_speed / self.acceleration
        if elapsed_s < ramp_s:
            return self.acceleration * elapsed_s**2 / 2
        if left_s < ramp_s:
            return self.distance - self.acceleration * left_s**2 / 2
        return self.peak_speed * (elapsed_s - ramp_s / 2)

    def speed_at(self, elapsed_s: float) -> float:
        """Speed after `elapsed_s`."""
        left_s = self.duration_s - elapsed_s
        if elapsed_s <= 0 or left_s <= 0:
            return 0.0
        return min(self.peak_speed, self.acceleration * elapsed_s, self.acceleration * left_s)


@dataclass(frozen=True)
class StraightMove:
    """A straight move from standstill to standstill, begun at `start_s` of the clock."""

    start_s: float
    origin: Point
    target: Point
    speed: float
    acceleration: float

    @property
    def profile(self) -> Trapezoid:
        """Speed over time along the line."""
        return Trapezoid(math.dist(self.origin, self.target), self.speed, self.acceleration)

    @property
    def end_s(self) -> float:
        """When it arrives (s, of the clock)."""
        return self.start_s + self.profile.duration_s

    def at(self, now_s: float) -> Point:
        """Where it is at `now_s`."""
        profile = self.profile
        if now_s >= self.start_s + profile.duration_s:
            return self.target
        done = profile.travelled(now_s - self.start_s) / profile.distance
        return tuple(a + (b - a) * done for a, b in zip(self.origin, self.target, strict=True))

    def speed_at(self, now_s: float) -> float:
        """How fast it is at `now_s`."""
        return self.profile.speed_at(now_s - self.start_s)

    def stopped_at(self, now_s: float) -> StraightMove:
        """The same move, ended dead at `now_s`: a reset, a brown-out, a jam."""
        here = self.at(now_s)
        return StraightMove(self.start_s, here, here, self.speed, self.acceleration)

    def braked_at(self, now_s: float) -> StraightMove:
        """The same move, ended from `now_s` on as gently as it was begun: a feed hold.

        It is the second half of a move twice as long, which is at its highest speed now.
        """
        here, speed = self.at(now_s), self.speed_at(now_s)
        if speed == 0:
            return self.stopped_at(now_s)
        share = speed**2 / (2 * self.acceleration) / self.profile.distance
        way = tuple(share * (b - a) for a, b in zip(self.origin, self.target, strict=True))
        origin = tuple(a - step for a, step in zip(here, way, strict=True))
        target = tuple(a + step for a, step in zip(here, way, strict=True))
        return StraightMove(now_s - speed / self.acceleration, origin, target, speed, self.acceleration)


def at_rest(position: Point) -> StraightMove:
    """A move that is long over."""
    return StraightMove(0.0, position, position, 1.0, 1.0)
