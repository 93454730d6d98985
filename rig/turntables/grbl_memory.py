"""What a GRBL controller keeps in its EEPROM: `$`-settings and startup lines, printed as the firmware prints them.

Written after github.com/gnea/grbl: report.c, settings.c, system.c, defaults.h.
"""

from __future__ import annotations

import re

INVALID_STATEMENT, BAD_NUMBER, NEGATIVE, SOFT_LIMITS_NEED_HOMING = 3, 2, 4, 10
PER_AXIS = {100: 250.0, 110: 3600.0, 120: 150.0, 130: 360.0}  # steps/deg, deg/min, deg/s², deg
# Numbers that are printed without decimals.
WHOLE = (0, 1, 2, 3, 4, 5, 6, 10, 13, 20, 21, 22, 23, 26, 30, 31, 32)
STATUS_REPORT, REPORT_INCHES, SOFT_LIMITS, HOMING, HOMING_FEED, HOMING_SEEK, PULL_OFF = 10, 13, 20, 22, 24, 25, 27
MAX_RATE, ACCELERATION, MAX_TRAVEL = 110, 120, 130
DEFAULTS = {
    0: 10,
    1: 255,
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
    21: 0,
    HOMING: 1,
    23: 0,
    HOMING_FEED: 300.0,
    HOMING_SEEK: 2700.0,
    26: 250,
    PULL_OFF: 1.0,
    30: 1000,
    31: 0,
    32: 0,
}
EEPROM_BYTE_S = 0.0034  # to write a byte, with interrupts off: what is received meanwhile is lost
BYTES = 5  # of a setting and its checksum


class Memory:
    """Settings by number, with those of each axis from 100 on; survives a reset."""

    def __init__(self, letters: str) -> None:
        self.settings: dict[int, float] = dict(DEFAULTS)
        for first, value in PER_AXIS.items():
            self.settings.update({first + number: value for number in range(len(letters))})
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
