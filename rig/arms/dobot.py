"""Dobot Magician with its suction cup, as the arm that handles coins.

Written to the Dobot Magician Communication Protocol (V1.1.5, Shenzhen Yuejiang, 2019), to the vendor's DobotLink and
the virtual controller in it (github.com/Dobot-Arm/DobotLink, 80c6ad7: Protocol2/DMagicianProtocol.cpp,
magicianlite_virtual). Parameters are as long as its structures (type.h): SetHOMECmd 4 bytes (reserved), GetIODI 2
(input, level). DobotLink itself sends none and 1, and the controller looks at the input alone:

- A message is ``AA AA``, length, id, control (1 write, 2 queued), parameters, checksum; numbers are little-endian. Each
  is answered with the same id; one with a wrong checksum is dropped without a word.
- A queued command is answered at once, with its index. It is done when ``GetQueuedCmdCurrentIndex`` has come to that
  index, which reads -1 or -2 meanwhile. One that was stopped reads as done as well: so it has arrived only when the
  pose says so.
- In alarm the controller executes nothing more of its queue. After power-up it is in alarm 0 ("reset"), so that alarm
  in the midst of work is a supply that dipped.
- Position is counted from where ``HOMECmd`` left it. The controller notices no blow and no blocked arm unless it is
  asked: SetLostStepCmd (171, queued) compares its joints' encoders with the count, and goes into alarm 0x5N where joint
  N is off by more than SetLostStepValue (170, degrees; 5 by default). It is asked before the cup takes or lets go of
  anything, so that no coin is laid down where another lies. Firmware that does not know 170 does not answer.
- The pump has no sensor: the controller tells only whether it runs. With a vacuum switch wired to one of its inputs
  (`vacuum_input`, made an input by SetIOMultiplexing) a grip is verified; without one, `holds` is what was commanded,
  and only the camera sees the truth.
- The pump keeps running when the port closes or the program dies: an arm whose program was killed keeps its coin.
"""

from __future__ import annotations

import logging
import math
import struct
import time
from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from rig.arms.arm import POLL_S, ArmConfig, SerialArm
from rig.bench import PointMm
from rig.clock import Clock
from rig.errors import AlarmError, DeviceError, EnvelopeError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, retry

log = logging.getLogger(__name__)

HEADER = b"\xaa\xaa"
VERSION, POSE, ALARMS, HOME_PARAMS, HOME = 2, 10, 20, 30, 31
SUCTION_CUP, PTP_COORDINATE, PTP_COMMON, PTP, IO_FUNCTION, INPUT = 62, 81, 83, 84, 130, 133
LOST_STEP_VALUE, LOST_STEP = 170, 171
START, FORCE_STOP, CLEAR, CURRENT_INDEX = 240, 242, 245, 246
NAMES = {
    VERSION: "GetDeviceVersion",
    POSE: "GetPose",
    ALARMS: "AlarmsState",
    HOME_PARAMS: "SetHOMEParams",
    HOME: "SetHOMECmd",
    SUCTION_CUP: "EndEffectorSuctionCup",
    PTP_COORDINATE: "SetPTPCoordinateParams",
    PTP_COMMON: "SetPTPCommonParams",
    PTP: "SetPTPCmd",
    IO_FUNCTION: "SetIOMultiplexing",
    INPUT: "GetIODI",
    LOST_STEP_VALUE: "SetLostStepValue",
    LOST_STEP: "SetLostStepCmd",
    START: "SetQueuedCmdStartExec",
    CLEAR: "SetQueuedCmdClear",
    CURRENT_INDEX: "GetQueuedCmdCurrentIndex",
}
WRITE, QUEUED = 1, 2
STRAIGHT = 2  # PTP mode MOVL_XYZ
DIGITAL_INPUT = 3  # IOFunctionDI
NEGATIVE = 2**63  # the index is signed after all: -1 and -2 are no index
RESET_ALARM = 0
WRIST_TOLERANCE_DEG = 0.5
LOST_STEP_DEG = 2.0  # 9 mm on the tray; the maker's own check of collisions takes 1.5 to 4 for one
# What an alarm's group means: the tens of its number, hexadecimal.
ALARM_GROUPS = {
    0x0: "the controller itself",
    0x1: "the target cannot be planned: out of its reach?",
    0x2: "the way leads out of its reach",
    0x3: "a joint is too fast",
    0x4: "a joint is at its limit",
    0x5: "a joint lost steps: something is in its way?",
    0x6: "a motor driver",
    0x7: "a motor",
}


class DobotConfig(ArmConfig):
    """`arm:` of rig.yaml for a Dobot Magician."""

    kind: Literal["dobot"] = "dobot"
    speed_mm_s: float = Field(default=100.0, gt=0, le=500)
    acceleration_mm_s2: float = Field(default=400.0, gt=0)
    home_mm: PointMm = (200.0, 0.0, 120.0)
    reach_mm: tuple[float, float] = Field(default=(140.0, 330.0), description="nearest and farthest from its axis")
    height_mm: tuple[float, float] = Field(default=(-125.0, 165.0), description="lowest and highest")
    vacuum_input: int | None = Field(default=None, ge=1, le=20, description="EIO of a vacuum switch, if one is wired")
    tolerance_mm: float = Field(default=1.0, gt=0)
    suction_s: float = Field(default=0.5, gt=0, description="until the cup has taken hold, or let go")
    answer_s: float = Field(default=1.0, gt=0, description="longest wait for an answer (wall-clock)")
    move_s: float = Field(default=20.0, gt=0, description="longest wait for a move (wall-clock)")
    homing_s: float = Field(default=60.0, gt=0, description="longest wait for homing (wall-clock)")
    boot_s: float = Field(default=10.0, gt=0, description="longest wait for the controller to start (wall-clock)")


def message(number: int, control: int = 0, parameters: bytes = b"") -> bytes:
    """A message as it goes over the wire."""
    payload = bytes((number, control)) + parameters
    return HEADER + bytes((len(payload),)) + payload + bytes((-sum(payload) & 255,))


class DobotArm(SerialArm[DobotConfig]):
    """The arm."""

    stop_bytes = message(FORCE_STOP, WRITE) + message(CLEAR, WRITE)
    wrist_range_deg = (-135.0, 135.0)
    wrist_deg_s = 100.0
    _notices_lost_steps = False

    def __init__(self, config: DobotConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._wrist_deg = 0.0  # every move says it

    def grip(self) -> None:
        """See `SerialArm.grip`; where the cup is, is checked first."""
        with self.link.lock:
            self._check_steps()
            super().grip()

    def release(self) -> None:
        """See `SerialArm.release`; where the cup is, is checked first: what it holds stays there if it is elsewhere."""
        with self.link.lock:
            self._check_steps()
            super().release()

    def holds(self) -> bool:
        """Whether the vacuum switch feels something; without one, whether the pump runs."""
        with self.link.lock:
            return self._pumps() if self.config.vacuum_input is None else self._pumps() and self._vacuum()

    def position_mm(self) -> PointMm:
        """Position the controller counts (mm)."""
        return self._pose()[0]

    def wrist_deg(self) -> float:
        """Angle of its end about the vertical, from the x axis (R), as the controller counts it (deg)."""
        return self._pose()[1]

    def _pose(self) -> tuple[PointMm, float]:
        with self.link.lock:
            for _ in range(TRIES):
                x_mm, y_mm, z_mm, wrist_deg = struct.unpack("<4f", self._ask(POSE, 16)[:16])
                if math.isfinite(x_mm + y_mm + z_mm + wrist_deg):
                    return (x_mm, y_mm, z_mm), wrist_deg
            raise NoAnswerError(self.link.device, "its answer to 'GetPose' is no position.", "Switch it off and on.")

    def estimate_s(self, distance_mm: float) -> float:
        """Time a straight move takes (s)."""
        if not distance_mm:
            return 0.0
        return distance_mm / self.config.speed_mm_s + self.config.speed_mm_s / self.config.acceleration_mm_s2 + 0.1

    # Moves

    def _greet(self) -> str:
        deadline = time.monotonic() + self.config.boot_s
        while True:
            try:
                version = self._exchange(VERSION, 0, b"", 3, min(0.5, self.config.answer_s))
                return "Magician " + ".".join(str(part) for part in version[:3])
            except NoAnswerError:
                if time.monotonic() >= deadline:
                    raise

    def _find_home(self) -> None:
        """Clear alarms, go straight up where the arm knows its height, then find the reference position."""
        self.link.drain()
        self._write(CLEAR)
        was_reset = RESET_ALARM in self._alarms()
        self._write(ALARMS)
        alarms = self._alarms()
        if alarms:
            raise self._alarmed(alarms)
        speed, acceleration = self.config.speed_mm_s, self.config.acceleration_mm_s2
        self._write(PTP_COORDINATE, struct.pack("<4f", speed, speed, acceleration, acceleration))
        self._write(PTP_COMMON, struct.pack("<2f", 100.0, 100.0))
        self._write(HOME_PARAMS, struct.pack("<4f", *self.config.home_mm, 0.0))
        if self.config.vacuum_input is not None:
            self._write(IO_FUNCTION, bytes((self.config.vacuum_input, DIGITAL_INPUT)))
        self._notices_lost_steps = self._can_notice_lost_steps()
        self._write(START)
        (x_mm, y_mm, z_mm), self._wrist_deg = self._pose()
        if not was_reset and z_mm < self.config.home_mm[2] - self.config.tolerance_mm:
            self._move((x_mm, y_mm, self.config.home_mm[2]))
        self._wait_for(self._queue(HOME, bytes(4)), self.config.homing_s, "SetHOMECmd")
        self._wrist_deg = 0.0  # of SetHOMEParams
        self._arrive(self.config.home_mm)

    def _check_reach(self, point: PointMm) -> None:
        x_mm, y_mm, z_mm = point
        near_mm, far_mm = self.config.reach_mm
        low_mm, high_mm = self.config.height_mm
        if not (near_mm <= math.hypot(x_mm, y_mm) <= far_mm and low_mm <= z_mm <= high_mm):
            raise EnvelopeError(
                self.link.device,
                f"({x_mm:g}, {y_mm:g}, {z_mm:g}) mm is out of its reach, {near_mm:g} to {far_mm:g} mm from its "
                f"axis at heights of {low_mm:g} to {high_mm:g} mm; nothing was sent.",
                "Correct the bench positions, or `reach_mm` and `height_mm` of the arm, in rig.yaml.",
            )

    def _move(self, target: PointMm) -> None:
        # Absolute: one whose answer was lost may be queued a second time without harm.
        index = self._queue(PTP, struct.pack("<B4f", STRAIGHT, *target, self._wrist_deg))
        self._wait_for(index, self.config.move_s, f"SetPTPCmd {target}")
        self._arrive(target)

    def _turn_wrist(self, angle_deg: float) -> float:
        self._wrist_deg = angle_deg
        self._move(self.position_mm())
        read_deg = self.wrist_deg()
        if abs(read_deg - angle_deg) > WRIST_TOLERANCE_DEG:
            raise DeviceError(
                self.link.device,
                f"the servo at its end is at {read_deg:.1f} degrees after being sent to {angle_deg:g}.",
                "Check the servo's cable at the end of the arm, then `rig home`.",
            )
        return read_deg

    def _can_notice_lost_steps(self) -> bool:
        try:
            self._write(LOST_STEP_VALUE, struct.pack("<f", LOST_STEP_DEG))
        except NoAnswerError:
            log.warning("%s: its firmware does not notice when a joint is blocked. Update it.", self.link.device)
            return False
        return True

    def _check_steps(self) -> None:
        """Raise AlarmError if a joint is not where the controller counts it; not before it is homed."""
        if self._homed and self._notices_lost_steps:
            self._wait_for(self._queue(LOST_STEP, b""), self.config.move_s, "SetLostStepCmd")

    def _wait_for(self, index: int, timeout_s: float, command: str) -> None:
        """Wait until the queue has come to an index, unless an alarm comes first."""
        deadline = time.monotonic() + timeout_s
        while True:
            done = struct.unpack("<Q", self._ask(CURRENT_INDEX, 8)[:8])[0]
            alarms = self._alarms()
            if alarms:
                raise self._alarmed(alarms)
            if index <= done < NEGATIVE:
                return
            if time.monotonic() >= deadline:
                self.link.send(self.stop_bytes)
                raise NoAnswerError(
                    self.link.device,
                    f"{command} was not done within {timeout_s:g} s; it was stopped.",
                    "Remove what is in its way, then `rig home`.",
                )
            self.clock.sleep(POLL_S)

    # The pump

    def _suck(self, on: bool) -> None:
        """Switch the pump, verified by reading the switch back."""
        for _ in range(TRIES):
            self._write(SUCTION_CUP, bytes((1, on)))
            if self._pumps() == on:
                break
        else:
            raise DeviceError(
                self.link.device,
                f"the pump does not go {'on' if on else 'off'}.",
                "Check that the air pump is plugged in (SW1, GP1), switch the arm off and on, then `rig home`.",
            )
        if not on:
            self.clock.sleep(self.config.suction_s)

    def _takes_hold(self) -> bool:
        """With a vacuum switch; without one nobody can tell, and the camera has to look."""
        if self.config.vacuum_input is None:
            self.clock.sleep(self.config.suction_s)
            return True
        until_s = self.clock.now() + self.config.suction_s
        while not self._vacuum():
            if self.clock.now() >= until_s:
                return False
            self.clock.sleep(POLL_S)
        return True

    def _pumps(self) -> bool:
        enabled, sucks = self._ask(SUCTION_CUP, 2)[:2]
        return bool(enabled and sucks)

    def _vacuum(self) -> bool:
        return self._ask(INPUT, 2, bytes((self.config.vacuum_input or 0, 0)))[1] == 1

    # Alarms

    def _alarms(self) -> list[int]:
        """Numbers of the alarms that are up: one bit each."""
        state = self._ask(ALARMS, 1)
        return [8 * place + bit for place, byte in enumerate(state) for bit in range(8) if byte >> bit & 1]

    def _alarmed(self, alarms: Iterable[int]) -> AlarmError:
        self._doubt()
        if RESET_ALARM in alarms:
            return self._restarted()
        what = ", ".join(f"{alarm:#04x} ({ALARM_GROUPS.get(alarm >> 4, 'see its manual')})" for alarm in alarms)
        return AlarmError(self.link.device, f"alarm {what}.", "Remove what is in its way, then `rig home`.")

    # The protocol

    def _write(self, number: int, parameters: bytes = b"") -> None:
        self._retried(number, WRITE, parameters, 0)

    def _ask(self, number: int, at_least: int, parameters: bytes = b"") -> bytes:
        return self._retried(number, 0, parameters, at_least)

    def _queue(self, number: int, parameters: bytes) -> int:
        """Queue a command and return its index."""
        return int(struct.unpack("<Q", self._retried(number, WRITE | QUEUED, parameters, 8)[:8])[0])

    def _retried(self, number: int, control: int, parameters: bytes, at_least: int) -> bytes:
        """What is sent here may be sent again: a lost byte or answer does no harm."""
        return retry(
            lambda: self._exchange(number, control, parameters, at_least, self.config.answer_s), self.link.drain
        )

    def _exchange(self, number: int, control: int, parameters: bytes, at_least: int, timeout_s: float) -> bytes:
        """Send a message and return the parameters of its answer, `at_least` so many bytes."""
        while self.link.frame(cut_message, 0.0) is not None:
            pass  # late answers, and those that came twice
        self.link.send(message(number, control, parameters))
        answer = self.link.wait_for_frame(
            cut_message,
            lambda frame: frame[3] == number and len(frame) - 6 >= at_least,
            timeout_s,
            NAMES.get(number, str(number)),
        )
        return answer[5:-1]


def cut_message(received: bytearray) -> bytes | None:
    """Take the first whole message with a right checksum, and the noise before it, out of what was received."""
    start, unfinished = 0, False
    while (start := received.find(HEADER, start)) >= 0:
        length = received[start + 2] if len(received) > start + 2 else None
        if length is None or len(received) < start + 4 + length:
            unfinished = True  # or noise that looks like a header: what is whole behind it counts
        elif length >= 2 and sum(received[start + 3 : start + 4 + length]) & 255 == 0:
            frame = bytes(received[start : start + 4 + length])
            del received[: start + 4 + length]
            return frame
        start += 1
    if not unfinished:
        del received[:-1]  # the last byte may be the first of a header
    return None
