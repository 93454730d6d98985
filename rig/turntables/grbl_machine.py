"""What a GRBL controller believes of its axis, and how it moves it: planned moves, holds, status reports.

Written after github.com/gnea/grbl: planner.c, stepper.c, motion_control.c, report.c.
"""

from __future__ import annotations

from collections import deque

from rig.turntables.grbl_memory import (
    ACCELERATION,
    MAX_TRAVEL,
    REPORT_INCHES,
    SOFT_LIMITS,
    STATUS_REPORT,
    Memory,
)
from rig.twin.emulator import Emulator
from rig.twin.faults import Alarm, Brownout
from rig.twin.motion import Move, at_rest
from rig.twin.world import World

RX_BYTES = 128
PLANNER_BLOCKS = 15
SWITCH_WIDTH_DEG = 0.5


class GrblMachine(Emulator):
    """The axis. `axis` is the letter of the one that turns the plate."""

    def __init__(self, world: World, axis: str) -> None:
        super().__init__(world.clock)
        self.world = world
        self.axis = axis
        # GRBL has three axes; builds for more boards name the others A, B, C.
        self.letters = "XYZ" if axis in "XYZ" else "XYZABC"[: "XYZABC".index(axis) + 1]
        self.memory = Memory(self.letters)
        self._rx: deque[int] = deque()
        self._forget()

    def _forget(self) -> None:
        """At power-up: the position too."""
        self._blocks: list[Move] = [at_rest((0.0,))]
        self._others = dict.fromkeys(self.letters, 0.0)
        self._locked = True
        self._homing = False
        self._start_over()

    def _start_over(self) -> None:
        """At every reset."""
        self._held: list[tuple[float, float]] | None = None  # where to and how fast, once it may go on
        self._jogging = False
        self._doom: tuple[float, Alarm | Brownout] | None = None
        self._reports_to_wco = 0
        self._reports_to_ov = 0

    def _position(self) -> float:
        now_s = self.clock.now()
        return next((move for move in reversed(self._blocks) if move.start_s <= now_s), self._blocks[0]).at(now_s)[0]

    def _moving(self) -> bool:
        return self._blocks[-1].end_s > self.clock.now()

    def _set(self, first: int) -> float:
        """A setting; of those that each axis has its own of, the plate's."""
        return self.memory.settings[first + self.letters.index(self.axis) if first >= 100 else first]

    def _state(self) -> str:
        if self._homing:
            return "Home"
        if self._locked:
            return "Alarm"
        if self._held is not None:
            return "Hold:1" if self._moving() else "Hold:0"
        if self._jogging and self._moving():
            return "Jog"
        return "Run" if self._moving() else "Idle"

    def _stop_steppers(self) -> None:
        self.world.stop_plate()
        self._blocks = [at_rest((self._position(),))]

    def _brake(self) -> None:
        self.world.brake_plate()
        now_s = self.clock.now()
        moving = next((move for move in self._blocks if move.end_s > now_s), self._blocks[-1])
        self._blocks = [moving.braked_at(now_s)]

    def _hold(self) -> None:
        """``!``: slow down and wait, whatever there was to do; a jog is forgotten."""
        state = self._state()
        if state == "Jog":
            self._brake()
        elif state in ("Run", "Idle"):
            now_s = self.clock.now()
            self._held = [(move.target[0], move.speed) for move in self._blocks if move.end_s > now_s]
            self._brake()

    def _resume(self) -> None:
        """``~``: heeded once it stands still."""
        if self._held is not None and not self._moving():
            held, self._held = self._held, None
            for target, speed in held:
                self._plan(target, speed * 60)

    def _report(self) -> None:
        """report_realtime_status(): WCO and Ov come only now and then, Pn only while a switch is pressed."""
        position = self._position()
        values = dict(self._others) | {self.axis: position}
        mask = int(self._set(STATUS_REPORT))
        speed = max(move.speed_at(self.clock.now()) for move in self._blocks) * 60
        text = f"<{self._state()}|{'M' if mask & 1 else 'W'}Pos:{self._triple(values)}"
        if mask & 2:
            planned = sum(move.end_s > self.clock.now() for move in self._blocks)
            text += f"|Bf:{PLANNER_BLOCKS - planned},{RX_BYTES - len(self._rx)}"
        text += f"|FS:{speed:.0f},0"
        if self._at_switch():
            text += f"|Pn:{self.axis}"
        busy = self._state() not in ("Idle", "Alarm")
        if self._reports_to_wco > 0:
            self._reports_to_wco -= 1
        else:
            self._reports_to_wco = 29 if busy else 9
            self._reports_to_ov = max(self._reports_to_ov, 1)
            text += f"|WCO:{self._triple(dict.fromkeys(self.letters, 0.0))}"
        if self._reports_to_ov > 0:
            self._reports_to_ov -= 1
        else:
            self._reports_to_ov = 19 if busy else 9
            text += "|Ov:100,100,100"
        self.say(text + ">\r\n")

    def _at_switch(self) -> bool:
        return abs((self.world.plate_deg() + 180) % 360 - 180) < SWITCH_WIDTH_DEG

    def _is_beyond(self, target: float) -> bool:
        return bool(self._set(SOFT_LIMITS)) and not -self._set(MAX_TRAVEL) <= target <= 0

    def _plan(self, target: float, rate: float) -> None:
        last = self._blocks[-1]
        start_s = max(self.clock.now(), last.end_s)
        move = Move(start_s, last.target, (target,), rate / 60, self._set(ACCELERATION))
        self._blocks = [block for block in self._blocks if block.end_s > self.clock.now()] + [move]
        self.world.turn(target - last.target[0], move.speed, move.acceleration, start_s)
        fault = self.world.strikes(Alarm, "turntable") or self.world.strikes(Brownout, "turntable")
        if fault is not None:
            self._doom = ((move.start_s + move.end_s) / 2, fault)

    def _triple(self, values: dict[str, float]) -> str:
        if self._set(REPORT_INCHES):
            return ",".join(f"{value / 25.4:.4f}" for value in values.values())
        return ",".join(f"{value:.3f}" for value in values.values())
