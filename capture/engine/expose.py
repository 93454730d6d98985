"""Exposures of what lies on the plate: the rig is set for each, as little as it takes."""

from __future__ import annotations

from calibration.bracket import BracketImage
from calibration.image import Image
from capture.cameras import RawImage
from capture.engine.camera_arm import check_camera_place
from capture.engine.context import ScanContext
from capture.engine.order import RigSetting
from capture.engine.taken import Taken
from capture.plan import Shot
from rig.errors import NoAnswerError

FRESH_TRIES = 5  # images that may be the same one before the camera counts as failed


class Exposer:
    """Turns, lights and exposes."""

    def __init__(self, context: ScanContext) -> None:
        self._context = context
        self._station = context.station
        self._camera = context.camera
        self._last: Image | None = None
        self.forget()

    @property
    def setting(self) -> RigSetting:
        """How the rig is set, as far as is known."""
        return RigSetting(self._station.tilt_deg, self._station.turntable_deg, self._light)

    def forget(self) -> None:
        """Apply every setting again: somebody else may have changed them."""
        self._light: str | None = None
        self._angle: tuple[float, float] | None = None  # commanded and read back
        self._tilt: tuple[float, float] | None = None
        self._exposure: tuple[int, float] | None = None
        self._focus: tuple[float | None] | None = None

    def take(self, shot: Shot) -> Taken:
        """Expose a shot."""
        if self._tilt is None or self._tilt[0] != shot.tilt_deg:
            self._tilt = (shot.tilt_deg, self._station.tilt_to(shot.tilt_deg))
        if self._angle is None or self._angle[0] != shot.turntable_deg:
            light = shot.light if self._light != shot.light else None
            self._angle = (shot.turntable_deg, self._station.rotate_to(shot.turntable_deg, light))
            self._light = shot.light
        if self._light != shot.light:
            self._station.show(shot.light)
            self._light = shot.light
        if shot.images > 1:
            return self._take_bracket(shot, self._angle[1], self._tilt[1])
        raw = self._grab(shot.exposure_us, shot.gain, None)
        return Taken(raw, self._angle[1], self._tilt[1])

    def _take_bracket(self, shot: Shot, turntable_deg: float, tilt_deg: float) -> Taken:
        """Every focus, lowest first, and every exposure in each."""
        images = [
            (self._grab(exposure_us, shot.gain, focus_mm), focus_mm)
            for focus_mm in shot.focus_mm or (None,)
            for exposure_us in shot.bracket_us or (shot.exposure_us,)
        ]
        sources = tuple(BracketImage(raw.image, raw.exposure_us, focus_mm, raw.zoom) for raw, focus_mm in images)
        return Taken(images[0][0], turntable_deg, tilt_deg, sources)

    def _grab(self, exposure_us: int, gain: float, focus_mm: float | None) -> RawImage:
        if self._focus != (focus_mm,):
            self._camera.focus(focus_mm)
            self._focus = (focus_mm,)
        if self._exposure != (exposure_us, gain):
            self._camera.configure(exposure_us, gain)
            self._exposure = (exposure_us, gain)
        raw = self._camera.grab()
        self._last = raw.image
        return raw

    def take_fresh(self, light: str, exposure_us: int, gain: float) -> Image:
        """Expose the plate, seen from above, as it is now: certainly a new image, since no two agree to the last bit.

        Raises
        ------
        NoAnswerError
            If the camera hands out the same image again and again.
        AlarmError
            If an arm holds it, and not where it was taught.
        """
        self.forget()
        if self._station.tilt_deg != 0.0:
            self._station.tilt_to(0.0)
        self._station.show(light)
        self._camera.focus(None)
        self._camera.configure(exposure_us, gain)
        for _ in range(FRESH_TRIES):
            image, last = self._camera.grab().image, self._last
            self._last = image
            if last is not None and (image.shape != last.shape or (image != last).any()):
                check_camera_place(image, self._context)
                return image
        raise NoAnswerError("camera", "it hands out the same image again and again.", "Plug it out and in again.")
