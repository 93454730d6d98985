"""Turntable on a Marlin controller: an axis whose "millimetres" are degrees.

Written to Marlin's source (MarlinFirmware/Marlin, Marlin/src: gcode/host/M114.cpp at 8009982, gcode/queue.cpp at
012c1a4, gcode/gcode.cpp at 005ec91; bugfix-2.1.x of 2025-10-05: MarlinCore.cpp, module/motion.cpp,
module/planner.cpp, gcode/calibrate/G28.cpp):

- Every line is sent with its number and checksum, ``N12 M400*97``, and only once the one before it is answered. A line
  that came in damaged is answered ``Error:...`` and ``Resend: 12``; 2.0 and 2.1 of 2023 say no ``ok`` after that, those
  before and after them do. Everything sent here is absolute, so what is in doubt is numbered afresh (``M110``) and sent
  again.
- ``ok`` means planned. It has arrived once ``M400`` is done, and an ``ok`` does not say what it is for: the answer to
  the ``M114`` behind it does, as that line is carried out after it, and its number taken only if ``M400``'s was. All of
  that answer, ``Count`` too, tells where the planner ends and never where the motor is; a blocked plate is noticed by
  the camera alone.
- While a command keeps it busy, it says ``echo:busy: processing`` every two seconds: it is given its time as long as it
  does, because its own limits (``M203``) may be slower than what it is asked for. ``paused for user`` is no such time.
  Positions that it reports by itself (``M154``) come in between. One that is locked (``M510``) says ``ok`` to all.
- ``start`` means that the controller was reset. If that word is lost, its line numbers show it: they begin at 1 again.
- ``M410`` stops the motor in its step, and drops without a word whatever is planned in the next second. ``M112`` kills
  the controller, and lets the motor turn for another 0.6 s. Both are heeded out of turn if sent without a number.
  ``G28`` continues after ``M410`` in builds that do not check their endstops, so while it homes both are sent. What was
  killed answers nothing until it is reset, which opening the port does on boards wired like an Arduino.
- Targets beyond the soft endstops are clipped without a word; an endless axis switches them off (``M211 S0``). Motors
  are switched off after 2 minutes' rest unless it is asked not to (``M84 S0``).
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import Literal

from rig.clock import Clock
from rig.errors import AlarmError, DeviceError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import retry
from rig.turntables.axis import AxisConfig, AxisTurntable
from rig.turntables.motor_axis import MotorAxis

# Whole lines each, so that half a line before them spoils neither.
QUICK_STOP = b"\nM410\n"
KILL = b"\nM410\nM112\n"
FIRMWARE = re.compile(r"FIRMWARE_NAME: ?(?=.*Marlin)(.*?)(?: \(| [A-Z_]+:|$)")
OK = re.compile(r"ok(?: N(?P<number>\d+))?(?: .*)?")
RESEND = re.compile(r"(?:Resend:?|rs)\s*N?(\d+)")
BOOTED = re.compile(
    r"start|(?:echo: ?)?Marlin \S+|(?:echo:)?\s*(?:PowerUp|(?:External|Brown out|Watchdog|Software) Reset)"
)
# Stopped, it says so without the word Error, acknowledges turns, and does not turn.
HALTED = re.compile(r"Error:.*(?:halted|kill|stopped)|Printer stopped due to errors", re.IGNORECASE)
REFUSED = re.compile(r"echo:\s*(?:Unknown command.*|Home .* first.*|Printer locked.*)|Error:.*", re.IGNORECASE)
CAPABILITY = re.compile(r"Cap:(?:EEPROM|EMERGENCY_PARSER):[01]")
LINE_ERROR = re.compile(r"Error:.*Last Line: ?\d*", re.IGNORECASE)
BUSY = "echo:busy"
PAUSED = "echo:busy: paused"
# A sign of life comes every two seconds (DEFAULT_KEEPALIVE_INTERVAL); ten minutes of them are more than any turn takes.
SIGN_OF_LIFE_S = 2.5
LONGEST_S = 600.0
# What M410 drops, it drops for a second, and it is carried out twice: at once, and in its turn.
QUICK_STOP_S = 2.2
# Numbers begin where no freshly started controller is, so that its own, from 1, give it away.
FIRST_NUMBER = 1000


class MarlinConfig(AxisConfig):
    """`turntable:` of rig.yaml for Marlin."""

    kind: Literal["marlin"] = "marlin"


class MarlinTurntable(AxisTurntable[MarlinConfig]):
    """The turntable."""

    stop_bytes = QUICK_STOP
    wrong_angle = "Check `range_deg` in rig.yaml against its soft endstops (M211), then `rig home`."

    def __init__(self, config: MarlinConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._homing = False
        self._number = FIRST_NUMBER
        self._quiet_until_s = 0.0

    def stop(self) -> None:
        """Stop the motor at once, from any thread; it has to be homed again after."""
        self._doubt()
        self.link.halt(KILL if self._homing else QUICK_STOP)

    def _doubt(self) -> None:
        if self._homed or self._homing:  # it is being stopped
            self._quiet_until_s = self.clock.now() + QUICK_STOP_S
        super()._doubt()

    def _find_home(self) -> None:
        """Wake it, by a reset if it was killed, and find the switch."""
        self.clock.sleep(self._quiet_until_s - self.clock.now())
        self._wake()
        self._ask("G90")
        self._homing = True  # also when it is interrupted: it may be at it still
        # The camera first, so that nothing stands in its way when the plate turns.
        for motor in reversed(self._motors):
            self._ask(f"G28 {motor.letter}", self.config.homing_s)
        self._homing = False
        for wish in ("M84 S0", "M211 S0") if self.config.endless else ("M84 S0",):
            with contextlib.suppress(_BrokenError):  # not every build has them
                self._ask(wish)
        for motor in self._motors:
            self._homed_at(motor, self._count(motor))

    def _move(self, motor: MotorAxis, target: float) -> float:
        place = _position_of(motor)

        def go() -> float:
            for count in motor.legs(target):
                self._exchange(f"G1 {motor.letter}{count:.3f} F{motor.moves_deg_s * 60:.0f}", self.config.answer_s)
            # Both belong together: where one of them was damaged, all has to be sent again.
            patience_s = self.config.answer_s + 3 * motor.travel_s(abs(target - (motor.commanded or 0.0)))
            self._exchange("M400", patience_s)
            return _read_position(self._exchange("M114", patience_s, place), place)

        position = retry(go, self._renumber, (NoAnswerError, _BrokenError))
        self._rest(motor)
        return position

    def _count(self, motor: MotorAxis) -> float:
        place = _position_of(motor)
        return _read_position(self._ask("M114", expected=place), place)

    # The protocol

    def _ask(self, command: str, timeout_s: float | None = None, expected: re.Pattern[str] | None = None) -> list[str]:
        """Send a command, again if need be, and return the lines before its ``ok``."""
        return retry(
            lambda: self._exchange(command, timeout_s or self.config.answer_s, expected),
            self._renumber,
            (NoAnswerError, _BrokenError),
        )

    def _exchange(self, command: str, timeout_s: float, expected: re.Pattern[str] | None = None) -> list[str]:
        """Send one numbered line and wait for its ``ok``; one that comes before what is `expected` is another's."""
        self._number += 1
        self.link.send(numbered(self._number, command))
        lines: list[str] = []

        def is_ok(line: str) -> bool:
            if line.startswith(PAUSED):
                raise AlarmError(
                    self.link.device,
                    f"it waits for somebody at its display ({line.removeprefix('echo:')!r}).",
                    "Confirm what it asks there, then `rig home`.",
                )
            if line.startswith(BUSY):
                return True
            self._watch(line)
            resend = RESEND.fullmatch(line)
            if resend is not None:
                if int(resend[1]) == 1:
                    self._watch("start")  # its greeting was lost, but not that it counts from 0 again
                raise _BrokenError(self.link.device, command, line)
            ok = OK.fullmatch(line)
            if ok is not None:
                is_expected = expected is None or any(expected.search(each) for each in lines)
                return is_expected and (ok["number"] is None or int(ok["number"]) == self._number)
            if REFUSED.fullmatch(line) and not LINE_ERROR.fullmatch(line):
                raise _BrokenError(self.link.device, command, line)
            lines.append(line)
            return False

        until = time.monotonic() + LONGEST_S
        try:
            while self.link.wait_for(is_ok, timeout_s, command).startswith(BUSY) and time.monotonic() < until:
                timeout_s = max(SIGN_OF_LIFE_S, self.config.answer_s)
        except NoAnswerError as error:
            if expected is None or not any(" Count " in each for each in lines):
                raise
            raise NoAnswerError(
                self.link.device,
                f"no position of axis {expected.pattern[0]} in its answer to {command!r}: {lines}.",
                "Set `axis` of the turntable in rig.yaml to the axis it is wired to.",
            ) from error
        return lines

    def _renumber(self) -> None:
        """End whatever half line the controller may have, read away what it says to it, and agree on a number."""
        self.link.send(b"\n")
        for line in self.link.drain(0.15):
            self._watch(line)
        self._number += 1
        # M110 gives the number in its parameter.
        self._settle(f"M110 N{self._number}")

    def _settle(self, command: str) -> None:
        def exchange() -> None:
            self.link.send(numbered(self._number, command))
            self.link.wait_for(
                lambda line: self._watch(line) or OK.fullmatch(line) is not None, self.config.answer_s, command
            )

        retry(exchange)
        self.link.drain(0.02)

    def _watch(self, line: str) -> bool:
        """Raise when the controller restarted or halted; never matches."""
        if BOOTED.fullmatch(line):
            raise self._restarted()
        if HALTED.match(line):
            self._doubt()
            raise AlarmError(
                self.link.device,
                f"the controller halted: {line.removeprefix('Error:')!r}.",
                "Look at its motors and switches, then `rig home`; if it stays silent, press its reset button.",
            )
        return False

    def _wake(self) -> None:
        """Make sure that it listens: a killed one is reset by way of its port."""
        try:
            self.link.send(b"\n")
            self.link.drain(0.15)
            self._number += 1
            self._settle(f"M110 N{self._number}")
        except (NoAnswerError, AlarmError):
            self.link.close()
            self.clock.sleep(0.2)  # DTR has to be down long enough to be noticed
            self.link.open()
            self._greet()

    def _greet(self) -> str:
        """Ask for the firmware's name until it answers: it may just be starting, or have been running all along."""
        deadline = time.monotonic() + self.config.boot_s
        while True:
            left_s = deadline - time.monotonic()
            self.link.send(b"\nM115\n")
            try:
                line = self.link.wait_for(
                    lambda line: bool(line == "start" or FIRMWARE.search(line) or HALTED.match(line)),
                    max(0.1, min(1.0, left_s)),
                    "M115",
                )
            except NoAnswerError as error:
                if left_s > 0:
                    continue
                raise NoAnswerError(
                    self.link.device,
                    f"no answer to 'M115' within {self.config.boot_s:g} s{self.link.heard()}.",
                    "Check that it is powered, runs Marlin, and that `baud` in rig.yaml is its own (115200, 250000); "
                    "if it was halted, press its reset button.",
                ) from error
            if line == "start":
                continue  # what was asked before is lost
            firmware = FIRMWARE.search(line)
            if firmware is None:
                self._watch(line)
                continue
            answers = self.link.drain(0.1)
            self._number = FIRST_NUMBER
            self._settle(f"M110 N{self._number}")
            self._read_settings(answers)
            return firmware[1]

    def _read_settings(self, answers: list[str]) -> None:
        """Learn what it can do, and how fast the axis turns at most, where it says so (2.1)."""
        self._settings = {line[4:-2]: line[-1] for line in answers if CAPABILITY.fullmatch(line)}
        for command in ("M201", "M203"):
            for line in self._ask(command):
                for motor in self._motors:
                    if found := re.search(rf"{command} .*?{motor.letter}(\d+\.\d+)", line):
                        self._settings[f"{command} {motor.letter}"] = found[1]
        for motor in self._motors:
            motor.fastest_deg_s = float(self._settings.get(f"M203 {motor.letter}", "inf"))


class _BrokenError(DeviceError):
    """The controller did not take a line: broken on the way, or refused. Nothing moved."""

    def __init__(self, device: str, command: str, answer: str) -> None:
        super().__init__(
            device, f"{command!r} was refused: {answer!r}.", "Check cable and earthing, run `rig home`, then try again."
        )


def _position_of(motor: MotorAxis) -> re.Pattern[str]:
    """Where the planner ends (deg), as ``M114`` tells it."""
    return re.compile(rf"{motor.letter}: ?(-?\d+\.\d+)")


def _read_position(lines: list[str], place: re.Pattern[str]) -> float:
    return next(float(found[1]) for line in lines if (found := place.search(line)))


def numbered(number: int, command: str) -> bytes:
    """A line with number and checksum, the exclusive or of the bytes before the star."""
    text = f"N{number} {command}".encode()
    checksum = 0
    for byte in text:
        checksum ^= byte
    return b"%s*%d\n" % (text, checksum)
