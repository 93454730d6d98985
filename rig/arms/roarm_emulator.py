"""RoArm-M2-S, byte for byte, as far as its serial port shows.

Written after the firmware's own source (github.com/waveshareteam/roarm_m2: RoArm-M2_example.ino, uart_ctrl.h,
RoArm-M2_module.h, switch_module.h): what is repeated, what is answered, what blocks, what a missing ``T`` does.
"""

from __future__ import annotations

import json
import math
from collections import deque
from typing import Any

from rig.arms.roarm import BOOTED
from rig.twin.emulator import Emulator, Firmware
from rig.twin.faults import Brownout
from rig.twin.motion import Point, StraightMove
from rig.twin.world import World

BOOT_S = 2.0
INIT_MM = (310.15, 0.0, 235.09)
SPEED_MM_S = 400.0
ACCELERATION_MM_S2 = 4000.0
EMERGENCY_S = 10.0


class RoarmEmulator(Emulator):
    """The controller of the arm."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.world = world
        self._power_up()

    def _power_up(self) -> None:
        self._received = bytearray()
        self._lines: deque[bytes] = deque()
        self._repeats, self._torque = True, True
        self._move: StraightMove | None = None
        self._doom_s: float | None = None

    def reset(self) -> None:
        """Power-up: the pump stops."""
        self.world.stop_cup()
        self.world.suck(False)
        self._power_up()
        super().reset()

    def resume(self) -> None:
        """It has been running since another process used it."""
        if self._main is None:
            self._power_up()
            self._run(self._loop())

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
        self._go(INIT_MM)
        yield from self._arrived()
        self.say(f"{BOOTED[4]}\r\n")
        yield from self._loop()

    def _loop(self) -> Firmware:
        while True:
            if self._doom_s is not None and self.clock.now() >= self._doom_s:
                self.reset()
                yield None  # this main program is over
            if self._lines:
                yield from self._take(self._lines.popleft())
            elif self._move is not None and self.clock.now() < self._move.end_s:
                yield self._move.end_s if self._doom_s is None else min(self._move.end_s, self._doom_s)
            else:
                self.world.cup_holds()  # a running pump takes hold of what the cup came to touch
                yield self._doom_s

    def _take(self, line: bytes) -> Firmware:
        """serialCtrl()."""
        try:
            command = json.loads(line)
        except (ValueError, RecursionError):
            return
        if self._repeats:
            self._output += line + b"\r\n"
        command = command if isinstance(command, dict) else {}
        match _number(command, "T"):
            case 0:
                self.world.stop_cup()
                self._move, self._torque = None, False
                yield from self.wait(EMERGENCY_S)
                self._torque = True
            case 104:
                speed = _number(command, "spd")
                while speed <= 0:  # for (i = 0; i <= 1; i += 0)
                    yield None
                self._go(_point(command))
                yield from self._arrived()
            case 1041:
                self._go(_point(command))
            case 105:
                self._feedback()
            case 113:
                self.world.suck(_number(command, "pwm_a") != 0 or _number(command, "pwm_b") != 0)
                self.world.cup_holds()
            case 115:
                self.world.suck(False)
            case 210:
                self._torque = _number(command, "cmd") != 0
            case 600:
                self.reset()
                yield None  # this main program is over
            case 605:
                self._repeats = _number(command, "cmd") == 1

    def _go(self, target: Point) -> None:
        if not self._torque or not all(math.isfinite(value) for value in target):
            return
        self.world.stop_cup()  # a new goal replaces the one before
        start_s = self.clock.now()
        self._move = StraightMove(start_s, self.world.cup_mm(), target, SPEED_MM_S, ACCELERATION_MM_S2)
        self.world.carry(target, SPEED_MM_S, ACCELERATION_MM_S2, start_s)
        if self.world.strikes(Brownout, "arm"):
            self._doom_s = (start_s + self._move.end_s) / 2

    def _arrived(self) -> Firmware:
        while self._move is not None and self.clock.now() < self._move.end_s:
            yield self._move.end_s

    def _feedback(self) -> None:
        """RoArmM2_infoFeedback()."""
        x_mm, y_mm, z_mm = self.world.cup_mm()
        answer = {"T": 1051, "x": round(x_mm, 6), "y": round(y_mm, 6), "z": round(z_mm, 6), "b": 0, "s": 0, "e": 1.57}
        self.say(json.dumps(answer | {"t": 3.14, "torB": 0, "torS": 0, "torE": 0, "torH": 0}) + "\r\n")


def _number(command: dict[str, Any], key: str) -> float:
    """ArduinoJson's as<int>() and as<float>(): 0 for what is missing or no number."""
    value = command.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _point(command: dict[str, Any]) -> Point:
    return (_number(command, "x"), _number(command, "y"), _number(command, "z"))
