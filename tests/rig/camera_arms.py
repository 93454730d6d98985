"""An arm that holds the twin's camera, as it was taught by somebody with a perfect eye."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rig.arms.uarm_emulator import servo_deg
from rig.camera_arm import CameraArmConfig, TaughtPose
from rig.clock import ScaledClock
from rig.station import StationConfig
from rig.twin.camera_arm import CameraArmBody
from rig.twin.scene import CameraPose
from rig.twin.world import World

Square = tuple[tuple[float, float], ...]
QUICK: dict[str, dict[str, Any]] = {
    "uarm": {"answer_s": 0.3, "boot_s": 1.0, "move_s": 2.0},
    "dobot": {"answer_s": 0.3, "boot_s": 1.0, "move_s": 2.0, "homing_s": 2.0},
    "roarm": {"answer_s": 0.3, "boot_s": 3.0},
}
TILTS = (0.0, 20.0, 40.0)
DISTANCE_MM = 250.0


def with_camera_arm(
    config: StationConfig, kind: str, see: Callable[[CameraPose], Square | None] = lambda pose: None
) -> StationConfig:
    """The same rig with its camera on an arm; `see` is what was seen of the plate from a pose."""
    holder = CameraArmConfig.model_validate({"arm": {"kind": kind, "port": "twin://camera_arm", **QUICK[kind]}})
    poses = []
    for tilt_deg in TILTS:
        world = World(config.bench, ScaledClock(math.inf))
        end_mm, wrist_deg = CameraArmBody(world, kind, holder.plate_mm).end_for(tilt_deg, DISTANCE_MM)
        world.state.camera_arm_mm = end_mm
        turned_deg = servo_deg((180 - round(wrist_deg, 2)) / 180 * 2 + 0.5) if kind == "uarm" else wrist_deg
        world.state.camera_wrist_deg = turned_deg
        seen = see(CameraArmBody(world, kind, holder.plate_mm).pose())
        poses.append(
            TaughtPose.model_validate(
                {"tilt_deg": tilt_deg, "end_mm": end_mm, "wrist_deg": round(wrist_deg, 2), "square_px": seen}
            )
        )
    return config.model_copy(update={"camera_arm": holder.model_copy(update={"poses": tuple(poses)})})
