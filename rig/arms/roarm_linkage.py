"""The joints of a RoArm-M2: from a point to their angles, and back.

From github.com/waveshareteam/roarm_m2, c6ccc5b: the lengths of RoArm-M2_config.h (EEMode 0, the tip of the fore-arm),
`simpleLinkageIkRad` and `RoArmM2_computePosbyJointRad` of RoArm-M2_module.h. The latter leaves the offset of the
fore-arm out, so that what the firmware reports as z is up to 1.7 mm off what it was sent to; `point_at` does not.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from rig.bench import PointMm

UPPER_MM, UPPER_RAD = math.hypot(236.82, 30.0), math.atan2(30.0, 236.82)
FORE_MM, FORE_RAD = math.hypot(280.15, 1.73), math.atan2(1.73, 280.15)
# EEMode 1: the end servo is a wrist, with nothing on it (`configEEmodeType`; mount position 3-0, EoAT_A and EoAT_B 0).
FORE_1_MM, WRIST_MM, WRIST_RAD = 215.99, math.hypot(67.85, 5.98), math.atan2(5.98, 67.85)
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


def point_at(joints: Joints) -> PointMm:
    """Where the tip is."""
    return _chain(joints, (FORE_MM, fore_rad(joints) - FORE_RAD))


def reported_at(joints: Joints, mode: int, hand_rad: float = math.pi) -> PointMm:
    """Where the firmware reports the tip, by its EEMode; in mode 1 that depends on the wrist's angle, `hand_rad`."""
    if mode == 0:
        return _chain(joints, (FORE_MM, fore_rad(joints)))
    return _chain(joints, (FORE_1_MM, fore_rad(joints)), (WRIST_MM, math.pi - hand_rad - WRIST_RAD + fore_rad(joints)))


def fore_rad(joints: Joints) -> float:
    """How far the fore-arm rises above the horizontal."""
    return math.pi / 2 - joints.shoulder - joints.elbow


def _chain(joints: Joints, *links: tuple[float, float]) -> PointMm:
    """The end of links (mm, rad above the horizontal), the upper arm before them, in the direction of the base."""
    links = ((UPPER_MM, math.pi / 2 - joints.shoulder - UPPER_RAD), *links)
    radius_mm = sum(length_mm * math.cos(angle) for length_mm, angle in links)
    z_mm = sum(length_mm * math.sin(angle) for length_mm, angle in links)
    return (radius_mm * math.cos(joints.base), radius_mm * math.sin(joints.base), z_mm)
