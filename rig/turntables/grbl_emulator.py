"""GRBL 1.1h on an Arduino, byte for byte, with a turntable on one of its axes, and a camera's tilt on another.

Written after gnea/grbl bfb67f0: system.c, limits.c, gcode.c, jog.c, report.c, config.h. `GrblHalEmulator` and
`FluidNcEmulator` are what differs in other firmware of this family.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Mapping

from rig.turntables.grbl_kernel import LINE_CHARACTERS, GrblKernel, ResetError
from rig.turntables.grbl_memory import (
    ACCELERATION,
    DEBOUNCE_MS,
    FOR_A_TURNTABLE,
    HOMING,
    HOMING_DOWN,
    HOMING_FEED,
    HOMING_SEEK,
    MAX_RATE,
    MAX_TRAVEL,
    PULL_OFF,
)
from rig.turntables.motor_axis import TiltConfig
from rig.twin.emulator import Firmware
from rig.twin.motion import Point, StraightMove, at_rest
from rig.twin.world import World

Answer = Generator[float | None, None, int]  # a command, and its error number at the end

STOCK_HOMING = ("Z", "XY")  # config.h: HOMING_CYCLE_0, HOMING_CYCLE_1
SEARCH, LOCATE = 1.5, 5.0  # limits.c: HOMING_AXIS_SEARCH_SCALAR, HOMING_AXIS_LOCATE_SCALAR
WORD = re.compile(r"([A-Z])([-+]?(?:\d+\.?\d*|\.\d+))")
JOG_WORDS = re.compile(r"(?:G20|G21|G90|G91|G53|[FN][-+]?[\d.]+|[A-CX-Z][-+]?[\d.]+)*")


class GrblEmulator(GrblKernel):
    """The controller.

    Parameters
    ----------
    axis
        Letter of the axis that turns the plate, and has a switch at 0 degrees.
    settings
        What is not as sold, by number; those from 100 on for that axis alone.
    tilt
        The axis that tilts the camera, if there is one.
    homing
        The axes of each homing cycle; as built for a turntable, those that there are, the camera's first.
    single_axis
        Whether the build takes ``$HX`` (HOMING_SINGLE_AXIS_COMMANDS).
    resets_on_open
        Whether opening the port restarts it, as on an Arduino.
    """

    def __init__(
        self,
        world: World,
        axis: str = "X",
        settings: Mapping[int, float] = FOR_A_TURNTABLE,
        *,
        tilt: TiltConfig | None = None,
        homing: tuple[str, ...] | None = None,
        single_axis: bool = False,
        resets_on_open: bool = True,
    ) -> None:
        super().__init__(world, axis, settings, tilt=tilt, resets_on_open=resets_on_open)
        self.homing = homing or tuple(reversed(self.driven))
        self.single_axis = single_axis

    def execute(self, line: str) -> Firmware:
        """One line, and its answer."""
        error = 11 if len(line) >= LINE_CHARACTERS else 0
        try:
            if error == 0 and line:
                error = yield from self._obey(line)
        except ResetError:
            if self.ok_when_cut_short:
                self.say("ok\r\n")
            raise
        self._answer(error)

    def startup(self) -> Firmware:
        """system_execute_startup(): the lines kept by ``$N``."""
        for line in filter(None, self.memory.startup.values()):
            error = yield from self._gcode(line)
            self.say(f">{line}:" + (f"error:{error}\r\n" if error else "ok\r\n"))

    def _obey(self, line: str) -> Answer:
        if line.startswith("$"):
            return (yield from self._system(line))
        if self._locked or self._state() == "Jog":
            return 9
        return (yield from self._gcode(line))

    def _answer(self, error: int) -> None:
        self.say(f"error:{error}\r\n" if error else "ok\r\n")

    def _system(self, line: str) -> Answer:
        """system_execute_line()."""
        state = self._state()
        if line == "$":
            self.say("[HLP:$$ $# $G $I $N $x=val $Nx=line $J=line $SLP $C $X $H ~ ! ? ctrl-x]\r\n")
        elif line.startswith("$J"):
            if state not in ("Idle", "Jog"):
                return 8
            return (yield from self._jog(line[3:])) if line[2:3] == "=" else 3
        elif line[1] in "$GXC":
            if len(line) > 2:
                return 3
            if line == "$C":
                if state not in ("Idle", "Check"):
                    return 8
                self._checks = not self._checks
                self.say(f"[MSG:{'Enabled' if self._checks else 'Disabled'}]\r\n")
                if not self._checks:
                    self._mc_reset()
            elif line == "$X" and self._locked:
                self._unlock()
            elif line == "$G":
                modes = f"{self._motion} G54 G17 G{20 if self._inches else 21} G{90 if self._absolute else 91} G94"
                self.say(f"[GC:{modes} M5 M9 T0 F{self._feed:.0f} S0]\r\n")
            elif line == "$$":
                if state not in ("Idle", "Alarm"):
                    return 8
                self.say(self._settings_printed())
        elif state not in ("Idle", "Alarm"):
            return 8
        elif line == "$#":
            zero = self._triple(dict.fromkeys(self.letters, 0.0))
            places = ("G54", "G55", "G56", "G57", "G58", "G59", "G28", "G30", "G92")
            self.say("".join(f"[{place}:{zero}]\r\n" for place in places) + f"[TLO:0.000]\r\n[PRB:{zero}:0]\r\n")
        elif line == "$I":
            self.say(self._build_printed())
        elif line == "$N":
            self.say(self.memory.startup_printed())
        elif line.startswith("$H"):
            return (yield from self._home(line[2:]))
        elif startup := re.fullmatch(r"\$N([01])=(.*)", line):
            if state != "Idle":
                return 8
            if startup[2] and (error := (yield from self._gcode(startup[2]))):
                return error
            self.memory.startup[int(startup[1])] = startup[2]
        else:
            return (yield from self._store(line))
        return 0

    def _unlock(self) -> None:
        self._locked = False
        self.say("[MSG:Caution: Unlocked]\r\n")

    def _settings_printed(self) -> str:
        return self.memory.printed()

    def _build_printed(self) -> str:
        return f"[VER:1.1h.20190825:]\r\n[OPT:V{'H' if self.single_axis else ''},15,128]\r\n"

    def _store(self, line: str) -> Answer:
        error, busy_s = self.memory.store(line)
        self._deaf_until_s = self.clock.now() + busy_s
        yield from self.wait(busy_s)
        return error

    # Moves

    def _jog(self, words: str) -> Answer:
        """jog_execute(): a move with its own units and feed, that a hold ends for good."""
        if JOG_WORDS.fullmatch(words) is None:
            return 16
        found = dict(re.findall(r"([A-Z])([-+]?[\d.]+)", re.sub(r"G\d+", "", words)))
        if not set(found) & set(self.letters):
            return 26
        if not float(found.get("F", 0)):
            return 22
        scale = 25.4 if "G20" in words else 1.0
        is_absolute = self._absolute if not {"G90", "G91"} & set(re.findall(r"G\d+", words)) else "G90" in words
        wanted = {letter: float(found[letter]) * scale for letter in self.driven if letter in found}
        if wanted:
            target = self._target(wanted, is_absolute or "G53" in words)
            if self._is_beyond(dict(zip(self.driven, target, strict=True))):
                return 15
            yield from self._until_free(self.blocks_most)
            self._jogging = True
            self._plan(target, float(found["F"]) * scale)
        return 0

    def _target(self, wanted: Mapping[str, float], is_absolute: bool) -> Point:
        last = self._blocks[-1].target
        return tuple(
            here if letter not in wanted else wanted[letter] + (0.0 if is_absolute else here)
            for letter, here in zip(self.driven, last, strict=True)
        )

    def _home(self, letter: str) -> Answer:
        """mc_homing_cycle(); deaf to ``?`` meanwhile."""
        if not self._set(HOMING):
            return 5
        if letter and not (self.single_axis and letter in self.letters):
            return 3
        self._homing, self._locked = True, False
        position = dict(zip(self.driven, self._blocks[-1].target, strict=True))
        for axes in (letter,) if letter else self.homing:
            yield from self._seek(axes)
            position |= {each: self._homed_at(each) for each in axes if each in self.driven}
        self._homing = False
        self._blocks = [at_rest(tuple(position.values()))]  # only of those that were homed is it another
        if not letter:
            yield from self.startup()
        return 0

    def _homes_down(self, letter: str) -> bool:
        return bool(int(self._set(HOMING_DOWN)) >> self.letters.index(letter) & 1)

    def _homed_at(self, letter: str) -> float:
        """Machine space is all negative: homed downwards, it is at the far end of its travel."""
        return self._set(PULL_OFF) - self._set(MAX_TRAVEL, letter) if self._homes_down(letter) else -self._set(PULL_OFF)

    def _seek(self, axes: str) -> Firmware:
        """limits_go_home(): find the switches of a cycle, pull off, find them slowly, pull off; a missing one fails."""
        pull_off, seek, feed = self._set(PULL_OFF), self._set(HOMING_SEEK), self._set(HOMING_FEED)
        mine = [letter for letter in axes if letter in self.driven]
        lacks_one = len(mine) < len(axes)
        travel = max(self._set(MAX_TRAVEL, letter) for letter in mine or [self.axis])
        for way, rate in ((SEARCH * travel, seek), (LOCATE * pull_off, feed)):
            yield from self._home_by({letter: self._to_switch(letter, way) for letter in mine}, rate)
            if lacks_one:
                yield from self._home_wait(way * 60 / rate)
            if lacks_one or not all(map(self._at_switch, mine)):
                yield from self._fail_homing(9)
            yield from self._home_wait(self._set(DEBOUNCE_MS) / 1000)
            yield from self._home_by(
                {letter: pull_off if self._homes_down(letter) else -pull_off for letter in mine}, seek
            )
            if any(map(self._at_switch, mine)):
                yield from self._fail_homing(8)
            yield from self._home_wait(self._set(DEBOUNCE_MS) / 1000)

    def _to_switch(self, letter: str, way: float) -> float:
        """How far an axis goes in search of its switch, no further than `way`."""
        if letter == self.axis:
            return min(0.0 if self._at_switch(letter) else -self.world.plate_deg() % 360.0, way)
        if not self._homes_down(letter):
            return way  # it moves away from it
        return -min(max(0.0, self._beyond_switch_deg(letter)), way)

    def _fail_homing(self, code: int) -> Firmware:
        self._alarm_code = code
        self._reset_asked = True  # mc_reset()
        yield from self._realtime()
        raise ResetError

    def _home_by(self, ways: Mapping[str, float], rate: float) -> Firmware:
        """Each axis by itself, at the homing rate, until the last one is there."""
        now_s, last_s = self.clock.now(), 0.0
        for letter, by_deg in ways.items():
            acceleration = self._set(ACCELERATION, letter)
            speed = min(rate, self._set(MAX_RATE, letter)) / 60
            last_s = max(last_s, StraightMove(now_s, (0.0,), (by_deg,), speed, acceleration).profile.duration_s)
            self._drive(letter, by_deg, speed, acceleration, now_s)
        yield from self._home_wait(last_s)

    def _home_wait(self, seconds: float) -> Firmware:
        until_s = self.clock.now() + seconds
        while self.clock.now() < until_s:
            if self._reset_asked:  # answered with ALARM:6, then started over
                yield from self._realtime()
            yield until_s

    def _gcode(self, line: str) -> Answer:
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
            yield from self._dwell(seconds)
            return 0
        if not targets:
            return 26 if machine else 0
        if motion == "G1" and self._feed == 0:
            return 22
        self._motion = motion
        self._others.update({letter: value for letter, value in targets.items() if letter not in self.driven})
        scale = 25.4 if self._inches else 1.0
        wanted = {letter: value * scale for letter, value in targets.items() if letter in self.driven}
        if wanted:
            target = self._target(wanted, self._absolute or machine)
            if self._is_beyond(dict(zip(self.driven, target, strict=True))):
                self._alarm_code, self._doom = 2, None
                yield from self._realtime()
            yield from self._until_free(self.blocks_most)
            self._jogging = False
            self._plan(target, math.inf if motion == "G0" else self._feed * scale)
        return 0
