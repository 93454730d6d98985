"""What every turntable on a serial port shares: an axis that turns the shorter way, backlash aside, and is homed first.

A driver says how its controller homes, moves and reports a motor; the angle it is sent to and what a failure costs is
here. Angles are kept in 0 to 360; the controller's own count runs over many turns. A second motor of the controller may
tilt the camera (`tilt:` of its config).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Generic, TypeVar

from pydantic import Field, model_validator

from rig.clock import Clock
from rig.errors import EnvelopeError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, MotionDevice, SerialConfig
from rig.turntables.motor_axis import AxisLetter, MotorAxis, TiltConfig


class AxisConfig(SerialConfig):
    """A rotary axis on a motion controller; each driver's config adds its kind."""

    port: str = "twin://turntable"
    axis: AxisLetter = "X"
    endless: bool = Field(default=True, description="no cable winds up: the shorter way round is always allowed")
    range_deg: tuple[float, float] = Field(default=(0.0, 360.0), description="allowed angles, if not endless")
    speed_deg_s: float = Field(default=45.0, gt=0)
    backlash_deg: float = Field(default=0.5, ge=0, description="every angle is approached upwards from this far below")
    settle_s: float = Field(default=0.15, ge=0, description="until the coin has stopped trembling")
    tolerance_deg: float = Field(default=0.1, gt=0)
    boot_s: float = Field(default=10.0, gt=0, description="longest wait for the controller to start (wall-clock)")
    homing_s: float = Field(default=90.0, gt=0, description="longest wait for homing (wall-clock)")
    tilt: TiltConfig | None = Field(default=None, description="a second motor, which tilts the camera")

    @model_validator(mode="after")
    def _motors_differ(self) -> AxisConfig:
        if self.tilt is not None and self.tilt.axis == self.axis:
            raise ValueError(f"tilt: axis {self.axis} turns the plate already; give the axis that tilts the camera")
        return self


Config = TypeVar("Config", bound=AxisConfig)


class AxisTurntable(MotionDevice[Config], Generic[Config]):
    """See `rig.devices.Turntable`; with `tilt:`, `rig.devices.CameraMount` as well.

    Attributes
    ----------
    while_settling
        Done once, while the next move settles: that much less is waited for.
    """

    role = "turntable"
    wrong_angle = "Check that nothing blocks the plate, then run the command again."

    def __init__(self, config: Config, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._plate = MotorAxis(
            config.axis,
            config.speed_deg_s,
            config.backlash_deg,
            config.settle_s,
            config.tolerance_deg,
            -math.inf if config.endless else config.range_deg[0],
        )
        self.while_settling: Callable[[], object] | None = None
        self._tilt: MotorAxis | None = None
        if tilt := config.tilt:
            self._tilt = MotorAxis(
                tilt.axis,
                tilt.speed_deg_s,
                tilt.backlash_deg,
                tilt.settle_s,
                config.tolerance_deg,
                min(tilt.home_deg, tilt.range_deg[0]),
            )

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
            return self._arrive(self._plate, self._target(angle_deg)) % 360.0

    def angle_deg(self) -> float:
        """Angle the controller reports (deg, 0 to 360)."""
        with self.link.lock:
            return self._count(self._plate) % 360.0

    def estimate_s(self, by_deg: float) -> float:
        """Time a turn takes, settling included (s)."""
        return self._plate.estimate_s(math.remainder(by_deg, 360.0) if self.config.endless else by_deg)

    # The camera's tilt

    def reaches_tilt(self, tilt_deg: float) -> bool:
        """Whether the camera can be tilted so far; a camera that is fixed looks straight down."""
        if self.config.tilt is None:
            return tilt_deg == 0.0
        low, high = self.config.tilt.range_deg
        return low <= tilt_deg <= high

    def tilt_to(self, tilt_deg: float) -> float:
        """Tilt the camera, settle, and return the tilt read back (deg).

        Raises
        ------
        EnvelopeError
            If there is no tilt axis, or the tilt is out of its range; nothing is sent.
        AlarmError, NoAnswerError
            As of `rotate_to`.
        """
        if self._tilt is None or not self.reaches_tilt(tilt_deg):
            tilt = self.config.tilt
            has = "no tilt axis" if tilt is None else "a range of {:g} to {:g}".format(*tilt.range_deg)
            raise EnvelopeError(
                self.link.device,
                f"it cannot tilt the camera to {tilt_deg:g} deg: it has {has}; nothing was sent.",
                "Correct `tilt_deg` in the plan, or `turntable: tilt:` in rig.yaml.",
            )
        with self.link.lock:
            self._check_homed()
            return self._arrive(self._tilt, self._tilt.zero + tilt_deg) - self._tilt.zero

    def tilt_s(self, by_deg: float) -> float:
        """Time to tilt the camera by so much, settling included (s)."""
        return self._tilt.estimate_s(by_deg) if self._tilt is not None else 0.0

    # What drivers use and provide

    @property
    def _motors(self) -> tuple[MotorAxis, ...]:
        return (self._plate,) if self._tilt is None else (self._plate, self._tilt)

    def _homed_at(self, motor: MotorAxis, count: float) -> None:
        """A motor was homed, and the controller counts this there."""
        motor.commanded = count
        if motor is self._tilt and self.config.tilt is not None:
            motor.zero = count - self.config.tilt.home_deg

    def _move(self, motor: MotorAxis, target: float) -> float:
        """Move a motor to a count of the controller, upwards at the end, settle, and return the count read back."""
        raise NotImplementedError

    def _count(self, motor: MotorAxis) -> float:
        """What the controller counts (deg, of the plate beyond 0 to 360 after some turns)."""
        raise NotImplementedError

    def _rest(self, motor: MotorAxis) -> None:
        """Wait until nothing trembles any more; what is to be done meanwhile is done now."""
        arrived_s = self.clock.now()
        action, self.while_settling = self.while_settling, None
        if action is not None:
            action()
        self.clock.sleep(max(0.0, motor.settle_s - (self.clock.now() - arrived_s)))

    def _arrive(self, motor: MotorAxis, target: float) -> float:
        """Move until the count read back is the target's, and return it."""
        with self._stopped_if_it_fails():
            for _ in range(TRIES):
                position = self._move(motor, target)
                if abs(position - target) <= motor.tolerance_deg:
                    motor.commanded = target
                    return position
            if motor is self._tilt:
                at, sent = position - motor.zero, target - motor.zero
                problem = f"the camera's tilt is {at:.2f} deg after being sent to {sent:g} deg."
            else:
                sent = target % 360.0 if self.config.endless else target
                problem = f"it stands at {position % 360.0:.2f} deg after being sent to {sent:g} deg."
            raise NoAnswerError(self.link.device, problem, self.wrong_angle)

    def _target(self, angle_deg: float) -> float:
        """Where the plate's count has to go: the shorter way if endless."""
        self._check_homed()
        commanded = self._plate.commanded
        assert commanded is not None
        if self.config.endless:
            return commanded + 180.0 - (180.0 - angle_deg + commanded) % 360.0  # half-way round: upwards
        low, high = self.config.range_deg
        if not low <= angle_deg <= high:
            raise EnvelopeError(
                self.link.device,
                f"{angle_deg:g} deg is outside its range of {low:g} to {high:g} deg; nothing was sent.",
                "Choose an angle inside, or set `endless: true` in rig.yaml if no cable can wind up.",
            )
        return angle_deg
