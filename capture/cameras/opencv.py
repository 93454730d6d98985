"""USB (UVC) cameras, through OpenCV and V4L2.

Their habits are answered here. ``isOpened`` stays true for a camera that was unplugged, and for one that never
delivers: only frames count, and a camera that stops delivering is opened once more, under the name that stays the same
(``/dev/v4l/by-id``), since it may come back under another number. Frames wait in a queue, so that the next one is from
before the light changed: the kernel's time stamp of each (``CAP_PROP_POS_MSEC``, opencv/opencv dc2214e, cap_v4l.cpp)
says when it was taken. Exposure is in the driver's units (UVC's are 100 us), and is read back, for a camera may have
its own idea of it; so is what it would do by itself, since a camera that exposes automatically takes an exposure and
does not keep to it (a control that it does not have reads -1). Both are read again with every frame: a camera forgets
them when its supply dips. What it was asked for and does not do is an error: a calibration holds for one size and one
setting.

Network streams and video files, which OpenCV opens as well, are refused: nothing sets their exposure, and nobody knows
how old their frames are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator

from calibration.image import Image
from capture.cameras.camera import CameraConfig, CameraDriver, RawImage
from capture.cameras.watchdog import in_time
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import EnvelopeError, NoAnswerError, NotConnectedError

log = logging.getLogger(__name__)

T = TypeVar("T")

TRIES = 3
BY_ID = Path("/dev/v4l/by-id")
MANUAL_EXPOSURE = 1  # V4L2_EXPOSURE_MANUAL
NO_CONTROL = -1.0
# What a camera may do by itself, and the value that keeps it from that.
AUTOMATICS = {
    cv2.CAP_PROP_AUTO_EXPOSURE: ("exposure", MANUAL_EXPOSURE),
    cv2.CAP_PROP_AUTO_WB: ("white balance", 0),
    cv2.CAP_PROP_AUTOFOCUS: ("focus", 0),
}
MAX_SETTING_ERROR = 0.2  # share by which exposure and gain may miss what was asked for


class OpenCvConfig(CameraConfig):
    """A camera opened through OpenCV.

    ``device`` is a number, or a path that stays the same when cables are moved: ``/dev/v4l/by-id/...``.
    """

    kind: Literal["opencv"] = "opencv"
    device: int | str = 0
    width_px: int | None = Field(default=None, gt=0, description="asked of the camera; its own choice when left out")
    height_px: int | None = Field(default=None, gt=0)
    fourcc: str | None = Field(
        default=None, min_length=4, max_length=4, description="pixel format such as YUYV; MJPG is quicker and lossy"
    )
    exposure_unit_us: float = Field(default=100.0, gt=0, description="what the driver counts exposure in")
    gain_unit: float = Field(default=1.0, gt=0, description="the driver's value for a gain of 1")
    queue_frames: int = Field(default=4, ge=0, le=32, description="frames the driver may hold back")
    answer_s: float = Field(
        default=5.0, gt=0, description="longest wait for a frame, exposure not counted (wall-clock)"
    )

    @field_validator("device")
    @classmethod
    def _is_device(cls, device: int | str) -> int | str:
        if isinstance(device, str) and device.isdecimal():
            return int(device)  # rig.yaml's scalars are read as text
        if isinstance(device, str) and not device.startswith("/dev/"):
            raise ValueError(
                "a number, or a path that begins with /dev/. A network stream or a file cannot be used: its exposure "
                "cannot be set, and its frames may be old. Give a USB camera, or write a driver (docs/drivers.md)"
            )
        return device


class OpenCvCamera(CameraDriver[OpenCvConfig]):
    """See `capture.cameras.camera.Camera`."""

    def __init__(self, config: OpenCvConfig, clock: Clock) -> None:
        super().__init__(config, clock, str(config.device))
        self._settings: tuple[int, float] | None = None
        self._period_s = 0.0
        self._size_px = (0, 0)

    def connect(self) -> Identity:
        """Open the camera and read a first frame; see `CameraDriver.connect`."""
        self._settings, self._exposure_us, self._gain = None, 0, 1.0
        return super().connect()

    def close(self) -> None:
        """Let go of the camera."""
        capture, self._handle = self._handle, None
        if capture is not None:
            try:
                in_time(capture.release, self._config.answer_s)
            except TimeoutError:
                log.warning("%s: it does not let itself be closed; it is left alone.", self._name)

    def configure(self, exposure_us: int, gain: float) -> None:
        """Set manual exposure and gain, and read them back; white balance and focus stay as they are, not automatic.

        Raises
        ------
        EnvelopeError
            If the camera does not take them.
        """
        capture = self._opened()
        self._settings = (exposure_us, gain)
        self._exposure_us, self._gain = exposure_us, gain
        for prop, (name, by_hand) in AUTOMATICS.items():
            capture.set(prop, by_hand)
            if (is_now := capture.get(prop)) not in (by_hand, NO_CONTROL):
                raise EnvelopeError(
                    self._name,
                    f"its automatic {name} does not go off (it is {is_now:g}), so its images cannot be measured.",
                    "`v4l2-ctl --list-ctrls` prints what can be set. Use a camera that can be set by hand.",
                )
        unit_us, gain_unit = self._config.exposure_unit_us, self._config.gain_unit
        self._exposure_us = round(
            unit_us * self._set(capture, cv2.CAP_PROP_EXPOSURE, "exposure", round(exposure_us / unit_us))
        )
        self._gain = self._set(capture, cv2.CAP_PROP_GAIN, "gain", gain * gain_unit) / gain_unit

    def grab(self) -> RawImage:
        """Throw away what waited in the queue, then read one frame.

        Raises
        ------
        NoAnswerError
            If no frame comes, not even after the camera was opened again.
        NotConnectedError
            If the camera is gone.
        EnvelopeError
            If it delivers frames of another size than it was set to.
        """
        frame = self._fresh_frame(self._opened())
        if frame is None:
            log.warning("%s: no image came; opening it again.", self._name)
            self._open()
        if self._settings is not None and (frame is None or not self._keeps_settings()):
            self.configure(*self._settings)
            frame = None
        if frame is None:
            frame = self._fresh_frame(self._opened())
        if frame is None:
            raise NoAnswerError(
                self._name,
                "it delivers no new image, nor after it was opened again.",
                "Plug the camera in again, into a port of the computer itself; then run the same command again.",
            )
        return self._raw_image(frame)

    def _keeps_settings(self) -> bool:
        """Whether exposure and gain are still what they were set to, and nothing is automatic."""
        capture, config = self._opened(), self._config
        kept = {
            cv2.CAP_PROP_EXPOSURE: self._exposure_us / config.exposure_unit_us,
            cv2.CAP_PROP_GAIN: self._gain * config.gain_unit,
        }
        by_hand = all(capture.get(prop) in (value, NO_CONTROL) for prop, (_, value) in AUTOMATICS.items())
        if by_hand and all(abs(capture.get(prop) - value) < 0.5 for prop, value in kept.items()):
            return True
        log.warning("%s: it has forgotten its settings; setting them again.", self._name)
        return False

    # Opening

    def _open(self) -> Identity:
        self.close()
        config = self._config
        if isinstance(config.device, str):
            self._check_path(Path(config.device))
        # Given a path, OpenCV would try its readers of files first, and they wait long.
        capture = self._wait(lambda: cv2.VideoCapture(config.device, cv2.CAP_V4L2))
        if capture is None:
            raise NotConnectedError(self._name, "opening it takes for ever.", "Plug the camera in again.")
        self._handle = capture
        for prop, value in (
            (cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*config.fourcc) if config.fourcc else None),
            (cv2.CAP_PROP_FRAME_WIDTH, config.width_px),
            (cv2.CAP_PROP_FRAME_HEIGHT, config.height_px),
            (cv2.CAP_PROP_BUFFERSIZE, 1),
        ):
            if value is not None:
                capture.set(prop, value)
        if not capture.isOpened() or not self._wait(lambda: any(capture.grab() for _ in range(TRIES))):
            self.close()
            raise NotConnectedError(
                self._name,
                "the camera does not open, or opens and delivers no image.",
                "Close other programs that use it, plug it in again, and try a shorter cable.",
            )
        identity = self._identify(capture)
        frames_per_s = capture.get(cv2.CAP_PROP_FPS)
        self._period_s = 1 / frames_per_s if 0.1 < frames_per_s < 1000 else 0.0
        return identity

    def _check_path(self, path: Path) -> None:
        if path.exists():
            return
        there = ", ".join(sorted(entry.name for entry in BY_ID.glob("*"))) or "none"
        raise NotConnectedError(
            self._name, "there is no such device.", f"Plug the camera in. Cameras in {BY_ID} at present: {there}."
        )

    def _identify(self, capture: cv2.VideoCapture) -> Identity:
        """Who it is, once it is sure that it does what it was asked for."""
        config = self._config
        size = [int(capture.get(prop)) for prop in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
        code = int(capture.get(cv2.CAP_PROP_FOURCC))
        fourcc = "".join(chr(code >> shift & 255) for shift in (0, 8, 16, 24)) if code > 0 else "?"
        wanted = [config.width_px or size[0], config.height_px or size[1]]
        if size != wanted or (config.fourcc is not None and fourcc != config.fourcc):
            self.close()
            raise EnvelopeError(
                self._name,
                f"it was asked for {wanted[0]}x{wanted[1]} {config.fourcc or ''} and delivers "
                f"{size[0]}x{size[1]} {fourcc}.",
                "`v4l2-ctl --list-formats-ext` prints what it can do. Correct `camera:` in rig.yaml.",
            )
        self._size_px = (size[0], size[1])
        return Identity(config.kind, self._port, f"{capture.getBackendName()} {size[0]}x{size[1]} {fourcc}")

    # Frames

    def _fresh_frame(self, capture: cv2.VideoCapture) -> Image | None:
        """A frame whose exposure began after this call; None if the camera delivers none in time."""
        called_s = time.monotonic()

        def read() -> Image | None:
            older, missing = 0, 0
            while missing < TRIES and time.monotonic() - called_s < self._longest_s():
                if not capture.grab():
                    missing += 1
                elif not self._is_fresh(capture, called_s, older):
                    older += 1
                else:
                    ok, frame = capture.retrieve()
                    if ok and frame is not None and frame.size:
                        return self._checked(frame)
                    missing += 1
            return None

        return self._wait(read)

    def _is_fresh(self, capture: cv2.VideoCapture, called_s: float, older: int) -> bool:
        """Whether the exposure of the frame that was just grabbed began after a moment."""
        stamp_s = float(capture.get(cv2.CAP_PROP_POS_MSEC)) / 1000
        if abs(time.monotonic() - stamp_s) > self._longest_s():
            return older > self._config.queue_frames  # no stamp, or one of another clock: what may have waited is over
        return stamp_s - self._exposure_us / 1e6 >= called_s

    def _checked(self, frame: npt.NDArray[Any]) -> Image:
        height_px, width_px = frame.shape[:2]
        if (width_px, height_px) != self._size_px:
            raise EnvelopeError(
                self._name,
                f"it was set to {self._size_px[0]}x{self._size_px[1]} and delivered {width_px}x{height_px}.",
                "Close other programs that use it; then run the same command again.",
            )
        if frame.ndim == 2:
            frame = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
        return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)

    def _longest_s(self) -> float:
        """Longest wait for a fresh frame (s)."""
        frames = self._config.queue_frames + 2 + TRIES
        return self._config.answer_s + frames * max(self._period_s, self._exposure_us / 1e6)

    def _wait(self, action: Callable[[], T]) -> T | None:
        """Do something that may block; None if it does not end, or OpenCV fails in it."""
        try:
            return in_time(action, self._longest_s())
        except TimeoutError:
            self._handle = None  # whatever blocks in it stays blocked: nobody may touch it any more
            return None
        except cv2.error as error:
            log.warning("%s: %s", self._name, error)
            return None

    def _set(self, capture: cv2.VideoCapture, prop: int, name: str, value: float) -> float:
        """Set a property in the driver's units, and return what it is then."""
        taken = capture.set(prop, value)
        is_now = float(capture.get(prop))
        if not taken or abs(is_now - value) > MAX_SETTING_ERROR * abs(value):
            raise EnvelopeError(
                self._name,
                f"its {name} was set to {value:g} and is {is_now:g}, in the driver's units.",
                "`v4l2-ctl --list-ctrls` prints its range. Correct the plan, or `exposure_unit_us` and `gain_unit` in "
                "rig.yaml.",
            )
        return is_now
