"""The arm that holds the twin's camera: where its lens truly is, whatever joints and controller say.

An arm bends under the camera, comes back to a pose a little beside it each time, and creeps. None of its sensors feels
that: only the camera sees it, by the ring on the plate.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import numpy as np

from rig.arms.roarm_linkage import fore_rad, joints_at
from rig.bench import PointMm
from rig.twin.arm_body import F
from rig.twin.faults import Drift
from rig.twin.motion import Point, StraightMove, at_rest
from rig.twin.scene import CameraPose
from rig.twin.world import World

NAME = "camera_arm"
REPEATS_MM = 0.2  # three standard deviations of where a move ends, as makers state it for such arms
SAG_MM = 0.4  # how far the camera's weight pulls it down at a reach of `SAG_REACH_MM`
SAG_REACH_MM = 320.0
LENS_MM = (10.0, -20.0)  # of the lens from the arm's end, ahead and upwards, while it looks straight down

# By kind of arm: how far the camera looks past straight down, for a place of the arm's end and an angle of its servo,
# whose axis lies across the arm.
TILTS: dict[str, Callable[[PointMm, float], float]] = {
    "uarm": lambda end_mm, wrist_deg: wrist_deg - 90.0,
    "dobot": lambda end_mm, wrist_deg: wrist_deg - base_deg(end_mm),  # its R counts from the x axis, not from the arm
    "roarm": lambda end_mm, wrist_deg: fore_deg(end_mm) + 180.0 - wrist_deg,
}


def base_deg(end_mm: PointMm) -> float:
    """How far an arm's base is turned."""
    return math.degrees(math.atan2(end_mm[1], end_mm[0]))


def fore_deg(end_mm: PointMm) -> float:
    """How far a RoArm's fore-arm rises above the horizontal."""
    joints = joints_at(end_mm)
    return math.degrees(fore_rad(joints)) if joints is not None else 0.0


class CameraArmBody:
    """See `rig.twin.arm_body.ArmBody`. It has no pump.

    Parameters
    ----------
    world
        The clock, the faults, and the file that keeps where the arm is.
    kind
        Of the arm.
    plate_mm
        The middle of the plate, in the arm's coordinates; its x axis points to the top of the image.
    """

    suction = False

    def __init__(self, world: World, kind: str, plate_mm: PointMm) -> None:
        self.world = world
        self.clock = world.clock
        self._tilt = TILTS[kind]
        self._plate_mm = plate_mm
        self._end = [at_rest(world.state.camera_arm_mm)]
        self._wrist = [at_rest((world.state.camera_wrist_deg,))]

    def pose(self) -> CameraPose:
        """Where the camera truly is, on the bench."""
        end_mm, wrist_deg = self.cup_mm(), self.wrist_deg()
        tilt_deg, turn_deg = self._tilt(end_mm, wrist_deg), base_deg(end_mm)
        held_mm = tuple(at + off for at, off in zip(end_mm, self._off_mm(end_mm), strict=True))
        return CameraPose(tilt_deg, turn_deg, self.rigid_pose((held_mm[0], held_mm[1], held_mm[2]), tilt_deg))

    def end_for(self, tilt_deg: float, distance_mm: float) -> tuple[PointMm, float]:
        """Place of the arm's end, and angle of its servo, from which a perfect arm looks at the middle of the plate."""
        x_mm, y_mm, z_mm = self._plate_mm
        tilt = math.radians(tilt_deg)
        ahead_mm, up_mm = _turned(LENS_MM, tilt)
        radius_mm = math.hypot(x_mm, y_mm) - distance_mm * math.sin(tilt) - ahead_mm
        base = math.atan2(y_mm, x_mm)
        height_mm = z_mm + distance_mm * math.cos(tilt) - up_mm
        end_mm = (radius_mm * math.cos(base), radius_mm * math.sin(base), height_mm)
        slope = self._tilt(end_mm, 1.0) - self._tilt(end_mm, 0.0)
        return end_mm, (tilt_deg - self._tilt(end_mm, 0.0)) / slope

    def rigid_pose(self, end_mm: PointMm, tilt_deg: float) -> PointMm:
        """Where the lens would be on the bench if the arm neither bent nor erred (mm)."""
        ahead_mm, up_mm = _turned(LENS_MM, math.radians(tilt_deg))
        turn = math.radians(base_deg(end_mm))
        x_mm, y_mm, z_mm = end_mm
        return self._on_bench((x_mm + ahead_mm * math.cos(turn), y_mm + ahead_mm * math.sin(turn), z_mm + up_mm))

    def cup_mm(self) -> PointMm:
        """Position of the arm's end, as its joints have it."""
        x_mm, y_mm, z_mm = self.world.current(self._end).at(self.clock.now())
        return (x_mm, y_mm, z_mm)

    def carry(self, target_mm: Point, speed: float, acceleration: float, start_s: float) -> None:
        """Move its end in a straight line."""
        with self.world.lock:
            self.world.append(self._end, NAME, target_mm, speed, acceleration, start_s)
            self.world.state.camera_arm_moves += 1
            self.keep()

    def stop_cup(self) -> None:
        """Stop dead, wherever it is, the servo too."""
        with self.world.lock:
            now_s = self.clock.now()
            self._end = [self.world.current(self._end).stopped_at(now_s)]
            self._wrist = [self.world.current(self._wrist).stopped_at(now_s)]
            self.keep()

    def turn_wrist(self, to_deg: float, speed_deg_s: float) -> None:
        """Turn the servo at its end."""
        with self.world.lock:
            here = (self.wrist_deg(),)
            self._wrist = [StraightMove(self.clock.now(), here, (to_deg,), speed_deg_s, 20 * speed_deg_s)]
            self.keep()

    def wrist_deg(self) -> float:
        """Angle of that servo."""
        return self.world.current(self._wrist).at(self.clock.now())[0]

    def suck(self, on: bool) -> None:
        """There is no pump."""

    def pump_is_dead(self) -> bool:
        """There is none that could be."""
        return False

    def cup_holds(self) -> bool:
        """It holds the camera, and nothing else."""
        return False

    def strikes(self, kind: type[F], device: str) -> F | None:
        """The fault of this kind that strikes in this arm's latest move."""
        return self.world.strikes(kind, NAME)

    def is_deaf_to_stop(self, device: str) -> bool:
        """Whether this arm's controller does not obey a stop."""
        return self.world.is_deaf_to_stop(NAME)

    def keep(self) -> None:
        """Note where it is going, for the next program."""
        x_mm, y_mm, z_mm = self._end[-1].target
        self.world.state.camera_arm_mm = (x_mm, y_mm, z_mm)
        self.world.state.camera_wrist_deg = self._wrist[-1].target[0]
        self.world.save()

    def _off_mm(self, end_mm: PointMm) -> PointMm:
        """How far the arm's end is from where its joints have it."""
        moves = self.world.state.camera_arm_moves
        chance = random.Random(f"{self.world.seed} camera arm {moves}")
        errs_mm = [chance.gauss(0.0, REPEATS_MM / 3) for _ in range(3)]
        crept_mm = np.sum(
            [
                np.array(fault.mm_per_move) * max(0, moves - fault.after_moves)
                for fault in self.world.faults
                if isinstance(fault, Drift)
            ],
            axis=0,
        )
        sag_mm = SAG_MM * (math.hypot(*end_mm[:2]) / SAG_REACH_MM) ** 2
        x_mm, y_mm, z_mm = np.array(errs_mm) + crept_mm - (0.0, 0.0, sag_mm)
        return (float(x_mm), float(y_mm), float(z_mm))

    def _on_bench(self, point_mm: PointMm) -> PointMm:
        x_mm, y_mm, z_mm = (here - plate for here, plate in zip(point_mm, self._plate_mm, strict=True))
        return (-y_mm, x_mm, z_mm)


def _turned(ahead_and_up_mm: tuple[float, float], tilt: float) -> tuple[float, float]:
    """The lens's place beside the arm's end, as the servo turns it."""
    ahead_mm, up_mm = ahead_and_up_mm
    return ahead_mm * math.cos(tilt) - up_mm * math.sin(tilt), ahead_mm * math.sin(tilt) + up_mm * math.cos(tilt)
