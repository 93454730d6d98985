"""uArm Swift Pro with its suction cup, as the arm that handles coins.

Written to the developer guide, UFACTORY's Python SDK and the firmware's source (github.com/uArm-Developer:
SwiftProForArduino, uArm-Python-SDK):

- ``#n command`` is answered by ``$n ok ...`` or ``$n En``; lines that begin with ``@`` are events and come at any time.
- Firmware 3 answers a move when it is planned, firmware 4 when it is done: either way it has arrived only when
  ``P2220`` says so.
- Speed ``F`` is mm/min up to firmware 3 and mm/s from 4 on.
- ``P2231`` tells the pump: 0 off, 1 running, 2 running and something is held.
- Angle sensors know the position from power-up. Opening the port (DTR) restarts the controller, which stops the pump;
  so DTR is held from the first connection on, and an arm whose program was killed keeps its coin.
"""

from __future__ import annotations

import itertools
import math
import re
import time
from typing import Literal

from pydantic import Field

from rig.arms.arm import ArmConfig, SerialArm
from rig.bench import PointMm
from rig.clock import Clock
from rig.errors import DeviceError, EnvelopeError, GripError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, retry

ANSWER = re.compile(r"\$(\d+)\s+(.*)")
POSITION = re.compile(r"X(-?\d{1,3}\.\d+)\s+Y(-?\d{1,3}\.\d+)\s+Z(-?\d{1,3}\.\d+)", re.IGNORECASE)
VERSION = re.compile(r"V?(\d+)\.\d+(?:\.\d+)?", re.IGNORECASE)
STATE = re.compile(r"V([012])", re.IGNORECASE)
STARTED = "@1"
STOP = b"\nS1100\n"

ERRORS = {
    "E20": "unknown command",
    "E21": "bad parameter",
    "E22": "out of its reach",
    "E23": "its buffer is full",
    "E24": "no power: switch the arm on",
    "E25": "the operation failed",
    "E26": "an angle sensor fails",
    "E27": "the motors are unlocked",
}


class UarmConfig(ArmConfig):
    """`arm:` of rig.yaml for a uArm Swift Pro."""

    kind: Literal["uarm"] = "uarm"
    reach_mm: tuple[float, float] = Field(default=(50.0, 340.0), description="nearest and farthest from its axis")
    move_s: float = Field(default=20.0, gt=0, description="longest wait for a move (wall-clock)")


class UarmArm(SerialArm[UarmConfig]):
    """The arm."""

    stop_bytes = b"\nS1100\n"

    def __init__(self, config: UarmConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._numbers = itertools.cycle(range(1, 10000))
        self._firmware = 4

    def grip(self) -> None:
        """Start the pump and wait until something is held; the pump stops again if nothing is.

        Raises
        ------
        GripError
            If nothing is held.
        """
        with self.link.lock:
            self._ask("M2231 V1")
            if not self._wait_for_pump(2):
                self._ask("M2231 V0")
                raise GripError(
                    self.link.device, "the cup took hold of nothing.", "Look whether a coin lies there, and at the cup."
                )

    def release(self) -> None:
        """Stop the pump and wait until it has let go."""
        with self.link.lock:
            self._ask("M2231 V0")
            if not self._wait_for_pump(0):
                raise GripError(
                    self.link.device, "the pump does not stop.", "Switch the arm off and on, then `rig home`."
                )

    def holds(self) -> bool:
        """Whether the pump feels something on the cup."""
        with self.link.lock:
            return self._pump_state() == 2

    def position_mm(self) -> PointMm:
        """Position by the angle sensors (mm)."""
        with self.link.lock:
            match = self._read("P2220", POSITION)
            return (float(match[1]), float(match[2]), float(match[3]))

    def estimate_s(self, distance_mm: float) -> float:
        """Time a straight move takes (s)."""
        return distance_mm / self.config.speed_mm_s + 0.2 if distance_mm else 0.0

    def _greet(self) -> str:
        firmware = self._firmware_name()
        version = VERSION.search(firmware)
        if version is None:
            raise DeviceError(self.link.device, f"it reports {firmware!r} as its version.", "Is it a uArm Swift Pro?")
        self._firmware = int(version[1])
        return firmware.strip()

    def _firmware_name(self) -> str:
        """Ask for the firmware's version until it answers: it may just be starting, or have been running all along."""
        deadline = time.monotonic() + self.config.boot_s
        while True:
            number = next(self._numbers)
            self.link.send(f"#{number} P2203\n".encode())
            left_s = deadline - time.monotonic()
            try:
                answer = self.link.wait_for(
                    lambda line, number=number: line.startswith((STARTED, f"${number} ")),  # type: ignore[misc]
                    max(0.1, min(0.5, left_s)),
                    "P2203",
                )
            except NoAnswerError:
                if left_s <= 0:
                    raise
                continue
            if answer.startswith("$"):
                return answer.split(maxsplit=2)[-1]

    def _find_home(self) -> None:
        """Lock the motors, go straight up, then to the home position."""
        if self._read("P2234", STATE)[1] == "0":
            raise DeviceError(self.link.device, "its motors have no power.", "Switch the arm on, then run it again.")
        self._ask("M17")
        x_mm, y_mm, z_mm = self._at_rest()
        home_z_mm = self.config.home_mm[2]
        if z_mm < home_z_mm - self.config.tolerance_mm:
            self._move((x_mm, y_mm, home_z_mm))
        self._move(self.config.home_mm)

    def _check_reach(self, point: PointMm) -> None:
        x_mm, y_mm, z_mm = point
        near_mm, far_mm = self.config.reach_mm
        if not near_mm <= math.hypot(x_mm, y_mm) <= far_mm:
            raise EnvelopeError(
                self.link.device,
                f"({x_mm:g}, {y_mm:g}, {z_mm:g}) mm is out of its reach, {near_mm:g} to {far_mm:g} mm from its "
                "axis; nothing was sent.",
                "Correct the bench positions, or `reach_mm` of the arm, in rig.yaml.",
            )

    def _move(self, target: PointMm) -> None:
        feed = self.config.speed_mm_s if self._firmware >= 4 else self.config.speed_mm_s * 60
        x_mm, y_mm, z_mm = target
        self._ask(f"G1 X{x_mm:.2f} Y{y_mm:.2f} Z{z_mm:.2f} F{feed:.0f}", self.config.move_s)
        self._arrive(target)

    def _wait_for_pump(self, state: int) -> bool:
        until_s = self.clock.now() + self.config.suction_s
        while self._pump_state() != state:
            if self.clock.now() >= until_s:
                return False
            self.clock.sleep(0.05)
        return True

    def _pump_state(self) -> int:
        return int(self._read("P2231", STATE)[1])

    def _read(self, command: str, pattern: re.Pattern[str]) -> re.Match[str]:
        """Ask until the answer makes sense."""
        for _ in range(TRIES):
            answer = self._ask(command)
            match = pattern.fullmatch(answer.strip())
            if match is not None:
                return match
        raise NoAnswerError(self.link.device, f"{answer!r} is no answer to {command!r}.", "Check cable and earthing.")

    def _ask(self, command: str, timeout_s: float | None = None) -> str:
        """Send a numbered command and return what its answer says after ``ok``.

        All commands used here are absolute, so one whose answer is lost is simply sent again, under a new number.
        """
        return retry(
            lambda: self._exchange(command, timeout_s or self.config.answer_s),
            failures=(NoAnswerError, _RefusedError),
        )

    def _exchange(self, command: str, timeout_s: float) -> str:
        number = next(self._numbers)
        self.link.send(f"#{number} {command}\n".encode())
        try:
            answer = self.link.wait_for(lambda line: self._is_answer(line, number), timeout_s, command)
        except NoAnswerError:
            self.link.send(b"\n")  # ends the half line that a lost byte may have left
            raise
        words = answer.split(maxsplit=2)[1:]
        if words and words[0].lower() == "ok":
            return words[1] if len(words) > 1 else ""
        raise _RefusedError(self.link.device, command, words[0].upper() if words else "")

    def _is_answer(self, line: str, number: int) -> bool:
        """Tell the answer from events and from late answers; raise when the controller restarts."""
        if line.startswith(STARTED) and not line[len(STARTED) :].strip():
            raise self._restarted()
        match = ANSWER.match(line)
        return match is not None and int(match[1]) == number


class _RefusedError(DeviceError):
    """The controller answered ``En``: nothing moved. A lost byte may have made a wrong command of a right one."""

    def __init__(self, device: str, command: str, code: str) -> None:
        super().__init__(
            device,
            f"{command!r} was refused: {code} ({ERRORS.get(code, 'see the uArm developer guide')}).",
            "Correct the bench positions in rig.yaml." if code == "E22" else "Switch it off and on, then `rig home`.",
        )
