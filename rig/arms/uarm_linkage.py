"""Where a uArm Swift Pro can reach: its linkage, as its firmware computes it.

From github.com/uArm-Developer/SwiftProForArduino, branch Version_V4.0, 43af4c9 (V4.10.0): `coord_effect2arm`,
`coord_to_angle` and `is_angle_legal` of src/uarm_coord_convert.c, the lengths and limits of its header, and the offsets
of the tools in src/uarm_common.h.
"""

from __future__ import annotations

import math
from typing import NamedTuple

LOWER_MM, UPPER_MM = 142.07, 158.81
SHOULDER_HEIGHT_MM, SHOULDER_RADIUS_MM = 107.4, 13.2
LOWER_DEG, UPPER_DEG, BETWEEN_DEG, BASE_DEG = (-4.0, 135.6), (-4.0, 119.9), (10.0, 151.0), (-90.0, 90.0)


class Tool(NamedTuple):
    """How far the tool's tip is below and in front of the end of the arm (mm)."""

    below_mm: float
    ahead_mm: float


# By work mode (`enum uarm_work_mode_e`); 7 (user) has offsets of its own in EEPROM.
TOOLS = {
    0: Tool(74.55, 56.65),  # normal: the suction cup
    1: Tool(51.04, 64.4),  # laser
    2: Tool(74.43, 56.5),  # printer
    3: Tool(43.0, 69.5),  # pen
    4: Tool(39.0, 76.5),
    5: Tool(73.4, 76.0),
    6: Tool(77.2, 54.5),  # touch pen
    8: Tool(0.0, 0.0),
    9: Tool(74.55, 56.65),
    10: Tool(74.55, 56.65),
    11: Tool(25.49, 44.5),
}


def can_reach(point_mm: tuple[float, float, float], tool: Tool = TOOLS[0]) -> bool:
    """Whether the firmware takes a point as the target of a move; else it answers E22."""
    x_mm, y_mm, z_mm = point_mm
    if x_mm < 0:
        return False
    base_deg = math.degrees(math.atan2(y_mm, x_mm))
    stretch_mm = math.hypot(x_mm, y_mm) - tool.ahead_mm - SHOULDER_RADIUS_MM
    height_mm = z_mm + tool.below_mm - SHOULDER_HEIGHT_MM
    square = stretch_mm**2 + height_mm**2
    try:
        lower_deg, upper_deg = _angles(stretch_mm, height_mm, square)
    except (ValueError, ZeroDivisionError):  # the firmware's NaN
        return False
    angles = ((lower_deg, LOWER_DEG), (upper_deg, UPPER_DEG), (180 - lower_deg - upper_deg, BETWEEN_DEG))
    return all(low <= angle <= high for angle, (low, high) in (*angles, (base_deg, BASE_DEG)))


def _angles(stretch_mm: float, height_mm: float, square: float) -> tuple[float, float]:
    """Angles of the lower and the upper arm (deg)."""
    part = LOWER_MM**2 - UPPER_MM**2 + square
    root = math.sqrt(4 * LOWER_MM**2 * square - part**2)
    lower = math.acos((stretch_mm * part - height_mm * root) / (square * 2 * LOWER_MM))
    part = UPPER_MM**2 - LOWER_MM**2 + square
    root = math.sqrt(4 * UPPER_MM**2 * square - part**2)
    upper = math.acos((stretch_mm * part + height_mm * root) / (square * 2 * UPPER_MM))
    if height_mm > LOWER_MM * math.sin(lower):
        upper = -upper
    if abs(height_mm) > UPPER_MM * math.sin(upper) and height_mm < 0:
        lower = -lower
    return math.degrees(lower), math.degrees(upper)
