"""The twin's camera: sees what the world of this process shows at the moment of exposure."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from calibration.image import Image
from capture.cameras.camera import Picture
from capture.store.records import now
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import NotConnectedError
from rig.twin import world
from rig.twin.coins.drawer import Drawer
from rig.twin.render import CameraModel, Renderer


class TwinCameraConfig(BaseModel):
    """The twin's camera."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["twin"] = "twin"
    optics: CameraModel = Field(default_factory=CameraModel)
    readout_s: float = Field(default=0.03, ge=0)


class TwinCamera:
    """See `capture.cameras.camera.Camera`."""

    def __init__(self, config: TwinCameraConfig, clock: Clock, drawer: Drawer) -> None:
        self._config = config
        self._drawer = drawer
        self._clock = clock
        self._renderer: Renderer | None = None
        self._exposure_us = 20_000
        self._gain = 1.0
        self._sequence = 0
        self._identity = Identity(kind="twin", port="twin://camera", firmware="not connected")
        self._last: Image | None = None

    @property
    def identity(self) -> Identity:
        """Who it said it is when it was connected."""
        return self._identity

    def connect(self) -> Identity:
        """Put the lens before the world of this process.

        Raises
        ------
        NotConnectedError
            If no twin lab is open in this process.
        """
        try:
            world.current()
        except LookupError as error:
            raise NotConnectedError("camera", f"{error}.", "Use `camera: kind: opencv` on a real rig.") from error
        optics = self._config.optics
        self._renderer = Renderer(optics, self._drawer)
        size = f"{optics.width_px}x{optics.height_px}"
        self._identity = Identity(kind="twin", port="twin://camera", firmware=f"renderer {size}")
        return self._identity

    def close(self) -> None:
        """Take the lens away."""
        self._renderer = None

    def configure(self, exposure_us: int, gain: float) -> None:
        """Set exposure time (microseconds) and gain (factor)."""
        self._exposure_us, self._gain = exposure_us, gain

    def grab(self) -> Picture:
        """Expose, on the hardware's clock, what the world shows half-way through the exposure."""
        if self._renderer is None:
            raise NotConnectedError("camera", "it is not connected.", "Connect it first.")
        here = world.current()
        self._clock.sleep(self._exposure_us / 2e6)
        scene = here.scene()
        self._clock.sleep(self._exposure_us / 2e6 + self._config.readout_s)
        if self._last is None or not here.frame_is_frozen():
            self._last = self._renderer.render(scene, self._exposure_us, self._gain)
        self._sequence += 1
        return Picture(self._last, self._exposure_us, self._gain, now(), self._sequence)
