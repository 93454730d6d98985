"""Camera drivers, one per file. A new one is its file and a line in `CAMERAS`."""

from __future__ import annotations

from capture.cameras.camera import Camera, RawImage
from capture.cameras.opencv import OpenCvCamera, OpenCvConfig
from capture.cameras.picamera2 import Picamera2Camera, Picamera2Config
from capture.cameras.replay import ReplayCamera, ReplayConfig
from capture.cameras.twin import TwinCamera, TwinCameraConfig
from rig.registry import Registry

__all__ = ["CAMERAS", "Camera", "RawImage"]

CAMERAS = Registry(
    "camera",
    {
        "opencv": (OpenCvConfig, OpenCvCamera),
        "twin": (TwinCameraConfig, TwinCamera),
        "replay": (ReplayConfig, ReplayCamera),
        "picamera2": (Picamera2Config, Picamera2Camera),
    },
)
