"""A Raspberry Pi camera through picamera2, on top of libcamera.

Written to the picamera2 manual and its source (github.com/raspberrypi/picamera2: picamera2.py, request.py, job.py),
version 0.3.22 and newer. Four habits of libcamera are answered here:

- controls come into force several frames after they were set, and are lost with a request that is dropped: an image
  counts once the metadata of its own request shows them, and they are set again where that does not come;
- the next request to complete may have been exposed before it was asked for: requests are waited for by the time their
  exposure began (``capture_request(flush=...)``);
- a request may never complete, after a glitch on the ribbon cable: every wait has an end, and the camera is
  restarted once;
- the image pipeline adapts tone and lens shading to what it sees: for measuring, both are fixed in its tuning.

picamera2 and libcamera exist on a Raspberry Pi only, so they are imported when a camera is connected.
"""

from __future__ import annotations

import io
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from pydantic import Field

from calibration.durable_files import write_atomically
from calibration.response import codes_of_light
from capture.cameras.camera import CameraConfig, CameraDriver, RawImage
from capture.cameras.watchdog import in_time
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import DeviceError, EnvelopeError, NoAnswerError, NotConnectedError

log = logging.getLogger(__name__)

T = TypeVar("T")

EXPOSURE_TOLERANCE_US = 60.0  # sensors count exposure in lines, of 10 to 50 us
TOLERANCE = 0.02  # and gain in steps
SEND_AGAIN = 12  # frames without effect: libcamera takes 2 to 8
UNDER_WAY = 5  # frames that are exposed before one that is asked for now
GAMMA_STEPS = 32
DIGITS = 3


class Picamera2Config(CameraConfig):
    """A camera on a Raspberry Pi's own connector.

    ``camera`` is a number, or part of what ``rpicam-hello --list-cameras`` prints for it, such as ``imx477`` or
    ``i2c@88000``: that stays the same when another camera is added.
    """

    kind: Literal["picamera2"] = "picamera2"
    camera: int | str = 0
    width_px: int | None = Field(default=None, gt=0, description="of the images; the sensor's own when left out")
    height_px: int | None = Field(default=None, gt=0)
    colour_gains: tuple[float, float] = Field(
        default=(2.0, 2.0), description="red and blue against green; so that a white card is white under one light"
    )
    lens_position: float | None = Field(
        default=None, ge=0, description="focus on the plate, in 1 / m; leave out where the lens has no motor"
    )
    tuning: Literal["measuring", "default"] = Field(
        default="measuring", description="measuring: fixed sRGB tone, lens shading left to our own flat field"
    )
    raw: Path | None = Field(default=None, description="folder that gets a DNG of every image; none when left out")

    answer_s: float = Field(default=5.0, gt=0, description="longest wait for an image, exposure not counted")
    settle_frames: int = Field(default=40, ge=1, description="frames within which controls have to come into force")
    focal_mm: float | None = Field(
        default=None, gt=0, description="the lens's focal length: how much it magnifies with its focus follows of it"
    )

    @property
    def drives_focus(self) -> bool:
        """Whether its lens has a motor, and where the plate is in focus is known."""
        return bool(self.lens_position)

    def lens_position_at(self, height_mm: float | None) -> float | None:
        """The lens's position when a height above the plate (mm) is in focus: one over its distance in m."""
        if not height_mm or not self.lens_position:
            return self.lens_position
        return round(1000.0 / max(1.0, 1000.0 / self.lens_position - height_mm), DIGITS)

    def zoom(self, focus_mm: float) -> float:
        """How much larger than at its usual focus the image is: by how much further the sensor is from a thin lens."""
        nearer, on_plate = self.lens_position_at(focus_mm), self.lens_position
        if self.focal_mm is None or not nearer or not on_plate:
            return 1.0
        return (1 - self.focal_mm * on_plate / 1000) / (1 - self.focal_mm * nearer / 1000)


class Picamera2Camera(CameraDriver[Picamera2Config]):
    """See `capture.cameras.camera.Camera`."""

    def __init__(self, config: Picamera2Config, clock: Clock) -> None:
        super().__init__(config, clock, str(config.camera))
        self._name = f"camera {config.camera} on picamera2"
        self._wanted: dict[str, Any] = {}
        self._slowest_us = self._exposure_us  # of the frames that may be under way

    def connect(self) -> Identity:
        """Open the camera, start it and wait for a first image; see `CameraDriver.connect`.

        Raises
        ------
        NoAnswerError
            If it starts and delivers nothing.
        """
        self._wanted = {}
        super().connect()
        try:
            # With the raw data, if they are wanted, so that they do not fail in the middle of a scan.
            self._request(time.monotonic_ns(), self._dng if self._config.raw is not None else lambda request: b"")
        except DeviceError:
            self.close()
            raise
        return self._identity

    def close(self) -> None:
        """Stop the camera and let go of it."""
        camera, self._handle = self._handle, None
        if camera is not None:
            camera.cancel_all_and_flush()  # nothing else ends a job whose request never completes
            self._in_time(camera.close, "closing it")

    def configure(self, exposure_us: int, gain: float) -> None:
        """Set exposure and gain, colour gains and focus; `grab` waits until they are in force.

        Raises
        ------
        EnvelopeError
            If the sensor cannot do that.
        """
        camera = self._opened()
        wanted = {
            "ExposureTime": exposure_us,
            "AnalogueGain": float(gain),
            "ColourGains": self._config.colour_gains,
        }
        if self._config.lens_position is not None:
            wanted["LensPosition"] = self._config.lens_position_at(self._focus_mm)
        for control, value in wanted.items():
            self._check_range(camera.camera_controls, control, value)
        self._slowest_us = max(self._exposure_us, exposure_us)
        self._wanted, self._exposure_us = wanted, exposure_us
        self._send_controls()

    def focus(self, height_mm: float | None) -> None:
        """Focus on a height above the plate (mm); see `CameraDriver.focus`. `grab` waits until the lens is there.

        Raises
        ------
        EnvelopeError
            If the lens has no motor, or does not reach that.
        """
        super().focus(height_mm)
        position = self._config.lens_position_at(height_mm)
        if position is not None:
            self._check_range(self._opened().camera_controls, "LensPosition", position)
            self._wanted = {**self._wanted, "LensPosition": position}
            self._send_controls()

    def grab(self) -> RawImage:
        """Expose now, with the controls in force.

        Raises
        ------
        NoAnswerError
            If no image comes, not even after the camera was restarted, or the controls have no effect.
        """
        self._opened()
        called_ns = time.monotonic_ns()
        shown: dict[str, Any] = {}
        for frame in range(1, self._config.settle_frames + 1):
            raw_image, shown = self._request(called_ns, self._taken)
            if raw_image is not None:
                self._slowest_us = self._exposure_us
                return raw_image
            if frame % SEND_AGAIN == 0:
                self._send_controls()
        late = {name: shown.get(name) for name, value in self._wanted.items() if not _agrees(name, value, shown)}
        raise NoAnswerError(
            self._name,
            f"after {self._config.settle_frames} frames its controls still show {late} instead of "
            f"{ {name: self._wanted[name] for name in late} }.",
            "Close other programs that use it; then give the same command again.",
        )

    # One request

    def _taken(self, request: Any) -> tuple[RawImage | None, dict[str, Any]]:
        """The image of a request, if it was taken with the wanted controls, and what its metadata shows."""
        shown = request.get_metadata()
        if not all(_agrees(name, value, shown) for name, value in self._wanted.items()):
            return None, shown
        image = np.ascontiguousarray(request.make_array("main")[..., :3], np.uint8)
        raw_image = self._raw_image(
            image,
            int(shown.get("ExposureTime", self._exposure_us)),
            round(float(shown.get("AnalogueGain", 1.0)), DIGITS),
        )
        if self._config.raw is not None:
            self._keep_raw(request, self._config.raw, raw_image)
        return raw_image, shown

    def _request(self, since_ns: int, use: Callable[[Any], T]) -> T:
        """Use the next request that was exposed after a moment; restart the camera once if none completes."""
        try:
            return self._use_next(since_ns, use)
        except TimeoutError:
            log.warning("%s: no image came; restarting it.", self._name)
        self.close()
        self._open()
        try:
            return self._use_next(since_ns, use)
        except TimeoutError as error:
            raise NoAnswerError(
                self._name,
                f"no image came within {self._config.answer_s:g} s, and none after it was restarted.",
                "Switch the Raspberry Pi off, press the ribbon cable home at both ends, and switch it on again.",
            ) from error

    def _use_next(self, since_ns: int, use: Callable[[Any], T]) -> T:
        job = self._opened().capture_request(wait=False, flush=since_ns)
        request = job.get_result(timeout=self._config.answer_s + UNDER_WAY * self._slowest_us / 1e6)
        try:
            return use(request)
        finally:
            request.release()

    def _keep_raw(self, request: Any, folder: Path, raw_image: RawImage) -> None:
        """Write the sensor's own data to a file named after the moment and the number of the image."""
        content = self._dng(request)
        path = folder / f"{raw_image.taken_at.replace(':', '')}_{raw_image.sequence:06d}.dng"
        write_atomically(path, content)

    def _dng(self, request: Any) -> bytes:
        content = io.BytesIO()
        try:
            request.save_dng(content)
        except (TypeError, AttributeError, KeyError) as error:
            # github.com/raspberrypi/picamera2, issue 1283: PyPI's PiDNG is older than picamera2 needs it.
            raise DeviceError(
                self._name,
                f"its raw data cannot be written as DNG ({error!r}).",
                "sudo apt install python3-pidng and uninstall the one that pip installed, or leave `raw` out.",
            ) from error
        return content.getvalue()

    # Controls

    def _send_controls(self) -> None:
        self._opened().set_controls(self._wanted)

    def _check_range(self, offered: dict[str, Any], control: str, value: Any) -> None:
        if control not in offered:
            raise EnvelopeError(
                self._name,
                f"it has no {control}.",
                "Leave `lens_position` out: its lens is focused by hand."
                if control == "LensPosition"
                else "Use a camera that libcamera can set by hand.",
            )
        least, most = (_largest(limit) for limit in offered[control][:2])
        # A most of 0 says that there is none.
        if min(np.atleast_1d(value)) < least or (most and max(np.atleast_1d(value)) > most):
            raise EnvelopeError(
                self._name,
                f"its {control} goes from {least:g} to {most:g}, not to {value}.",
                "Correct plan or rig.yaml.",
            )

    # Opening

    def _open(self) -> Identity:
        try:
            import libcamera
            from picamera2 import Picamera2
        except ImportError as error:
            raise NotConnectedError(
                self._name,
                f"picamera2 cannot be imported ({error}).",
                "On the Raspberry Pi: sudo apt install python3-libcamera python3-kms++, then in a virtual environment "
                "made with --system-site-packages: pip install 'coinlab[pi]'.",
            ) from error
        number, facts = self._find(self._in_time(Picamera2.global_camera_info, "listing cameras"))
        model = str(facts.get("Model", "unknown"))
        tuning = _measuring_tuning(Picamera2, model) if self._config.tuning == "measuring" else None
        self._handle = self._in_time(lambda: Picamera2(number, tuning=tuning), "opening it")
        config, camera = self._config, self._handle
        controls: dict[str, Any] = {
            "AeEnable": False,
            "AwbEnable": False,
            "NoiseReductionMode": libcamera.controls.draft.NoiseReductionModeEnum.Off,
        }
        if config.lens_position is not None:
            controls["AfMode"] = libcamera.controls.AfModeEnum.Manual
        width_px, height_px = camera.sensor_resolution
        size = (config.width_px or width_px, config.height_px or height_px)
        try:
            # BGR888 is what libcamera calls bytes in the order red, green, blue. The whole sensor is read out whatever
            # the size of the images, since its smaller modes are cut-outs.
            settings = camera.create_still_configuration(
                main={"format": "BGR888", "size": size},
                raw={"size": camera.sensor_resolution} if config.raw is not None else None,
                sensor={"output_size": camera.sensor_resolution},
                buffer_count=3,
                queue=False,
                controls={name: value for name, value in controls.items() if name in camera.camera_controls}
                | self._wanted,
            )
            camera.configure(settings)
            self._in_time(camera.start, "starting it")
        except DeviceError:
            self.close()
            raise
        except Exception as error:  # picamera2 passes on whatever it meets in libcamera, None included
            self.close()
            log.debug("%s: %r", self._name, error)
            raise EnvelopeError(
                self._name,
                f"it cannot be set to {size[0]}x{size[1]}.",
                "`rpicam-hello --list-cameras` prints what it can do. Correct `camera:` in rig.yaml.",
            ) from error
        if config.raw is not None and camera.camera_configuration()["raw"] is None:  # left out without a word
            self.close()
            raise EnvelopeError(self._name, "it has no raw data.", "Leave `raw` of `camera:` in rig.yaml out.")
        width_px, height_px = camera.camera_configuration()["main"]["size"]
        if width_px != size[0] or height_px != size[1]:
            self.close()
            raise EnvelopeError(
                self._name,
                f"it was asked for {size[0]}x{size[1]} and is set to {width_px}x{height_px}.",
                "Correct `width_px` and `height_px` of `camera:` in rig.yaml.",
            )
        return Identity(kind="picamera2", port=str(facts.get("Id", number)), firmware=f"{model} {width_px}x{height_px}")

    def _find(self, cameras: list[Any]) -> tuple[int, dict[str, Any]]:
        wanted = self._config.camera
        found = [
            (number, facts)
            for number, facts in enumerate(cameras)
            if (number == wanted if isinstance(wanted, int) else wanted in f"{facts.get('Id')} {facts.get('Model')}")
        ]
        if len(found) == 1:
            return found[0]
        there = ", ".join(f"{n}: {facts.get('Model')} ({facts.get('Id')})" for n, facts in enumerate(cameras))
        raise NotConnectedError(
            self._name,
            f"there are {len(found)} such cameras. Those that libcamera sees: {there or 'none'}.",
            "Correct `camera:` in rig.yaml, or switch the Raspberry Pi off and press the ribbon cable home.",
        )

    def _in_time(self, action: Callable[[], T], doing: str) -> T:
        """Do something that blocks for ever when the driver hangs."""
        try:
            return in_time(action, 2 * self._config.answer_s)
        except DeviceError:
            raise
        except TimeoutError as error:
            raise NoAnswerError(
                self._name,
                f"{doing} has not ended after {2 * self._config.answer_s:g} s.",
                "Switch the Raspberry Pi off and on again.",
            ) from error
        except Exception as error:
            raise NotConnectedError(
                self._name,
                f"{doing} failed ({error}).",
                "Close other programs that use it, rpicam-hello too; then give the same command again.",
            ) from error


def _agrees(control: str, wanted: Any, shown: dict[str, Any]) -> bool:
    """Whether metadata shows a control in force."""
    if control not in shown:
        return control == "LensPosition"  # reported only while the lens is at rest, by some motors
    slack = EXPOSURE_TOLERANCE_US if control == "ExposureTime" else TOLERANCE
    return bool(np.allclose(shown[control], wanted, rtol=TOLERANCE, atol=slack))


def _largest(limit: Any) -> float:
    """A limit of a control as a number; of an array, of its values."""
    return float(np.max(limit)) if limit is not None else 0.0


def _measuring_tuning(picamera2: Any, model: str) -> dict[str, Any] | None:
    """The sensor's tuning without what adapts to the image; None where its file is not found.

    As its maintainers advise for measuring (github.com/raspberrypi/picamera2, issues 311 and 691).
    """
    try:
        tuning: dict[str, Any] = picamera2.load_tuning_file(f"{model}.json")
        contrast = picamera2.find_tuning_algo(tuning, "rpi.contrast")
    except (RuntimeError, StopIteration, KeyError, OSError, ValueError):
        log.warning("There is no tuning file for %s: tone and lens shading adapt to every image.", model)
        return None
    contrast["ce_enable"] = 0
    contrast["gamma_curve"] = _srgb_curve()
    if "algorithms" in tuning:
        tuning["algorithms"] = [each for each in tuning["algorithms"] if "rpi.alsc" not in each]
    else:
        tuning.pop("rpi.alsc", None)
    return tuning


def _srgb_curve() -> list[int]:
    """IEC 61966-2-1 as pairs of 16-bit light and code, closer together where it is steep."""
    light = np.linspace(0, 1, GAMMA_STEPS + 1) ** 2
    return [int(value) for value in np.rint(65535 * np.stack([light, codes_of_light(light)], axis=1)).ravel()]
