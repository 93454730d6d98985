"""What every turntable on a serial port shares: an axis that turns the shorter way, backlash aside, and is homed first.

A driver says how its controller homes, turns and reports; the angle it is sent to and what a failure costs is here.
Angles are kept in 0 to 360; the controller's own count runs over many turns.
"""

from __future__ import annotations

import math
from typing import Generic, Literal, TypeVar

from pydantic import Field

from rig.clock import Clock
from rig.errors import EnvelopeError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, MotionDevice, SerialConfig


class AxisConfig(SerialConfig):
    """A rotary axis on a motion controller; each driver's config adds its kind."""

    port: str = "twin://turntable"
    axis: Literal["X", "Y", "Z", "A", "B", "C"] = "X"
    endless: bool = Field(default=True, description="no cable winds up: the shorter way round is always allowed")
    range_deg: tuple[float, float] = Field(default=(0.0, 360.0), description="allowed angles, if not endless")
    speed_deg_s: float = Field(default=45.0, gt=0)
    backlash_deg: float = Field(default=0.5, ge=0, description="every angle is approached upwards from this far below")
    settle_s: float = Field(default=0.15, ge=0, description="until the coin has stopped trembling")
    tolerance_deg: float = Field(default=0.1, gt=0)
    boot_s: float = Field(default=10.0, gt=0, description="longest wait for the controller to start (wall-clock)")
    homing_s: float = Field(default=90.0, gt=0, description="longest wait for homing (wall-clock)")


Config = TypeVar("Config", bound=AxisConfig)

RAMPS_S = 0.3  # to start and to stop, of a controller that does not say how fast it accelerates


class AxisTurntable(MotionDevice[Config], Generic[Config]):
    """See `rig.devices.Turntable`."""

    role = "turntable"
    wrong_angle = "Check that nothing blocks the plate, then run the command again."

    def __init__(self, config: Config, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._commanded: float | None = None  # where the controller's count was sent
        self._fastest_deg_s = math.inf  # what the controller says of its axis, whatever it is sent
        self._acceleration_deg_s2: float | None = None

    def rotate_to(self, angle_deg: float) -> float:
        """Turn to an angle, settle, and return the angle read back (deg, 0 to 360).

        Raises
        ------
        EnvelopeError
            If the turntable is not endless and the angle is out of its range; nothing is sent.
        AlarmError
            If it is not homed, or alarms or restarts on the way.
        NoAnswerError
            If it does not arrive, after several tries.
        """
        with self.link.lock:
            target = self._target(angle_deg)
            with self._stopped_if_it_fails():
                for _ in range(TRIES):
                    position = self._turn(target)
                    if abs(position - target) <= self.config.tolerance_deg:
                        self._commanded = target
                        return position % 360.0
                raise NoAnswerError(
                    self.link.device,
                    f"it stands at {position % 360:.2f} deg after being sent to {angle_deg:g} deg.",
                    self.wrong_angle,
                )

    def angle_deg(self) -> float:
        """Angle the controller reports (deg, 0 to 360)."""
        with self.link.lock:
            return self._count() % 360.0

    def estimate_s(self, by_deg: float) -> float:
        """Time a turn takes, settling included (s)."""
        short = abs(math.remainder(by_deg, 360.0)) if self.config.endless else abs(by_deg)
        return self._travel_s(short) + self.config.settle_s if short else 0.0

    def _turn(self, target: float) -> float:
        """Turn to a count of the controller, upwards at the end, settle, and return the count read back."""
        raise NotImplementedError

    def _count(self) -> float:
        """What the controller counts (deg, beyond 0 to 360 after some turns)."""
        raise NotImplementedError

    def _legs(self, target: float) -> list[float]:
        """The counts to go to in turn, so that the last is reached upwards, with the gears' play always the same."""
        if self._commanded is None or target >= self._commanded or not self.config.backlash_deg:
            return [target]
        below = target - self.config.backlash_deg
        return [below if self.config.endless else max(below, self.config.range_deg[0]), target]

    @property
    def _speed_deg_s(self) -> float:
        """How fast it turns: as asked for, or as fast as it can."""
        return min(self.config.speed_deg_s, self._fastest_deg_s)

    def _travel_s(self, by_deg: float) -> float:
        """Time the motor needs from rest to rest (s)."""
        speed = self._speed_deg_s
        if self._acceleration_deg_s2 is None:
            return by_deg / speed + RAMPS_S
        ramps_deg = speed**2 / self._acceleration_deg_s2
        if by_deg < ramps_deg:
            return 2 * math.sqrt(by_deg / self._acceleration_deg_s2)
        return by_deg / speed + speed / self._acceleration_deg_s2

    def _target(self, angle_deg: float) -> float:
        """Where the controller's count has to go: the shorter way if endless."""
        self._check_homed()
        assert self._commanded is not None
        if self.config.endless:
            return self._commanded + 180.0 - (180.0 - angle_deg + self._commanded) % 360.0  # half-way round: upwards
        low, high = self.config.range_deg
        if not low <= angle_deg <= high:
            raise EnvelopeError(
                self.link.device,
                f"{angle_deg:g} deg is outside its range of {low:g} to {high:g} deg; nothing was sent.",
                "Choose an angle inside, or set `endless: true` in rig.yaml if no cable can wind up.",
            )
        return angle_deg
