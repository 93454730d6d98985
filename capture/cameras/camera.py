"""What every camera can do, and what every driver of one shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from calibration.image import Image
from capture.store.records import now
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import EnvelopeError, NotConnectedError


@dataclass(frozen=True, eq=False)
class RawImage:
    """One exposure as it came from the camera.

    Attributes
    ----------
    image
        RGB, (H, W, 3) uint8.
    exposure_us, gain
        As the camera reports that it took the image.
    taken_at
        UTC, ISO 8601.
    sequence
        Counts the images of one connection from 1.
    zoom
        How much larger than at the usual focus the lens shows everything.
    """

    image: Image
    exposure_us: int
    gain: float
    taken_at: str
    sequence: int
    zoom: float = 1.0


class Camera(Protocol):
    """Looks at the plate. Every method raises a `rig.errors.DeviceError` when it fails."""

    @property
    def identity(self) -> Identity:
        """How it identified itself when it was connected."""

    def connect(self) -> Identity:
        """Open the camera, take a first image to be sure that it delivers, and ask who it is."""

    def close(self) -> None:
        """Let go of it. Safe to call twice, and after a failure."""

    def configure(self, exposure_us: int, gain: float) -> None:
        """Set exposure time (microseconds) and gain (factor); in force from the next image on."""

    def focus(self, height_mm: float | None) -> None:
        """Focus on a height above the plate (mm), None for where it stands usually; in force from the next image on.

        Raises
        ------
        EnvelopeError
            If its focus is not driven, or does not reach that.
        """

    def grab(self) -> RawImage:
        """Expose now: nothing of what happened before the call is in the image."""


class CameraConfig(BaseModel):
    """`camera:` of rig.yaml; each driver's config adds its kind and its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str

    @property
    def drives_focus(self) -> bool:
        """Whether the program can focus it."""
        return False

    def zoom(self, focus_mm: float) -> float:
        """How much larger than at the usual focus the image is when a height above the plate (mm) is in focus."""
        return 1.0


Config = TypeVar("Config", bound=CameraConfig)


class CameraDriver(Generic[Config]):
    """A camera with its identity, its settings and its count of images; a driver opens it and exposes."""

    def __init__(self, config: Config, clock: Clock, port: str) -> None:
        self._config = config
        self._clock = clock
        self._port = port
        self._name = f"camera on {port}"
        self._exposure_us = 20_000
        self._gain = 1.0
        self._focus_mm: float | None = None
        self._sequence = 0
        self._handle: Any = None  # what the driver opened; None while it is not connected
        self._identity = Identity(config.kind, port, "not connected")

    @property
    def identity(self) -> Identity:
        """How it identified itself when it was connected."""
        return self._identity

    def connect(self) -> Identity:
        """Open the camera, take a first image to be sure that it delivers, and ask who it is.

        Raises
        ------
        NotConnectedError
            If there is no such camera, another program has it, or it delivers nothing.
        EnvelopeError
            If it cannot do what rig.yaml asks of it.
        """
        self.close()
        self._sequence = 0
        self._identity = self._open()
        return self._identity

    def configure(self, exposure_us: int, gain: float) -> None:
        """Set exposure time (microseconds) and gain (factor); in force from the next image on."""
        self._exposure_us, self._gain = exposure_us, gain

    def focus(self, height_mm: float | None) -> None:
        """Focus on a height above the plate (mm), None for where it stands usually; in force from the next image on.

        Raises
        ------
        EnvelopeError
            If its focus is not driven.
        """
        if height_mm is not None and not self._config.drives_focus:
            raise EnvelopeError(self._name, "its focus is not driven.", "Leave `focus_mm` out of the plan.")
        self._focus_mm = height_mm

    def close(self) -> None:
        """Let go of the camera."""
        self._handle = None

    def _open(self) -> Identity:
        """Open the camera, set `_handle`, and return how the camera identifies itself."""
        raise NotImplementedError

    def _opened(self) -> Any:
        if self._handle is None:
            raise NotConnectedError(self._name, "it is not connected.", "Connect it first.")
        return self._handle

    def _raw_image(self, image: Image, exposure_us: int | None = None, gain: float | None = None) -> RawImage:
        """Count an image that was just taken; with the settings in force where the camera reports none of its own."""
        self._sequence += 1
        return RawImage(
            image,
            self._exposure_us if exposure_us is None else exposure_us,
            self._gain if gain is None else gain,
            now(),
            self._sequence,
            1.0 if self._focus_mm is None else self._config.zoom(self._focus_mm),
        )
