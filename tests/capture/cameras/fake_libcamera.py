"""A camera, libcamera's Python binding and the kernel's memory for images, as picamera2 uses them.

Only what picamera2 imports and calls, after the binding's source (libcamera, src/py/libcamera). A thread plays the
sensor: it takes a queued request for each frame, brings its controls into force some frames later, and writes an image
whose brightness says with which controls it was taken. `Behaviour` makes it misbehave.
"""

from __future__ import annotations

import collections
import enum
import json
import os
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

SENSOR_SIZE = (320, 240)
LINE_US = 14
FRAME_S = 0.004


@dataclass
class Behaviour:
    """How the sensor behaves; change it at any time."""

    delay_frames: int = 3  # until controls are in force
    drop: set[int] = field(default_factory=set)  # frames, counted from the start, whose request fails
    loses_controls: int = 0  # so many requests with controls have no effect
    ignores_controls: bool = False
    hang_at: int | None = None  # the frame from which no request completes
    hangs: int = 1  # so many times; after that the camera, restarted, works
    stop_hangs: threading.Event | None = None  # stopping blocks until this is set
    starts: int = 0
    frames: int = 0
    shown: list[dict[str, Any]] = field(default_factory=list)
    busy: bool = False
    has_raw: bool = True
    adjusts: tuple[int, int] | None = None  # the size that it makes of the one asked for


# What is set and read


class ControlType(enum.Enum):
    Other = 0
    Rectangle = 1
    Size = 2


@dataclass(frozen=True)
class ControlId:
    name: str
    type: ControlType = ControlType.Other


@dataclass(frozen=True)
class ControlInfo:
    min: Any
    max: Any
    default: Any


def _ids(names: str, **more: Any) -> SimpleNamespace:
    return SimpleNamespace(**{name: ControlId(name) for name in names.split()}, **more)


class NoiseReductionModeEnum(enum.IntEnum):
    Off = 0
    Fast = 1
    HighQuality = 2
    Minimal = 3


class AfModeEnum(enum.IntEnum):
    Manual = 0
    Auto = 1


CONTROLS = _ids(
    "ExposureTime ExposureTimeMode AnalogueGain AnalogueGainMode AeEnable AwbEnable ColourGains LensPosition AfMode "
    "FrameDurationLimits NoiseReductionMode SensorTimestamp DigitalGain SensorBlackLevels ColourCorrectionMatrix",
    AfModeEnum=AfModeEnum,
    draft=SimpleNamespace(NoiseReductionModeEnum=NoiseReductionModeEnum),
)
PROPERTIES = _ids(
    "Model Location Rotation ColorFilterArrangement",
    draft=SimpleNamespace(ColorFilterArrangementEnum=SimpleNamespace(MONO=4)),
)

# Plain values


class Size:
    def __init__(self, width: int = 0, height: int = 0) -> None:
        self.width, self.height = width, height


class Rectangle:
    def __init__(self, x: int, y: int, width: int, height: int) -> None:
        self.x, self.y, self.width, self.height = x, y, width, height


class Transform:
    def __init__(self, other: Any = None, hflip: int = 0, vflip: int = 0, transpose: int = 0) -> None:
        self.hflip, self.vflip, self.transpose = bool(hflip), bool(vflip), bool(transpose)

    def __str__(self) -> str:
        return f"Transform({self.hflip}, {self.vflip}, {self.transpose})"

    def __hash__(self) -> int:
        return hash((self.hflip, self.vflip, self.transpose))


class Orientation(enum.Enum):
    Rotate0 = 1
    Rotate0Mirror = 2
    Rotate180 = 3
    Rotate180Mirror = 4
    Rotate90Mirror = 5
    Rotate270 = 6
    Rotate270Mirror = 7
    Rotate90 = 8


class ColorSpace:
    YcbcrEncoding = SimpleNamespace(Null=0)
    Range = SimpleNamespace(Full=0)

    def __init__(self, other: ColorSpace | str) -> None:
        self.name = other if isinstance(other, str) else other.name
        self.primaries = self.transferFunction = self.name
        self.ycbcrEncoding: Any = self.name
        self.range: Any = self.name

    def __str__(self) -> str:
        return self.name

    def __hash__(self) -> int:
        return hash(self.name)

    @staticmethod
    def Sycc() -> ColorSpace:  # noqa: N802 - libcamera's name
        return ColorSpace("Sycc")

    @staticmethod
    def Rec709() -> ColorSpace:  # noqa: N802
        return ColorSpace("Rec709")

    @staticmethod
    def Smpte170m() -> ColorSpace:  # noqa: N802
        return ColorSpace("Smpte170m")

    @staticmethod
    def Raw() -> ColorSpace:  # noqa: N802
        return ColorSpace("Raw")


class PixelFormat:
    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    @property
    def bytes_per_pixel(self) -> float:
        return {"BGR888": 3.0, "XBGR8888": 4.0}.get(self.name, 1.5)  # raw ones are packed to 12 bits


StreamRole = enum.Enum("StreamRole", "StillCapture Raw VideoRecording Viewfinder")

# Configurations


class StreamFormats:
    pixel_formats = (PixelFormat("SBGGR10_CSI2P"), PixelFormat("SBGGR12_CSI2P"))

    def sizes(self, pixel_format: PixelFormat) -> list[Size]:
        return [Size(160, 120), Size(*SENSOR_SIZE)] if "12" in pixel_format.name else [Size(160, 120)]


class StreamConfiguration:
    def __init__(self) -> None:
        self.size = Size(640, 480)
        self.pixel_format = PixelFormat("XBGR8888")
        self.buffer_count, self.stride, self.frame_size = 4, 0, 0
        self.color_space = ColorSpace.Sycc()
        self.formats = StreamFormats()
        self.stream = Stream(self)

    def settle(self) -> None:
        line = int(self.size.width * self.pixel_format.bytes_per_pixel)
        self.stride = max(self.stride, -(-line // 64) * 64)  # hardware pads lines
        self.frame_size = self.stride * self.size.height


class Stream:
    """A stream: a thing to tell buffers apart by."""

    def __init__(self, configuration: StreamConfiguration) -> None:
        self.configuration = configuration


class CameraConfiguration:
    Status = enum.Enum("Status", "Valid Adjusted Invalid")

    def __init__(self, count: int, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self.streams = [StreamConfiguration() for _ in range(count)]
        self.orientation = Orientation.Rotate0
        self.sensor_config: Any = None

    def at(self, index: int) -> StreamConfiguration:
        return self.streams[index]

    def __iter__(self) -> Any:
        return iter(self.streams)

    def validate(self) -> Any:
        if self.streams[0].size.width > 4 * SENSOR_SIZE[0]:
            return CameraConfiguration.Status.Invalid
        adjusted = self._behaviour.adjusts
        if adjusted is not None:
            self.streams[0].size = Size(*adjusted)
        for stream in self.streams:
            stream.settle()
        return CameraConfiguration.Status.Adjusted if adjusted else CameraConfiguration.Status.Valid


class SensorConfiguration:
    def __init__(self) -> None:
        self.bit_depth, self.output_size = 0, Size()


# Buffers and requests

FrameStatus = enum.Enum("FrameStatus", "Success Error Cancelled")


class FrameBuffer:
    class Plane:
        fd, offset, length = -1, 0, 0

    def __init__(self, planes: list[Any]) -> None:
        self.planes = planes
        self.metadata = SimpleNamespace(status=FrameStatus.Success)


class Request:
    Status = enum.Enum("Status", "Pending Complete Cancelled")

    def __init__(self, cookie: int) -> None:
        self.cookie = cookie
        self.buffers: dict[Any, FrameBuffer] = {}
        self.controls: dict[ControlId, Any] = {}
        self.metadata: dict[ControlId, Any] = {}
        self.status = Request.Status.Pending

    def add_buffer(self, stream: Any, buffer: FrameBuffer) -> None:
        self.buffers[stream] = buffer

    def reuse(self) -> None:
        self.controls, self.metadata = {}, {}
        self.status = Request.Status.Pending

    def set_control(self, control: ControlId, value: Any) -> None:
        self.controls[control] = value


class Camera:
    """One sensor and its thread."""

    def __init__(self, manager: CameraManager, name: str, model: str, behaviour: Behaviour, has_motor: bool) -> None:
        self.id = name
        self.behaviour = behaviour
        self.model = model
        self.controls = {
            CONTROLS.ExposureTime: ControlInfo(LINE_US, 2_000_000, 20_000),
            CONTROLS.AnalogueGain: ControlInfo(1.0, 22.0, 1.0),
            CONTROLS.ColourGains: ControlInfo(0.0, 32.0, None),
            CONTROLS.AeEnable: ControlInfo(False, True, True),
            CONTROLS.AwbEnable: ControlInfo(False, True, None),
            CONTROLS.NoiseReductionMode: ControlInfo(0, 4, 0),
            CONTROLS.FrameDurationLimits: ControlInfo(33_333, 10_000_000, 33_333),
        }
        if has_motor:
            self.controls |= {
                CONTROLS.LensPosition: ControlInfo(0.0, 32.0, 1.0),
                CONTROLS.AfMode: ControlInfo(0, 2, 0),
            }
        self._manager = manager
        self._queued: collections.deque[Request] = collections.deque()
        self._thread: threading.Thread | None = None
        self._running = False
        self._force: dict[str, Any] = {}

    @property
    def properties(self) -> dict[Any, Any]:
        """A camera without a raw stream (USB) has no filter array either: picamera2 goes by that."""
        facts = {PROPERTIES.Model: self.model, PROPERTIES.Location: 2, PROPERTIES.Rotation: 0}
        return facts | ({PROPERTIES.ColorFilterArrangement: 3} if self.behaviour.has_raw else {})

    def acquire(self) -> None:
        if self.behaviour.busy:
            raise RuntimeError("Device or resource busy")

    def release(self) -> None:
        pass

    def generate_configuration(self, roles: list[Any]) -> CameraConfiguration:
        return CameraConfiguration(len(roles), self.behaviour)

    def configure(self, configuration: CameraConfiguration) -> int:
        return 0

    def create_request(self, cookie: int) -> Request:
        return Request(cookie)

    def queue_request(self, request: Request) -> None:
        self._queued.append(request)

    def start(self, controls: dict[ControlId, Any]) -> None:
        self._force = {"ExposureTime": 1000, "AnalogueGain": 1.0, "ColourGains": (1.0, 1.0), "LensPosition": 1.0}
        if not self.behaviour.ignores_controls:
            self._force |= {control.name: value for control, value in controls.items()}
        self.behaviour.starts += 1
        self._running = True
        self._thread = threading.Thread(target=self._expose, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self.behaviour.stop_hangs is not None:
            self.behaviour.stop_hangs.wait()
        self._running = False
        if self._thread is not None:
            self._thread.join()
        while self._queued:
            request = self._queued.popleft()
            request.status = Request.Status.Cancelled
            self._manager.completed(request)

    def _expose(self) -> None:
        behaviour, under_way, number = self.behaviour, collections.deque[tuple[int, dict[str, Any]]](), 0
        while self._running:
            began_ns = time.monotonic_ns()
            time.sleep(max(FRAME_S, self._force["ExposureTime"] / 1e6))
            if behaviour.hang_at is not None and number >= behaviour.hang_at and behaviour.starts <= behaviour.hangs:
                continue
            if not self._queued:
                continue
            number += 1
            behaviour.frames += 1
            request = self._queued.popleft()
            dropped = number in behaviour.drop
            if request.controls and not dropped and not behaviour.ignores_controls:
                if behaviour.loses_controls:
                    behaviour.loses_controls -= 1
                else:
                    under_way.append(
                        (number + behaviour.delay_frames, {key.name: value for key, value in request.controls.items()})
                    )
            self._finish(request, began_ns, dropped)
            while under_way and under_way[0][0] <= number:
                self._force |= under_way.popleft()[1]

    def _finish(self, request: Request, began_ns: int, dropped: bool) -> None:
        exposure_us = self._force["ExposureTime"] // LINE_US * LINE_US
        steps = round(1024 - 1024 / self._force["AnalogueGain"])
        shown = {
            "ExposureTime": exposure_us,
            "AnalogueGain": 1024 / (1024 - steps),
            "DigitalGain": 1.0,
            "ColourGains": tuple(float(gain) for gain in self._force["ColourGains"]),
            "SensorTimestamp": began_ns + 1000 * exposure_us,
            "SensorBlackLevels": (4096, 4096, 4096, 4096),
            "ColourCorrectionMatrix": (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0),
        }
        if CONTROLS.LensPosition in self.controls:
            shown["LensPosition"] = float(self._force["LensPosition"])
        self.behaviour.shown.append(shown)
        for stream, buffer in request.buffers.items():
            buffer.metadata = SimpleNamespace(status=FrameStatus.Error if dropped else FrameStatus.Success)
            os.pwrite(buffer.planes[0].fd, image_bytes(stream.configuration, shown), 0)
        request.metadata = {getattr(CONTROLS, name): value for name, value in shown.items()}
        request.status = Request.Status.Complete
        self._manager.completed(request)


def level(shown: dict[str, Any]) -> tuple[float, float, float]:
    """Red, green and blue of an image taken with these settings."""
    green = shown["ExposureTime"] * shown["AnalogueGain"] / 100
    red, blue = (green * gain for gain in shown["ColourGains"])
    return min(red, 255.0), min(green, 255.0), min(blue, 255.0)


def image_bytes(configuration: StreamConfiguration, shown: dict[str, Any]) -> bytes:
    """The bytes of an image; padding at the ends of lines is white."""
    size, stride = configuration.size, configuration.stride
    if str(configuration.pixel_format) != "BGR888":
        return bytes([7]) * configuration.frame_size
    lines = np.full((size.height, stride), 255, np.uint8)
    lines[:, : 3 * size.width] = np.tile(np.round(level(shown)).astype(np.uint8), size.width)
    return lines.tobytes()


class CameraManager:
    """All cameras of a machine."""

    def __init__(self) -> None:
        self.cameras: list[Camera] = []
        self.event_fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._ready: list[Request] = []
        self._lock = threading.Lock()

    def completed(self, request: Request) -> None:
        with self._lock:
            self._ready.append(request)
        os.eventfd_write(self.event_fd, 1)

    def get_ready_requests(self) -> list[Request]:
        with self._lock:
            ready, self._ready = self._ready, []
            if ready:
                os.eventfd_read(self.event_fd)
        return ready


class Heap:
    """The kernel's memory for images (dma_heap), as plain shared memory."""

    def __init__(self) -> None:
        self.is_valid = True

    def alloc(self, name: str, size: int) -> Any:
        descriptor = os.memfd_create("picture")
        os.ftruncate(descriptor, size)
        return SimpleNamespace(get=lambda: descriptor, isValid=lambda: True)

    def close(self) -> None:
        pass


class Machine:
    """A Raspberry Pi with cameras on it."""

    def __init__(self) -> None:
        self.manager = CameraManager()

    def attach(self, name: str, model: str, has_motor: bool = False) -> Behaviour:
        """Connect a camera and return the handle to its behaviour."""
        behaviour = Behaviour()
        self.manager.cameras.append(Camera(self.manager, name, model, behaviour, has_motor))
        return behaviour


def install(patch: pytest.MonkeyPatch, home: Path) -> Machine:
    """Put it all in place of what a Raspberry Pi has, picamera2 excepted.

    Skips the test where picamera2 itself cannot be imported.
    """
    machine = Machine()
    libcamera = ModuleType("libcamera")
    for part in (
        *(ControlType, Size, Rectangle, Transform, Orientation, ColorSpace, PixelFormat, StreamRole, FrameBuffer),
        *(CameraConfiguration, SensorConfiguration, Request, Camera),
    ):
        setattr(libcamera, part.__name__, part)
    more = {
        "controls": CONTROLS,
        "properties": PROPERTIES,
        "FrameMetadata": SimpleNamespace(Status=FrameStatus),
        "CameraManager": type("CameraManager", (), {"singleton": staticmethod(lambda: machine.manager)}),
        "_libcamera": SimpleNamespace(ColorSpace=ColorSpace, Transform=Transform),
    }
    for name, value in more.items():
        setattr(libcamera, name, value)
    kms = ModuleType("pykms")
    kms.PixelFormat = SimpleNamespace(  # type: ignore[attr-defined]
        **dict.fromkeys(("RGB888", "BGR888", "XRGB8888", "XBGR8888", "YUV420", "YVU420", "NV12"))
    )
    for name in [name for name in sys.modules if name.split(".")[0] in ("picamera2", "libcamera", "pykms")]:
        patch.delitem(sys.modules, name)
    patch.setitem(sys.modules, "libcamera", libcamera)
    patch.setitem(sys.modules, "pykms", kms)
    try:
        import picamera2.allocators.dmaallocator as memory
        from picamera2 import Picamera2
    except ImportError as error:
        pytest.skip(f"picamera2 cannot be imported here ({error}): pip install picamera2, after apt install libcap-dev")
    patch.setattr(memory, "DmaHeap", Heap)
    patch.setattr(memory.fcntl, "ioctl", lambda *arguments: 0)
    patch.setenv("HOME", str(home))
    patch.setattr(Picamera2, "_cm", type(Picamera2._cm)())
    return machine


def write_tuning(home: Path, model: str, tuning: dict[str, Any]) -> None:
    """Put a sensor's tuning file where picamera2 looks for it."""
    folder = home / "libcamera" / "src" / "ipa" / "rpi" / "vc4" / "data"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{model}.json").write_text(json.dumps(tuning))
