"""uArm Swift Pro, firmware V4, byte for byte.

Written after the firmware's own source (github.com/uArm-Developer/SwiftProForArduino, branch Version_V4.0:
uarm_protocol.c, uarm_swift.c, uarm_peripheral.c): ``P`` and ``S`` commands are answered at once, ``G`` and ``M``
commands are carried out at once but answered only when the arm is at rest again, and at most four of them wait.
"""

from __future__ import annotations

import math
import re
from collections import deque

from rig.twin.emulator import Emulator, Firmware
from rig.twin.faults import Brownout
from rig.twin.motion import StraightMove
from rig.twin.world import World

BOOT_S = 2.0  # boot loader and the long beep of uarm_swift_init()
ACCELERATION_MM_S2 = 500.0
GREATEST_FEED_MM_S = 100.0  # mc_line() clips G1 to it
SUCTION_S = 0.25  # until the pump's current shows whether something is held
QUEUE = 4
# The reach of the linkage, roughly: a ring about the base, and heights.
REACH_MM = (110.0, 340.0)
HEIGHT_MM = (-120.0, 180.0)

LINE = re.compile(r"(?:#(?P<number>\d+)\s*)?(?P<command>[GMPS]\d+)(?P<words>.*)")
WORD = re.compile(r"([A-Z])(-?\d*\.?\d+)")


class UarmEmulator(Emulator):
    """The controller of the arm."""

    def __init__(self, world: World) -> None:
        super().__init__(world.clock)
        self.world = world
        self._power_up()

    def _power_up(self) -> None:
        self._received = bytearray()
        self._lines: deque[str] = deque()
        self._waiting: deque[str] = deque()
        self._reports_rest = True
        self._was_moving = False
        self._rest_s = 0.0
        self._target = self.world.cup_mm()
        self._pump_since: float | None = None
        self._doom_s: float | None = None

    def reset(self) -> None:
        """DTR: the motors hold, the pump stops, the queue is lost. Angle sensors tell the position again at once."""
        self.world.stop_cup()
        self.world.suck(False)
        self._power_up()
        super().reset()

    def resume(self) -> None:
        """It has been running since another process used it: pump and position are as they were left."""
        if self._main is None:
            self._power_up()
            self._pump_since = -math.inf if self.world.suction else None
            self._run(self._serve())

    def received(self, data: bytes) -> None:
        """Collect lines; the firmware ignores what does not start like a command."""
        for byte in data:
            if byte in b"\r\n":
                self._lines.append(self._received.decode("ascii", "replace"))
                self._received.clear()
            elif len(self._received) < 80:
                self._received.append(byte)

    def main(self) -> Firmware:
        """Boot, then carry out lines and answer them."""
        yield from self.wait(BOOT_S)
        self._lines.clear()  # the boot loader has no use for them
        self.say("device name : SwiftPro\r\nsoft ver : V4.10.0\r\napi ver : V4.0.5\r\nwork mode : 0\r\n@1\n@5 V1\n")
        yield from self._serve()

    def _serve(self) -> Firmware:
        while True:
            now_s = self.clock.now()
            if self._doom_s is not None and now_s >= self._doom_s:
                self.reset()
                yield None  # this main program is over
            while self._lines:
                self._take(self._lines.popleft())
            if now_s >= self._rest_s:
                while self._waiting:
                    self.say(self._waiting.popleft())
                if self._was_moving:
                    self._was_moving = False
                    self.world.cup_holds()  # a running pump takes hold of what the cup came to touch
                    if self._reports_rest:
                        self.say("@9 V0\n")
                yield None
            else:
                yield self._rest_s if self._doom_s is None else min(self._rest_s, self._doom_s)

    def _take(self, line: str) -> None:
        match = LINE.fullmatch(line.strip().replace(" ", "").upper())
        if match is None:
            return
        head = f"${match['number']} " if match["number"] else ""
        words = {letter: float(value) for letter, value in WORD.findall(match["words"])}
        if match["command"][0] in "PS":
            self.say(f"{head}{self._ask(match['command'], words)}\n")
        elif len(self._waiting) >= QUEUE:
            self.say("E23 buffer full\r\n")
        else:
            self._waiting.append(f"{head}{self._do(match['command'], words)}\n")

    def _ask(self, command: str, words: dict[str, float]) -> str:
        """What `P` and `S` commands answer."""
        match command:
            case "P2201":
                return "ok SwiftPro"
            case "P2203":
                return "ok V4.10.0"
            case "P2220":
                x, y, z = self.world.cup_mm()
                return f"ok X{x:.4f} Y{y:.4f} Z{z:.4f}"
            case "P2231":
                return f"ok V{self._pump_state()}"
            case "P2233":
                return f"ok V{int(self._touches())}"
            case "P2234":
                return "ok V1"
            case "S1100":
                self.world.stop_cup()
                self._target, self._rest_s = self.world.cup_mm(), self.clock.now()
                self._waiting.clear()  # mc_reset() empties the planner, and those answers never come
                return "ok"
        return "E20"

    def _do(self, command: str, words: dict[str, float]) -> str:
        """Carry out a `G` or `M` command; what will be answered."""
        match command:
            case "G0" | "G1":
                return self._move(words)
            case "M17" | "M204":
                return "ok"
            case "M2122" if words.get("V") in (0, 1):
                self._reports_rest = words["V"] == 1
                return "ok"
            case "M2231" if words.get("V") in (0, 1):
                on = words["V"] == 1
                self.world.suck(on)
                self._pump_since = self.clock.now() if on else None
                return "ok"
            case "M2122" | "M2231":
                return "E21"
        return "E20"

    def _move(self, words: dict[str, float]) -> str:
        x_mm, y_mm, z_mm = self._target
        target = (words.get("X", x_mm), words.get("Y", y_mm), words.get("Z", z_mm))
        reach_mm = math.hypot(target[0], target[1])
        low_mm, high_mm = HEIGHT_MM
        if not REACH_MM[0] <= reach_mm <= REACH_MM[1] or not low_mm <= target[2] <= high_mm or target[0] < 0:
            return "E22"
        speed = min(max(words.get("F", GREATEST_FEED_MM_S), 1.0), GREATEST_FEED_MM_S)
        start_s = max(self.clock.now(), self._rest_s)
        move = StraightMove(start_s, self._target, target, speed, ACCELERATION_MM_S2)
        self.world.carry(target, speed, ACCELERATION_MM_S2, start_s)
        self._target, self._rest_s, self._was_moving = target, move.end_s, True
        if self.world.strikes(Brownout, "arm"):
            self._doom_s = (move.start_s + move.end_s) / 2
        return "ok"

    def _pump_state(self) -> int:
        """0 off, 1 running, 2 running and something is held."""
        if self._pump_since is None:
            return 0
        return 2 if self.clock.now() - self._pump_since >= SUCTION_S and self.world.cup_holds() else 1

    def _touches(self) -> bool:
        return self.world.suction and self.world.cup_holds()
