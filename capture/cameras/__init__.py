"""Camera drivers, one per file. A new one is its file and two lines here."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from capture.cameras.camera import Camera, Picture
from capture.cameras.opencv import OpenCvCamera, OpenCvConfig
from capture.cameras.picamera2 import Picamera2Camera, Picamera2Config
from capture.cameras.replay import ReplayCamera, ReplayConfig
from capture.cameras.twin import TwinCamera, TwinCameraConfig
from rig.clock import Clock
from rig.twin.coins.drawer import Drawer, ProceduralDrawer

__all__ = ["Camera", "CameraConfig", "Picture", "make_camera"]

AnyCameraConfig = OpenCvConfig | TwinCameraConfig | ReplayConfig | Picamera2Config
CameraConfig = Annotated[AnyCameraConfig, Field(discriminator="kind")]


def make_camera(config: AnyCameraConfig, clock: Clock, drawer: Drawer | None = None) -> Camera:
    """Return the camera that a `camera:` section of rig.yaml describes, not yet connected.

    `drawer` holds the coins that the twin's camera may see; without one they are made up from their names.
    """
    if isinstance(config, OpenCvConfig):
        return OpenCvCamera(config, clock)
    if isinstance(config, Picamera2Config):
        return Picamera2Camera(config, clock)
    if isinstance(config, ReplayConfig):
        return ReplayCamera(config, clock)
    return TwinCamera(config, clock, drawer or ProceduralDrawer())
