"""The joints of a RoArm-M2: from a point to their angles, and back.

From github.com/waveshareteam/roarm_m2, c6ccc5b: the lengths of RoArm-M2_config.h (EEMode 0, the tip of the fore-arm),
`simpleLinkageIkRad` and `RoArmM2_computePosbyJointRad` of RoArm-M2_module.h. The latter leaves the offset of the
fore-arm out, so that what the firmware reports as z is up to 1.7 mm off what it was sent to; here both ways agree.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rig.bench import PointMm

UPPER_MM, UPPER_RAD = math.hypot(236.82, 30.0), math.atan2(30.0, 236.82)
FORE_MM, FORE_RAD = math.hypot(280.15, 1.73), math.atan2(1.73, 280.15)
SHOULDER_RAD = (-math.pi / 2, math.pi / 2)
ELBOW_RAD = (-math.pi / 4, 3.14)  # what its servo is limited to, in steps 512 to 3071


class Joints(NamedTuple):
    """Angles of base, shoulder and elbow (rad), as the firmware counts them."""

    base: float
    shoulder: float
    elbow: float


def joints_at(point_mm: PointMm) -> Joints | None:
    """Angles for a point; None where the firmware would find none, or a servo is limited."""
    x_mm, y_mm, z_mm = point_mm
    reach_mm = math.hypot(x_mm, y_mm, z_mm)
    if not abs(UPPER_MM - FORE_MM) < reach_mm < UPPER_MM + FORE_MM:
        return None
    at_shoulder = math.acos((UPPER_MM**2 + reach_mm**2 - FORE_MM**2) / (2 * UPPER_MM * reach_mm)) + UPPER_RAD
    at_hand = math.acos((FORE_MM**2 + reach_mm**2 - UPPER_MM**2) / (2 * FORE_MM * reach_mm))
    shoulder = math.pi / 2 - math.atan2(z_mm, math.hypot(x_mm, y_mm)) - at_shoulder
    elbow = at_shoulder + at_hand - FORE_RAD
    if not (SHOULDER_RAD[0] <= shoulder <= SHOULDER_RAD[1] and ELBOW_RAD[0] <= elbow <= ELBOW_RAD[1]):
        return None
    return Joints(math.atan2(y_mm, x_mm), shoulder, elbow)


def point_at(joints: Joints, fore_rad: float = FORE_RAD) -> PointMm:
    """Where the tip is; with `fore_rad` 0, where the firmware reports it."""
    upper = math.pi / 2 - joints.shoulder - UPPER_RAD
    fore = math.pi / 2 - joints.shoulder - joints.elbow - fore_rad
    radius_mm = UPPER_MM * math.cos(upper) + FORE_MM * math.cos(fore)
    z_mm = UPPER_MM * math.sin(upper) + FORE_MM * math.sin(fore)
    return (radius_mm * math.cos(joints.base), radius_mm * math.sin(joints.base), z_mm)
