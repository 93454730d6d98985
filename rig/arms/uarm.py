"""uArm Swift Pro with its suction cup, as the arm that handles coins.

Written to the developer guide, UFACTORY's Python SDK and the firmware's source (github.com/uArm-Developer:
uArm-Python-SDK, SwiftProForArduino, branch Version_V4.0, 43af4c9, and develop, 5ed403b, for firmware 3):

- ``#n command`` is answered by ``$n ok ...`` or ``$n En``. What the firmware prints meanwhile may stand before it on
  the same line: the pump's current (V4.10), or the number of a command that was stopped. Lines that begin with ``@``
  are events and come at any time.
- Firmware 3 answers a move when it is planned, firmware 4 when it is done: either way it has arrived only when
  ``P2220`` says so. Speed ``F`` is mm/min up to firmware 3 and mm/s from 4 on.
- A line is read only when the last half second of the move before it is planned. So it is stopped with Ctrl-X, which
  the receive interrupt takes; firmware 3 takes ``M410`` out of turn instead.
- ``P2231`` tells the pump: 0 off, 1 running, 2 running and something is held.
- Positions are those of the tool that is set in its EEPROM (``M2400``): another one is up to 75 mm off.
- A target that its linkage cannot reach is refused (E22). Folded, it can only go out and up at once.
- ``G2202 N3`` turns the servo at its end, in steps of 1.8 degrees; ``P2206 N3`` answers what it was sent to.
- Angle sensors know the position from power-up. Opening the port (DTR) restarts the controller, which stops the pump;
  so DTR is held from the first connection on, and an arm whose program was killed keeps its coin.
"""

from __future__ import annotations

import itertools
import logging
import math
import re
import time
from typing import Literal

from pydantic import Field

from rig.arms.arm import ArmConfig, SerialArm
from rig.arms.uarm_linkage import TOOLS, Tool, can_reach
from rig.bench import PointMm
from rig.clock import Clock
from rig.errors import DeviceError, EnvelopeError, NoAnswerError
from rig.link import SerialLink
from rig.serial_device import TRIES, retry

log = logging.getLogger(__name__)

ANSWER = re.compile(r"\$(\d+)\s+((?:ok|E\d+)\b[^$]*)", re.IGNORECASE)
POSITION = re.compile(r"X(-?\d{1,3}\.\d+)\s+Y(-?\d{1,3}\.\d+)\s+Z(-?\d{1,3}\.\d+)", re.IGNORECASE)
VERSION = re.compile(r"V?(\d+)\.\d+(?:\.\d+)?", re.IGNORECASE)
ANGLE = re.compile(r"V(-?\d{1,3}\.\d+)", re.IGNORECASE)
STATE = re.compile(r"V(\d+)", re.IGNORECASE)
STARTED = "@1"
STOPPED, RUNNING, HOLDING = 0, 1, 2  # what P2231 says of the pump
RISE_MM = 10.0

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
    work_mode: int = Field(
        default=0,
        ge=0,
        le=9,  # M2400 reads one digit: 10 and 11, which there are as well, would be taken for 1
        description="tool set in its firmware, by whose offsets it counts; 0: suction cup",
    )
    reach_mm: tuple[float, float] = Field(default=(50.0, 340.0), description="nearest and farthest from its axis")
    move_s: float = Field(default=20.0, gt=0, description="longest wait for a move (wall-clock)")


class UarmArm(SerialArm[UarmConfig]):
    """The arm."""

    stop_bytes = b"\x18\nM410\n"
    wrist_range_deg = (0.0, 180.0)
    wrist_deg_s = 150.0

    def __init__(self, config: UarmConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._numbers = itertools.cycle(range(1, 10000))
        self._firmware = 4

    def holds(self) -> bool:
        """Whether the pump feels something on the cup."""
        with self.link.lock:
            return self._pump_state() == HOLDING

    def position_mm(self) -> PointMm:
        """Position by the angle sensors (mm)."""
        with self.link.lock:
            match = self._read("P2220", POSITION)
            return (float(match[1]), float(match[2]), float(match[3]))

    def wrist_deg(self) -> float:
        """Angle that its end servo was sent to (deg): nothing senses it."""
        with self.link.lock:
            return float(self._read("P2206 N3", ANGLE)[1])

    def estimate_s(self, distance_mm: float) -> float:
        """Time a straight move takes (s)."""
        return distance_mm / self.config.speed_mm_s + 0.2 if distance_mm else 0.0

    def _greet(self) -> str:
        firmware = self._firmware_name()
        version = VERSION.search(firmware)
        if version is None:
            raise DeviceError(self.link.device, f"it reports {firmware!r} as its version.", "Is it a uArm Swift Pro?")
        self._firmware = int(version[1])
        if self._firmware >= 4:
            hardware = self._read("P2202", re.compile(r"V\S+"))[0]
            self._settings = {"hardware": hardware, "work mode": self._read("P2400", STATE)[1]}
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
                    lambda line, number=number: line.startswith(STARTED) or _answer(line, number) is not None,  # type: ignore[misc]
                    max(0.1, min(0.5, left_s)),
                    "P2203",
                )
            except NoAnswerError as error:
                if left_s > 0:
                    continue
                raise NoAnswerError(
                    self.link.device,
                    f"no answer to 'P2203' within {self.config.boot_s:g} s{self.link.heard()}.",
                    "Check its power, and that `port` and `kind` of the arm in rig.yaml are right: `rig devices`.",
                ) from error
            version = _answer(answer, number)
            if version is not None:
                return version.removeprefix("ok").strip()

    def _find_home(self) -> None:
        """Lock the motors, set the tool, go up as its linkage allows, then to the home position."""
        if self._read("P2234", STATE)[1] == "0":
            raise DeviceError(self.link.device, "its motors have no power.", "Switch the arm on, then run it again.")
        self._ask("M17")
        if self._firmware >= 4:
            self._set_work_mode()
        for point in (*way_up(self._at_rest(), self.config.home_mm[2], self._tool()), self.config.home_mm):
            self._move(point)

    def _set_work_mode(self) -> None:
        """Make sure that its positions are those of the tool that is fitted."""
        wanted = str(self.config.work_mode)
        found = self._read("P2400", STATE)[1]
        if found == wanted:
            return
        self._ask(f"M2400 S{wanted}")
        self._settings["work mode"] = self._read("P2400", STATE)[1]
        if self._settings["work mode"] != wanted:
            raise DeviceError(
                self.link.device,
                f"its work mode was to be {wanted} and is {self._settings['work mode']}.",
                "Set it with the maker's software, or correct `work_mode` of the arm in rig.yaml.",
            )
        log.warning(
            "%s: its work mode was %s; it is now %s, as rig.yaml says. Positions measured before are off.",
            self.link.device,
            found,
            wanted,
        )

    def _tool(self) -> Tool | None:
        return TOOLS.get(self.config.work_mode)

    def _check_reach(self, point: PointMm) -> None:
        x_mm, y_mm, z_mm = point
        near_mm, far_mm = self.config.reach_mm
        tool = self._tool()
        if not near_mm <= math.hypot(x_mm, y_mm) <= far_mm or (tool is not None and not can_reach(point, tool)):
            raise EnvelopeError(
                self.link.device,
                f"({x_mm:g}, {y_mm:g}, {z_mm:g}) mm is out of its reach, {near_mm:g} to {far_mm:g} mm from its "
                "axis and less at that height; nothing was sent.",
                "Correct the bench positions, or `reach_mm` of the arm, in rig.yaml.",
            )

    def _move(self, target: PointMm) -> None:
        feed = self.config.speed_mm_s if self._firmware >= 4 else self.config.speed_mm_s * 60
        x_mm, y_mm, z_mm = target
        self._ask(f"G1 X{x_mm:.2f} Y{y_mm:.2f} Z{z_mm:.2f} F{feed:.0f}", self.config.move_s)
        self._arrive(target)

    def _turn_wrist(self, angle_deg: float) -> float:
        by_deg = angle_deg - self.wrist_deg()
        self._ask(f"G2202 N3 V{angle_deg:.2f} F1")  # it is answered at once, and takes no speed, but is refused without
        self.clock.sleep(self.wrist_s(by_deg))
        return self.wrist_deg()

    def _suck(self, on: bool) -> None:
        self._ask(f"M2231 V{int(on)}")
        if not on and not self._wait_for_pump(STOPPED):
            raise DeviceError(
                self.link.device, "the pump does not stop.", "Switch the arm off and on, then `rig home`."
            )

    def _takes_hold(self) -> bool:
        if self._wait_for_pump(HOLDING):
            return True
        if self._pump_state() == STOPPED:
            raise DeviceError(
                self.link.device, "the pump does not run.", "Check that the pump is plugged in, and its fuse."
            )
        return False

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
        code, _, rest = (_answer(answer, number) or "").partition(" ")
        if code.lower() == "ok":
            return rest
        raise _RefusedError(self.link.device, command, code.upper())

    def _is_answer(self, line: str, number: int) -> bool:
        """Tell the answer from events and from late answers; raise when the controller restarts."""
        if line.startswith(STARTED) and not line[len(STARTED) :].strip():
            raise self._restarted()
        return _answer(line, number) is not None


def _answer(line: str, number: int) -> str | None:
    """What a line answers to a numbered command, wherever on it the answer stands; None if it answers another."""
    return next((match[2].strip() for match in ANSWER.finditer(line) if int(match[1]) == number), None)


def way_up(point_mm: PointMm, height_mm: float, tool: Tool | None) -> list[PointMm]:
    """Corners on the way up to a height, as straight up as the linkage can; none if it is up already."""
    x_mm, y_mm, z_mm = point_mm
    radius_mm = start_mm = math.hypot(x_mm, y_mm)
    way: list[PointMm] = []
    corner_mm = radius_mm
    while z_mm < height_mm - 1.0:
        z_mm = min(z_mm + RISE_MM, height_mm)
        for by_mm in (0.0, *(sign * step for step in range(1, 200) for sign in (1.0, -1.0))):
            share = (radius_mm + by_mm) / start_mm
            if tool is None or can_reach((x_mm * share, y_mm * share, z_mm), tool):
                break
        else:
            break  # no way: the controller will refuse the home position
        radius_mm += by_mm
        if way and radius_mm == corner_mm:
            way.pop()
        way.append((x_mm * share, y_mm * share, z_mm))
        corner_mm = radius_mm
    return way


class _RefusedError(DeviceError):
    """The controller answered ``En``: nothing moved. A lost byte may have made a wrong command of a right one."""

    def __init__(self, device: str, command: str, code: str) -> None:
        super().__init__(
            device,
            f"{command!r} was refused: {code} ({ERRORS.get(code, 'see the uArm developer guide')}).",
            "Correct the bench positions in rig.yaml." if code == "E22" else "Switch it off and on, then `rig home`.",
        )
