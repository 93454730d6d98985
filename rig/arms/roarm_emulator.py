"""RoArm-M2-S, byte for byte, as far as its serial port shows.

From github.com/waveshareteam/roarm_m2, c6ccc5b; file by file:

- RoArm-M2_example/uart_ctrl.h: lines end with ``\\n``; one that ArduinoJson can read is repeated (InfoPrint 1) and
  obeyed, any other is dropped; what ``T`` is 0 or missing is an emergency stop.
- RoArm-M2_example/RoArm-M2_module.h: ``T:122`` obeys speed and acceleration and leaves them set for ``T:1041``;
  ``T:104`` is deaf until it is there; an emergency stop lets go of all joints for 10 s; angles out of range are
  clipped, and those of an unreachable point come out as 0 (NaN as an integer).
- RoArm-M2_example/RoArm-M2_advance.h: setting the EEMode makes it swing to its initial position.
- RoArm-M2_example/RoArm-M2_example.ino: what it prints and does when it starts.

JSON is read as ArduinoJson 6 reads it (`rig.twin.arduino_json`; v6.21.5: JsonDeserializer.hpp). Not from the source:
the fastest its servos turn (the STS3215's data sheet, 45 rpm), how long its loop takes, and that it moves straight
between two sets of angles.
"""

from __future__ import annotations

import json
import math
from collections import deque
from typing import Any

from rig.arms.arm_emulator import ArmEmulator
from rig.arms.roarm import BOOTED
from rig.arms.roarm_linkage import ELBOW_RAD, SHOULDER_RAD, Joints, joints_at, point_at, reported_at
from rig.bench import PointMm
from rig.twin.arduino_json import read_json
from rig.twin.arm_body import ArmBody
from rig.twin.emulator import Firmware
from rig.twin.motion import StraightMove, at_rest

BOOT_S = 2.0
INIT = Joints(0.0, 0.0, math.pi / 2)
STEPS_PER_RAD = 4096 / math.tau  # ARM_SERVO_POS_RANGE
FASTEST_STEPS_S, STEEPEST_STEPS_S2 = 3072.0, 100_000.0  # what 0 means
INIT_STEPS_S, INIT_ACCELERATION = 600, 20  # ARM_SERVO_INIT_SPEED, ARM_SERVO_INIT_ACC (of 100 steps/s²)
EMERGENCY_S = 10.0
FALL_S = 0.4
LOOP_S = 0.015  # loop(): four servos are asked for their positions, the web server has its turn


class RoarmEmulator(ArmEmulator):
    """The controller of the arm.

    Attributes
    ----------
    mode
        EEMode: 0 the end servo is a gripper, 1 a joint. Nothing reports it (RoArm-M2_module.h, `infoFeedback`).
    """

    def __init__(self, world: ArmBody) -> None:
        self.mode = 0
        super().__init__(world)

    def _power_up(self) -> None:
        super()._power_up()
        self._received = bytearray()
        self._lines: deque[bytes] = deque()
        self._repeats, self._torque = True, True
        self._hand_rad = math.pi  # initT
        self._speed, self._acceleration = 0.0, float(INIT_ACCELERATION)  # moveSpd, moveAcc
        self._move: StraightMove = at_rest(self.world.cup_mm())

    def received(self, data: bytes) -> None:
        """Collect lines."""
        for byte in data:
            self._received.append(byte)
            if byte == ord("\n"):
                self._lines.append(bytes(self._received))
                self._received.clear()

    def main(self) -> Firmware:
        """Boot, swing to the initial position, then obey."""
        self.say("ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13 (SPI_FAST_FLASH_BOOT)\r\n")
        yield from self.wait(BOOT_S)
        self.say("".join(f"{word}.\r\n" for word in BOOTED[1:4]))
        self._turn_to(INIT, INIT_STEPS_S, INIT_ACCELERATION)
        self.world.turn_wrist(math.degrees(self._hand_rad), INIT_STEPS_S / 4096 * 360)
        yield from self._arrived()
        self.say(f"{BOOTED[4]}\r\n")
        yield from self._serve()

    def _serve(self) -> Firmware:
        while True:
            if self._lines:
                yield from self._take(self._lines.popleft())
                yield from self.wait(LOOP_S)
            elif self.clock.now() < self._move.end_s:
                yield from self._until(self._move.end_s)
            else:
                self.world.cup_holds()  # a running pump takes hold of what the cup came to touch
                yield from self._until(None)

    def _take(self, line: bytes) -> Firmware:
        """serialCtrl(), jsonCmdReceiveHandler()."""
        reading = read_json(line + b"\0")
        if reading.end != "whole" or isinstance(reading.value, float):
            return
        if self._repeats:
            self._output += line + b"\r\n"
        command: dict[str, Any] = reading.value if isinstance(reading.value, dict) else {}
        match int(_number(command, "T")):
            case 0:
                yield from self._let_go()
            case 1:
                self.mode = int(_number(command, "mode"))
                self._turn_to(INIT, self._speed, self._acceleration)
            case 104:
                speed = _number(command, "spd")
                while speed <= 0:  # for (i = 0; i <= 1; i += 0)
                    yield from self._until(None)
                if (joints := joints_at(_point(command))) is not None:  # else it stops where it can reach no further
                    # 2 ms a step, the largest difference in mm / spd steps
                    longest_mm = max(abs(a - b) for a, b in zip(_point(command), self.world.cup_mm(), strict=True))
                    self._go(point_at(joints), 0.002 * longest_mm / speed)
                yield from self._arrived()
            case 1041:
                joints = joints_at(_point(command)) or Joints(math.atan2(*_point(command)[1::-1]), 0.0, 0.0)
                self._turn_to(joints, self._speed, self._acceleration)
            case 122:
                self._speed = abs(round(_number(command, "spd") / 360 * 4096))
                self._acceleration = abs(round(_number(command, "acc") / 360 * 4096)) % 256  # u8
                angles = (math.radians(_number(command, name)) for name in "bse")
                self._hand_rad = math.radians(_number(command, "h"))
                self._turn_to(Joints(*angles), self._speed, self._acceleration)
                self.world.turn_wrist(_number(command, "h"), max(1.0, self._speed / 4096 * 360))
            case 105:
                self._feedback()
            case 113:
                self.world.suck(_number(command, "pwm_a") != 0 or _number(command, "pwm_b") != 0)
                self.world.cup_holds()
            case 115:
                self.world.suck(False)
            case 210 if _number(command, "cmd") == 0:
                self._fall()
            case 210:
                self._torque = True
            case 600:
                self.reset()
                yield None  # this main program is over
            case 605:
                self._repeats = _number(command, "cmd") == 1

    def _let_go(self) -> Firmware:
        """emergencyStopProcessing()."""
        self._fall()
        yield from self.wait(EMERGENCY_S)
        self._torque = True

    def _fall(self) -> None:
        """No torque: it sinks onto the table, with whatever hangs on it."""
        self._torque = True
        x_mm, y_mm, _ = self.world.cup_mm()
        self._go((x_mm, y_mm, 0.0), FALL_S)
        self._torque = False

    def _turn_to(self, joints: Joints, steps_s: float, acceleration: float) -> None:
        """SyncWritePosEx(): all joints set out at once, at one speed."""
        joints = Joints(
            min(max(joints.base, -math.pi), math.pi),
            min(max(joints.shoulder, SHOULDER_RAD[0]), SHOULDER_RAD[1]),
            min(max(joints.elbow, ELBOW_RAD[0]), ELBOW_RAD[1]),
        )
        here = joints_at(self.world.cup_mm()) or joints
        turn = max(abs(there - start) for there, start in zip(joints, here, strict=True)) * STEPS_PER_RAD
        speed = steps_s or FASTEST_STEPS_S
        turns = self.clock.now() < self._move.end_s
        ramp_s = 0.0 if turns else speed / (acceleration * 100 if acceleration else STEEPEST_STEPS_S2)
        self._go(point_at(joints), turn / speed + ramp_s if turn > 1 else 0.0)

    def _go(self, target: PointMm, duration_s: float) -> None:
        if not self._torque:
            return
        self.world.stop_cup()  # a new goal replaces the one before
        here = self.world.cup_mm()
        distance_mm = math.dist(here, target)
        if distance_mm < 1e-6 or duration_s <= 0:
            return
        # As fast on the average as it takes; the ramps are short.
        speed = distance_mm / duration_s * 1.02
        self._move = self._carry(here, target, speed, 100 * speed, self.clock.now())

    def _arrived(self) -> Firmware:
        while self.clock.now() < self._move.end_s:
            yield from self._until(self._move.end_s)

    def _feedback(self) -> None:
        """RoArmM2_infoFeedback(), by the sensors of the servos."""
        joints = joints_at(self.world.cup_mm()) or INIT
        x_mm, y_mm, z_mm = reported_at(joints, self.mode, self._hand_rad)
        place = {"x": round(x_mm, 6), "y": round(y_mm, 6), "z": round(z_mm, 6)}
        angles = {"b": round(joints.base, 9), "s": round(joints.shoulder, 9), "e": round(joints.elbow, 9)}
        loads = {"t": round(math.radians(self.world.wrist_deg()), 9), "torB": 0, "torS": 0, "torE": 0, "torH": 0}
        self.say(json.dumps({"T": 1051, **place, **angles, **loads}, separators=(",", ":")) + "\r\n")


def _number(command: dict[str, Any], key: str) -> float:
    """ArduinoJson's as<int>() and as<float>(): 0 for what is missing or no number."""
    value = command.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _point(command: dict[str, Any]) -> PointMm:
    return (_number(command, "x"), _number(command, "y"), _number(command, "z"))
