"""GRBL 1.1h on an Arduino, byte for byte, with a turntable on one of its axes.

Written after the firmware's own source (github.com/gnea/grbl: protocol.c, report.c, motion_control.c, limits.c,
system.c, gcode.c, serial.c): what is said when, which bytes are taken at once, when ``?`` stays unanswered, when a
reset is swallowed, what a hold does, and which bytes are lost while a setting is written.
"""

from __future__ import annotations

import re

from rig.turntables.grbl_machine import PLANNER_BLOCKS, RX_BYTES, GrblMachine
from rig.turntables.grbl_memory import (
    ACCELERATION,
    HOMING,
    HOMING_FEED,
    HOMING_SEEK,
    MAX_RATE,
    MAX_TRAVEL,
    PULL_OFF,
)
from rig.twin.emulator import Firmware
from rig.twin.faults import Brownout
from rig.twin.motion import Move, at_rest
from rig.twin.world import World

BOOT_S = 1.5  # the Arduino's boot loader
ALARM_PRINT_S = 0.5  # report_alarm_message() waits that long for the line to clear
LINE_CHARACTERS = 80
CRITICAL_ALARMS = (1, 2)
UART_BYTES = 2  # that the port itself keeps while interrupts are off
JOG_WORDS = re.compile(r"(?:G20|G21|G90|G91|G53|[FN][-+]?[\d.]+|[A-CX-Z][-+]?[\d.]+)*")

WORD = re.compile(r"([A-Z])([-+]?(?:\d+\.?\d*|\.\d+))")


class _ResetError(Exception):
    """A reset asked for by 0x18 has reached the main loop."""


class GrblEmulator(GrblMachine):
    """The controller. `axis` is the letter of the axis that turns the plate."""

    def __init__(self, world: World, axis: str = "X") -> None:
        super().__init__(world, axis)
        self._power_up()

    def _power_up(self) -> None:
        self._line_bytes = bytearray()
        self._rx.clear()
        self._deaf_until_s = 0.0
        self._forget()
        self._init_flags()

    def _init_flags(self) -> None:
        self._start_over()
        self._reset_asked = False
        self._status_asked = False
        self._alarm_code = 0
        self._motion, self._absolute, self._feed, self._inches = "G0", True, 0.0, False

    # Bytes that are taken at once (serial.c, the receive interrupt)

    def received(self, data: bytes) -> None:
        """Take real-time commands out of the stream, buffer the rest."""
        if self.clock.now() < self._deaf_until_s:
            data = data[:UART_BYTES]
        for byte in data:
            if byte == 0x18:
                self._mc_reset()
            elif byte == ord("?"):
                self._status_asked = True
            elif byte == ord("!"):
                self._hold()
            elif byte == ord("~"):
                self._resume()
            elif byte == 0x85 and self._state() == "Jog":
                self._brake()
            elif byte < 0x80 and len(self._rx) < RX_BYTES:  # above are override commands; a full buffer drops bytes
                self._rx.append(byte)

    def _mc_reset(self) -> None:
        if self._reset_asked:
            return
        self._reset_asked = True
        if self._homing or self._moving():
            self._alarm_code = self._alarm_code or (6 if self._homing else 3)
            self._stop_steppers()

    # The main program (main.c, protocol.c)

    def reset(self) -> None:
        """DTR: power-up. The motor stops where it is and the position is forgotten."""
        self.world.stop_plate()
        self._power_up()
        super().reset()

    def main(self) -> Firmware:
        """Boot, then process lines until a reset starts it over."""
        yield from self.wait(BOOT_S)
        while True:
            self._line_bytes.clear()
            self._rx.clear()
            self._init_flags()
            self.say("\r\nGrbl 1.1h ['$' for help]\r\n")
            if self._locked:
                self.say("[MSG:'$H'|'$X' to unlock]\r\n")
            try:
                if not self._locked:
                    yield from self._startup()
                yield from self._process_lines()
            except _ResetError:
                continue

    def _process_lines(self) -> Firmware:
        while True:
            yield from self._realtime()
            while self._rx:
                byte = self._rx.popleft()
                if byte not in b"\r\n":
                    self._line_bytes.append(byte)
                    continue
                line = re.sub(r"\([^)]*\)?|;.*|\s|/", "", self._line_bytes.decode("ascii").upper())
                too_long = len(line) > LINE_CHARACTERS - 1
                self._line_bytes.clear()
                yield from self._realtime()
                yield from self._execute("" if too_long else line, 11 if too_long else 0)
            yield from self._realtime()  # what was asked for while a line kept it busy
            yield self._doom[0] if self._doom else None

    def _realtime(self) -> Firmware:
        """protocol_execute_realtime(): while it is held nothing else is done."""
        yield from self._rt_system()
        while self._held is not None:
            yield self._blocks[-1].end_s if self._moving() else None
            yield from self._rt_system()

    def _rt_system(self) -> Firmware:
        """protocol_exec_rt_system(): alarms, resets, status reports."""
        if self._doom and self.clock.now() >= self._doom[0]:
            fault = self._doom[1]
            self._doom = None
            if isinstance(fault, Brownout):
                self.reset()
                yield None  # this main program is over
            else:
                self._alarm_code = fault.code
                self._stop_steppers()
        if self._alarm_code:
            code, self._alarm_code = self._alarm_code, 0
            self._locked, self._homing = True, False
            self.say(f"ALARM:{code}\r\n")
            yield from self.wait(ALARM_PRINT_S)
            if code in CRITICAL_ALARMS:
                self.say("[MSG:Reset to continue]\r\n")
                self._reset_asked = False  # one that came before this message is swallowed
                while not self._reset_asked:
                    yield None
        if self._reset_asked:
            raise _ResetError
        if self._status_asked:
            self._status_asked = False
            self._report()

    def _until_free(self, blocks: int) -> Firmware:
        """Wait until fewer than so many moves are ahead, alive to real-time commands."""
        while len(ahead := [move.end_s for move in self._blocks if move.end_s > self.clock.now()]) >= blocks:
            yield min(ahead[0], self._doom[0]) if self._doom else ahead[0]
            yield from self._realtime()
        yield from self._realtime()

    # Lines

    def _execute(self, line: str, error: int = 0) -> Firmware:
        try:
            if error == 0 and line.startswith("$"):
                error = yield from self._system(line)
            elif error == 0 and line and (self._locked or self._state() == "Jog"):
                error = 9
            elif error == 0 and line:
                error = yield from self._gcode(line)
        except _ResetError:
            self.say("ok\r\n")  # also for what a reset has cut short
            raise
        self.say(f"error:{error}\r\n" if error else "ok\r\n")

    def _startup(self) -> Firmware:
        """system_execute_startup(): the lines kept by ``$N``."""
        for line in filter(None, self.memory.startup.values()):
            error = yield from self._gcode(line)
            self.say(f">{line}:" + (f"error:{error}\r\n" if error else "ok\r\n"))

    def _system(self, line: str):  # type: ignore[no-untyped-def]  # a generator with a return value
        """system_execute_line()."""
        state = self._state()
        if line == "$":
            self.say("[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n")
        elif line.startswith("$J"):
            if state not in ("Idle", "Jog"):
                return 8
            return (yield from self._jog(line[3:])) if line[2:3] == "=" else 3
        elif line[1] in "$GX":
            if len(line) > 2:
                return 3
            if line == "$X" and self._locked:
                self._locked = False
                self.say("[MSG:Caution: Unlocked]\r\n")
            elif line == "$G":
                modes = f"{self._motion} G54 G17 G{20 if self._inches else 21} G{90 if self._absolute else 91} G94"
                self.say(f"[GC:{modes} M5 M9 T0 F{self._feed:.0f} S0]\r\n")
            elif line == "$$":
                if state not in ("Idle", "Alarm"):
                    return 8
                self.say(self.memory.printed())
        elif state not in ("Idle", "Alarm"):
            return 8
        elif line == "$#":
            zero = self._triple(dict.fromkeys(self.letters, 0.0))
            places = ("G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30", "G92")
            self.say("".join(f"[{place}:{zero}]\r\n" for place in places) + f"[TLO:0.000]\r\n[PRB:{zero}:0]\r\n")
        elif line == "$I":
            self.say("[VER:1.1h.20190825:]\r\n[OPT:V,15,128]\r\n")
        elif line == "$N":
            self.say(self.memory.startup_printed())
        elif line == "$H":
            if not self._set(HOMING):
                return 5
            yield from self._home()
            yield from self._startup()
        elif startup := re.fullmatch(r"\$N([01])=(.*)", line):
            if state != "Idle":
                return 8
            if startup[2] and (error := (yield from self._gcode(startup[2]))):
                return error
            self.memory.startup[int(startup[1])] = startup[2]
        else:
            error, busy_s = self.memory.store(line)
            self._deaf_until_s = self.clock.now() + busy_s
            yield from self.wait(busy_s)
            return error
        return 0

    def _jog(self, words: str):  # type: ignore[no-untyped-def]  # a generator with a return value
        """jog_execute(): a move with its own units and feed, that a hold ends for good."""
        if JOG_WORDS.fullmatch(words) is None:
            return 16
        found = dict(re.findall(r"([A-Z])([-+]?[\d.]+)", re.sub(r"G\d+", "", words)))
        if not set(found) & set(self.letters):
            return 26
        if not float(found.get("F", 0)):
            return 22
        if self.axis in found:
            scale = 25.4 if "G20" in words else 1.0
            is_absolute = self._absolute if not {"G90", "G91"} & set(re.findall(r"G\d+", words)) else "G90" in words
            base = 0.0 if is_absolute or "G53" in words else self._blocks[-1].target[0]
            target = base + float(found[self.axis]) * scale
            if self._is_beyond(target):
                return 15
            yield from self._until_free(PLANNER_BLOCKS)
            self._jogging = True
            self._plan(target, min(float(found["F"]) * scale, self._set(MAX_RATE)))
        return 0

    def _home(self) -> Firmware:
        """limits_go_home(): seek the switch upwards, pull off, find it slowly, pull off; deaf to ``?`` meanwhile."""
        self._homing, self._locked = True, False
        searched = 0.0
        for rate in (self._set(HOMING_SEEK), self._set(HOMING_FEED)):
            while True:
                to_switch = -self.world.plate_deg() % 360.0
                if searched > 1.5 * self._set(MAX_TRAVEL):
                    yield from self._fail_homing(9)
                yield from self._home_by(to_switch, rate)
                searched += max(to_switch, 1.0)
                if self._at_switch():
                    break
            yield from self._home_by(-self._set(PULL_OFF), self._set(HOMING_FEED))
            if self._at_switch():
                yield from self._fail_homing(8)
        self._homing = False
        self._blocks = [at_rest((-self._set(PULL_OFF),))]

    def _fail_homing(self, code: int) -> Firmware:
        self._alarm_code = code
        yield from self._realtime()
        raise _ResetError

    def _home_by(self, by_deg: float, rate: float) -> Firmware:
        now_s = self.clock.now()
        move = Move(now_s, (0.0,), (by_deg,), rate / 60, self._set(ACCELERATION))
        self.world.turn(by_deg, rate / 60, self._set(ACCELERATION), now_s)
        while self.clock.now() < move.end_s:
            if self._reset_asked:  # answered with ALARM:6, then started over
                yield from self._realtime()
            yield move.end_s

    def _gcode(self, line: str):  # type: ignore[no-untyped-def]  # a generator with a return value
        """gc_execute_line(), as much of it as a turntable needs; anything else is error 20 as in GRBL."""
        words = WORD.findall(line)
        if "".join(letter + number for letter, number in words) != line:
            return 1 if not line[0].isalpha() else 2
        motion, dwell, machine, seconds, targets, feed = self._motion, False, False, None, {}, None
        for letter, number in words:
            value = float(number)
            code = f"{letter}{value:g}"
            if code in ("G0", "G1"):
                motion = code
            elif code == "G4":
                dwell = True
            elif code == "G53":
                machine = True
            elif code in ("G90", "G91"):
                self._absolute = code == "G90"
            elif code in ("G20", "G21"):
                self._inches = code == "G20"
            elif letter == "F":
                if value < 0:
                    return 4
                feed = value
            elif letter == "P":
                seconds = value
            elif letter in self.letters:
                targets[letter] = value
            elif code not in ("G54", "G94", "G17", "M5", "M9"):
                return 20
        self._feed = self._feed if feed is None else feed
        if dwell:
            if seconds is None:
                return 28
            yield from self._until_free(1)
            yield from self.wait(seconds)
            return 0
        if not targets:
            return 26 if machine else 0
        if motion == "G1" and self._feed == 0:
            return 22
        self._motion = motion
        self._others.update({letter: value for letter, value in targets.items() if letter != self.axis})
        if self.axis in targets:
            scale = 25.4 if self._inches else 1.0
            base = 0.0 if self._absolute or machine else self._blocks[-1].target[0]
            target = base + targets[self.axis] * scale
            if self._is_beyond(target):
                self._alarm_code, self._doom = 2, None
                yield from self._realtime()
            yield from self._until_free(PLANNER_BLOCKS)
            fastest = self._set(MAX_RATE)
            self._jogging = False
            self._plan(target, fastest if motion == "G0" else min(self._feed * scale, fastest))
        return 0
