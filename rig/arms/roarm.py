"""RoArm-M2-S with a suction cup on the vendor's air pump, as the arm that handles coins.

Written to the maker's wiki (www.waveshare.com/wiki/RoArm-M2-S) and the firmware's source (github.com/waveshareteam/
roarm_m2, c6ccc5b: RoArm-M2_example.ino, uart_ctrl.h, json_cmd.h, RoArm-M2_module.h, switch_module.h), which reads its
lines with ArduinoJson 6 (github.com/bblanchon/ArduinoJson, v6.21.5: JsonDeserializer.hpp):

- A command is a line of JSON with its number ``T``. The firmware repeats each line that it could read, before it obeys:
  that is the only acknowledgement, so each is awaited, and what was repeated wrongly is sent again at once.
- There is no checksum, and what ArduinoJson does not find is 0. A line whose ``T`` is lost, or a ``{`` before a quoted
  key, is ``T:0``: all joints let go for 10 s, and the arm falls. So keys are written without quotes: then a line that
  lost either is no JSON at all. And ``T`` is written at both ends: where noise made another key of one, the other holds
  (of a key that comes twice the last counts). No byte lost, doubled, or with one bit flipped makes ``T:0`` of what is
  sent here.
- A lost digit or sign is another angle. ``T:122`` is the command that takes that best: it obeys speed and acceleration,
  so the arm sets out slowly for the wrong place, and is called back when the line is repeated. ``T:1041`` goes there as
  fast as its servos can, ``T:104`` is deaf until it is there. A straight line is drawn here, in small steps, and where
  the arm is is looked at after each.
- ``T:1`` (EEMode) makes the arm swing at once, so it is never sent. It shifts only what the firmware reports as x, y
  and z; joints are sent and read here. Nothing answers which mode it is in, but those two show it, by the difference.
- The sensors know the position from power-up; there is no homing switch. Whenever the controller starts, the arm swings
  to its initial position by itself.
- The published protocol knows no suction cup, only a gripper; the 12 V switch (``T:113``) drives a pump. Neither it nor
  any sensor can be read: `holds` is what was commanded and the camera has to look. After a program was killed its pump
  may run on: it is left as it is, so that nothing falls, and `may_hold` says so until it was switched.
- Its makers promise about 4 mm; the slots of the tray must forgive that.

What remains: several bytes damaged in one line at once, or one that becomes ``}`` or ``.`` at one certain place, can
still be ``T:0``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import math
import time
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

from pydantic import Field

from rig.arms.arm import ArmConfig, SerialArm
from rig.arms.roarm_linkage import Joints, joints_at, point_at, reported_at
from rig.bench import PointMm
from rig.clock import Clock
from rig.errors import DeviceError, EnvelopeError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import retry

log = logging.getLogger(__name__)

# What it says while it starts.
BOOTED = ("rst:0x", "Initialize LittleFS", "Power up the servos", "Bus servos status check", "RoArm-M2 started")
STEP_S = 0.05
REPEAT_S = 0.3  # longest wait for a line to be repeated (wall-clock)
ACCELERATION_DEG_S2 = 5  # as `acc` counts it: 57 of the servos' units of 100 steps/s²
SLOWEST_DEG_S, FASTEST_DEG_S = 10, 90
OFF_PATH_MM = 30.0  # how far it may be from where it was sent in mid-move: the way it lags behind, and some more
REST_MM = 0.5
WRIST_TOLERANCE_DEG, WRIST_REST_DEG, WRIST_S = (
    1.0,
    0.05,
    2.0,
)  # of the hand servo, and the longest wait for it at the end of a turn
MODE_MM = 3.0  # by which the two EEModes differ at least: the wrist is longer than that


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
    wrist_range_deg = (62.0, 297.0)
    wrist_deg_s = 45.0
    risk = (
        "its line has no checksum: several bytes damaged at once, or noise that happens to be a command, can let go of "
        "all joints. Keep its cable short and away from motors, and let no coin hang high over stone."
    )

    def __init__(self, config: RoarmConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._works = False  # from `home` on a restart of the controller is bad news
        self._pumps = False
        self._knows_pump = False
        self._hand_rad = self._sent_hand_rad = config.hand_rad

    def holds(self) -> bool:
        """Whether the pump was started, which is all that can be known."""
        return self._pumps

    def may_hold(self) -> bool:
        """Whether the pump may run since before this program."""
        return not self._knows_pump

    def position_mm(self) -> PointMm:
        """Position by the servos' sensors (mm)."""
        with self.link.lock:
            return point_at(retry(lambda: self._feedback(self.config.answer_s)).joints)

    def wrist_deg(self) -> float:
        """Angle of its hand servo, by its sensor (deg); 180 is straight on from the fore-arm."""
        with self.link.lock:
            return math.degrees(retry(lambda: self._feedback(self.config.answer_s)).hand_rad)

    def estimate_s(self, distance_mm: float) -> float:
        """Time a straight move takes (s)."""
        return math.pi / 2 * distance_mm / self.config.speed_mm_s + 0.1 if distance_mm else 0.0

    def _greet(self) -> str:
        self._works = False
        deadline = time.monotonic() + self.config.boot_s
        while True:
            try:
                pose = self._feedback(min(0.5, self.config.answer_s))
                break
            except NoAnswerError as error:
                for line in self.link.drain():
                    self._watch(line)
                if time.monotonic() >= deadline:
                    raise NoAnswerError(
                        self.link.device,
                        f"no answer to '{{T:105}}' within {self.config.boot_s:g} s{self.link.heard()}.",
                        "Check its power, and that the cable is in the USB port of its ESP32, not the other one.",
                    ) from error
        if not self._knows_pump:
            log.info(
                "%s: it was running already and cannot be asked whether its pump is on. If a coin hangs on it, it "
                "stays there; scanning its tray brings it back into its slot.",
                self.link.device,
            )
        self._settings = {"EEMode": str(pose.mode)}
        return "RoArm-M2"

    def _find_home(self) -> None:
        """Lock the joints, go straight up, then to the home position."""
        self.link.drain()
        self._works = True
        with contextlib.suppress(NoAnswerError, _DamagedError):  # it repeats from the next line on
            self._send("T:605", "cmd:1", "cmd:1")
        self._command("T:210", "cmd:1", "cmd:1")  # twice: a lost letter would be `cmd` 0, torque off
        x_mm, y_mm, z_mm = self._at_rest()
        home_z_mm = self.config.home_mm[2]
        if z_mm < home_z_mm - self.config.tolerance_mm:
            self._move((x_mm, y_mm, home_z_mm))
        self._move(self.config.home_mm)

    # Moves

    def _check_reach(self, point: PointMm) -> None:
        self._joints(point)

    def _joints(self, point: PointMm) -> Joints:
        joints = joints_at(point)
        if joints is None:
            x_mm, y_mm, z_mm = point
            raise EnvelopeError(
                self.link.device,
                f"({x_mm:.0f}, {y_mm:.0f}, {z_mm:.0f}) mm is out of its reach; the arm was not moved.",
                "Correct the bench positions in rig.yaml: heights count from its shoulder.",
            )
        return joints

    def _move(self, target: PointMm) -> None:
        """Draw the line in small steps, each one repeated by the firmware and seen by the sensors."""
        before = self.position_mm()
        way = list(self._way(before, target))
        for point in way:
            self._check_reach(point)
        due_s = self.clock.now()
        for point in way:
            self._step(before, point)
            before = point
            due_s = max(due_s, self.clock.now() - STEP_S) + STEP_S
            self.clock.sleep(due_s - self.clock.now())
            off_path_mm = math.dist(self.position_mm(), point)
            if off_path_mm > OFF_PATH_MM:
                raise DeviceError(
                    self.link.device,
                    f"it is {off_path_mm:.0f} mm off its path.",
                    "Remove what is in its way, then `rig home`.",
                )
        self._arrive(target, lambda: self._step(target, target))
        self._at_rest()

    def _way(self, start: PointMm, target: PointMm) -> Iterator[PointMm]:
        """Points on the line, a step apart, gently begun and ended."""
        steps = max(1, math.ceil(self.estimate_s(math.dist(start, target)) / STEP_S))
        for number in range(1, steps + 1):
            done = (1 - math.cos(math.pi * number / steps)) / 2
            x_mm, y_mm, z_mm = (here + (there - here) * done for here, there in zip(start, target, strict=True))
            yield (x_mm, y_mm, z_mm)

    def _step(self, before: PointMm, point: PointMm) -> None:
        joints, last = self._joints(point), joints_at(before)
        turns = [abs(here - there) for here, there in zip(joints, last or joints, strict=True)]
        turns.append(abs(self._hand_rad - self._sent_hand_rad))
        # As fast as the step needs and some more, never as fast as it can: that is what a damaged angle costs.
        speed = min(max(round(2 * math.degrees(max(turns)) / STEP_S), SLOWEST_DEG_S), FASTEST_DEG_S)
        angles = (*joints, self._hand_rad)
        self._command(
            "T:122",
            *(f"{name}:{math.degrees(angle):.2f}" for name, angle in zip("bseh", angles, strict=True)),
            f"spd:{speed}",
            f"acc:{ACCELERATION_DEG_S2}",
        )
        self._sent_hand_rad = self._hand_rad

    def _turn_wrist(self, angle_deg: float) -> float:
        here, start_rad, target_rad = self.position_mm(), math.radians(self.wrist_deg()), math.radians(angle_deg)
        steps = max(1, math.ceil(self.wrist_s(math.degrees(target_rad - start_rad)) / STEP_S))
        for number in range(1, steps + 1):
            self._hand_rad = start_rad + (target_rad - start_rad) * number / steps
            self._step(here, here)
            self.clock.sleep(STEP_S)
        until_s, before_deg = self.clock.now() + WRIST_S, math.inf
        while True:
            read_deg = self.wrist_deg()
            if abs(read_deg - angle_deg) <= WRIST_TOLERANCE_DEG and abs(read_deg - before_deg) < WRIST_REST_DEG:
                return read_deg
            if self.clock.now() > until_s:
                raise DeviceError(
                    self.link.device,
                    f"its hand servo is at {read_deg:.1f} degrees after being sent to {angle_deg:g}.",
                    "Remove what is in its way, then `rig home`.",
                )
            before_deg = read_deg
            self.clock.sleep(STEP_S)

    # The pump

    def _suck(self, on: bool) -> None:
        level = 255 if on else 0
        levels = (level, 0) if self.config.pump_switch == "a" else (0, level)
        self._pumps = self._pumps or on  # from now on it may run
        self._command("T:113", f"pwm_a:{levels[0]}", f"pwm_b:{levels[1]}")
        self._pumps, self._knows_pump = on, True
        if not on:
            self.clock.sleep(self.config.suction_s)

    def _takes_hold(self) -> bool:
        """Give it time; whether something is held nobody can tell, and the camera has to look."""
        self.clock.sleep(self.config.suction_s)
        return True

    # The protocol

    def _command(self, *members: str) -> None:
        """Send a line until it is repeated as it was sent."""
        retry(lambda: self._send(*members), failures=(NoAnswerError, _DamagedError))

    def _send(self, *members: str) -> None:
        """Send a line without quotes, and wait until it is repeated as it was sent."""
        for line in self._waiting():
            self._watch(line)
        line = _line(*members)
        self.link.send(line.encode() + b"\n")

        def is_repeated(heard: str) -> bool:
            self._watch(heard)
            if heard != line and heard.startswith("{"):
                raise _DamagedError(self.link.device, line, heard)  # it obeys that now: it is called back at once
            return heard == line

        self.link.wait_for(is_repeated, min(REPEAT_S, self.config.answer_s), line)

    def _feedback(self, timeout_s: float) -> _Pose:
        """Ask where its joints are."""
        for line in self._waiting():
            self._watch(line)
        self.link.send(f"\n{_line('T:105')}\n".encode())  # ends the half line a lost byte may have left
        found: list[_Pose] = []

        def is_answer(line: str) -> bool:
            self._watch(line)
            found.extend(itertools.islice(_poses_in(line), 1))
            return bool(found)

        self.link.wait_for(is_answer, timeout_s, "{T:105}")
        return found[0]

    def _waiting(self) -> Iterator[str]:
        """Lines that answer no question: repeated commands, and what it prints when it starts."""
        while (line := self.link.line(0.0)) is not None:
            yield line

    def _watch(self, line: str) -> bool:
        """Note that the controller restarted, which stops its pump; raise if that is in the midst of work."""
        if not any(word in line for word in BOOTED):
            return False
        self._doubt()
        self._pumps, self._knows_pump = False, True
        if self._works:
            self._works = False
            raise self._restarted()
        return False


def _line(*members: str) -> str:
    """A command as it is sent: the first member, its number, at both ends."""
    return f"{{{','.join((*members, members[0]))}}}"


class _Pose(NamedTuple):
    """Where the joints are, and where that is as the firmware reports it (mm)."""

    joints: Joints
    reported_mm: PointMm
    hand_rad: float

    @property
    def mode(self) -> int:
        """The EEMode, by whose lengths the one follows from the other."""
        return int(math.dist(self.reported_mm, reported_at(self.joints, 0)) > MODE_MM)


def _poses_in(line: str) -> Iterator[_Pose]:
    """The pose in an answer to T:105, if it is one and agrees with itself: base and direction, finite numbers."""
    try:
        answer: Any = json.loads(line)
    except (ValueError, RecursionError):
        return
    if not isinstance(answer, dict) or answer.get("T") != 1051:
        return
    values = [answer.get(name) for name in "bsexyzt"]
    if not all(isinstance(value, int | float) and abs(value) < 1000 for value in values):
        return
    base, shoulder, elbow, x_mm, y_mm, z_mm, hand_rad = (float(value) for value in values if value is not None)
    off_mm = abs(x_mm * math.sin(base) - y_mm * math.cos(base))
    if off_mm < 1.0:
        yield _Pose(Joints(base, shoulder, elbow), (x_mm, y_mm, z_mm), hand_rad)


class _DamagedError(DeviceError):
    """The controller repeated another line than it was sent."""

    def __init__(self, device: str, line: str, heard: str) -> None:
        super().__init__(
            device, f"{line!r} came through as {heard!r}.", "Check its cable and earthing, then `rig home`."
        )
