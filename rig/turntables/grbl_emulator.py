"""GRBL 1.1h on an Arduino, byte for byte, with a turntable on one of its axes.

Written after the firmware's own source (github.com/gnea/grbl: protocol.c, report.c, motion_control.c, limits.c,
system.c): what is said when, which bytes are taken at once, when ``?`` stays unanswered, when a reset is swallowed.
"""

from __future__ import annotations

import re
from collections import deque

from rig.twin.emulator import Emulator, Firmware
from rig.twin.faults import Alarm, Brownout
from rig.twin.motion import Move, at_rest
from rig.twin.world import World

BOOT_S = 1.5  # the Arduino's boot loader
ALARM_PRINT_S = 0.5  # report_alarm_message() waits that long for the line to clear
RX_BYTES = 128
LINE_CHARACTERS = 80
PLANNER_BLOCKS = 15
CRITICAL_ALARMS = (1, 2)

# $-settings of the emulated machine: deg/min, deg/s², deg, as GRBL has them (its "mm" are degrees on a rotary axis).
MAX_RATE = 3600.0
ACCELERATION = 150.0
HOMING_SEEK = 2700.0
HOMING_FEED = 300.0
PULL_OFF = 1.0
MAX_TRAVEL = 360.0
SWITCH_WIDTH_DEG = 0.5

WORD = re.compile(r"([A-Z])([-+]?(?:\d+\.?\d*|\.\d+))")


class _ResetError(Exception):
    """A reset asked for by 0x18 has reached the main loop."""


class GrblEmulator(Emulator):
    """The controller. `axis` is the letter of the axis that turns the plate."""

    def __init__(self, world: World, axis: str = "X") -> None:
        super().__init__(world.clock)
        self.world = world
        self.axis = axis
        # GRBL has three axes; builds for more boards name the others A, B, C.
        self.letters = "XYZ" if axis in "XYZ" else "XYZABC"[: "XYZABC".index(axis) + 1]
        self._power_up()

    def _power_up(self) -> None:
        self._line_bytes = bytearray()
        self._rx: deque[int] = deque()
        self._blocks: list[Move] = [at_rest((0.0,))]
        self._others = dict.fromkeys(self.letters, 0.0)
        self._locked = True
        self._homing = False
        self._held_target: float | None = None
        self._init_flags()

    def _init_flags(self) -> None:
        self._reset_asked = False
        self._status_asked = False
        self._alarm_code = 0
        self._doom: tuple[float, Alarm | Brownout] | None = None
        self._motion, self._absolute, self._feed, self._inches = "G0", True, 0.0, False
        self._reports_to_wco = 0
        self._reports_to_ov = 0

    # Position, as the controller believes it

    def _position(self) -> float:
        now_s = self.clock.now()
        return next((move for move in reversed(self._blocks) if move.start_s <= now_s), self._blocks[0]).at(now_s)[0]

    def _moving(self) -> bool:
        return self._blocks[-1].end_s > self.clock.now()

    def _state(self) -> str:
        if self._homing:
            return "Home"
        if self._locked:
            return "Alarm"
        if self._held_target is not None:
            return "Hold:0"
        return "Run" if self._moving() else "Idle"

    # Bytes that are taken at once (serial.c, the receive interrupt)

    def received(self, data: bytes) -> None:
        """Take real-time commands out of the stream, buffer the rest."""
        for byte in data:
            if byte == 0x18:
                self._mc_reset()
            elif byte == ord("?"):
                self._status_asked = True
            elif byte == ord("!"):
                self._hold()
            elif byte == ord("~"):
                self._resume()
            elif byte < 0x80 and len(self._rx) < RX_BYTES - 1:  # above are override commands; a full buffer drops bytes
                self._rx.append(byte)

    def _mc_reset(self) -> None:
        if self._reset_asked:
            return
        self._reset_asked = True
        if self._homing or self._moving():
            self._alarm_code = self._alarm_code or (6 if self._homing else 3)
            self._stop_steppers()

    def _stop_steppers(self) -> None:
        self.world.stop_plate()
        self._blocks = [at_rest((self._position(),))]

    def _hold(self) -> None:
        if self._state() == "Run":
            self._held_target = self._blocks[-1].target[0]
            self._stop_steppers()

    def _resume(self) -> None:
        if self._held_target is not None:
            target, self._held_target = self._held_target, None
            self._plan(target, MAX_RATE)

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
            self._held_target = None
            self.say("\r\nGrbl 1.1h ['$' for help]\r\n")
            if self._locked:
                self.say("[MSG:'$H'|'$X' to unlock]\r\n")
            try:
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

    def _until(self, end_s: float) -> Firmware:
        """Wait for motion to end, alive to real-time commands."""
        while self.clock.now() < end_s or self._held_target is not None:
            yield from self._realtime()
            if self._held_target is not None:
                yield None
                end_s = self._blocks[-1].end_s
            else:
                yield min(end_s, self._doom[0]) if self._doom else end_s
        yield from self._realtime()

    def _report(self) -> None:
        """report_realtime_status(): WCO and Ov come only now and then, Pn only while a switch is pressed."""
        position = self._position()
        values = dict(self._others) | {self.axis: position}
        move = self._blocks[-1]
        speed = move.speed_at(self.clock.now()) * 60
        text = f"<{self._state()}|MPos:{_triple(values)}|FS:{speed:.0f},0"
        if self._at_switch():
            text += f"|Pn:{self.axis}"
        busy = self._state() not in ("Idle", "Alarm")
        if self._reports_to_wco > 0:
            self._reports_to_wco -= 1
        else:
            self._reports_to_wco = 9 if busy else 29
            self._reports_to_ov = max(self._reports_to_ov, 1)
            text += f"|WCO:{_triple(dict.fromkeys(self.letters, 0.0))}"
        if self._reports_to_ov > 0:
            self._reports_to_ov -= 1
        else:
            self._reports_to_ov = 19 if busy else 39
            text += "|Ov:100,100,100"
        self.say(text + ">\r\n")

    # Lines

    def _execute(self, line: str, error: int = 0) -> Firmware:
        if error == 0 and line.startswith("$"):
            error = yield from self._system(line)
        elif error == 0 and line and self._locked:
            error = 9
        elif error == 0 and line:
            error = yield from self._gcode(line)
        self.say(f"error:{error}\r\n" if error else "ok\r\n")

    def _system(self, line: str):  # type: ignore[no-untyped-def]  # a generator with a return value
        """system_execute_line()."""
        if line == "$X":
            if self._locked:
                self._locked = False
                self.say("[MSG:Caution: Unlocked]\r\n")
            return 0
        if line == "$":
            self.say("[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n")
            return 0
        if line == "$I":
            self.say("[VER:1.1h.20190825:]\r\n[OPT:V,15,128]\r\n")
            return 0
        if line == "$G":
            self.say(f"[GC:{self._motion} G54 G17 G21 G90 G94 M5 M9 T0 F{self._feed:.0f} S0]\r\n")
            return 0
        if line == "$H":
            if self._moving():
                return 8
            yield from self._home()
            return 0
        return 3

    def _home(self) -> Firmware:
        """limits_go_home(): seek the switch upwards, pull off, find it slowly, pull off; deaf to ``?`` meanwhile."""
        self._homing, self._locked = True, False
        searched = 0.0
        for rate in (HOMING_SEEK, HOMING_FEED):
            while True:
                to_switch = -self.world.plate_deg() % 360.0
                if searched > 1.5 * MAX_TRAVEL:
                    yield from self._fail_homing(9)
                yield from self._home_by(to_switch, rate)
                searched += max(to_switch, 1.0)
                if self._at_switch():
                    break
            yield from self._home_by(-PULL_OFF, HOMING_FEED)
            if self._at_switch():
                yield from self._fail_homing(8)
        self._homing = False
        self._blocks = [at_rest((-PULL_OFF,))]

    def _fail_homing(self, code: int) -> Firmware:
        self._alarm_code = code
        yield from self._realtime()
        raise _ResetError

    def _at_switch(self) -> bool:
        return abs((self.world.plate_deg() + 180) % 360 - 180) < SWITCH_WIDTH_DEG

    def _home_by(self, by_deg: float, rate: float) -> Firmware:
        now_s = self.clock.now()
        move = Move(now_s, (0.0,), (by_deg,), rate / 60, ACCELERATION)
        self.world.turn(by_deg, rate / 60, ACCELERATION, now_s)
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
            elif letter == "F":
                if value < 0:
                    return 4
                feed = value
            elif letter == "P":
                seconds = value
            elif letter in self.letters:
                targets[letter] = value
            elif code not in ("G21", "G54", "G94", "G17", "M5", "M9"):
                return 20
        self._feed = self._feed if feed is None else feed
        if dwell:
            if seconds is None:
                return 28
            yield from self._until(self._blocks[-1].end_s)
            yield from self.wait(seconds)
            return 0
        if not targets:
            return 26 if machine else 0
        if motion == "G1" and self._feed == 0:
            return 22
        self._motion = motion
        self._others.update({letter: value for letter, value in targets.items() if letter != self.axis})
        if self.axis in targets:
            while sum(move.end_s > self.clock.now() for move in self._blocks) >= PLANNER_BLOCKS:
                yield from self._until(min(move.end_s for move in self._blocks if move.end_s > self.clock.now()))
            base = 0.0 if self._absolute or machine else self._blocks[-1].target[0]
            self._plan(base + targets[self.axis], MAX_RATE if motion == "G0" else min(self._feed, MAX_RATE))
        return 0

    def _plan(self, target: float, rate: float) -> None:
        last = self._blocks[-1]
        start_s = max(self.clock.now(), last.end_s)
        move = Move(start_s, last.target, (target,), rate / 60, ACCELERATION)
        self._blocks = [block for block in self._blocks if block.end_s > self.clock.now()] + [move]
        self.world.turn(target - last.target[0], move.speed, ACCELERATION, start_s)
        fault = self.world.strikes(Alarm, "turntable") or self.world.strikes(Brownout, "turntable")
        if fault is not None:
            self._doom = ((move.start_s + move.end_s) / 2, fault)


def _triple(values: dict[str, float]) -> str:
    return ",".join(f"{value:.3f}" for value in values.values())
