"""Turntable on a GRBL 1.1 controller: a rotary axis whose "millimetres" are degrees.

Written to GRBL's interface documentation and source (github.com/gnea/grbl: doc/markdown/interface.md, commands.md,
protocol.c):

- ``ok`` means planned. It has arrived once ``G4 P0`` is acknowledged (the planner has run empty) and the status is
  ``Idle``.
- ``?`` is not answered while homing, nor in the locked state after a hard or soft limit.
- After such an alarm a reset sent before ``[MSG:Reset to continue]`` is swallowed: send, look for the banner, send
  again.
- ``Pn:``, ``Ov:`` and ``WCO:`` come and go in status reports; one that lost its end, or bytes, is no report.
- Startup lines (``$N``) may have left it in inches or in relative mode: every turn says what it means. Reports in
  inches (``$13``) and soft limits (``$20``; they allow negative coordinates alone) are refused before it moves.
- Commands are shorter than the 128-byte receive buffer and each waits for its answer, so the buffer cannot overflow.
"""

from __future__ import annotations

import re
from typing import Literal

from rig.clock import Clock
from rig.errors import AlarmError, DeviceError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, retry
from rig.turntables.axis import AxisConfig, AxisTurntable

SOFT_RESET = b"\x18"
BANNER = re.compile(r"Grbl (\d+\.\d+\w*)")
STATUS = re.compile(
    r"<(?P<state>[A-Z][a-z]+)(?::\d+)?\|(?P<kind>[MW])Pos:(?P<position>-?\d+\.\d{3,4}(?:,-?\d+\.\d{3,4})*)"
    r"(?P<rest>(?:\|[^<>]*)?)>"
)
HELD = ("Hold", "Door", "Sleep")
OFFSET = re.compile(r"\|WCO:(-?[\d.]+(?:,-?[\d.]+)*)")
AXES = "XYZABC"
# Settings with which its positions mean something else, or which stop a plate that goes round.
WRONG_SETTINGS = {
    "$13=1": ("reports positions in inches", "$13=0"),
    "$20=1": ("has soft limits, which allow no angle above 0", "$20=0"),
}

ALARMS = {
    1: "hard limit: a limit switch was hit, position lost",
    2: "soft limit: the target is beyond the machine's travel",
    3: "reset in motion, position lost",
    6: "homing was interrupted by a reset",
    7: "homing was interrupted by the safety door",
    8: "homing could not clear the switch by pulling off",
    9: "homing did not find the switch",
    10: "homing did not find the second switch",
}
HOMING_DISABLED = 5
ERRORS = {
    HOMING_DISABLED: "homing is not enabled",
    8: "only possible when idle",
    9: "locked until homed",
    15: "beyond the machine's travel",
    20: "unsupported command",
    33: "invalid target",
}


class GrblConfig(AxisConfig):
    """`turntable:` of rig.yaml for GRBL."""

    kind: Literal["grbl"] = "grbl"


class GrblTurntable(AxisTurntable[GrblConfig]):
    """The turntable."""

    stop_bytes = SOFT_RESET

    def __init__(self, config: GrblConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._offset: list[float] | None = None

    def _find_home(self) -> None:
        """Reset it, which clears alarms, and find the switch."""
        self._reset()
        self._check_settings()
        state = "not homed"
        for _ in range(TRIES):
            try:
                self._command("$H", self.config.homing_s)
            except _RefusedError as error:
                if error.number == HOMING_DISABLED:
                    raise
                self._resynchronise()  # a byte was lost: it understood something else
                continue
            # A lone "$" is answered with ok as well: only the state shows that it was homing.
            state, self._commanded = self._status()
            if state == "Idle":
                return
        raise AlarmError(self.link.device, f"it did not home (state {state}).", "Check the homing switch.")

    def _greet(self) -> str:
        """Wait for the banner."""
        try:
            banner = self.link.wait_for(lambda line: BANNER.search(line) is not None, self.config.boot_s, "connect")
        except NoAnswerError:
            banner = self._reset()  # a board that does not reset when its port opens
        version = BANNER.search(banner)
        if version is None or not version[1].startswith("1.1"):
            raise DeviceError(self.link.device, f"it says {banner!r}, not Grbl 1.1.", "Flash GRBL 1.1 or newer.")
        self.link.drain()
        return f"Grbl {version[1]}"

    def _turn(self, target: float) -> float:
        # Absolute targets may be sent again: a lost byte or answer does no harm.
        return retry(lambda: self._go(target), self._resynchronise, (NoAnswerError, _RefusedError))

    def _count(self) -> float:
        return self._status()[1]

    def _check_settings(self) -> None:
        """Make sure that it means by a position what is meant here."""
        seen: list[str] = []
        self._command("$$", seen=seen)
        for setting, (wrong, right) in WRONG_SETTINGS.items():
            if setting in seen:
                raise DeviceError(
                    self.link.device,
                    f"it {wrong} ({setting}).",
                    f"Send it {right} once with a terminal program, then `rig home`.",
                )

    def _go(self, target: float) -> float:
        """Drive there, wait until it has arrived and settled, and return the count read back."""
        feed = f"F{self.config.speed_deg_s * 60:.0f}"
        for count in self._legs(target):
            self._command(f"G53 G1 {self.config.axis}{count:.3f} {feed} G21 G94")
        self._command("G4 P0", self.config.answer_s + 3 * self._travel_s(target))
        for _ in range(20):
            state, position = self._status()
            if state == "Idle":
                self.clock.sleep(self.config.settle_s)
                return position
            self.clock.sleep(0.05)
        raise NoAnswerError(
            self.link.device,
            f"it stays in state {state!r}.",
            "Somebody holds it, or noise does: look at its hold and door inputs, then `rig home`."
            if state in HELD
            else "Reset the controller, then `rig home`.",
        )

    def _command(self, command: str, timeout_s: float | None = None, seen: list[str] | None = None) -> None:
        """Send a line and wait for its ``ok``; what is said before it is added to `seen`."""
        seen = [] if seen is None else seen

        def is_answer(line: str) -> bool:
            seen.append(line)
            return self._watch(line) or line == "ok" or line.startswith("error:")

        self.link.send(command.encode() + b"\n")
        answer = self.link.wait_for(is_answer, timeout_s or self.config.answer_s, command)
        if answer != "ok":
            raise _RefusedError(self.link.device, command, answer)

    def _status(self) -> tuple[str, float]:
        """Ask for state and position of the axis (machine coordinates)."""
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
            report = STATUS.search(line)
            assert report is not None
            offset = OFFSET.search(report["rest"])
            if offset is not None:
                self._offset = [float(value) for value in offset[1].split(",")]
            number = AXES.index(self.config.axis)
            try:
                position = float(report["position"].split(",")[number])
                if report["kind"] == "W":  # $10 asks for work coordinates: machine position = work position + offset
                    if self._offset is None:
                        continue  # the offset comes with one of the next reports
                    position += self._offset[number]
            except (IndexError, ValueError):
                continue
            return report["state"], position
        raise NoAnswerError(
            self.link.device,
            f"no position of axis {self.config.axis} in its status reports (the last: {line!r}).",
            "Set `axis` of the turntable in rig.yaml to the axis it is wired to.",
        )

    def _watch(self, line: str) -> bool:
        """Raise when the controller alarms or restarts; never matches."""
        alarm = re.match(r"ALARM:(\d+)", line)
        if alarm is not None:
            self._doubt()
            problem = ALARMS.get(int(alarm[1]), "see the GRBL documentation")
            raise AlarmError(self.link.device, f"alarm {alarm[1]} ({problem}).", "Clear the plate, then `rig home`.")
        if BANNER.search(line) is not None:
            raise self._restarted()
        return False

    def _reset(self) -> str:
        """Soft reset until the banner comes: one sent too early after an alarm is swallowed."""
        for last in (False, False, False, True):
            self.link.send(SOFT_RESET)
            try:
                banner = self.link.wait_for(
                    lambda line: BANNER.search(line) is not None, min(1.5, self.config.answer_s), "reset"
                )
            except NoAnswerError:
                if last:
                    raise
                continue
            self.link.drain()
            return banner
        raise AssertionError("unreachable")

    def _resynchronise(self) -> None:
        """End whatever half line the controller may have, and read away what it says to it."""
        self.link.send(b"\n")
        for line in self.link.drain(0.2):
            self._watch(line)


class _RefusedError(DeviceError):
    """The controller answered ``error:n``: nothing moved."""

    def __init__(self, device: str, command: str, answer: str) -> None:
        text = answer.removeprefix("error:")
        self.number = int(text) if text.isdecimal() else 0
        super().__init__(
            device,
            f"{command!r} was refused: {answer} ({ERRORS.get(self.number, 'see the GRBL documentation')}).",
            "Set $22=1 and wire a homing switch."
            if self.number == HOMING_DISABLED
            else "Run `rig home`, then the command again.",
        )
