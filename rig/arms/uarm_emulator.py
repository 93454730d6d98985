"""uArm Swift Pro, firmware V4.10.0, byte for byte.

From github.com/uArm-Developer/SwiftProForArduino, branch Version_V4.0, 43af4c9 ("update V4.10.0"); file by file:

- src/serial.c: the receive interrupt takes ``?``, ``~``, ``!`` and Ctrl-X (0x18) out of the stream at once, and keeps
  127 bytes of the rest; what does not fit is lost. Ctrl-X stops the motors dead, empties the planner and answers
  ``ok``; the main loop then clears what was received.
- src/protocol.c, src/uarm_protocol.c: a line is read, then carried out, then the next one is read. ``P`` and ``S``
  answer at once; ``G`` and ``M`` are carried out at once and answered when the arm is at rest; at most 20 wait.
- src/motion_control.c (`mc_line`): a straight move is cut into 30 pieces a second, ten at least, and its line is done
  when the last piece is in the planner, which holds 17 (src/planner.h). Until then no other line is read.
- src/uarm_coord_convert.c: a target that the linkage cannot reach is answered ``E22``.
- src/uarm_peripheral.c (`get_pump_status`): while the pump runs, its current is printed in front of the answer, on the
  same line; older versions print nothing (8a243e2). The pump is left alone by Ctrl-X.
- src/uarm_protocol.c (`uarm_cmd_g2202`, `uarm_cmd_p2206`), src/uarm_peripheral.c (`servo_set_angle`): the servo at its
  end takes an angle at once, in steps of the duty cycle's 1023, and is answered as it was sent.
- src/uarm_protocol.c (`uarm_cmd_m2400`): the tool's offsets are kept in EEPROM; of its number one digit is read.
- src/uarm_swift.c: what it prints when it starts.

Not from the source, but measured or assumed: the acceleration, how fast the servo turns, and when the pump's current
shows a coin.
"""

from __future__ import annotations

import math
import re
from collections import deque
from dataclasses import dataclass

from rig.arms.arm_emulator import ArmEmulator
from rig.arms.uarm_linkage import TOOLS, can_reach
from rig.bench import PointMm
from rig.twin.arm_body import ArmBody
from rig.twin.emulator import Firmware
from rig.twin.motion import StraightMove, at_rest

BOOT_S = 2.0  # boot loader and the long beep of uarm_swift_init()
ACCELERATION_MM_S2 = 500.0
GREATEST_FEED_MM_S = 100.0  # mc_line() clips G1 to it
PIECES_PER_S, FEWEST_PIECES = 30, 10  # mc_line()
PLANNER_PIECES = 17  # BLOCK_BUFFER_SIZE 18: a ring holds one less
RX_BYTES = 127  # RX_BUFFER_SIZE 128
LINE_BYTES = 79  # LINE_BUFFER_SIZE 80
QUEUE = 20  # PACK_MAX_SIZE
SUCTION_S = 0.25
SERVO_DEG_S = 200.0
CURRENT_HELD, CURRENT_FREE = 40, 120  # get_pump_status(): below 10 off, up to 70 it holds something

LINE = re.compile(r"(?:#(?P<number>\d+))?(?P<command>[GMPS]\d+)(?P<words>.*)")
WORD = re.compile(r"([A-Z])(-?\d*\.?\d+)")


def servo_deg(duty_ms: float) -> float:
    """Where the servo turns to, whose duty cycle is counted in 1023 of 20 ms: a step is 1.76 degrees."""
    counts = int(duty_ms / 20 * 1023)
    return 180 - (counts / 1023 * 20 - 0.5) / 2 * 180


@dataclass
class _Pack:
    """A ``G`` or ``M`` line, and what it will be answered when the arm is at rest; None while it is not carried out."""

    number: str
    command: str
    words: dict[str, float]
    answer: str | None = None


class UarmEmulator(ArmEmulator):
    """The controller of the arm. A suction cup is fitted, whatever tool its EEPROM says.

    Attributes
    ----------
    version
        What it reports; below V4.10 it prints no current.
    work_mode
        The tool by whose offsets it computes.
    """

    def __init__(self, world: ArmBody, version: str = "V4.10.0") -> None:
        super().__init__(world)
        self.version = version
        self.work_mode = 0

    def _power_up(self) -> None:
        super()._power_up()
        self._rx: deque[int] = deque()
        self._line = bytearray()
        self._packs: deque[_Pack] = deque()
        self._move: StraightMove = at_rest(self.world.cup_mm())
        self._aborted = False
        self._reports_rest = True
        self._was_moving = False
        self._pump_since: float | None = None
        self._duty_ms = 1.51

    def _pick_up(self) -> None:
        self._pump_since = -math.inf if self.world.suction else None

    # The receive interrupt

    def received(self, data: bytes) -> None:
        """Take real-time commands out of the stream, keep the rest."""
        for byte in data:
            if byte == 0x18 and not self.world.is_deaf_to_stop("arm"):
                self._stop_dead()
                self.say("ok\n")
            elif byte == ord("~"):
                self.say("ok\n")
            elif byte not in b"?!@\x18" and len(self._rx) < RX_BYTES:
                self._rx.append(byte)

    def _stop_dead(self) -> None:
        """mc_reset(), plan_reset(), update_motor_position()."""
        self.world.stop_cup()
        self._move = at_rest(self.world.cup_mm())
        self._aborted = True

    # The main loop

    def main(self) -> Firmware:
        """Boot, then read lines and carry them out."""
        yield from self.wait(BOOT_S)
        self._rx.clear()  # the boot loader has no use for them
        self.say(
            f"device name : SwiftPro\r\nsoft ver : {self.version}\r\napi ver : V4.0.5\r\n"
            f"work mode : {self.work_mode}\r\n@1\n@5 V1\n"
        )
        yield from self._serve()

    def _serve(self) -> Firmware:
        while True:
            if self._aborted:
                self._aborted = False
                self._rx.clear()
                self._line.clear()
            self._read_line()
            yield from self._carry_out()
            self._report()
            if not self._rx and not self._aborted and all(pack.answer is not None for pack in self._packs):
                yield from self._until(None if self._rests() else self._move.end_s)

    def _read_line(self) -> None:
        """One line at a time, as far as it has come."""
        while self._rx:
            byte = self._rx.popleft()
            if byte in b"\r\n":
                line, self._line = self._line.decode("ascii", "replace").upper(), bytearray()
                self._take(line)
                return
            if byte > ord(" ") and len(self._line) < LINE_BYTES:
                self._line.append(byte)

    def _take(self, line: str) -> None:
        """receive_cmd_line(): a line that does not begin like a command is dropped."""
        match = LINE.fullmatch(line)
        if match is None:
            return
        number, command = match["number"] or "", match["command"]
        words = {letter: float(value) for letter, value in WORD.findall(match["words"])}
        if command[0] in "PS":
            # What the answer's own making prints stands before it.
            answer = self._ask(command, words)
            self.say(f"${number} {answer}\n" if number else f"{answer}\n")
        elif len(self._packs) >= QUEUE:
            self.say("E23 buffer full\r\n")
        else:
            self._packs.append(_Pack(number, command, words))

    def _carry_out(self) -> Firmware:
        for pack in [pack for pack in self._packs if pack.answer is None]:
            answer = self._do(pack.command, pack.words)
            if pack.command in ("G0", "G1") and answer == "ok":
                busy_until_s = self._planned_s()
                while self.clock.now() < busy_until_s and not self._aborted:
                    yield from self._until(busy_until_s)
            head = f"${pack.number}" if pack.number else ""
            # Aborted, it leaves its number and no end of line.
            pack.answer = head if self._aborted else f"{head} {answer}\n".lstrip(" ")

    def _planned_s(self) -> float:
        """When the last pieces of the move are in the planner."""
        profile = self._move.profile
        pieces = max(FEWEST_PIECES, int(profile.distance * PIECES_PER_S / profile.speed))
        before = profile.distance * max(0.0, 1 - PLANNER_PIECES / pieces)
        early_s, late_s = 0.0, profile.duration_s
        for _ in range(30):
            middle_s = (early_s + late_s) / 2
            early_s, late_s = (middle_s, late_s) if profile.travelled(middle_s) < before else (early_s, middle_s)
        return self._move.start_s + late_s if before else self._move.start_s

    def _report(self) -> None:
        """report_parse_result()."""
        if not self._rests():
            return
        while self._packs and self._packs[0].answer is not None:
            self.say(self._packs.popleft().answer or "")
        if self._was_moving:
            self._was_moving = False
            self.world.cup_holds()  # a running pump takes hold of what the cup came to touch
            if self._reports_rest:
                self.say("@9 V0\n")

    def _rests(self) -> bool:
        return self.clock.now() >= self._move.end_s

    # Commands

    def _ask(self, command: str, words: dict[str, float]) -> str:
        """Carry out a `P` or `S` command; what is answered."""
        match command:
            case "P2201":
                return "ok SwiftPro"
            case "P2202":
                return "ok V3.3.1"
            case "P2203":
                return f"ok {self.version}"
            case "P2220":
                x_mm, y_mm, z_mm = self._shifted(self.world.cup_mm(), 1)
                return f"ok X{x_mm:.4f} Y{y_mm:.4f} Z{z_mm:.4f}"
            case "P2206" if words.get("N") == 3:
                return f"ok V{180 - (self._duty_ms - 0.5) / 2 * 180:.4f}"  # servo_get_angle(): as it was sent
            case "P2231":
                return f"ok V{self._pump_state()}"
            case "P2233":
                return f"ok V{int(self.world.suction and self.world.cup_holds())}"
            case "P2234":
                return "ok V1"
            case "P2400":
                return f"ok V{self.work_mode}"
            case "S1100":
                self._stop_dead()
                return "ok"
        return "E20"

    def _do(self, command: str, words: dict[str, float]) -> str:
        """Carry out a `G` or `M` command; what will be answered."""
        match command:
            case "G0" | "G1":
                return self._go(words)
            case "G2202" if words.get("N") == 3 and "F" in words and 0 <= words.get("V", -1) <= 180:
                self._duty_ms = (180 - words["V"]) / 180 * 2 + 0.5
                self.world.turn_wrist(servo_deg(self._duty_ms), SERVO_DEG_S)
                return "ok"
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
            case "M2400" if words.get("S", -1) >= 0:
                self.work_mode = int(f"{words['S']:.0f}"[0])
                return "ok"
            case "G2202" | "M2122" | "M2231" | "M2400":
                return "E21"
        return "E20"

    def _go(self, words: dict[str, float]) -> str:
        """mc_line()."""
        x_mm, y_mm, z_mm = self._shifted(self._planned_end(), 1)
        target = (words.get("X", x_mm), words.get("Y", y_mm), words.get("Z", z_mm))
        if not can_reach(target, TOOLS[self.work_mode]):
            return "E22"
        speed = min(max(words.get("F", GREATEST_FEED_MM_S), 1.0), GREATEST_FEED_MM_S)
        start_s = max(self.clock.now(), self._move.end_s)
        target = self._shifted(target, -1)
        self._move = self._carry(self._planned_end(), target, speed, ACCELERATION_MM_S2, start_s)
        self._was_moving = True
        return "ok"

    def _planned_end(self) -> PointMm:
        x_mm, y_mm, z_mm = self._move.target
        return (x_mm, y_mm, z_mm)

    def _shifted(self, point_mm: PointMm, way: int) -> PointMm:
        """A true position of the cup as it reports it, with another tool in its EEPROM; or back, with `way` -1."""
        tool, cup = TOOLS[self.work_mode], TOOLS[0]
        x_mm, y_mm, z_mm = point_mm
        radius_mm = math.hypot(x_mm, y_mm) or 1.0
        share = 1 + way * (tool.ahead_mm - cup.ahead_mm) / radius_mm
        return (x_mm * share, y_mm * share, z_mm + way * (cup.below_mm - tool.below_mm))

    def _pump_state(self) -> int:
        """get_pump_status(): 0 off, 1 running, 2 running and something is held."""
        if self._pump_since is None:
            return 0
        running = CURRENT_HELD if self._holds_by_now() else CURRENT_FREE
        current = 0 if self.world.pump_is_dead() else running
        if self.version == "V4.10.0":
            self.say(f"value:{current}      value2:{0}")
        return 0 if current < 10 else 2 if current <= 70 else 1

    def _holds_by_now(self) -> bool:
        return self.clock.now() - (self._pump_since or 0.0) >= SUCTION_S and self.world.cup_holds()
