"""uArm Swift Pro with its suction cup, as the arm that handles coins.

Written to the developer guide, UFACTORY's Python SDK and the firmware's source (github.com/uArm-Developer:
SwiftProForArduino, uArm-Python-SDK):

- ``#n command`` is answered by ``$n ok ...`` or ``$n En``; lines that begin with ``@`` are events and come at any time.
- Firmware 3 answers a move when it is planned, firmware 4 when it is done: either way it has arrived only when
  ``P2220`` says so.
- Speed ``F`` is mm/min up to firmware 3 and mm/s from 4 on.
- ``P2231`` tells the pump: 0 off, 1 running, 2 running and something is held.
- Angle sensors know the position from power-up. Opening the port (DTR) restarts the controller, which stops the pump;
  so DTR is held from the first connection on, and an arm whose program was killed goes on holding its coin.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import time
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rig.clock import Clock
from rig.devices import Identity
from rig.errors import AlarmError, DeviceError, EnvelopeError, GripError, NoAnswerError
from rig.link import SerialLink

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
TRIES = 3
STUCK_S = 1.0
REST_S = 20.0


class UarmConfig(BaseModel):
    """`arm:` of rig.yaml for a uArm Swift Pro."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["uarm"] = "uarm"
    port: str = "twin://arm"
    baud: int = Field(default=115200, gt=0)
    speed_mm_s: float = Field(default=100.0, gt=0, le=250)
    home_mm: tuple[float, float, float] = (200.0, 0.0, 150.0)
    reach_mm: tuple[float, float] = Field(default=(50.0, 340.0), description="nearest and farthest from its axis")
    tolerance_mm: float = Field(default=1.5, gt=0)
    suction_s: float = Field(default=1.5, gt=0, description="longest wait for a coin to be held, or let go")
    answer_s: float = Field(default=2.0, gt=0, description="longest wait for an answer (wall-clock)")
    move_s: float = Field(default=20.0, gt=0, description="longest wait for a move (wall-clock)")
    boot_s: float = Field(default=6.0, gt=0, description="longest wait for the controller to start (wall-clock)")


class UarmArm:
    """The arm."""

    def __init__(self, config: UarmConfig, clock: Clock, link: SerialLink | None = None) -> None:
        self.config = config
        self.clock = clock
        self.link = link or SerialLink(config.port, config.baud, "arm", hold_dtr=True)
        self._numbers = itertools.cycle(range(1, 10000))
        self._firmware = 4
        self._homed = False

    def connect(self) -> Identity:
        """Open the port, wait for the controller to start and ask who it is.

        Raises
        ------
        NotConnectedError, NoAnswerError
            If there is nothing, or no uArm, at the port.
        """
        with self.link.lock:
            self._homed = False
            self.link.open()
            firmware = self._greet()
            version = VERSION.search(firmware)
            if version is None:
                raise DeviceError(self.link.device, f"it says {firmware!r} as its version.", "Is it a uArm Swift Pro?")
            self._firmware = int(version[1])
            return Identity("uarm", self.config.port, firmware.strip())

    def close(self) -> None:
        """Let go of the port."""
        self._homed = False
        self.link.close()

    def stop(self) -> None:
        """Stop at once, from any thread. The pump keeps running: what hangs on the cup stays there."""
        self._homed = False
        self.link.halt(STOP)

    def home(self) -> None:
        """Lock the motors, go straight up, then to the home position.

        Raises
        ------
        DeviceError
            If it has no power, or does not get there.
        """
        with self.link.lock:
            self.link.clear_halt()
            if self._read("P2234", STATE)[1] == "0":
                raise DeviceError(
                    self.link.device, "its motors have no power.", "Switch the arm on, then run it again."
                )
            self._ask("M17")
            self._homed = True
            x_mm, y_mm, z_mm = self._at_rest()
            home_z_mm = self.config.home_mm[2]
            if z_mm < home_z_mm - self.config.tolerance_mm:
                self._move((x_mm, y_mm, home_z_mm))
            self._move(self.config.home_mm)

    def move_to(self, x_mm: float, y_mm: float, z_mm: float) -> None:
        """Move the cup in a straight line, and return when it is there.

        Raises
        ------
        EnvelopeError
            If the point is out of its reach; nothing is sent.
        AlarmError
            If it is not homed, or restarts on the way.
        DeviceError
            If the controller refuses the point, or it does not get there.
        """
        with self.link.lock:
            if not self._homed:
                raise AlarmError(self.link.device, "it is not homed.", "Run `rig home`.")
            near_mm, far_mm = self.config.reach_mm
            if not near_mm <= math.hypot(x_mm, y_mm) <= far_mm:
                raise EnvelopeError(
                    self.link.device,
                    f"({x_mm:g}, {y_mm:g}, {z_mm:g}) mm is out of its reach, {near_mm:g} to {far_mm:g} mm from its "
                    "axis; nothing was sent.",
                    "Correct the bench positions, or `reach_mm` of the arm, in rig.yaml.",
                )
            try:
                self._move((x_mm, y_mm, z_mm))
            except DeviceError:
                self._homed = False
                with contextlib.suppress(DeviceError):  # it may be gone, or have been stopped
                    self.link.send(STOP)
                raise

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

    def may_hold(self) -> bool:
        """Never unnoticed: the pump is asked."""
        return False

    def position_mm(self) -> tuple[float, float, float]:
        """Position by the angle sensors (mm)."""
        with self.link.lock:
            match = self._read("P2220", POSITION)
            return (float(match[1]), float(match[2]), float(match[3]))

    def estimate_s(self, distance_mm: float) -> float:
        """Time a straight move takes (s)."""
        return distance_mm / self.config.speed_mm_s + 0.2 if distance_mm else 0.0

    def _greet(self) -> str:
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

    def _move(self, target: tuple[float, float, float]) -> None:
        feed = self.config.speed_mm_s if self._firmware >= 4 else self.config.speed_mm_s * 60
        x_mm, y_mm, z_mm = target
        self._ask(f"G1 X{x_mm:.2f} Y{y_mm:.2f} Z{z_mm:.2f} F{feed:.0f}", self.config.move_s)
        best_mm, since_s = math.inf, self.clock.now()
        while True:
            left_mm = math.dist(self.position_mm(), target)
            if left_mm <= self.config.tolerance_mm:
                return
            if left_mm < best_mm - 0.5:
                best_mm, since_s = left_mm, self.clock.now()
            elif self.clock.now() - since_s > STUCK_S:
                self._homed = False
                raise DeviceError(
                    self.link.device,
                    f"it stopped {left_mm:.0f} mm before ({x_mm:g}, {y_mm:g}, {z_mm:g}).",
                    "Look what is in its way, then `rig home`.",
                )
            self.clock.sleep(0.05)

    def _at_rest(self) -> tuple[float, float, float]:
        """Where it comes to rest: a move that was interrupted here goes on there."""
        here = self.position_mm()
        until_s = self.clock.now() + REST_S
        while self.clock.now() < until_s:
            self.clock.sleep(0.1)
            before, here = here, self.position_mm()
            if math.dist(before, here) < 0.3:
                return here
        raise DeviceError(self.link.device, f"it does not come to rest in {REST_S:g} s.", "Switch it off and look.")

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
        problem: DeviceError | None = None
        for _ in range(TRIES):
            number = next(self._numbers)
            self.link.send(f"#{number} {command}\n".encode())
            try:
                answer = self.link.wait_for(
                    lambda line, number=number: self._is_answer(line, number),  # type: ignore[misc]
                    timeout_s or self.config.answer_s,
                    command,
                )
            except NoAnswerError as error:
                problem = error
                self.link.send(b"\n")  # ends the half line a lost byte may have left
                continue
            words = answer.split(maxsplit=2)[1:]
            if words and words[0].lower() == "ok":
                return words[1] if len(words) > 1 else ""
            code = words[0].upper() if words else ""
            problem = DeviceError(
                self.link.device,
                f"{command!r} was refused: {code} ({ERRORS.get(code, 'see the uArm developer guide')}).",
                "Check the bench positions in rig.yaml."
                if code == "E22"
                else "Switch the arm off and on, then `rig home`.",
            )
        assert problem is not None
        raise problem

    def _is_answer(self, line: str, number: int) -> bool:
        """Tell the answer from events and from late answers; break off when the controller starts anew."""
        if line.startswith(STARTED) and not line[len(STARTED) :].strip():
            self._homed = False
            raise AlarmError(
                self.link.device,
                "the controller started anew (its supply dipped?); what the cup held has fallen.",
                "Look where the coin is, put it back into its slot, then run the command again.",
            )
        match = ANSWER.match(line)
        return match is not None and int(match[1]) == number
