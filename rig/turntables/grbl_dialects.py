"""The firmwares that speak GRBL: how each introduces itself, and what to change in it to make it turn a plate.

Written to gnea/grbl bfb67f0 (report.c, config.h, settings.c), grblHAL/core f80fc34 (report.c, settings.h, errors.h,
alarms.h) and bdring/FluidNC e952f33 (Report.cpp, SettingsDefinitions.cpp, Machine/Axis.cpp, Machine/Homing.h, Error.h,
Protocol.cpp).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BANNER = re.compile(
    r"(?P<name>Grbl(?:HAL)?) (?P<version>\d+\.\w+)(?: \[(?P<fork>[A-Za-z]\S*) (?P<fork_version>[\w.-]+))?"
)
AXES = "XYZABC"
REPORT_INCHES, SOFT_LIMITS, HARD_LIMITS, HOMING = "$13", "$20", "$21", "$22"
HOMING_CYCLES = ("$44", "$45", "$46", "$47", "$48", "$49")  # of grblHAL: bits of the axes that home in each
SINGLE_AXIS = 2  # bit of grblHAL's $22

ALARMS = {
    1: "hard limit: a limit switch was hit, position lost",
    2: "soft limit: the target is beyond the machine's travel",
    3: "reset in motion, position lost",
    6: "homing was interrupted by a reset",
    7: "homing was interrupted by the safety door",
    8: "homing could not clear the switch by pulling off",
    9: "homing did not find the switch",
    10: "homing did not find the second switch, or the emergency stop is pressed",
    11: "it wants to be homed",
    12: "a limit switch is pressed",
    14: "it is not homed",
    17: "a motor driver reports a fault",
}
HOMING_DISABLED = 5
ERRORS = {
    HOMING_DISABLED: "homing is not enabled",
    8: "only possible when idle",
    9: "locked until homed",
    13: "its safety door is open",
    15: "beyond the machine's travel",
    18: "no homing cycle is set",
    19: "this axis does not home by itself",
    20: "unsupported command",
    33: "invalid target",
    40: "an input pin is active since it started",
    152: "its config.yaml is invalid: see what it says while it starts",
}


@dataclass(frozen=True)
class Dialect:
    """One firmware, and the words for what a turntable needs of it.

    Attributes
    ----------
    name
        What it is called in messages.
    off
        What switches a setting off that a plate cannot turn with, by the setting's number.
    homing
        What switches homing on.
    one_switch, two_switches
        What makes it home with one switch, on the plate's axis; and with two, the other on the axis of the tilt.
    """

    name: str
    off: dict[str, str]
    homing: str
    one_switch: str
    two_switches: str


def _send(*settings: str) -> str:
    return f"Send it {' and '.join(settings)} once with a terminal program, then `rig home`."


GRBL = Dialect(
    "GRBL",
    {number: _send(f"{number}=0") for number in (REPORT_INCHES, SOFT_LIMITS, HARD_LIMITS)},
    "Set $22=1 and wire a homing switch.",
    "Check the switch. A stock build homes Z first, then X and Y together, so one switch is never enough for it: "
    "in its config.h make HOMING_CYCLE_0 (1<<{axis}_AXIS) and comment out HOMING_CYCLE_1, or define "
    "HOMING_SINGLE_AXIS_COMMANDS, and flash it again.",
    "Check both switches. A stock build homes Z first: in its config.h make HOMING_CYCLE_0 (1<<{tilt}_AXIS) and "
    "HOMING_CYCLE_1 (1<<{axis}_AXIS), or define HOMING_SINGLE_AXIS_COMMANDS, and flash it again.",
)
GRBLHAL = Dialect(
    "grblHAL",
    GRBL.off,
    "Set $22=1 and wire a homing switch.",
    "Check the switch. As sold it homes Z first, then X and Y: send it $22=3 (each axis homes by itself), or "
    "$44={bit}, $45=0 and $46=0 (only {axis} homes), then `rig home`.",
    "Check both switches. As sold it homes Z first, then X and Y: send it $22=3 (each axis homes by itself), or "
    "$44={tilt_bit}, $45={bit} and $46=0 (first {tilt}, then {axis}), then `rig home`.",
)
FLUIDNC = Dialect(
    "FluidNC",
    {
        REPORT_INCHES: "Set `report_inches: false` in its config.yaml, restart it, then `rig home`.",
        SOFT_LIMITS: "Set `soft_limits: false` for the axis in its config.yaml, restart it, then `rig home`.",
        HARD_LIMITS: "Set `hard_limits: false` for the axis in its config.yaml, restart it, then `rig home`.",
    },
    "Give the axis a `homing:` section in its config.yaml (`cycle: 1`), wire a homing switch, and restart it.",
    "Check the switch, and `homing:` and the limit pins of axis {axis} in its config.yaml.",
    "Check both switches, and `homing:` and the limit pins of axes {axis} and {tilt} in its config.yaml.",
)


def identify(banner: str, build: list[str]) -> tuple[Dialect, str] | None:
    """Which firmware it is, and its name and version; None if it is another one that begins its banner with Grbl.

    Parameters
    ----------
    banner
        What it says when it starts.
    build
        What it answers to ``$I``.
    """
    found = BANNER.search(banner)
    if found is None:
        return None
    if found["fork"] == "FluidNC":
        return FLUIDNC, f"FluidNC {found['fork_version']}"
    if not found["version"].startswith("1.1") or found["fork"]:
        return None
    if found["name"] == "GrblHAL" or "[FIRMWARE:grblHAL]" in build:  # it may be built to call itself Grbl
        date = next((line[5:].partition(":")[0] for line in build if line.startswith("[VER:")), found["version"])
        return GRBLHAL, f"grblHAL {date}"
    return GRBL, f"Grbl {found['version']}"


def homes_axis_alone(dialect: Dialect, build: list[str], settings: Mapping[str, str]) -> bool:
    """Whether ``$HX`` homes one axis and leaves the others in peace."""
    if dialect is FLUIDNC:
        return True
    if dialect is GRBLHAL:
        return bool(number(settings, HOMING) & SINGLE_AXIS)
    options = next((line[5:].partition(",")[0] for line in build if line.startswith("[OPT:")), "")
    return "H" in options


def homes_others(dialect: Dialect, settings: Mapping[str, str], axes: Sequence[str]) -> bool:
    """Whether it is known, before it moves, that other axes than these would have to find a switch."""
    mine = sum(1 << AXES.index(axis) for axis in axes)
    return dialect is GRBLHAL and any(number(settings, cycle) & ~mine for cycle in HOMING_CYCLES)


def switches_remedy(dialect: Dialect, axes: Sequence[str]) -> str:
    """What to do where it homes other axes than those that have a switch: the plate's, and the tilt's if any."""
    plate, tilt = axes[0], axes[-1]
    text = dialect.one_switch if plate == tilt else dialect.two_switches
    return text.format(axis=plate, tilt=tilt, bit=1 << AXES.index(plate), tilt_bit=1 << AXES.index(tilt))


def number(settings: Mapping[str, str], name: str) -> int:
    """A setting that is a number of flags; 0 if it is not reported."""
    value = settings.get(name, "0")
    return int(value) if value.isdecimal() else 0


def axis_value(settings: Mapping[str, str], first: int, axis: str) -> float | None:
    """A setting that each axis has its own of, above 0; None if it is not reported."""
    try:
        value = float(settings[f"${first + AXES.index(axis)}"])
    except (KeyError, ValueError):
        return None
    return value if value > 0 else None
