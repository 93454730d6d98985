"""Dobot Magician, byte for byte, as far as its serial port shows.

Written after the Dobot Magician Communication Protocol (V1.1.5) and the vendor's virtual controller
(github.com/Dobot-Arm/DobotLink, magicianlite_virtual: runtime/dcps/dcps.cpp, cmd.cpp, algorithm/alarms.h): messages
with a wrong checksum are dropped, queued ones are answered with their index and carried out one after the other.
"""

from __future__ import annotations

import math
import struct
from collections import deque

from rig.arms import dobot
from rig.arms.dobot import QUEUED, WRITE, cut_message, message
from rig.twin.emulator import Emulator, Firmware
from rig.twin.faults import Alarm, Brownout
from rig.twin.motion import Point, StraightMove, at_rest
from rig.twin.world import World

BOOT_S = 1.0
QUEUE = 32
ALARM_BYTES = 16
VERSION = (3, 6, 5)
REACH_MM = (130.0, 335.0)
HEIGHT_MM = (-130.0, 170.0)
PLAN_LIMIT = 0x12
HOMING_SWING_MM = 60.0


class DobotEmulator(Emulator):
    """The controller of the arm. `vacuum_input` is the EIO a vacuum switch is wired to, if any."""

    def __init__(self, world: World, vacuum_input: int | None = None) -> None:
        super().__init__(world.clock)
        self.world = world
        self.vacuum_input = vacuum_input
        self._power_up()

    def _power_up(self) -> None:
        self._received = bytearray()
        self._up = False
        self._queue: deque[tuple[int, int, bytes]] = deque()
        self._runs = False
        self._counter, self._doing, self._done = 0, 0, 0
        self._alarms = {dobot.RESET_ALARM}
        self._cup = (0, 0)
        self._speed, self._acceleration, self._ratio = 100.0, 400.0, 1.0
        self._home: Point = (200.0, 0.0, 100.0)
        self._move = at_rest(self.world.cup_mm())
        self._doom: tuple[float, Alarm | Brownout] | None = None

    def reset(self) -> None:
        """Power-up: the motors hold, the pump stops, the queue is lost."""
        self.world.stop_cup()
        self.world.suck(False)
        self._power_up()
        super().reset()

    def resume(self) -> None:
        """It has been running since another process used it: the pump is as it was left, the queue is empty."""
        if self._main is None:
            self._power_up()
            self._alarms.clear()
            self._cup = (1, 1) if self.world.suction else (0, 0)
            self._up = True
            self._run(self._serve())

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
            if self._doom is not None and now_s >= self._doom[0]:
                fault = self._doom[1]
                self._doom = None
                if isinstance(fault, Brownout):
                    self.reset()
                    yield None  # this main program is over
                else:
                    self._alarm(fault.code)
            if now_s < self._move.end_s:
                yield self._move.end_s if self._doom is None else min(self._move.end_s, self._doom[0])
                continue
            self._finish()
            if self._runs and not self._alarms and self._queue:
                self._begin(*self._queue.popleft())
            else:
                yield None

    # Messages

    def _answer(self, number: int, control: int, parameters: bytes) -> None:
        write, queued = bool(control & WRITE), bool(control & QUEUED)
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
                self._reply(number, control, struct.pack("<8f", *self._position(), 0.0, 0.0, 45.0, 45.0, 0.0))
            case dobot.ALARMS, False:
                bits = sum(1 << alarm for alarm in self._alarms)
                self._reply(number, control, bits.to_bytes(ALARM_BYTES, "little"))
            case dobot.SUCTION_CUP, False:
                self._reply(number, control, bytes(self._cup))
            case dobot.INPUT, False if parameters:
                closed = parameters[0] == self.vacuum_input and self.world.suction and self.world.cup_holds()
                self._reply(number, control, bytes((parameters[0], closed)))
            case dobot.CURRENT_INDEX, False:
                self._reply(number, control, struct.pack("<Q", self._done))
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
            case dobot.FORCE_STOP, _:
                self._runs = False
                self._freeze()
            case dobot.CLEAR, _:
                self._queue.clear()
            case dobot.SUCTION_CUP, 2:
                self._cup = (parameters[0], parameters[1])
                self.world.suck(self._cup == (1, 1))
                self.world.cup_holds()  # takes hold of what it touches
            case dobot.PTP_COORDINATE, 16:
                self._speed, _, self._acceleration, _ = struct.unpack("<4f", parameters)
            case dobot.PTP_COMMON, 8:
                self._ratio = struct.unpack("<2f", parameters)[0] / 100
            case dobot.HOME_PARAMS, 16:
                self._home = struct.unpack("<4f", parameters)[:3]
            case _:
                return False
        return True

    # Moves

    def _begin(self, index: int, number: int, parameters: bytes) -> None:
        """Carry out a queued command."""
        self._doing = index
        if number == dobot.HOME:
            # The base turns to its switch and back: the count is right again.
            self._move = at_rest(self.world.cup_mm())
            self._go(self._home, extra_s=2 * HOMING_SWING_MM / self._speed)
        elif number == dobot.PTP and len(parameters) == 17:
            target = struct.unpack("<4f", parameters[1:])[:3]
            reach_mm = math.hypot(target[0], target[1])
            if not (REACH_MM[0] <= reach_mm <= REACH_MM[1] and HEIGHT_MM[0] <= target[2] <= HEIGHT_MM[1]):
                self._alarm(PLAN_LIMIT)
                return
            self._go(target)
        else:
            self._write(number, parameters)
            self._done = index

    def _go(self, target: Point, extra_s: float = 0.0) -> None:
        speed = max(1.0, self._speed * self._ratio)
        start_s = self.clock.now() + extra_s
        self._move = StraightMove(start_s, self._position(), target, speed, max(1.0, self._acceleration))
        self.world.carry(target, speed, self._move.acceleration, start_s)
        fault = self.world.strikes(Alarm, "arm") or self.world.strikes(Brownout, "arm")
        if fault is not None:
            self._doom = ((self._move.start_s + self._move.end_s) / 2, fault)

    def _finish(self) -> None:
        """The arm rests: a running pump takes hold of what the cup came to touch."""
        if self._done < self._doing and not self._alarms:
            self._done = self._doing
            self.world.cup_holds()

    def _alarm(self, code: int) -> None:
        self._alarms.add(code)
        self._freeze()

    def _freeze(self) -> None:
        self.world.stop_cup()
        self._move = at_rest(self._position())

    def _position(self) -> Point:
        """As the controller counts it."""
        return self._move.at(self.clock.now())
