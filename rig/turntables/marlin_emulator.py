"""Marlin 2.1 on an Arduino Mega, byte for byte, with a turntable on one of its axes.

Written after MarlinFirmware/Marlin, Marlin/src: gcode/host/M114.cpp at 8009982, gcode/queue.cpp at 012c1a4 (2.0) and
3b3ec2c (2.0 before its release), gcode/gcode.cpp at 005ec91, Configuration.h at 0000207; and bugfix-2.1.x of
2025-10-05 as Thinkersbluff/Marlin-bugfix-2.1.x ca88b84 has it: gcode/queue.cpp, MarlinCore.cpp, module/motion.cpp,
module/planner.cpp, gcode/calibrate/G28.cpp, gcode/host/M115.cpp, core/language.h. Nothing of it was run.

What matters: ``Count`` in the answer to ``M114`` tells where the planner ends, as the rest of it does, and never where
the motor is; ``M410`` stops the motor in its step and drops whatever is planned in the next second, without a word;
``M112`` lets it turn for another 0.6 s.
"""

from __future__ import annotations

import math
import re
from collections import deque

from rig.turntables.motor_axis import TiltConfig
from rig.turntables.turntable_emulator import TurntableEmulator
from rig.twin.emulator import Firmware
from rig.twin.faults import Brownout
from rig.twin.motion import Point, StraightMove, at_rest
from rig.twin.world import World

BOOT_S = 2.0  # the boot loader, then setup()
BUSY_S = 2.0  # HOST_KEEPALIVE's interval
QUEUE = 4  # BUFSIZE
RX_BYTES = 128
LINE_CHARACTERS = 96  # MAX_CMD_SIZE
PLANNER_BLOCKS = 16
VERSION = "2.1.2.4"

KILL_S = 0.6  # minkill(): "allows messages to get out"; the motor's interrupt is still on
CLEANING_S = 1.0  # Planner::quick_stop(): TEMP_TIMER_FREQUENCY

# Its Configuration.h, for a plate: deg/min, deg/s², deg, steps/deg.
MAX_FEED = 6000.0
ACCELERATION = 150.0
HOMING_FEED = 3000.0  # HOMING_FEEDRATE_MM_M: 50*60
BUMP_DEG = 5.0  # HOMING_BUMP_MM
BUMP_DIVISOR = 2  # HOMING_BUMP_DIVISOR
RANGE = (0.0, 360.0)
TILT_MAX_FEED, TILT_ACCELERATION = 1500.0, 60.0
SEARCH = 1.5  # homeaxis(): of the axis' length
STEPS = 80

WORD = re.compile(r"([A-Z])\s*(-?\d*\.?\d*)")


class MarlinEmulator(TurntableEmulator):
    """The controller.

    Parameters
    ----------
    axis
        Letter of the axis that turns the plate.
    tilt
        The axis that tilts the camera, if there is one; its switch is where it rests after homing.
    ok_after_resend
        Whether it says ``ok`` after ``Resend:``, as Marlin 1, 2.0 before its release and 2.1 of 2025 do.
    ignores_repeats
        Whether a line with one of the last two numbers is dropped without a word, as by 2.1 of 2025.
    max_feed
        Fastest that the axis turns, whatever it is sent (deg/min).
    resets_on_open
        Whether opening the port restarts it, as on an Arduino.

    Attributes
    ----------
    locked
        Whether a password locks it: it acknowledges each command and drops it (gcode.cpp, process_parsed_command).
    paused
        Whether it waits for its button when it is to wait for motion (gcode.cpp, host_keepalive).
    reports_s
        How often it reports its position by itself (s; M154.cpp); 0 is never.
    """

    def __init__(
        self,
        world: World,
        axis: str = "X",
        *,
        tilt: TiltConfig | None = None,
        ok_after_resend: bool = False,
        ignores_repeats: bool = False,
        max_feed: float = MAX_FEED,
        resets_on_open: bool = True,
    ) -> None:
        super().__init__(world, axis, tilt)
        self.ok_after_resend = ok_after_resend
        self.ignores_repeats = ignores_repeats
        self.max_feed = max_feed
        self._resets_on_open = resets_on_open
        self.locked, self.paused, self.reports_s = False, False, 0.0
        self._power_up()

    def _power_up(self) -> None:
        self._rx: deque[int] = deque()
        self._line = bytearray()
        self._queue: deque[str] = deque()
        self._last_number = 0
        self._forget_moves()
        self._current: Point = (0.0,) * len(self.driven)  # current_position: where G-code believes to be
        self._cleaning_s = 0.0
        self._feed = 1500.0
        self._absolute, self._endstops = True, True
        self._homed: set[str] = set()
        self._up, self._killed, self._quick_stop = False, False, False

    def reset(self) -> None:
        """DTR: power-up, on a board wired for it. The motor stops where it is and the position is forgotten."""
        if self._main is None or self._resets_on_open:
            self.power_cycle()

    def power_cycle(self) -> None:
        """Off and on again."""
        self.world.stop_turntable()
        self._power_up()
        super().reset()

    # The serial port; idle() reads it also while a command keeps the main loop busy

    def received(self, data: bytes) -> None:
        """Buffer, and take lines as long as the queue has room."""
        if not self._up:
            return  # the boot loader has no use for them
        self._rx.extend(data[: max(0, RX_BYTES - len(self._rx))])
        self._get_serial_commands()

    def _get_serial_commands(self) -> None:
        while self._rx and len(self._queue) < QUEUE and not self._killed:
            byte = self._rx.popleft()
            if byte in b"\r\n":
                text = self._line.decode("latin-1").lstrip(" ")
                self._line.clear()
                if text:
                    self._take(text)
            elif len(self._line) < LINE_CHARACTERS - 1:
                self._line.append(byte)

    def _take(self, text: str) -> None:
        """Check number and checksum, heed what is urgent, queue."""
        text = text.partition(";")[0]
        if text.startswith("N"):
            is_m110 = "M110" in text
            place = text.find("N", 4) if is_m110 and text.find("N", 4) > 0 else 0
            number = _leading_int(text[place + 1 :])
            if number != self._last_number + 1 and not is_m110:
                if self.ignores_repeats and self._last_number - 1 <= number <= self._last_number:
                    return None
                return self._line_error("Line Number is not Last Line Number+1")
            body, star, checksum = text.rpartition("*")
            if not star:
                return self._line_error("No Checksum with line number")
            if _leading_int(checksum) != _checksum(body):
                return self._line_error("checksum mismatch")
            self._last_number = number
        if text.startswith("M112"):
            self._kill("echo:M112 Shutdown\n")
        elif text.startswith("M410") and not self.world.is_deaf_to_stop("turntable"):
            self._quickstop_stepper()
        self._queue.append(text)
        return None

    def _line_error(self, problem: str) -> None:
        self.say(f"Error:{problem}, Last Line: {self._last_number}\n")
        self._rx.clear()
        self._line.clear()
        self.say(f"Resend: {self._last_number + 1}\n" + ("ok\n" if self.ok_after_resend else ""))

    def _kill(self, why: str = "") -> None:
        if not self._killed:
            self._killed = True
            self.say(why + "Error:Printer halted. kill() called!\n")

    def _quickstop_stepper(self) -> None:
        """quickstop_stepper()."""
        self._stop_steppers()
        self._current = self._position()
        self._cleaning_s = self.clock.now() + CLEANING_S
        self._quick_stop = True

    # The main program

    def main(self) -> Firmware:
        """Boot, then carry out what is queued until the controller is killed."""
        yield from self.wait(BOOT_S)
        self._up = True
        self.say(
            f"start\nPowerUp\nMarlin {VERSION}\necho: Last Updated: 2023-12-25 | Author: (none, default config)\n"
            "echo: Compiled: Dec 25 2023\necho: Free Memory: 5217  PlannerBufferBytes: 1472\n"
            "echo:Hardcoded Default Settings Loaded\n"
        )
        while not self._killed:
            yield from self._idle()
            self._get_serial_commands()
            yield from self._clean()
            if self._queue and not self._killed:
                command = self._queue[0]
                yield from self._execute(re.sub(r"^N\d+\s*|\*.*$", "", command).strip())
                if not self._killed:
                    self.say("ok\n")
                    self._queue.popleft()
            else:
                yield self._doom[0] if self._doom else None
        yield from self.wait(KILL_S)  # minkill(): then no interrupt any more, until the reset button
        self._stop_steppers()
        while True:
            yield None

    def _clean(self) -> Firmware:
        """Planner::synchronize() after a quick stop: it reads its port meanwhile, and does nothing else."""
        while self.clock.now() < self._cleaning_s and not self._killed:
            yield self._cleaning_s
            yield from self._idle()

    def _idle(self) -> Firmware:
        """What may happen at any time."""
        if self._doom and self.clock.now() >= self._doom[0]:
            fault = self._doom[1]
            self._doom = None
            if isinstance(fault, Brownout):
                self.power_cycle()
                yield None  # this main program is over
            else:
                self._stop_steppers()  # a watchdog's kill comes with the motor off
                self._kill()

    def _until(self, end_s: float) -> Firmware:
        """Wait for motion to end, with signs of life for the host."""
        busy_s = self.clock.now() + BUSY_S
        report_s = self.clock.now() + (self.reports_s or math.inf)
        self._quick_stop = False
        while self.paused and not self._killed:
            self.say("echo:busy: paused for user\n")
            yield self.clock.now() + BUSY_S
        while self.clock.now() < end_s and not self._killed and not self._quick_stop:
            yield from self._idle()
            if self._killed:
                return
            if self.clock.now() >= busy_s:
                self.say("echo:busy: processing\n")
                busy_s = self.clock.now() + BUSY_S
            if self.clock.now() >= report_s:
                self._report()
                report_s = self.clock.now() + self.reports_s
            yield min(end_s, busy_s, report_s, self._doom[0] if self._doom else end_s)
        yield from self._idle()

    # Commands

    def _execute(self, command: str) -> Firmware:
        if self.locked:
            self.say("echo:Printer locked! (Unlock with M511 or LCD)\n")
            return
        words = {letter: _number(value) for letter, value in WORD.findall(command[1:].upper())}
        code = re.match(r"[GMT]\s*\d+", command, re.IGNORECASE)
        match re.sub(r"\s", "", code[0]).upper() if code else "":
            case "G0" | "G1":
                yield from self._move(words)
            case "G4":
                yield from self._until(self._blocks[-1].end_s)
                yield from self._until(self.clock.now() + (words.get("P") or 0.0) / 1000 + (words.get("S") or 0.0))
            case "G28":
                letters = [letter for letter in self.driven if letter in words]
                for letter in letters or reversed(self.driven):
                    yield from self._home(letter)
            case "G90" | "G91" as mode:
                self._absolute = mode == "G90"
            case "M400":
                yield from self._until(self._blocks[-1].end_s)
                yield from self._clean()
            case "M410":
                self._quickstop_stepper()
                yield from self._clean()
            case "M114":
                self._report()
            case "M115":
                self.say(
                    f"FIRMWARE_NAME:Marlin {VERSION} (Dec 25 2023 10:41:04) SOURCE_CODE_URL:github.com/MarlinFirmware/"
                    "Marlin PROTOCOL_VERSION:1.0 MACHINE_TYPE:Turntable EXTRUDER_COUNT:1 AXIS_COUNT:3\n"
                    "Cap:SERIAL_XON_XOFF:0\nCap:EEPROM:0\nCap:EMERGENCY_PARSER:0\nCap:HOST_ACTION_COMMANDS:0\n"
                )
            case "M201" | "M203" as report if not any(letter in words for letter in "XYZETABC"):
                limits = dict.fromkeys("XYZE", 3000.0 if report == "M201" else 300.0)
                for letter in self.driven:
                    limits[letter] = self._acceleration(letter) if report == "M201" else self._max_rate(letter) / 60
                name = "acceleration (units/s2)" if report == "M201" else "feedrates (units/s)"
                values = " ".join(f"{letter}{value:.2f}" for letter, value in limits.items())
                self.say(f"echo:; Max {name}:\n  {report} {values}\n")
            case "M211":
                self._endstops = bool(words.get("S", float(self._endstops)))
                self.say(f"echo:Soft endstops: {'On' if self._endstops else 'Off'}  Min:  X0.00  Max:  X360.00\n")
            case "G21" | "M17" | "M18" | "M84" | "M82" | "M110":
                pass
            case _:
                self._output += f'echo:Unknown command: "{command}"\n'.encode("latin-1")

    def _move(self, words: dict[str, float | None]) -> Firmware:
        self._feed = words.get("F") or self._feed
        wanted = {letter: value for letter in self.driven if (value := words.get(letter)) is not None}
        if not wanted:
            return
        while sum(move.end_s > self.clock.now() for move in self._blocks) >= PLANNER_BLOCKS:
            yield from self._until(min(move.end_s for move in self._blocks if move.end_s > self.clock.now()))
        self._current = tuple(
            self._clipped(letter, here, wanted.get(letter))
            for letter, here in zip(self.driven, self._current, strict=True)
        )
        if self.clock.now() < self._cleaning_s:
            return  # buffer_segment(): dropped, and acknowledged
        self._plan_straight(self._current, self._feed)

    def _clipped(self, letter: str, here: float, wanted: float | None) -> float:
        """Where an axis goes; beyond its soft endstops it is clipped without a word."""
        if wanted is None:
            return here
        target = wanted if self._absolute else here + wanted
        return min(max(target, RANGE[0]), RANGE[1]) if self._endstops and letter in self._homed else target

    def _acceleration(self, letter: str) -> float:
        return ACCELERATION if letter == self.axis else TILT_ACCELERATION

    def _max_rate(self, letter: str) -> float:
        return self.max_feed if letter == self.axis else TILT_MAX_FEED

    def _from_switch_deg(self, letter: str) -> float:
        if self.tilt is None or letter == self.axis:
            return self.world.plate_deg() % 360.0
        return self.world.camera_tilt_deg() - self.tilt.home_deg

    def _home(self, letter: str) -> Firmware:
        """homeaxis(): seek the switch downwards, back off, find it slowly. One that is not found kills it."""
        yield from self._until(self._blocks[-1].end_s)
        yield from self._clean()
        to_switch = -max(0.0, min(self._from_switch_deg(letter), SEARCH * (RANGE[1] - RANGE[0])))
        feed = min(HOMING_FEED, self._max_rate(letter))
        slowly = feed / BUMP_DIVISOR
        for by_deg, rate, finds in ((to_switch, feed, True), (BUMP_DEG, feed, False), (-BUMP_DEG, slowly, True)):
            now_s = self.clock.now()
            move = StraightMove(now_s, (0.0,), (by_deg,), rate / 60, self._acceleration(letter))
            self._drive(letter, by_deg, move.speed, move.acceleration, now_s)
            yield from self._until(move.end_s)
            if self._killed:
                return
            # validate_homing_move()
            if finds and abs(math.remainder(self._from_switch_deg(letter), 360.0)) > 0.5:
                return self._kill("echo:Homing Failed\n")
        self._homed.add(letter)
        number = self.driven.index(letter)
        self._current = (*self._current[:number], 0.0, *self._current[number + 1 :])
        self._blocks = [at_rest(self._current)]
        self._report()

    def _report(self) -> None:
        """report_current_position_projected(): where G-code believes to be; then where the planner ends, in steps."""
        planned = dict.fromkeys("XYZ", 0.0) | dict(zip(self.driven, self._current, strict=True))
        counts = (round(place * STEPS) for place in self._blocks[-1].target)
        steps = dict.fromkeys("XYZ", 0) | dict(zip(self.driven, counts, strict=True))
        self.say(
            " ".join(
                f"{letter}:{planned[letter]:.2f}"
                for letter in ("XYZ" if set(self.driven) <= set("XYZ") else "XYZABC")
                if letter in planned
            )
            + " E:0.00 Count "
            + " ".join(f"{letter}:{count}" for letter, count in steps.items())
            + "\n"
        )


def _checksum(text: str) -> int:
    checksum = 0
    for byte in text.encode("latin-1"):
        checksum ^= byte
    return checksum


def _leading_int(text: str) -> int:
    """strtol()."""
    found = re.match(r"\s*(-?\d+)", text)
    return int(found[1]) if found else 0


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
