"""A still of the twin's world: what the renderer is given. Plain data, so that either side can be tested alone.

The bench frame has its origin where the turntable's axis meets the plate, x to the right and y to the top of the
camera's image, z towards the camera; mm and degrees, counter-clockwise seen from above. A coin at ``rotation_deg`` 0
lies upright in the image when the plate is at 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from rig.sides import Side

Target = Literal["coins", "charuco", "white card", "colour chart", "chrome sphere"]


@dataclass(frozen=True)
class PlacedCoin:
    """A coin on the plate; its place and rotation are in the plate's frame, which turns."""

    coin: str
    side: Side
    x_mm: float
    y_mm: float
    rotation_deg: float


@dataclass(frozen=True)
class Lamp:
    """A distant lamp; ``intensity`` 1 is one lightbox sector of 60 degrees at full power."""

    azimuth_deg: float
    elevation_deg: float
    intensity: float
    colour_temperature_k: int = 5000


@dataclass(frozen=True)
class BoardPose:
    """Where board, chart or sphere lies (the white card needs no pose); the sphere has a place alone."""

    x_mm: float = 0.0
    y_mm: float = 0.0
    rotation_deg: float = 0.0
    tilt_deg: float = 0.0
    tilt_azimuth_deg: float = 0.0


@dataclass(frozen=True)
class CameraPose:
    """Where the camera is and looks.

    Attributes
    ----------
    tilt_deg
        How far it looks past straight down, towards the top of the image.
    turn_deg
        How far it is turned about the plate's axis as well, counter-clockwise, as by the base of an arm.
    lens_mm
        Where its lens is; None where it swings about the middle of the plate, at the height of `CameraModel`.
    """

    tilt_deg: float = 0.0
    turn_deg: float = 0.0
    lens_mm: tuple[float, float, float] | None = None


STRAIGHT_DOWN = CameraPose()


@dataclass(frozen=True)
class Scene:
    """Everything that decides what the camera sees."""

    plate_angle_deg: float = 0.0
    plate_speed_deg_s: float = 0.0
    coins: tuple[PlacedCoin, ...] = ()
    lamps: tuple[Lamp, ...] = ()
    target: Target = "coins"
    board: BoardPose = BoardPose()
    camera: CameraPose = STRAIGHT_DOWN
