"""An arm that holds the camera: each tilt is a pose that it was taught, and there is nothing else for it to know.

Which way the camera hangs on the arm is nobody's business here: a pose is a place of the arm's end and an angle of the
servo at it. Whether the camera sees from there what it saw when the pose was taught, the ring on the plate shows
(`calibration.camera_pose`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rig.bench import PointMm
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import AlarmError, EnvelopeError
from rig.link import SerialLink
from rig.registry import ARMS

NAME = "camera arm"
PointPx = tuple[float, float]
TEACH = "Teach it with `rig jog --camera`."


class TaughtPose(BaseModel):
    """A pose of the arm that holds the camera.

    Attributes
    ----------
    tilt_deg
        What the camera is tilted by there.
    end_mm, wrist_deg
        Place of the arm's end, in its own coordinates, and the angle of the servo at it.
    square_px
        Where the plate's middle was seen from there (`calibration.camera_pose.seen_square`); None if the ring was not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tilt_deg: float = Field(ge=0, le=60)
    end_mm: PointMm
    wrist_deg: float
    square_px: tuple[PointPx, PointPx, PointPx, PointPx] | None = None


class CameraArmConfig(BaseModel):
    """`camera_arm:` of rig.yaml. Coordinates are this arm's own (mm), not those of the arm with the cup."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    arm: ARMS.config_type() = Field(  # type: ignore[valid-type]
        default_factory=lambda: ARMS.drivers["uarm"][0].model_validate({"port": "twin://camera_arm"})
    )
    plate_mm: PointMm = Field(default=(340.0, 0.0, -200.0), description="the middle of the plate")
    keep_mm: float = Field(default=120.0, gt=0, description="its end never comes nearer to the middle of the plate")
    low_mm: PointMm = Field(
        default=(100.0, -120.0, -120.0), description="inside the lightbox: its end stays above this"
    )
    high_mm: PointMm = Field(default=(345.0, 120.0, 165.0), description="and below this")
    clear_deg: float = Field(default=0.0, ge=0, description="the other arm reaches the plate up to this tilt")
    settle_s: float = Field(default=0.8, ge=0, description="until the camera has stopped swaying")
    poses: tuple[TaughtPose, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _arm_has_a_port(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(values.get("arm"), dict):
            if values["arm"].get("kind") == "manual":
                raise ValueError("arm: a technician's hands hold no camera still: name an arm")
            return {**values, "arm": {"port": "twin://camera_arm", **values["arm"]}}
        return values

    @model_validator(mode="after")
    def _has_room(self) -> CameraArmConfig:
        if any(low >= high for low, high in zip(self.low_mm, self.high_mm, strict=True)):
            raise ValueError("every number of low_mm must be below that of high_mm")
        tilts = [pose.tilt_deg for pose in self.poses]
        if len(set(tilts)) < len(tilts):
            raise ValueError("poses: a tilt is there twice: keep one of the two")
        return self

    def pose_at(self, tilt_deg: float) -> TaughtPose | None:
        """The pose of a tilt, if it was taught."""
        return next((pose for pose in self.poses if abs(pose.tilt_deg - tilt_deg) < 1e-6), None)


class CameraArm:
    """See `rig.devices.CameraMount`.

    Parameters
    ----------
    config
        The arm, its room, and its poses.
    clock
        What it waits on.

    Attributes
    ----------
    end_mm
        Where its end was sent; None while that is not to be believed.
    """

    def __init__(self, config: CameraArmConfig, clock: Clock) -> None:
        self.config = config
        self.clock = clock
        driver = ARMS.drivers[config.arm.kind][1]
        link = SerialLink(config.arm.port, config.arm.baud, NAME, hold_dtr=driver.hold_dtr)
        self._arm: Any = driver(config.arm, clock, link)
        self.end_mm: PointMm | None = None

    def connect(self) -> Identity:
        """Connect the arm; nothing moves."""
        self.end_mm = None
        identity: Identity = self._arm.connect()
        return identity

    def close(self) -> None:
        """Let go of its port."""
        self.end_mm = None
        self._arm.close()

    def stop(self) -> None:
        """Stop it at once; it has to be homed again."""
        self.end_mm = None
        self._arm.stop()

    def home(self) -> None:
        """Find the reference position, upwards, away from the plate."""
        self.end_mm = None
        self._arm.home()
        self.end_mm = self._arm.position_mm()

    def wrist_deg(self) -> float:
        """Angle of the servo at its end, as the controller has it."""
        return float(self._arm.wrist_deg())

    def reaches_tilt(self, tilt_deg: float) -> bool:
        """Whether that tilt was taught."""
        return self.config.pose_at(tilt_deg) is not None

    def tilt_to(self, tilt_deg: float) -> float:
        """Bring the camera to the pose of a tilt, settle, and return the tilt, by what its servo reads back (deg).

        Raises
        ------
        EnvelopeError
            If it was not taught, or the way there leads too near to plate or walls; nothing is sent.
        AlarmError
            If it is not homed.
        DeviceError
            If it does not get there.
        """
        pose = self.config.pose_at(tilt_deg)
        if pose is None:
            raise EnvelopeError(NAME, f"it was taught no pose for {tilt_deg:g} degrees; nothing was sent.", TEACH)
        off_deg = self.go(pose.end_mm, pose.wrist_deg) - pose.wrist_deg
        self.clock.sleep(self.config.settle_s)
        return tilt_deg + abs(off_deg)

    def go(self, end_mm: PointMm, wrist_deg: float) -> float:
        """Move its end in a straight line, then turn the servo at it, and return the angle read back (deg).

        See `tilt_to` for what is raised.
        """
        self._check_way(end_mm)
        self._arm.check_wrist(wrist_deg)
        try:
            if end_mm != self.end_mm:
                self._arm.move_to(*end_mm)
            self.end_mm = end_mm
            return float(self._arm.turn_wrist(wrist_deg))
        except EnvelopeError:
            raise  # refused by the driver: nothing was sent
        except BaseException:
            self.end_mm = None
            raise

    def tilt_s(self, by_deg: float) -> float:
        """Time to tilt it by so much, settling included (s)."""
        if not by_deg:
            return 0.0
        poses = sorted(self.config.poses, key=lambda pose: pose.tilt_deg)
        share = 0.0
        if len(poses) > 1:
            first, last = poses[0], poses[-1]
            share = min(1.0, abs(by_deg) / (last.tilt_deg - first.tilt_deg))
            way_mm = share * float(np.linalg.norm(np.subtract(last.end_mm, first.end_mm)))
            return float(self._arm.estimate_s(way_mm) + self._arm.wrist_s(by_deg)) + self.config.settle_s
        return float(self._arm.wrist_s(by_deg)) + self.config.settle_s

    def _check_way(self, target_mm: PointMm) -> None:
        """Keep out of the walls and away from the plate, on the whole of a straight way."""
        if self.end_mm is None:
            raise AlarmError(NAME, "it is not homed, so it may not move.", "Run `rig home`.")
        where = "({:g}, {:g}, {:g}) mm".format(*target_mm)
        config = self.config
        if not all(low <= at <= high for low, at, high in zip(config.low_mm, target_mm, config.high_mm, strict=True)):
            raise EnvelopeError(
                NAME,
                f"{where} is outside its room in the lightbox, {config.low_mm} to {config.high_mm}; nothing sent.",
                "Teach the pose again with `rig jog --camera`, or correct `camera_arm: low_mm, high_mm` in rig.yaml.",
            )
        near_mm = _distance_to_way(config.plate_mm, self.end_mm, target_mm)
        if near_mm < config.keep_mm and not self._leads_away(target_mm):
            raise EnvelopeError(
                NAME,
                f"the way to {where} comes within {near_mm:.0f} mm of the plate; nothing was sent.",
                f"Lift it first: it keeps {config.keep_mm:g} mm away (`camera_arm: keep_mm` in rig.yaml).",
            )

    def _leads_away(self, target_mm: PointMm) -> bool:
        """Whether every step of the way leads away from the plate, where the arm is too near already."""
        plate, here, there = (np.array(each) for each in (self.config.plate_mm, self.end_mm, target_mm))
        return float((there - here) @ (here - plate)) >= 0


def _distance_to_way(point_mm: PointMm, start_mm: PointMm, end_mm: PointMm) -> float:
    """How near a straight way comes to a point."""
    point, start, end = (np.array(each) for each in (point_mm, start_mm, end_mm))
    way = end - start
    length = float(way @ way)
    share = 0.0 if not length else float(np.clip((point - start) @ way / length, 0.0, 1.0))
    return float(np.linalg.norm(start + share * way - point))
