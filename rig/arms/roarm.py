"""Waveshare RoArm-M2-S with a vacuum pump on its 12 V switch, as the arm that handles coins.

Written to the firmware's source and the vendor's wiki (github.com/waveshareteam/roarm_m2: json_cmd.h, uart_ctrl.h,
RoArm-M2_module.h, switch_module.h; www.waveshare.com/wiki/RoArm-M2-S):

- A command is a line of JSON with its number ``T``. None is acknowledged; with its default setting the firmware repeats
  each line before it obeys. ``{"T":105}`` is answered with ``{"T":1051,...}``, the position by the servos' own sensors.
- ``T:104`` drives a straight line but is deaf until it is there: no stop. So the line is drawn here, in small steps of
  ``T:1041``, which goes to a point at once, and ends when no more are sent.
- ``T:0``, and any JSON whose ``T`` was lost, is an emergency stop that lets go of all joints for 10 s: the arm falls.
  It is not used. Nor is a point out of its reach ever sent: the firmware would compute its joints from NaN.
- There is no checksum: a lost digit is another number. What arrives is read back, what does not is sent again.
- The sensors know the position from power-up; there is no homing switch. Whenever the controller starts, the arm swings
  to its initial position by itself.
- The published protocol knows no suction cup, only a gripper; the 12 V switch (``T:113``) drives a pump. Neither it nor
  any sensor can be read: `holds` is what was commanded and the camera has to look. After a program was killed its pump
  may run on: it is left as it is, so that nothing falls, and `may_hold` says so until it was switched.
- Its makers promise about 4 mm; the slots of the tray must forgive that.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from rig.arms.arm import ArmConfig, SerialArm
from rig.bench import PointMm
from rig.clock import Clock
from rig.errors import EnvelopeError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES

log = logging.getLogger(__name__)

# Lengths of its links (mm), RoArm-M2_config.h.
UPPER_MM = math.hypot(236.82, 30.0)
FORE_MM = math.hypot(280.15, 1.73)
UPPER_RAD = math.atan2(30.0, 236.82)
FORE_RAD = math.atan2(1.73, 280.15)
SHOULDER_RAD = (-math.pi / 2, math.pi / 2)
ELBOW_RAD = (-math.pi / 4, 3.14)  # what its servo is limited to, in steps 512 to 3071
# What it says while it starts.
BOOTED = ("rst:0x", "Initialize LittleFS", "Power up the servos", "Bus servos status check", "RoArm-M2 started")
STEP_S = 0.04
REST_MM = 0.5


class RoarmConfig(ArmConfig):
    """`arm:` of rig.yaml for a RoArm-M2-S. Height 0 is that of its shoulder."""

    kind: Literal["roarm"] = "roarm"
    hand_rad: float = Field(default=3.14, ge=1.08, le=5.2, description="angle of the hand servo, which holds the cup")
    pump_switch: Literal["a", "b"] = Field(default="a", description="the 12 V output the pump is wired to")
    tolerance_mm: float = Field(default=5.0, gt=0)
    suction_s: float = Field(default=0.5, gt=0, description="until the cup has taken hold, or let go")
    answer_s: float = Field(default=1.0, gt=0, description="longest wait for an answer (wall-clock)")
    boot_s: float = Field(default=30.0, gt=0, description="longest wait for the controller to start (wall-clock)")


class RoarmArm(SerialArm[RoarmConfig]):
    """The arm."""

    stop_bytes = b"\n"  # no further step is sent, which is all it takes
    rest_mm = REST_MM

    def __init__(self, config: RoarmConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._works = False  # from `home` on a restart of the controller is bad news
        self._pumps = False
        self._knows_pump = False

    def grip(self) -> None:
        """Start the pump, and give it time. Whether something is held nobody can tell: the camera has to look."""
        with self.link.lock:
            self._pump(True)

    def release(self) -> None:
        """Stop the pump, and give it time."""
        with self.link.lock:
            self._pump(False)

    def holds(self) -> bool:
        """Whether the pump was started, which is all that can be known."""
        return self._pumps

    def may_hold(self) -> bool:
        """Whether the pump may run since before this program."""
        return not self._knows_pump

    def position_mm(self) -> PointMm:
        """Position by the servos' sensors (mm)."""
        with self.link.lock:
            for _ in range(TRIES):
                position = self._feedback(self.config.answer_s)
                if position is not None:
                    return position
            raise NoAnswerError(
                self.link.device,
                f"no answer to '{{\"T\":105}}' within {self.config.answer_s:g} s, {TRIES} times.",
                "Check its power and cable, then `rig home`.",
            )

    def estimate_s(self, distance_mm: float) -> float:
        """Time a straight move takes (s)."""
        return math.pi / 2 * distance_mm / self.config.speed_mm_s + 0.1 if distance_mm else 0.0

    def _greet(self) -> str:
        self._works = False
        deadline = time.monotonic() + self.config.boot_s
        while (position := self._feedback(min(0.5, self.config.answer_s))) is None:
            for line in self.link.drain():
                self._watch(line)
            if time.monotonic() >= deadline:
                raise NoAnswerError(
                    self.link.device,
                    f"no answer to '{{\"T\":105}}' within {self.config.boot_s:g} s.",
                    "Check its power, and that the cable is in the USB port of its ESP32, not the other one.",
                )
        if not self._knows_pump:
            log.info(
                "%s: it was running already and cannot be asked whether its pump is on. If a coin hangs on it, it "
                "stays there; scanning its tray brings it back into its slot.",
                self.link.device,
            )
        log.debug("%s stands at %s", self.link.device, position)
        return "RoArm-M2"

    def _find_home(self) -> None:
        """Lock the joints, go straight up, then to the home position."""
        self.link.drain()
        self._works = True
        self._send(T=210, cmd=1)
        x_mm, y_mm, z_mm = self._at_rest()
        home_z_mm = self.config.home_mm[2]
        if z_mm < home_z_mm - self.config.tolerance_mm:
            self._move((x_mm, y_mm, home_z_mm))
        self._move(self.config.home_mm)

    def _move(self, target: PointMm) -> None:
        """Draw the line in small steps, then wait until the sensors tell that it is there."""
        start = self.position_mm()
        way = list(self._way(start, target))
        for point in way:
            self._check_reach(point)
        for point in way:
            self._step(point)
            self.clock.sleep(STEP_S)
        self._arrive(target, lambda: self._step(target))  # the last step may have been lost
        self._at_rest()

    def _way(self, start: PointMm, target: PointMm) -> Iterator[PointMm]:
        """Points on the line, a step apart, gently begun and ended."""
        steps = max(1, math.ceil(self.estimate_s(math.dist(start, target)) / STEP_S))
        for number in range(1, steps + 1):
            done = (1 - math.cos(math.pi * number / steps)) / 2
            x_mm, y_mm, z_mm = (here + (there - here) * done for here, there in zip(start, target, strict=True))
            yield (x_mm, y_mm, z_mm)

    def _step(self, point: PointMm) -> None:
        for line in self._waiting():
            self._watch(line)
        x_mm, y_mm, z_mm = (round(value, 2) for value in point)
        # Without `spd` a line whose T lost its last digit, 104, would never end; T:1041 itself has no use for it.
        self._send(T=1041, x=x_mm, y=y_mm, z=z_mm, t=self.config.hand_rad, spd=0.25)

    def _check_reach(self, point: PointMm) -> None:
        if not in_reach(point):
            x_mm, y_mm, z_mm = point
            raise EnvelopeError(
                self.link.device,
                f"({x_mm:.0f}, {y_mm:.0f}, {z_mm:.0f}) mm is out of its reach; nothing was sent.",
                "Correct the bench positions in rig.yaml: heights count from its shoulder.",
            )

    def _pump(self, on: bool) -> None:
        level = 255 if on else 0
        switches = {"pwm_a": level, "pwm_b": 0} if self.config.pump_switch == "a" else {"pwm_a": 0, "pwm_b": level}
        self._pumps = self._pumps or on  # from now on it may run
        for _ in range(2):  # nothing tells whether it was heard
            self._send(T=113, **switches)
            self.position_mm()  # still there, and not restarted
        self._pumps, self._knows_pump = on, True
        self.clock.sleep(self.config.suction_s)

    # The protocol

    def _send(self, **command: float) -> None:
        self.link.send(json.dumps(command, separators=(",", ":")).encode() + b"\n")

    def _feedback(self, timeout_s: float) -> PointMm | None:
        """Ask where it is; None when no sound answer comes."""
        for line in self._waiting():
            self._watch(line)
        self.link.send(b'\n{"T":105}\n')  # ends the half line a lost byte may have left
        found: list[PointMm] = []

        def is_answer(line: str) -> bool:
            self._watch(line)
            position = _position(line)
            if position is not None:
                found.append(position)
            return bool(found)

        try:
            self.link.wait_for(is_answer, timeout_s, '{"T":105}')
        except NoAnswerError:
            return None
        return found[0]

    def _waiting(self) -> Iterator[str]:
        """Lines that answer no question: repeated commands, and what it prints when it starts."""
        while (line := self.link.line(0.0)) is not None:
            yield line

    def _watch(self, line: str) -> None:
        """Note that the controller restarted, which stops its pump; raise if that is in the midst of work."""
        if not self._has_booted(line):
            return
        self._doubt()
        self._pumps, self._knows_pump = False, True
        if self._works:
            self._works = False
            raise self._restarted()

    @staticmethod
    def _has_booted(line: str) -> bool:
        return any(word in line for word in BOOTED)


def in_reach(point_mm: PointMm) -> bool:
    """Whether the firmware finds joint angles for a point: its own inverse kinematics, simpleLinkageIkRad()."""
    x_mm, y_mm, z_mm = point_mm
    reach_mm = math.hypot(x_mm, y_mm, z_mm)
    if not abs(UPPER_MM - FORE_MM) < reach_mm < UPPER_MM + FORE_MM:
        return False
    at_shoulder = math.acos((UPPER_MM**2 + reach_mm**2 - FORE_MM**2) / (2 * UPPER_MM * reach_mm)) + UPPER_RAD
    at_hand = math.acos((FORE_MM**2 + reach_mm**2 - UPPER_MM**2) / (2 * FORE_MM * reach_mm))
    shoulder_rad = math.pi / 2 - math.atan2(z_mm, math.hypot(x_mm, y_mm)) - at_shoulder
    elbow_rad = at_shoulder + at_hand - FORE_RAD
    return SHOULDER_RAD[0] <= shoulder_rad <= SHOULDER_RAD[1] and ELBOW_RAD[0] <= elbow_rad <= ELBOW_RAD[1]


def _position(line: str) -> PointMm | None:
    """The position in an answer to T:105; None if it is something else."""
    try:
        answer: Any = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict) or answer.get("T") != 1051:
        return None
    values = [answer.get(axis) for axis in "xyz"]
    found = [float(value) for value in values if isinstance(value, int | float) and abs(value) < 1000]
    return (found[0], found[1], found[2]) if len(found) == 3 else None
