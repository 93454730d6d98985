"""Dobot Magician, byte for byte, as far as its serial port shows.

From the Dobot Magician Communication Protocol (V1.1.5) and the vendor's DobotLink (github.com/Dobot-Arm/DobotLink,
80c6ad7); file by file:

- Plugins/MagicDevicePlugin/magicianlite_virtual/src/runtime/dcps/dcps.cpp: messages with a wrong checksum are dropped;
  queued ones are answered with their index (from 2 on) and carried out one after the other; the current index reads -1
  while nothing was carried out, -2 while the arm moves, then the index of the command that ended.
- .../dcps/cmd.cpp: a forced stop ends the command that is under way, so that its index reads as done; a clear empties
  the queue; SetHOMECmd reads no parameters.
- .../magicianlite_virtual/src/algorithm/type.h, and Plugins/MagicDevicePlugin/Protocol2/DMagicianProtocol.cpp: how long
  parameters are. HOMECmd is 4 bytes there and none here, IODI 2 (input, level) and 1; of both only the input is read.
- The latter: GetIODI is answered input and level; an input has a level once SetIOMultiplexing made it one
  (IOFunctionDI, 3).
- .../magicianlite_virtual/src/algorithm/alarms.h: the numbers of the alarms.
- cmd.cpp and .../mm/profile.cpp: SetLostStepValue is a float, 5.0 to begin with. What SetLostStepCmd does is left out
  there, since a virtual arm loses no steps: here it compares each joint as the Communication Protocol says.

Not from the source, which is that of a virtual Magician Lite: its reach, and how long homing takes.
"""

from __future__ import annotations

import math
import struct
from collections import deque

from rig.arms import dobot
from rig.arms.arm_emulator import ArmEmulator
from rig.arms.dobot import QUEUED, WRITE, cut_message, message
from rig.twin.arm_body import ArmBody
from rig.twin.emulator import Firmware
from rig.twin.faults import Alarm
from rig.twin.motion import Point, StraightMove, at_rest

BOOT_S = 1.0
QUEUE = 32
ALARM_BYTES = 16
VERSION = (3, 6, 5)
REACH_MM = (130.0, 335.0)
HEIGHT_MM = (-130.0, 170.0)
PLAN_LIMIT = 0x12
LOST_STEPS = 0x50  # of the base; 0x51 of the rear arm, which raises and lowers
HOMING_SWING_MM = 60.0
FIRST_INDEX = 2  # genIndexID() counts up before it returns
SIZES = {dobot.HOME: (0, 4), dobot.PTP: (17,), dobot.INPUT: (1, 2)}  # bytes of parameters that are taken
NOTHING_DONE, MOVING = 2**64 - 1, 2**64 - 2


class DobotEmulator(ArmEmulator):
    """The controller of the arm. `vacuum_input` is the EIO a vacuum switch is wired to, if any."""

    def __init__(self, world: ArmBody, vacuum_input: int | None = None) -> None:
        self.vacuum_input = vacuum_input
        super().__init__(world)

    def _power_up(self) -> None:
        super()._power_up()
        self._received = bytearray()
        self._up = False
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._runs = False
        self._counter = FIRST_INDEX - 1
        self._current = NOTHING_DONE  # the command that is or was carried out
        self._busy = False
        self._alarms = {dobot.RESET_ALARM}
        self._cup = (0, 0)
        self._inputs: set[int] = set()
        self._speed, self._acceleration, self._ratio = 100.0, 400.0, 1.0
        self._lost_step_deg = 5.0
        self._home: Point = (200.0, 0.0, 100.0)
        self._move: StraightMove = at_rest(self.world.cup_mm())
        self._alarm_at: tuple[float, int] | None = None
        self._turned_s = -math.inf

    def _pick_up(self) -> None:
        self._alarms.clear()
        self._cup = (1, 1) if self.world.suction else (0, 0)
        self._up = True

    def received(self, data: bytes) -> None:
        """Answer every message that is whole and right."""
        if not self._up:
            return
        self._received += data
        while (frame := cut_message(self._received)) is not None:
            self._answer(frame[3], frame[4], frame[5:-1])

    def main(self) -> Firmware:
        """Boot, then work on the queue."""
        yield from self.wait(BOOT_S)
        self._up = True
        yield from self._serve()

    def _serve(self) -> Firmware:
        while True:
            now_s = self.clock.now()
            if self._alarm_at is not None and now_s >= self._alarm_at[0]:
                code, self._alarm_at = self._alarm_at[1], None
                self._alarm(code)
            ends_s = max(self._move.end_s, self._turned_s)
            if now_s < ends_s:
                yield from self._until(ends_s if self._alarm_at is None else min(ends_s, self._alarm_at[0]))
                continue
            self._finish()
            if self._runs and not self._alarms and self._queue:
                self._begin(*self._queue.popleft())
            else:
                yield from self._until(None)

    # Messages

    def _answer(self, number: int, control: int, parameters: bytes) -> None:
        write, queued = bool(control & WRITE), bool(control & QUEUED)
        if len(parameters) not in SIZES.get(number, (len(parameters),)):
            return
        if queued:
            if len(self._queue) < QUEUE:
                self._counter += 1
                self._queue.append((self._counter, number, parameters))
                self._reply(number, control, struct.pack("<Q", self._counter))
            return
        match number, write:
            case dobot.VERSION, False:
                self._reply(number, control, bytes(VERSION))
            case dobot.POSE, False:
                self._reply(
                    number, control, struct.pack("<8f", *self._position(), self.world.wrist_deg(), 0.0, 45.0, 45.0, 0.0)
                )
            case dobot.ALARMS, False:
                bits = sum(1 << alarm for alarm in self._alarms)
                self._reply(number, control, bits.to_bytes(ALARM_BYTES, "little"))
            case dobot.SUCTION_CUP, False:
                self._reply(number, control, bytes(self._cup))
            case dobot.INPUT, False:
                wired = parameters[0] == self.vacuum_input and parameters[0] in self._inputs
                closed = wired and self.world.suction and self.world.cup_holds()
                self._reply(number, control, bytes((parameters[0], closed)))
            case dobot.CURRENT_INDEX, False:
                self._reply(number, control, struct.pack("<Q", MOVING if self._busy else self._current))
            case _, True if self._write(number, parameters):
                self._reply(number, control)

    def _reply(self, number: int, control: int, parameters: bytes = b"") -> None:
        self._output += message(number, control, parameters)

    def _write(self, number: int, parameters: bytes) -> bool:
        """Carry out a command that is not queued; whether there is such a one."""
        match number, len(parameters):
            case dobot.ALARMS, _:
                self._alarms.clear()
            case dobot.START, _:
                self._runs = True
            case 241, _:
                self._runs = False
            case dobot.FORCE_STOP, _ if self.world.is_deaf_to_stop("arm"):
                pass
            case dobot.FORCE_STOP, _:
                self._runs, self._busy = False, False  # it reads as done
                self._freeze()
            case dobot.CLEAR, _:
                self._queue.clear()
            case dobot.SUCTION_CUP, 2:
                self._cup = (parameters[0], parameters[1])
                self.world.suck(self._cup == (1, 1))
                self.world.cup_holds()  # takes hold of what it touches
            case dobot.IO_FUNCTION, 2:
                self._inputs ^= {parameters[0]} & self._inputs
                self._inputs |= {parameters[0]} if parameters[1] == dobot.DIGITAL_INPUT else set()
            case dobot.PTP_COORDINATE, 16:
                self._speed, _, self._acceleration, _ = struct.unpack("<4f", parameters)
            case dobot.PTP_COMMON, 8:
                self._ratio = struct.unpack("<2f", parameters)[0] / 100
            case dobot.LOST_STEP_VALUE, 4:
                (self._lost_step_deg,) = struct.unpack("<f", parameters)
            case dobot.LOST_STEP, 0:
                self._compare_joints()
            case dobot.HOME_PARAMS, 16:
                self._home = struct.unpack("<4f", parameters)[:3]
            case _:
                return False
        return True

    # Moves

    def _begin(self, index: int, number: int, parameters: bytes) -> None:
        """Carry out a queued command."""
        self._current = index
        if number == dobot.HOME:
            # The base turns to its switch and back: the count is right again.
            self._move = at_rest(self.world.cup_mm())
            self.world.turn_wrist(0.0, self._speed)
            self._go(self._home, extra_s=2 * HOMING_SWING_MM / self._speed)
        elif number == dobot.PTP:
            *target, wrist_deg = struct.unpack("<4f", parameters[1:])
            reach_mm = math.hypot(target[0], target[1])
            if not (REACH_MM[0] <= reach_mm <= REACH_MM[1] and HEIGHT_MM[0] <= target[2] <= HEIGHT_MM[1]):
                self._alarm(PLAN_LIMIT)
                return
            by_deg = abs(wrist_deg - self.world.wrist_deg())
            if by_deg > 1e-3:
                self.world.turn_wrist(wrist_deg, self._speed)  # its PTP parameters are mm/s and deg/s in turn
                self._turned_s = self.clock.now() + by_deg / self._speed + 0.1
            self._go(tuple(target))
        else:
            self._write(number, parameters)

    def _go(self, target: Point, extra_s: float = 0.0) -> None:
        speed = max(1.0, self._speed * self._ratio)
        start_s = self.clock.now() + extra_s
        self._busy = True
        self._move = self._carry(self._position(), target, speed, max(1.0, self._acceleration), start_s)
        fault = self.world.strikes(Alarm, "arm")
        if fault is not None:
            self._alarm_at = ((self._move.start_s + self._move.end_s) / 2, fault.code)

    def _finish(self) -> None:
        """The arm rests: a running pump takes hold of what the cup came to touch."""
        if self._busy and not self._alarms:
            self._busy = False
            self.world.cup_holds()

    def _compare_joints(self) -> None:
        (x_mm, y_mm, z_mm), (own_x_mm, own_y_mm, own_z_mm) = self.world.cup_mm(), self._position()
        reach_mm, own_reach_mm = math.hypot(x_mm, y_mm), math.hypot(own_x_mm, own_y_mm)
        turned = math.atan2(y_mm, x_mm) - math.atan2(own_y_mm, own_x_mm)
        raised = math.atan2(math.hypot(reach_mm - own_reach_mm, z_mm - own_z_mm), own_reach_mm)
        for axis, angle in enumerate((turned, raised)):
            if abs(math.degrees(angle)) > self._lost_step_deg:
                self._alarm(LOST_STEPS + axis)

    def _alarm(self, code: int) -> None:
        self._alarms.add(code)
        self._freeze()

    def _freeze(self) -> None:
        self.world.stop_cup()
        self._move = at_rest(self._position())

    def _position(self) -> Point:
        """As the controller counts it."""
        return self._move.at(self.clock.now())
