"""Turntable on a controller that speaks GRBL 1.1: rotary axes whose "millimetres" are degrees.

GRBL 1.1 itself, grblHAL and FluidNC; `rig.turntables.grbl_dialects` has what differs, `rig.turntables.grbl_protocol`
how they are spoken to. Written to gnea/grbl bfb67f0, grblHAL/core f80fc34 and bdring/FluidNC e952f33:

- ``ok`` means planned. It has arrived once the status (``?``) is ``Idle`` at the target; on the way the status is asked
  for again and again, so a hold, an open door or an alarm is found at once and a slow axis is given its time.
- Startup lines (``$N``) may have left it in inches or in relative mode: every turn says what it means. Reports in
  inches (``$13``), soft limits (``$20``; they allow negative coordinates alone) and hard limits (``$21``; the homing
  switch is passed at every turn through 0) are refused before it moves.
- It turns no faster than ``$110`` to ``$112`` allow, and starts as gently as ``$120`` to ``$122`` ask for.
- FluidNC says ``ok`` to a homing that failed.
- A second motor may tilt the camera. It is homed downwards (its bit in ``$23``): limits.c then counts from ``-$131``
  or from 0 with HOMING_FORCE_SET_ORIGIN, so what it counts once it is homed is taken for `home_deg`. One motor moves
  at a time: planner.c shares a feed rate out among the axes of a line.
"""

from __future__ import annotations

import math
import re
import time

from rig.clock import Clock
from rig.errors import AlarmError, DeviceError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, retry
from rig.turntables import grbl_dialects
from rig.turntables.grbl_dialects import GRBL, HOMING_DISABLED, Dialect
from rig.turntables.grbl_protocol import PROMPT_S, GrblConfig, GrblProtocol, RefusedError
from rig.turntables.motor_axis import MotorAxis

SETTING = re.compile(r"(\$\d+)=(-?[\d.]+)")
BUILD = re.compile(r"\[.*")  # of the answer to $I
MAX_RATE, ACCELERATION = 110, 120  # deg/min, deg/s², of the first axis
# Kept with the session, besides the axis' own.
REPORTED = ("$1", "$10", "$13", "$20", "$21", "$22", "$23", "$24", "$25", "$27", "$44", "$45", "$46")
NOT_FOUND = 9

POLL_S = 0.25  # how often a turning plate is asked where it is
SHORTEST_POLL_S = 0.005
STILL = 8  # so many reports of one position from a plate that is reported to turn: it does not


class GrblTurntable(GrblProtocol):
    """The turntable."""

    def __init__(self, config: GrblConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._dialect: Dialect = GRBL
        self._build: list[str] = []

    # Who it is

    def _greet(self) -> str:
        """Reset it until it says who it is: it may just be starting, or have been running all along."""
        banner = self._reset(self.config.boot_s)
        self._build = self._ask("$I", lists=BUILD)
        found = grbl_dialects.identify(banner, self._build)
        if found is None:
            raise DeviceError(
                self.link.device,
                f"it says {banner!r}, which is none of the dialects that are spoken here: GRBL 1.1, grblHAL, FluidNC.",
                "Flash one of these.",
            )
        self._dialect, firmware = found
        self._read_settings()
        return firmware

    def _read_settings(self) -> None:
        """Learn how fast the axis is, and what else matters."""
        lines = self._ask("$$", lists=SETTING)
        settings = {found[1]: found[2] for line in lines if (found := SETTING.fullmatch(line))}
        own: list[str] = []
        for motor in self._motors:
            rate = grbl_dialects.axis_value(settings, MAX_RATE, motor.letter)
            motor.fastest_deg_s = rate / 60 if rate else math.inf
            motor.acceleration_deg_s2 = grbl_dialects.axis_value(settings, ACCELERATION, motor.letter)
            index = grbl_dialects.AXES.index(motor.letter)
            own += [f"${first + index}" for first in (100, MAX_RATE, ACCELERATION, 130)]
        self._settings = {name: settings[name] for name in (*REPORTED, *own) if name in settings}

    # Homing

    def _find_home(self) -> None:
        """Reset it, which clears alarms, and find the switch."""
        self._reset(self.config.boot_s)
        self._read_settings()
        self._check_settings()
        alone = self._homes_alone()
        if not alone and grbl_dialects.homes_others(self._dialect, self._settings, self._letters):
            whose = "the plate's" if self._tilt is None else "those of plate and tilt"
            raise DeviceError(self.link.device, f"it homes other axes than {whose} as well.", self._switches())
        # The camera first, so that nothing stands in its way when the plate turns.
        for command in [f"$H{motor.letter}" for motor in reversed(self._motors)] if alone else ["$H"]:
            self._home_by(command)

    def _home_by(self, command: str) -> None:
        """Send a homing command until it has homed."""
        state = "not homed"
        for _ in range(TRIES):
            try:
                self._home(command)
            except RefusedError as error:
                if error.number == HOMING_DISABLED:
                    raise DeviceError(self.link.device, error.problem, self._dialect.homing) from error
                self._resynchronise()  # a byte was lost: it understood something else
                continue
            # A lone "$" is answered with ok as well: only the state shows that it was homing.
            report = self._status()
            state = report.state
            for motor in self._motors:
                self._homed_at(motor, report.positions[motor.letter])
            if state == "Idle":
                return
        raise AlarmError(self.link.device, f"it did not home (state {state}).", "Check the homing switch.")

    def _check_settings(self) -> None:
        """Make sure that it means by a position what is meant here, and that nothing stops a plate that goes round."""
        wrongs = {
            grbl_dialects.REPORT_INCHES: "reports positions in inches",
            grbl_dialects.SOFT_LIMITS: "has soft limits, which allow no angle above 0",
            grbl_dialects.HARD_LIMITS: "has hard limits, which stop it with alarm 1 at every pass through 0 degrees",
        }
        for name, wrong in wrongs.items():
            if grbl_dialects.number(self._settings, name) & 1:
                setting = f"{name}={self._settings[name]}"
                raise DeviceError(self.link.device, f"it {wrong} ({setting}).", self._dialect.off[name])

    def _home(self, command: str) -> None:
        """Send it and wait for its end, asking now and then: GRBL is deaf to that while it homes, others are not."""
        self._send(command)
        until = time.monotonic() + self.config.homing_s
        while True:
            try:
                self._wait_for_ok(command, PROMPT_S)
            except NoAnswerError:
                if time.monotonic() > until:
                    raise
                self.link.send(b"?")
                continue
            return

    def _homes_alone(self) -> bool:
        return grbl_dialects.homes_axis_alone(self._dialect, self._build, self._settings)

    def _alarm_remedy(self, code: int) -> str:
        return (
            self._switches() if code == NOT_FOUND and not self._homes_alone() else "Clear the plate, then `rig home`."
        )

    def _switches(self) -> str:
        return grbl_dialects.switches_remedy(self._dialect, self._letters)

    # Turning

    def _move(self, motor: MotorAxis, target: float) -> float:
        # Absolute targets may be sent again: a lost byte or answer does no harm.
        return retry(lambda: self._go(motor, target), self._resynchronise, (NoAnswerError, RefusedError))

    def _count(self, motor: MotorAxis) -> float:
        return self._status().positions[motor.letter]

    def _go(self, motor: MotorAxis, target: float) -> float:
        """Drive there, wait until it has arrived and settled, and return the count read back."""
        for count in motor.legs(target):
            self._command(f"G53 G1 {motor.letter}{count:.3f} F{motor.moves_deg_s * 60:.0f} G21 G94")
        position = self._come_to_rest(motor, target)
        self._rest(motor)
        return position

    def _come_to_rest(self, motor: MotorAxis, target: float | None = None) -> float:
        """Ask how it is until every motor rests, this one at the target or nowhere near, and return this one's count.

        Raises
        ------
        AlarmError
            If it is held, or in alarm.
        NoAnswerError
            If it is reported to turn and no motor does.
        """
        before: dict[str, float] = {}
        still = 0
        while True:
            report = self._status()
            position = report.positions[motor.letter]
            still = still + 1 if report.positions == before else 0
            before = report.positions
            left_deg = math.inf if target is None else abs(position - target)
            if report.state == "Idle" and (still or left_deg <= motor.tolerance_deg):
                return position  # else it may be about to start
            if report.state not in ("Idle", "Run", "Jog"):
                raise self._stopped(report)
            if still >= STILL:
                raise NoAnswerError(
                    self.link.device,
                    f"it says that it turns, and stands at {position % 360:.2f} deg.",
                    "Reset the controller, then `rig home`.",
                )
            self.clock.sleep(max(SHORTEST_POLL_S, min(POLL_S, motor.left_s(left_deg))))

    def _resynchronise(self) -> None:
        """Find out how it is, wait until it rests, and agree on what is answered."""
        self._come_to_rest(self._plate)
        self._agree()
