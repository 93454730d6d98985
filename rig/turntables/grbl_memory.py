"""What a GRBL controller keeps in its EEPROM: `$`-settings and startup lines, printed as the firmware prints them.

Written after gnea/grbl bfb67f0 (v1.1h but for a version text): defaults.h (DEFAULTS_GENERIC), report.c, settings.c,
system.c.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

INVALID_STATEMENT, BAD_NUMBER, NEGATIVE, SOFT_LIMITS_NEED_HOMING = 3, 2, 4, 10
STATUS_REPORT, REPORT_INCHES, SOFT_LIMITS, HARD_LIMITS, HOMING, HOMING_DOWN = 10, 13, 20, 21, 22, 23
HOMING_FEED, HOMING_SEEK, DEBOUNCE_MS, PULL_OFF = 24, 25, 26, 27
STEPS, MAX_RATE, ACCELERATION, MAX_TRAVEL = 100, 110, 120, 130  # steps/deg, deg/min, deg/s², deg
# Numbers that are printed without decimals.
WHOLE = (0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 30, 31, 32)

# DEFAULTS_GENERIC: what a controller comes with.
AS_SOLD: dict[int, float] = {
    0: 10,
    1: 25,
    2: 0,
    3: 0,
    4: 0,
    5: 0,
    6: 0,
    STATUS_REPORT: 1,
    11: 0.01,
    12: 0.002,
    REPORT_INCHES: 0,
    SOFT_LIMITS: 0,
    HARD_LIMITS: 0,
    HOMING: 0,
    HOMING_DOWN: 0,
    HOMING_FEED: 25.0,
    HOMING_SEEK: 500.0,
    DEBOUNCE_MS: 250,
    PULL_OFF: 1.0,
    30: 1000,
    31: 0,
    32: 0,
    STEPS: 250.0,
    MAX_RATE: 500.0,
    ACCELERATION: 10.0,
    MAX_TRAVEL: 200.0,
}
# What a lab sets for a turntable of 3600 deg/min; of those from 100 on for the plate's axis alone.
FOR_A_TURNTABLE: dict[int, float] = {
    1: 255,
    HOMING: 1,
    HOMING_FEED: 300.0,
    HOMING_SEEK: 2700.0,
    MAX_RATE: 3600.0,
    ACCELERATION: 150.0,
    MAX_TRAVEL: 360.0,
}
# And for the axis that tilts the camera, which is homed downwards.
FOR_A_TILT: dict[int, float] = {MAX_RATE: 1200.0, ACCELERATION: 60.0, MAX_TRAVEL: 100.0}
EEPROM_BYTE_S = 0.0034  # to write a byte, with interrupts off: what is received meanwhile is lost
BYTES = 5  # of a setting and its checksum


class Memory:
    """Settings by number, with those of each axis from 100 on; survives a reset.

    Parameters
    ----------
    letters
        The axes there are.
    axis
        The one that turns the plate.
    changed
        Settings that are not as sold.
    tilt
        The one that tilts the camera, if there is one.
    """

    def __init__(self, letters: str, axis: str, changed: Mapping[int, float], tilt: str | None = None) -> None:
        self.settings: dict[int, float] = {}
        for number, value in AS_SOLD.items():
            if number < STEPS:
                self.settings[number] = changed.get(number, value)
                continue
            for index, letter in enumerate(letters):
                own = {axis: changed, tilt: FOR_A_TILT}.get(letter, {})
                self.settings[number + index] = own.get(number, value)
        if tilt is not None:
            self.settings[HOMING_DOWN] = 1 << letters.index(tilt)
        self.startup = {0: "", 1: ""}

    def printed(self) -> str:
        """The answer to ``$$``."""
        return "".join(
            f"${number}={value:.0f}\r\n" if number in WHOLE else f"${number}={value:.3f}\r\n"
            for number, value in self.settings.items()
        )

    def startup_printed(self) -> str:
        """The answer to ``$N``."""
        return "".join(f"$N{number}={line}\r\n" for number, line in self.startup.items())

    def store(self, line: str) -> tuple[int, float]:
        """Obey ``$n=value``: the error number, and how long the EEPROM is busy (s)."""
        assignment = re.fullmatch(r"\$(\d+(?:\.\d*)?)(.*)", line)
        if assignment is None:
            return BAD_NUMBER, 0.0
        if not assignment[2].startswith("="):
            return INVALID_STATEMENT, 0.0
        value = re.match(r"=([-+]?(?:\d+\.?\d*|\.\d+))", assignment[2])
        if value is None:
            return BAD_NUMBER, 0.0
        number = int(float(assignment[1]))
        if value.end() != len(assignment[2]) or number not in self.settings:
            return INVALID_STATEMENT, 0.0
        if float(value[1]) < 0:
            return NEGATIVE, 0.0
        if number == SOFT_LIMITS and float(value[1]) and not self.settings[HOMING]:
            return SOFT_LIMITS_NEED_HOMING, 0.0
        return 0, self._keep(number, float(value[1]))

    def _keep(self, number: int, value: float) -> float:
        changed = self.settings[number] != value
        self.settings[number] = value
        if number == HOMING and not value:
            self.settings[SOFT_LIMITS] = 0
        return BYTES * EEPROM_BYTE_S if changed else 0.0  # a byte that stays as it is is not written
