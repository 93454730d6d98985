"""What a driver and a controller that speaks GRBL exchange, and what is believed of it.

- An ``ok`` does not say what it is for. After a time-out the answer to ``$G`` is waited for, which nothing else gives:
  what comes before it was meant for earlier lines.
- ``?`` is not answered while GRBL homes, nor in its locked state after a hard or soft limit, where a reset sent before
  ``[MSG:Reset to continue]`` is swallowed too: a reset is sent until the banner comes.
- grblHAL obeys no G-code after an error until an empty line comes; FluidNC says its banner before the alarm that it
  wants to be homed.
- ``Pn:``, ``Ov:`` and ``WCO:`` come and go in status reports; one that lost its end, or bytes, is no report.

Written to gnea/grbl bfb67f0, grblHAL/core f80fc34 and bdring/FluidNC e952f33: protocol.c and report.c, Protocol.cpp and
Report.cpp.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Literal

from rig.clock import Clock
from rig.errors import AlarmError, DeviceError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import retry
from rig.turntables.axis import AxisConfig, AxisTurntable
from rig.turntables.grbl_dialects import ALARMS, AXES, BANNER, ERRORS

SOFT_RESET = b"\x18"
STATUS = re.compile(
    r"<(?P<state>Idle|Run|Jog|Hold|Door|Alarm|Home|Sleep|Check|Tool)(?::\d+)?\|"
    r"(?P<kind>[MW])Pos:(?P<position>-?\d+\.\d{3,4}(?:,-?\d+\.\d{3,4})*)(?P<rest>(?:\|[^<>]*)?)>"
)
OFFSET = re.compile(r"\|WCO:(-?[\d.]+(?:,-?[\d.]+)*)")
PINS = re.compile(r"\|Pn:(\w+)")
PROMPT_S = 1.0  # what is planned or asked for is answered at once, whatever the axis does

# What a state other than Idle and Run means, and what to do.
STOPPED = {
    "Hold": ("it is held by somebody: a button, a pendant, or noise on the line", "Look who holds it"),
    "Door": ("it believes that its safety door is open", "Close it, or look for noise on the line"),
    "Alarm": ("it is in alarm, and its position lost", "Clear the plate"),
    "Sleep": ("it sleeps", "Wake it"),
    "Check": ("it only checks G-code ($C)", "Send it $C with a terminal program"),
    "Tool": ("it waits for a tool to be changed", "Press its cycle start"),
    "Home": ("it homes", "Wait until it has"),
}
PRESSED = {
    ("Hold", "H"): ("it is held: its feed-hold input is active (Pn:H)", "Release the button, or look at its wiring"),
    ("Door", "D"): ("its safety door is open (Pn:D)", "Close it, or look at its wiring"),
}


@dataclass(frozen=True)
class Report:
    """A status report: state, count of each motor (deg) by its letter, pins that are active."""

    state: str
    positions: dict[str, float]
    pins: str


class GrblConfig(AxisConfig):
    """`turntable:` of rig.yaml for GRBL, grblHAL and FluidNC."""

    kind: Literal["grbl"] = "grbl"


class GrblProtocol(AxisTurntable[GrblConfig]):
    """The half of `GrblTurntable` that speaks and listens."""

    stop_bytes = SOFT_RESET

    def __init__(self, config: GrblConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._offset: list[float] | None = None
        self._starting = False  # whether a banner, and alarms around it, are of a reset that was asked for

    @property
    def _letters(self) -> list[str]:
        return [motor.letter for motor in self._motors]

    def _doubt(self) -> None:
        super()._doubt()
        self._starting = True  # who stops it, or lets it go, resets it

    def _alarm_remedy(self, code: int) -> str:
        raise NotImplementedError

    def _command(self, command: str) -> None:
        """Send a line that is answered at once, and wait for its ``ok``."""
        self._send(command)
        self._wait_for_ok(command, min(PROMPT_S, self.config.answer_s))

    def _ask(self, command: str, lists: re.Pattern[str] | None = None) -> list[str]:
        """Send a line again until it was understood, and return the lines before its ``ok``.

        One before which nothing of what the line `lists` came was meant for an earlier line.
        """

        def exchange() -> list[str]:
            self._send(command)
            lines = self._wait_for_ok(command, self.config.answer_s)
            if lists is not None and not any(map(lists.fullmatch, lines)):
                raise NoAnswerError(
                    self.link.device, f"no answer to {command!r} but ok.", "Switch it off and on again."
                )
            return lines

        return retry(exchange, self._agree, (NoAnswerError, RefusedError))

    def _send(self, command: str) -> None:
        while (line := self.link.line(0.0)) is not None:
            self._watch(line)  # what is late is no answer to this
        self.link.send(command.encode() + b"\n")

    def _wait_for_ok(self, command: str, timeout_s: float) -> list[str]:
        lines: list[str] = []

        def is_answer(line: str) -> bool:
            lines.append(line)
            return self._watch(line) or line == "ok" or line.startswith("error:")

        answer = self.link.wait_for(is_answer, timeout_s, command)
        self._starting = False
        if answer != "ok":
            raise RefusedError(self.link.device, command, answer)
        return lines[:-1]

    def _status(self) -> Report:
        """Ask for state and positions (machine coordinates)."""
        for last in (False, False, True):
            self.link.send(b"?")
            try:
                line = self.link.wait_for(
                    lambda line: self._watch(line) or STATUS.search(line) is not None, self.config.answer_s, "?"
                )
            except NoAnswerError:
                if last:
                    raise
                continue
            report = self._read_report(line)
            if report is not None:
                return report
        raise NoAnswerError(
            self.link.device,
            f"no position of axis {' and '.join(self._letters)} in its status reports (the last: {line!r}).",
            "Set `axis` of the turntable in rig.yaml to the axis it is wired to.",
        )

    def _read_report(self, line: str) -> Report | None:
        report = STATUS.search(line)
        assert report is not None
        offset = OFFSET.search(report["rest"])
        if offset is not None:
            self._offset = [float(value) for value in offset[1].split(",")]
        try:
            values = [float(value) for value in report["position"].split(",")]
            if report["kind"] == "W":  # $10 asks for work coordinates: machine position = work position + offset
                if self._offset is None:
                    return None  # the offset comes with one of the next reports
                values = [value + offset for value, offset in zip(values, self._offset, strict=True)]
            positions = {letter: values[AXES.index(letter)] for letter in self._letters}
        except (IndexError, ValueError):
            return None
        pins = PINS.search(report["rest"])
        return Report(report["state"], positions, pins[1] if pins else "")

    def _watch(self, line: str) -> bool:
        """Raise when the controller alarms or restarts by itself; never matches."""
        alarm = re.match(r"ALARM:(\d+)", line)
        if self._starting or (alarm is None and BANNER.search(line) is None):
            return False
        if alarm is None:
            raise self._restarted()
        self._doubt()
        code = int(alarm[1])
        problem = ALARMS.get(code, "see its documentation")
        raise AlarmError(self.link.device, f"alarm {code} ({problem}).", self._alarm_remedy(code))

    def _stopped(self, report: Report) -> AlarmError:
        """What to raise where it neither rests nor turns."""
        pressed = next((PRESSED[report.state, pin] for pin in report.pins if (report.state, pin) in PRESSED), None)
        problem, remedy = pressed or STOPPED[report.state]
        return AlarmError(self.link.device, f"{problem}.", f"{remedy}, then `rig home`.")

    def _reset(self, patience_s: float) -> str:
        """Soft reset until the banner comes, which is returned: one sent too early after an alarm is swallowed.

        Raises
        ------
        NoAnswerError
            If none comes, nor anything that is understood.
        """
        self._starting = True
        until = time.monotonic() + patience_s
        while True:
            self.link.send(SOFT_RESET)
            try:
                banner = self.link.wait_for(
                    lambda line: BANNER.search(line) is not None, min(PROMPT_S, self.config.answer_s), "reset"
                )
                self._agree()
            except NoAnswerError as error:
                if time.monotonic() < until:
                    continue
                raise NoAnswerError(
                    self.link.device,
                    f"no answer to a reset within {patience_s:g} s{self.link.heard()}.",
                    "Check that it is powered, runs GRBL, grblHAL or FluidNC, and that `baud` in rig.yaml is its own.",
                ) from error
            return banner

    def _agree(self) -> None:
        """End whatever half line it may have, and read away all that comes before the answer to this question."""

        def exchange() -> None:
            self.link.send(b"\n$G\n")
            self.link.wait_for(lambda line: self._watch(line) or line.startswith("[GC:"), self.config.answer_s, "$G")
            self.link.wait_for(lambda line: self._watch(line) or line == "ok", self.config.answer_s, "$G")

        retry(exchange)
        self._starting = False


class RefusedError(DeviceError):
    """The controller answered ``error:n``: nothing moved."""

    def __init__(self, device: str, command: str, answer: str) -> None:
        text = answer.removeprefix("error:")
        self.number = int(text) if text.isdecimal() else 0
        super().__init__(
            device,
            f"{command!r} was refused: {answer} ({ERRORS.get(self.number, 'see the documentation of GRBL')}).",
            "Run `rig home`, then the command again.",
        )
