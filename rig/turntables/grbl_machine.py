"""What a GRBL controller believes of its axis, and how it moves it: planned moves, holds, switches, status reports.

Written after gnea/grbl bfb67f0: planner.c, stepper.c, motion_control.c, limits.c, system.c, report.c.
"""

from __future__ import annotations

import bisect
import itertools
import math
from collections import deque
from collections.abc import Mapping

from rig.turntables.grbl_memory import (
    ACCELERATION,
    HARD_LIMITS,
    MAX_TRAVEL,
    REPORT_INCHES,
    SOFT_LIMITS,
    STATUS_REPORT,
    Memory,
)
from rig.twin.emulator import Emulator
from rig.twin.faults import Alarm, Brownout
from rig.twin.motion import StraightMove, at_rest
from rig.twin.world import World

RX_BYTES = 128  # serial.h: RX_BUFFER_SIZE
PLANNER_BLOCKS = 15  # planner.h: BLOCK_BUFFER_SIZE 16, a ring of which one stays empty
WCO_BUSY, WCO_IDLE, OV_BUSY, OV_IDLE = 30, 10, 20, 10  # config.h: REPORT_WCO_REFRESH_..., REPORT_OVR_REFRESH_...
SWITCH_WIDTH_DEG = 0.5
HARD_LIMIT = 1


class GrblMachine(Emulator):
    """The axis. `axis` is the letter of the one that turns the plate, `settings` what is not as sold."""

    def __init__(self, world: World, axis: str, settings: Mapping[int, float]) -> None:
        super().__init__(world.clock)
        self.world = world
        self.axis = axis
        # GRBL has three axes; builds for more boards name the others A, B, C.
        self.letters = "XYZ" if axis in "XYZ" else "XYZABC"[: "XYZABC".index(axis) + 1]
        self.memory = Memory(self.letters, axis, settings)
        self.blocks_most = PLANNER_BLOCKS
        self.hold_pin = False  # whether somebody holds the feed-hold input down
        self._rx: deque[int] = deque()
        self._forget()

    def _forget(self) -> None:
        """At power-up: the position too."""
        self._blocks: list[StraightMove] = [at_rest((0.0,))]
        self._others = dict.fromkeys(self.letters, 0.0)
        self._locked = False
        self._homing = False
        self._start_over()

    def _start_over(self) -> None:
        """At every reset."""
        self._checks = False  # check mode ($C): G-code is read and nothing moves (motion_control.c, mc_line)
        self._held: list[tuple[float, float]] | None = None  # where to and how fast, once it is resumed
        self._door = False
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
        if self._door:
            return "Door:2" if self._moving() else "Door:0"
        if self._held is not None:
            return "Hold:1" if self._moving() else "Hold:0"
        if self._jogging and self._moving():
            return "Jog"
        if self._checks:
            return "Check"
        return "Run" if self._moving() else "Idle"

    def _stop_steppers(self) -> None:
        """st_go_idle(): from one step to the next, in the interrupt that asked for it."""
        self.world.stop_plate()
        self._blocks = [at_rest((self._position(),))]

    def _brake(self) -> None:
        self.world.brake_plate()
        now_s = self.clock.now()
        moving = next((move for move in self._blocks if move.end_s > now_s), self._blocks[-1])
        self._blocks = [moving.braked_at(now_s)]

    def press_hold(self) -> None:
        """Somebody presses the feed-hold button and keeps it down: an interrupt, once, as the pin changes."""
        self.hold_pin = True
        self._hold()

    def _hold(self) -> None:
        """``!``: slow down and wait, whatever there was to do; a jog is forgotten."""
        state = self._state()
        if state == "Jog":
            self._brake()
        elif state in ("Run", "Idle"):
            now_s = self.clock.now()
            self._held = [(move.target[0], move.speed) for move in self._blocks if move.end_s > now_s]
            self._brake()

    def _open_door(self) -> bool:
        """0x84: as a hold, but for its name; whether it is heeded. A stock build has no door pin that stays open."""
        if self._locked:
            return False
        self._hold()
        self._door = True
        return True

    def _resume(self) -> None:
        """``~``: heeded once it stands still."""
        if self._held is not None and not self._moving():
            held, self._held = self._held, None
            self._door = False
            for target, speed in held:
                self._plan(target, speed * 60)

    def _report(self) -> None:
        """report_realtime_status(): WCO and Ov come only now and then, Pn only while a switch is pressed."""
        text = self._report_head()
        busy = self._state() not in ("Idle", "Alarm")
        if self._reports_to_wco > 0:
            self._reports_to_wco -= 1
        else:
            self._reports_to_wco = (WCO_BUSY if busy else WCO_IDLE) - 1
            self._reports_to_ov = max(self._reports_to_ov, 1)
            text += f"|WCO:{self._triple(dict.fromkeys(self.letters, 0.0))}"
        if self._reports_to_ov > 0:
            self._reports_to_ov -= 1
        else:
            self._reports_to_ov = (OV_BUSY if busy else OV_IDLE) - 1
            text += "|Ov:100,100,100"
        self.say(text + ">\r\n")

    def _report_head(self) -> str:
        values = dict(self._others) | {self.axis: self._position()}
        mask = int(self._set(STATUS_REPORT))
        speed = max(move.speed_at(self.clock.now()) for move in self._blocks) * 60
        text = f"<{self._state()}|{'M' if mask & 1 else 'W'}Pos:{self._triple(values)}"
        if mask & 2:
            planned = sum(move.end_s > self.clock.now() for move in self._blocks)
            text += f"|Bf:{self.blocks_most - planned},{RX_BYTES - len(self._rx)}"
        text += f"|FS:{speed:.0f},0"
        pins = self.axis * self._at_switch() + "H" * self.hold_pin
        return text + (f"|Pn:{pins}" if pins else "")

    def _at_switch(self) -> bool:
        return abs(math.remainder(self.world.plate_deg(), 360)) < SWITCH_WIDTH_DEG

    def _is_beyond(self, target: float) -> bool:
        return bool(self._set(SOFT_LIMITS)) and not -self._set(MAX_TRAVEL) <= target <= 0

    def _plan(self, target: float, rate: float) -> None:
        last = self._blocks[-1]
        start_s = max(self.clock.now(), last.end_s)
        move = StraightMove(start_s, last.target, (target,), rate / 60, self._set(ACCELERATION))
        if not move.profile.distance or self._checks:
            return  # plan_buffer_line(): a block without steps is none
        self._blocks = [block for block in self._blocks if block.end_s > self.clock.now()] + [move]
        self.world.turn(target - last.target[0], move.speed, move.acceleration, start_s)
        fault = self.world.strikes(Alarm, "turntable") or self.world.strikes(Brownout, "turntable")
        if fault is not None:
            self._doom = ((move.start_s + move.end_s) / 2, fault)
        elif self._set(HARD_LIMITS) and not self._doom:
            hit_s = _switch_changes_s(move, move.origin[0] + self.world.plate_deg() - self._position())
            self._doom = (hit_s, Alarm(code=HARD_LIMIT)) if hit_s else None

    def _triple(self, values: Mapping[str, float]) -> str:
        if self._set(REPORT_INCHES):
            return ",".join(f"{value / 25.4:.4f}" for value in values.values())
        return ",".join(f"{value:.3f}" for value in values.values())


def _switch_changes_s(move: StraightMove, from_deg: float) -> float | None:
    """When the switch at 0 first opens or closes in a move: the pin's interrupt asks no more than that it changed."""
    by_deg = move.target[0] - move.origin[0]
    turns = range(int(min(from_deg, from_deg + by_deg) // 360), int(max(from_deg, from_deg + by_deg) // 360) + 2)
    edges = [360.0 * turn + side for turn, side in itertools.product(turns, (-SWITCH_WIDTH_DEG, SWITCH_WIDTH_DEG))]
    ways = [(edge - from_deg) / by_deg for edge in edges]
    passed = min((way for way in ways if 0 < way <= 1), default=None)
    if passed is None:
        return None
    profile = move.profile
    steps = 1000
    step = bisect.bisect_left(
        range(steps), passed * profile.distance, key=lambda n: profile.travelled(profile.duration_s * n / steps)
    )
    return move.start_s + profile.duration_s * step / steps
