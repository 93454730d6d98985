"""What every camera can do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from calibration.image import Image
from rig.devices import Identity


@dataclass(frozen=True, eq=False)
class Picture:
    """One exposure as it came from the camera.

    Attributes
    ----------
    image
        RGB, (H, W, 3) uint8.
    exposure_us, gain
        As the camera says it took the picture.
    taken_at
        UTC, ISO 8601.
    sequence
        Counts the pictures of one connection from 1.
    """

    image: Image
    exposure_us: int
    gain: float
    taken_at: str
    sequence: int


class Camera(Protocol):
    """Looks at the plate. Every method raises a `rig.errors.DeviceError` when it fails."""

    @property
    def identity(self) -> Identity:
        """Who it said it is when it was connected."""

    def connect(self) -> Identity:
        """Open the camera, take a first picture to be sure that it delivers, and ask who it is."""

    def close(self) -> None:
        """Let go of it. Safe to call twice, and after a failure."""

    def configure(self, exposure_us: int, gain: float) -> None:
        """Set exposure time (microseconds) and gain (factor); in force from the next picture on."""

    def grab(self) -> Picture:
        """Expose now: nothing of what happened before the call is in the picture."""
