"""What a GRBL controller believes of its axes, and how it moves them: planned moves, holds, switches, status reports.

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
    MAX_RATE,
    MAX_TRAVEL,
    PULL_OFF,
    REPORT_INCHES,
    SOFT_LIMITS,
    STATUS_REPORT,
    Memory,
)
from rig.turntables.motor_axis import TiltConfig
from rig.turntables.turntable_emulator import TurntableEmulator
from rig.twin.faults import Alarm
from rig.twin.motion import Point, StraightMove
from rig.twin.world import World

RX_BYTES = 128  # serial.h: RX_BUFFER_SIZE
PLANNER_BLOCKS = 15  # planner.h: BLOCK_BUFFER_SIZE 16, a ring of which one stays empty
WCO_BUSY, WCO_IDLE, OV_BUSY, OV_IDLE = 30, 10, 20, 10  # config.h: REPORT_WCO_REFRESH_..., REPORT_OVR_REFRESH_...
SWITCH_WIDTH_DEG = 0.5
HARD_LIMIT = 1


class GrblMachine(TurntableEmulator):
    """The axes.

    Parameters
    ----------
    axis
        The letter of the one that turns the plate.
    settings
        What is not as sold.
    tilt
        The one that tilts the camera, if there is one; its switch lies one pull-off below where it rests after homing.
    """

    def __init__(self, world: World, axis: str, settings: Mapping[int, float], tilt: TiltConfig | None = None) -> None:
        super().__init__(world, axis, tilt)
        # GRBL has three axes; builds for more boards name the others A, B, C.
        last = max("XYZABC".index(letter) for letter in self.driven)
        self.letters = "XYZABC"[: max(3, last + 1)]
        self.memory = Memory(self.letters, axis, settings, tilt.axis if tilt else None)
        self.blocks_most = PLANNER_BLOCKS
        self.hold_pin = False  # whether somebody holds the feed-hold input down
        self._rx: deque[int] = deque()
        self._forget()

    def _forget(self) -> None:
        """At power-up: the position too."""
        self._forget_moves()
        self._others = dict.fromkeys(self.letters, 0.0)
        self._locked = False
        self._homing = False
        self._start_over()

    def _start_over(self) -> None:
        """At every reset."""
        self._checks = False  # check mode ($C): G-code is read and nothing moves (motion_control.c, mc_line)
        self._held: list[tuple[Point, float]] | None = None  # where to and how fast, once it is resumed
        self._door = False
        self._jogging = False
        self._doom = None
        self._reports_to_wco = 0
        self._reports_to_ov = 0

    def _moving(self) -> bool:
        return self._blocks[-1].end_s > self.clock.now()

    def _set(self, first: int, letter: str = "") -> float:
        """A setting; of those that each axis has its own of, this one's, or the plate's."""
        return self.memory.settings[first + self.letters.index(letter or self.axis) if first >= 100 else first]

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

    def _brake(self) -> None:
        self.world.brake_turntable()
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
            self._held = [(move.target, move.speed) for move in self._blocks if move.end_s > now_s]
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
        values = dict(self._others) | dict(zip(self.driven, self._position(), strict=True))
        mask = int(self._set(STATUS_REPORT))
        speed = max(move.speed_at(self.clock.now()) for move in self._blocks) * 60
        text = f"<{self._state()}|{'M' if mask & 1 else 'W'}Pos:{self._triple(values)}"
        if mask & 2:
            planned = sum(move.end_s > self.clock.now() for move in self._blocks)
            text += f"|Bf:{self.blocks_most - planned},{RX_BYTES - len(self._rx)}"
        text += f"|FS:{speed:.0f},0"
        pins = "".join(filter(self._at_switch, self.driven)) + "H" * self.hold_pin
        return text + (f"|Pn:{pins}" if pins else "")

    def _at_switch(self, letter: str) -> bool:
        return self._beyond_switch_deg(letter) < SWITCH_WIDTH_DEG

    def _beyond_switch_deg(self, letter: str) -> float:
        """How far an axis is from its switch; the plate's closes on both sides of 0, the camera's from its place on."""
        if self.tilt is None or letter != self.tilt.axis:
            return abs(math.remainder(self.world.plate_deg(), 360))
        return self.world.camera_tilt_deg() - (self.tilt.home_deg - self._set(PULL_OFF))

    def _is_beyond(self, targets: Mapping[str, float]) -> bool:
        return bool(self._set(SOFT_LIMITS)) and any(
            not -self._set(MAX_TRAVEL, letter) <= target <= 0 for letter, target in targets.items()
        )

    def _max_rate(self, letter: str) -> float:
        return self._set(MAX_RATE, letter)

    def _acceleration(self, letter: str) -> float:
        return self._set(ACCELERATION, letter)

    def _plan(self, target: Point, rate: float) -> None:
        """plan_buffer_line(); a block without steps is none."""
        move = None if self._checks else self._plan_straight(target, rate)
        if move is None or move.origin[0] == move.target[0]:
            return
        if self._set(HARD_LIMITS) and not self._doom:
            hit_s = _switch_changes_s(move, move.origin[0] + self.world.plate_deg() - self._position()[0])
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
