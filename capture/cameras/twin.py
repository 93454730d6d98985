"""The twin's camera: sees what the world of this process shows at the moment of exposure."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from calibration.image import Image
from capture.cameras.camera import CameraConfig, CameraDriver, RawImage
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import NotConnectedError
from rig.twin import world
from rig.twin.render import CameraModel, Renderer

PORT = "twin://camera"


class TwinCameraConfig(CameraConfig):
    """The twin's camera."""

    kind: Literal["twin"] = "twin"
    optics: CameraModel = Field(default_factory=CameraModel)
    readout_s: float = Field(default=0.03, ge=0)

    @property
    def drives_focus(self) -> bool:
        """Its lens has a motor."""
        return True

    def zoom(self, focus_mm: float) -> float:
        """How much larger than at its usual focus the image is."""
        return self.optics.focused_on(focus_mm).focal_px / self.optics.focal_px


class TwinCamera(CameraDriver[TwinCameraConfig]):
    """See `capture.cameras.camera.Camera`."""

    def __init__(self, config: TwinCameraConfig, clock: Clock) -> None:
        super().__init__(config, clock, PORT)
        self._last: Image | None = None

    def _open(self) -> Identity:
        """Put the lens before the world of this process."""
        try:
            drawer = world.current().drawer
        except LookupError as error:
            raise NotConnectedError(self._name, f"{error}.", "Use `camera: kind: opencv` on a real rig.") from error
        optics = self._config.optics
        self._handle = Renderer(optics, drawer)
        return Identity(self._config.kind, self._port, f"renderer {optics.width_px}x{optics.height_px}")

    def grab(self) -> RawImage:
        """Expose, on the hardware's clock, what the world shows half-way through the exposure."""
        renderer = self._opened()
        here = world.current()
        self._clock.sleep(self._exposure_us / 2e6)
        scene = here.scene()
        self._clock.sleep(self._exposure_us / 2e6 + self._config.readout_s)
        if self._last is None or not here.frame_is_frozen():
            self._last = renderer.focused_on(self._focus_mm).render(scene, self._exposure_us, self._gain)
        return self._raw_image(self._last)
