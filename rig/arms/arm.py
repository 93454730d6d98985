"""What every arm on a serial port shares: homing, a straight move that has arrived, and refusing what is out of reach.

A driver says where it can reach, how it sends a move, and how it finds its reference position.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from pydantic import Field

from rig.bench import PointMm
from rig.errors import DeviceError, EnvelopeError, NothingThereError
from rig.serial_device import MotionDevice, SerialConfig

STUCK_S = 1.0
REST_S = 20.0
POLL_S = 0.05


class ArmConfig(SerialConfig):
    """`arm:` of rig.yaml for an arm on a serial port; each driver's config adds its kind and its own."""

    port: str = "twin://arm"
    speed_mm_s: float = Field(default=100.0, gt=0, le=250)
    home_mm: PointMm = (200.0, 0.0, 150.0)
    tolerance_mm: float = Field(default=1.5, gt=0)
    suction_s: float = Field(default=1.5, gt=0, description="longest wait for a coin to be held, or let go")
    boot_s: float = Field(default=6.0, gt=0, description="longest wait for the controller to start (wall-clock)")


Config = TypeVar("Config", bound=ArmConfig)


class SerialArm(MotionDevice[Config], Generic[Config]):
    """See `rig.devices.Arm`. The pump keeps running when the arm is stopped: what hangs on the cup stays there."""

    role = "arm"
    hold_dtr = True
    lost_with_power = "what the cup held has fallen"
    after_restart = "Find the coin, put it back into its slot, then `rig home`."
    rest_mm: ClassVar[float] = 0.3
    wrist_range_deg: ClassVar[tuple[float, float]]
    """What the servo at its end takes."""
    wrist_deg_s: ClassVar[float]
    """How fast that servo turns."""
    risk: ClassVar[str] = ""
    """What no driver can exclude, for `rig doctor` to say."""

    def move_to(self, x_mm: float, y_mm: float, z_mm: float) -> None:
        """Move the cup in a straight line, and return when it is there.

        Raises
        ------
        EnvelopeError
            If the point, or the way to it, is out of its reach; nothing is sent.
        AlarmError
            If it is not homed, or alarms or restarts on the way.
        DeviceError
            If the controller refuses the point, or it does not get there.
        """
        with self.link.lock:
            self._check_homed()
            self._check_reach((x_mm, y_mm, z_mm))
            with self._stopped_if_it_fails():
                self._move((x_mm, y_mm, z_mm))

    def turn_wrist(self, angle_deg: float) -> float:
        """Turn the servo at its end, whose place stays, and return the angle read back (deg), once it is there.

        Raises
        ------
        EnvelopeError
            If the servo does not take that angle; nothing is sent.
        AlarmError, DeviceError
            As of `move_to`.
        """
        self.check_wrist(angle_deg)
        with self.link.lock:
            self._check_homed()
            with self._stopped_if_it_fails():
                return self._turn_wrist(angle_deg)

    def check_wrist(self, angle_deg: float) -> None:
        """Raise EnvelopeError if the servo at its end does not take an angle."""
        low, high = self.wrist_range_deg
        if not low <= angle_deg <= high:
            raise EnvelopeError(
                self.link.device,
                f"the servo at its end takes {low:g} to {high:g} degrees, not {angle_deg:g}; nothing was sent.",
                "Choose an angle inside, or mount the camera another way round.",
            )

    def wrist_deg(self) -> float:
        """Angle of the servo at its end, as the controller has it (deg)."""
        raise NotImplementedError

    def wrist_s(self, by_deg: float) -> float:
        """Time that servo takes (s)."""
        return abs(by_deg) / self.wrist_deg_s + 0.1 if by_deg else 0.0

    def grip(self) -> None:
        """Start the pump and wait until something is held; if nothing is, or it fails, the pump stops again.

        Raises
        ------
        NothingThereError
            If nothing is held, as far as the arm can feel it.
        DeviceError
            If the pump does not run, or the arm does not answer.
        """
        with self.link.lock:
            try:
                self._suck(True)
                if not self._takes_hold():
                    raise NothingThereError(
                        self.link.device,
                        "the cup took hold of nothing.",
                        "See that a coin lies there, and check the cup.",
                    )
            except DeviceError:
                with contextlib.suppress(DeviceError):  # it may be gone, or have been stopped
                    self._suck(False)
                raise

    def release(self) -> None:
        """Stop the pump and wait until the cup has let go.

        Raises
        ------
        DeviceError
            If the pump does not stop, or the arm does not answer.
        """
        with self.link.lock:
            self._suck(False)

    def holds(self) -> bool:
        """Whether the cup holds something, as far as the arm can feel it."""
        raise NotImplementedError

    def stop_idle_pump(self) -> None:
        """Stop the pump unless something hangs on the cup. Nothing moves; also possible after `stop`."""
        with self.link.lock:
            self.link.clear_halt()
            if not self.holds():
                self._suck(False)

    def position_mm(self) -> PointMm:
        """Position the controller reports (mm)."""
        raise NotImplementedError

    def may_hold(self) -> bool:
        """Never unnoticed, where the pump can be asked."""
        return False

    def _check_reach(self, point: PointMm) -> None:
        """Raise EnvelopeError if a point is out of its reach."""
        raise NotImplementedError

    def _move(self, target: PointMm) -> None:
        """Move in a straight line and wait for it."""
        raise NotImplementedError

    def _turn_wrist(self, angle_deg: float) -> float:
        """Turn the servo at its end, wait for it, and return what is read back."""
        raise NotImplementedError

    def _suck(self, on: bool) -> None:
        """Switch the pump, verified as far as that can be read back; switched off, wait until the cup has let go."""
        raise NotImplementedError

    def _takes_hold(self) -> bool:
        """Wait until something is held; false if nothing is."""
        raise NotImplementedError

    def _arrive(self, target: PointMm, again: Callable[[], object] = lambda: None) -> None:
        """Wait until the position read back is the target; `again` is done at every look, for a lost command."""
        nearest_mm, since_s = math.inf, self.clock.now()
        while True:
            left_mm = math.dist(self.position_mm(), target)
            if left_mm <= self.config.tolerance_mm:
                return
            if left_mm < nearest_mm - 0.5:
                nearest_mm, since_s = left_mm, self.clock.now()
            elif self.clock.now() - since_s > STUCK_S:
                x_mm, y_mm, z_mm = target
                raise DeviceError(
                    self.link.device,
                    f"it stopped {left_mm:.0f} mm before ({x_mm:g}, {y_mm:g}, {z_mm:g}).",
                    "Remove what is in its way, then `rig home`.",
                )
            again()
            self.clock.sleep(POLL_S)

    def _at_rest(self) -> PointMm:
        """Where it comes to rest: an interrupted move may still be under way."""
        here = self.position_mm()
        until_s = self.clock.now() + REST_S
        while self.clock.now() < until_s:
            self.clock.sleep(0.1)
            before, here = here, self.position_mm()
            if math.dist(before, here) < self.rest_mm:
                return here
        raise DeviceError(
            self.link.device, f"it does not come to rest within {REST_S:g} s.", "Switch it off and check its joints."
        )
