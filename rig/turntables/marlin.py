"""Turntable on a Marlin controller: an axis whose "millimetres" are degrees.

Written to Marlin's documentation and source (marlinfw.org/docs/gcode: G1, G28, M84, M110, M112, M114, M115, M211, M400,
M410; github.com/MarlinFirmware/Marlin: gcode/queue.cpp, gcode/host/M114.cpp, MarlinCore.cpp, core/serial strings):

- Every line is sent with its number and checksum, ``N12 M400*97``, and only once the one before it is answered. A line
  that came in broken is answered ``Error:...`` and ``Resend: 12``; older firmware says ``ok`` after that, newer does
  not. Everything sent here is absolute, so what is in doubt is numbered anew (``M110``) and sent again.
- ``ok`` means planned. It has arrived once ``M400`` is acknowledged; meanwhile ``echo:busy: processing`` comes now and
  then. An ``ok`` too many would be believed, so the motor's steps, ``Count`` in ``M114``, must stand still as well.
- ``M114`` tells where the planner ends, so it counts only after ``M400``. Both are counts: a blocked plate is noticed
  by the camera alone.
- ``start`` means that the controller was reset. If that word is lost, its line numbers tell: they begin at 1 again.
- ``M410`` stops the motor and ``M112`` kills the controller; both are heeded out of turn if sent without a number.
  While homing only ``M112`` is safe, as ``G28`` goes on after ``M410``. What was killed answers nothing until it is
  reset, which opening the port does on boards wired like an Arduino.
- Targets beyond the soft endstops are clipped without a word; an endless axis switches them off (``M211 S0``). Motors
  are switched off after 2 minutes' rest unless told otherwise (``M84 S0``).
"""

from __future__ import annotations

import contextlib
import re
import time
from typing import Literal

from rig.clock import Clock
from rig.errors import AlarmError, DeviceError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, retry
from rig.turntables.axis import AxisConfig, AxisTurntable

# Two whole lines each, so that half a line before them spoils neither.
QUICK_STOP = b"\nM410\n"
KILL = b"\nM112\n"
FIRMWARE = re.compile(r"FIRMWARE_NAME: ?(?=.*Marlin)(.*?)(?: \(| [A-Z_]+:|$)")
OK = re.compile(r"ok(?: N(?P<number>\d+))?(?: .*)?")
RESEND = re.compile(r"(?:Resend:?|rs)\s*N?(\d+)")
BOOTED = re.compile(r"start|echo: ?Marlin .*|(?:echo:)?\s*(?:PowerUp|(?:External|Brown out|Watchdog|Software) Reset)")
# Stopped, it says so without the word Error, acknowledges turns, and does not turn.
HALTED = re.compile(r"Error:.*(?:halted|kill|stopped)|Printer stopped due to errors", re.IGNORECASE)
REFUSED = re.compile(r"echo:\s*(?:Unknown command.*|Home .* first.*)|Error:.*", re.IGNORECASE)
LINE_ERROR = re.compile(r"Error:.*Last Line: ?\d*", re.IGNORECASE)
REST_S = 5.0
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

    def stop(self) -> None:
        """Stop the motor at once, from any thread; it has to be homed again after."""
        self._doubt()
        self.link.halt(KILL if self._homing else QUICK_STOP)

    def _find_home(self) -> None:
        """Wake it, by a reset if it was killed, and find the switch."""
        self._wake()
        self._ask("G90")
        self._homing = True  # also when it is interrupted: it may be at it still
        self._ask(f"G28 {self.config.axis}", self.config.homing_s)
        self._homing = False
        for wish in ("M84 S0", "M211 S0") if self.config.endless else ("M84 S0",):
            with contextlib.suppress(_BrokenError):  # not every build has them
                self._ask(wish)
        self._commanded = self._count()

    def _count(self) -> float:
        return self._report()[0]

    def _turn(self, target: float) -> float:
        feed = f"F{self.config.speed_deg_s * 60:.0f}"
        for count in self._legs(target):
            self._ask(f"G1 {self.config.axis}{count:.3f} {feed}")
        travel_s = self._travel_s(target)
        self._ask("M400", self.config.answer_s + 3 * travel_s)
        until_s = self.clock.now() + 3 * travel_s + REST_S
        steps = self._report()[1]
        while self.clock.now() < until_s:
            self.clock.sleep(max(self.config.settle_s, 0.05))
            before, (position, steps) = steps, self._report()
            if steps == before:
                return position
        raise NoAnswerError(self.link.device, "it does not come to rest.", "Switch it off and look.")

    def _report(self) -> tuple[float, str | None]:
        """Where the planner ends (deg) and the motor is (steps, not told by every build), by ``M114``."""
        axis = self.config.axis
        pattern = re.compile(rf"{axis}: ?(-?\d+\.\d+)(?:.*Count.*{axis}: ?(-?[\d.]+))?")
        for _ in range(TRIES):
            lines = self._ask("M114")
            for line in lines:
                found = pattern.search(line)
                if found is not None:
                    return float(found[1]), found[2]
        raise NoAnswerError(
            self.link.device,
            f"no position of axis {self.config.axis} in its answer to 'M114': {lines}.",
            "Set `axis` of the turntable in rig.yaml to the axis it is wired to.",
        )

    # The protocol

    def _ask(self, command: str, timeout_s: float | None = None) -> list[str]:
        """Send a command, again if need be, and return what was said before its ``ok``."""
        return retry(
            lambda: self._exchange(command, timeout_s or self.config.answer_s),
            self._renumber,
            (NoAnswerError, _BrokenError),
        )

    def _exchange(self, command: str, timeout_s: float) -> list[str]:
        """Send one numbered line and wait for its ``ok``."""
        self._number += 1
        self.link.send(numbered(self._number, command))
        said: list[str] = []

        def is_ok(line: str) -> bool:
            if line.startswith("echo:busy"):
                return False
            self._watch(line)
            resend = RESEND.fullmatch(line)
            if resend is not None:
                if int(resend[1]) == 1:
                    self._watch("start")  # what it says when it starts was lost, but not that it counts anew
                raise _BrokenError(self.link.device, command, line)
            ok = OK.fullmatch(line)
            if ok is not None:
                return ok["number"] is None or int(ok["number"]) == self._number
            if REFUSED.fullmatch(line) and not LINE_ERROR.fullmatch(line):
                raise _BrokenError(self.link.device, command, line)
            said.append(line)
            return False

        self.link.wait_for(is_ok, timeout_s, command)
        return said

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
                    f"no answer to 'M115' within {self.config.boot_s:g} s.",
                    "Check that it is powered, runs Marlin, and that `baud` in rig.yaml is its own (115200, 250000); "
                    "if it was halted, press its reset button.",
                ) from error
            if line == "start":
                continue  # what was asked before is lost
            firmware = FIRMWARE.search(line)
            if firmware is None:
                self._watch(line)
                continue
            self.link.drain(0.1)
            self._number = FIRST_NUMBER
            self._settle(f"M110 N{self._number}")
            return firmware[1]


class _BrokenError(DeviceError):
    """The controller did not take a line: broken on the way, or refused. Nothing moved."""

    def __init__(self, device: str, command: str, answer: str) -> None:
        super().__init__(
            device, f"{command!r} was refused: {answer!r}.", "Check cable and earthing, run `rig home`, then try again."
        )


def numbered(number: int, command: str) -> bytes:
    """A line with number and checksum, the exclusive or of the bytes before the star."""
    text = f"N{number} {command}".encode()
    checksum = 0
    for byte in text:
        checksum ^= byte
    return b"%s*%d\n" % (text, checksum)
