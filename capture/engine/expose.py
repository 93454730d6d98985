"""Pictures of what lies on the plate: the rig is set for each, as little as it takes."""

from __future__ import annotations

from dataclasses import dataclass

from calibration.image import Image
from capture.cameras import Camera, RawImage
from capture.plan import Shot
from rig.errors import NoAnswerError
from rig.station import Station

LOOKS = 5  # pictures that may be the same one before the camera counts as failed


@dataclass(frozen=True)
class Taken:
    """A picture, and where the turntable says it stood (deg)."""

    picture: RawImage
    turntable_read_deg: float


class Exposer:
    """Turns, lights and exposes."""

    def __init__(self, station: Station, camera: Camera) -> None:
        self._station = station
        self._camera = camera
        self._last: Image | None = None
        self.forget()

    def forget(self) -> None:
        """Apply every setting again: somebody else may have changed them."""
        self._light: str | None = None
        self._angle: tuple[float, float] | None = None  # commanded and read back
        self._exposure: tuple[int, float] | None = None

    def take(self, shot: Shot) -> Taken:
        """Take the picture of a shot."""
        if self._angle is None or self._angle[0] != shot.turntable_deg:
            self._angle = (shot.turntable_deg, self._station.rotate_to(shot.turntable_deg))
        if self._light != shot.light:
            self._station.show(shot.light)
            self._light = shot.light
        if self._exposure != (shot.exposure_us, shot.gain):
            self._camera.configure(shot.exposure_us, shot.gain)
            self._exposure = (shot.exposure_us, shot.gain)
        picture = self._camera.grab()
        self._last = picture.image
        return Taken(picture, self._angle[1])

    def look(self, light: str, exposure_us: int, gain: float) -> Image:
        """Take a picture that is certainly a fresh one: two exposures never agree to the last bit."""
        self.forget()
        self._station.show(light)
        self._camera.configure(exposure_us, gain)
        for _ in range(LOOKS):
            picture = self._camera.grab().image
            if self._last is not None and (picture.shape != self._last.shape or (picture != self._last).any()):
                self._last = picture
                return picture
            self._last = picture
        raise NoAnswerError("camera", "it hands out the same picture again and again.", "Plug it out and in again.")
