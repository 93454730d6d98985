"""OpenCV's cameras: a USB camera with the habits of real ones.

No USB camera can be attached to a test, so `Usb` plays one in place of ``cv2.VideoCapture``: it exposes a frame each
period of its own time, keeps them in a queue, stamps each as V4L2 does, and counts exposure as UVC does.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from pydantic import ValidationError

from capture.cameras import CAMERAS
from capture.cameras.opencv import OpenCvCamera, OpenCvConfig
from rig.clock import ScaledClock
from rig.errors import EnvelopeError, NoAnswerError, NotConnectedError

PERIOD_S = 1 / 30
START_S = 1000.0  # the computer has been running for a while


class Usb:
    """A USB camera as the kernel and OpenCV show it, and the cable it hangs on."""

    def __init__(self) -> None:
        self.now_s = START_S
        self.queue: list[float] = []  # when the exposure of each waiting frame began
        self.size = (640, 480)
        self.fourcc = "MJPG"
        self.delivers: tuple[int, int] | None = None  # another size than it is set to
        self.values: dict[int, float] = {cv2.CAP_PROP_EXPOSURE: 156.0, cv2.CAP_PROP_GAIN: 0.0}
        self.exposure_limits = (3.0, 2047.0)
        self.stamps = True
        self.stalls_s = 0.0  # so long nothing is exposed, though what waits is still delivered
        self.refuses: set[int] = set()
        self.plugged = True
        self.comes_back = False
        self.hangs: threading.Event | None = None
        self.fails = 0  # so many frames are cut short on the cable
        self.opened: list[tuple[Any, int]] = []
        self.dequeue_s = 0.001

    def wait(self, seconds: float) -> None:
        """Time goes by, and the queue fills."""
        end_s = self.now_s + seconds
        while self.now_s + PERIOD_S <= end_s:
            self._expose()
        self.now_s = end_s

    def dequeue(self) -> float | None:
        if self.hangs is not None:
            self.hangs.wait()
        if not self.plugged:
            return None
        if self.queue:
            self.now_s += self.dequeue_s
        else:
            self._expose()
        return self.queue.pop(0)

    def _expose(self) -> None:
        self.now_s += self.stalls_s
        self.stalls_s = 0.0
        if len(self.queue) < 4:
            self.queue.append(self.now_s)
        self.now_s += PERIOD_S

    def capture(self, device: Any, backend: int = cv2.CAP_ANY) -> Capture:
        self.opened.append((device, backend))
        if self.comes_back and len(self.opened) > 1:
            self.plugged = True
        return Capture(self)


class Capture:
    """``cv2.VideoCapture`` on `Usb`; once opened it says so for ever."""

    def __init__(self, usb: Usb) -> None:
        self._usb = usb
        self._began_s = 0.0

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        return True

    def getBackendName(self) -> str:  # noqa: N802
        return "V4L2"

    def release(self) -> None:
        self._usb.queue.clear()

    def grab(self) -> bool:
        began_s = self._usb.dequeue()
        if began_s is None:
            return False
        self._began_s = began_s
        return True

    def retrieve(self) -> tuple[bool, npt.NDArray[np.uint8] | None]:
        if self._usb.fails > 0:
            self._usb.fails -= 1
            return False, None
        width, height = self._usb.delivers or self._usb.size
        # blue, green, red; the moment of exposure in ms is written into green and red
        stamp_ms = round((self._began_s - START_S) * 1000)
        return True, np.full((height, width, 3), (7, stamp_ms // 256, stamp_ms % 256), np.uint8)

    def set(self, prop: int, value: float) -> bool:
        usb = self._usb
        if prop in usb.refuses:
            return False
        if prop == cv2.CAP_PROP_FOURCC:
            usb.fourcc = "".join(chr(int(value) >> shift & 255) for shift in (0, 8, 16, 24))
        elif prop == cv2.CAP_PROP_EXPOSURE:
            usb.values[prop] = float(np.clip(round(value), *usb.exposure_limits))
        elif prop not in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT):
            usb.values[prop] = value
        return True

    def get(self, prop: int) -> float:
        usb = self._usb
        fixed = {
            cv2.CAP_PROP_FRAME_WIDTH: usb.size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: usb.size[1],
            cv2.CAP_PROP_FPS: 30.0,
            # the moment when the frame was read out, on the computer's own clock
            cv2.CAP_PROP_POS_MSEC: 1000 * (self._began_s + PERIOD_S) if usb.stamps else 0.0,
            cv2.CAP_PROP_FOURCC: cv2.VideoWriter.fourcc(*usb.fourcc),
        }
        return float(fixed.get(prop, usb.values.get(prop, 0.0)))


@pytest.fixture
def usb(monkeypatch: pytest.MonkeyPatch) -> Usb:
    made = Usb()
    monkeypatch.setattr(cv2, "VideoCapture", made.capture)
    monkeypatch.setattr("capture.cameras.opencv.time", SimpleNamespace(monotonic=lambda: made.now_s))
    return made


@pytest.fixture
def by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A camera's name among those that stay the same."""
    folder = tmp_path / "by-id"
    folder.mkdir()
    monkeypatch.setattr("capture.cameras.opencv.BY_ID", folder)
    (folder / "usb-046d_HD_Pro_Webcam_C920_5A2B-video-index0").touch()
    return folder


@pytest.fixture
def camera_with(usb: Usb) -> Iterator[Callable[..., OpenCvCamera]]:
    made: list[OpenCvCamera] = []

    def make(**settings: Any) -> OpenCvCamera:
        camera = CAMERAS.make(OpenCvConfig(**settings), ScaledClock(math.inf))
        assert isinstance(camera, OpenCvCamera)
        camera.connect()
        made.append(camera)
        return camera

    yield make
    for camera in made:
        camera.close()


def exposed_at_s(taken: Any) -> float:
    red, green, blue = (int(value) for value in taken.image[0, 0])
    assert blue == 7
    return START_S + (256 * green + red) / 1000


def test_it_says_who_it_is(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with(fourcc="YUYV")
    assert camera.identity.firmware == "V4L2 640x480 YUYV"
    assert usb.opened == [(0, cv2.CAP_V4L2)]
    assert camera.grab().image.shape == (480, 640, 3)


@pytest.mark.parametrize("idle_s", [0.0, 0.02, 0.2, 3.0])
@pytest.mark.parametrize("stamps", [True, False])
@pytest.mark.parametrize("dequeue_s", [0.0002, 0.008])
def test_what_waited_in_the_queue_is_thrown_away(
    camera_with: Callable[..., OpenCvCamera], usb: Usb, idle_s: float, stamps: bool, dequeue_s: float
) -> None:
    usb.stamps, usb.dequeue_s = stamps, dequeue_s
    camera = camera_with()
    camera.configure(1_000, 1.0)  # far shorter than a frame's period
    for _ in range(3):
        usb.wait(idle_s)
        called_s = usb.now_s
        assert exposed_at_s(camera.grab()) >= called_s - 0.001
        if stamps:
            assert usb.now_s - called_s < 8 * PERIOD_S  # it does not wait for a whole queue that was not there


def test_after_a_stall_no_old_frame_passes_for_a_new_one(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with()
    camera.configure(1_000, 1.0)
    usb.wait(1.0)  # the queue is full
    usb.stalls_s = 2.0
    called_s = usb.now_s
    assert exposed_at_s(camera.grab()) >= called_s


def test_a_frame_of_another_size_is_refused_and_not_stretched(
    camera_with: Callable[..., OpenCvCamera], usb: Usb
) -> None:
    camera = camera_with()
    usb.delivers = (320, 240)
    with pytest.raises(EnvelopeError, match="set to 640x480 and delivered 320x240"):
        camera.grab()


@pytest.mark.parametrize(
    "device", ["http://192.168.7.20:8080/stream.mjpg", "rtsp://camera/1", "film.avi", "/tmp/a.mp4"]
)
def test_what_cannot_be_controlled_is_refused(device: str) -> None:
    with pytest.raises(ValidationError, match=r"its exposure cannot be set, and its frames may be old"):
        OpenCvConfig(device=device)


def test_a_number_in_rig_yaml_is_a_number() -> None:
    assert OpenCvConfig(device="2").device == 2


def test_exposure_is_reported_in_the_drivers_units(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with(gain_unit=16.0)
    camera.configure(20_040, 2.0)
    assert usb.values[cv2.CAP_PROP_EXPOSURE] == 200.0
    assert usb.values[cv2.CAP_PROP_AUTO_EXPOSURE] == 1
    assert usb.values[cv2.CAP_PROP_GAIN] == 32.0
    taken = camera.grab()
    assert (taken.exposure_us, taken.gain) == (20_000, 2.0)  # what it is, not what was asked for
    in_ms = camera_with(exposure_unit_us=1_000.0)
    in_ms.configure(20_000, 1.0)
    assert usb.values[cv2.CAP_PROP_EXPOSURE] == 20.0


def test_settings_that_it_does_not_take(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with()
    with pytest.raises(EnvelopeError, match=r"exposure was set to 5000 and is 2047.*list-ctrls"):
        camera.configure(500_000, 1.0)
    usb.refuses.add(cv2.CAP_PROP_GAIN)
    with pytest.raises(EnvelopeError, match="gain was set to 4 and is 0"):
        camera.configure(20_000, 4.0)


@pytest.mark.parametrize(
    ("prop", "name"),
    [
        (cv2.CAP_PROP_AUTO_EXPOSURE, "exposure"),
        (cv2.CAP_PROP_AUTO_WB, "white balance"),
        (cv2.CAP_PROP_AUTOFOCUS, "focus"),
    ],
)
def test_what_it_keeps_doing_by_itself_is_refused(
    camera_with: Callable[..., OpenCvCamera], usb: Usb, prop: int, name: str
) -> None:
    """It takes the exposure that it is given, reports it, and exposes as it likes."""
    camera = camera_with()
    usb.values[prop] = 3.0
    usb.refuses.add(prop)
    with pytest.raises(EnvelopeError, match=rf"automatic {name} does not go off \(it is 3\).*set by hand"):
        camera.configure(20_000, 1.0)
    usb.values[prop] = -1.0  # it has no such thing
    camera.configure(20_000, 1.0)


def test_settings_that_it_forgets_are_set_again_before_a_frame_counts(
    camera_with: Callable[..., OpenCvCamera], usb: Usb
) -> None:
    """Its supply dipped, and it is automatic again."""
    camera = camera_with()
    camera.configure(20_000, 2.0)
    camera.grab()
    usb.values |= {cv2.CAP_PROP_AUTO_EXPOSURE: 3.0, cv2.CAP_PROP_EXPOSURE: 39.0}
    taken = camera.grab()
    assert (usb.values[cv2.CAP_PROP_EXPOSURE], usb.values[cv2.CAP_PROP_AUTO_EXPOSURE]) == (200.0, 1.0)
    assert (taken.exposure_us, taken.gain) == (20_000, 2.0)


@pytest.mark.parametrize("asked", [{"width_px": 1920, "height_px": 1080}, {"width_px": 641}])
def test_a_size_that_it_does_not_have(usb: Usb, asked: dict[str, int]) -> None:
    with pytest.raises(EnvelopeError, match="delivers 640x480 MJPG"):
        CAMERAS.make(OpenCvConfig(**asked), ScaledClock(math.inf)).connect()  # type: ignore[arg-type]


def test_a_cut_frame_is_read_again(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with()
    usb.fails = 2
    assert camera.grab().sequence == 1
    assert len(usb.opened) == 1


def test_unplugged_and_plugged_in_again(camera_with: Callable[..., OpenCvCamera], usb: Usb, by_id: Path) -> None:
    path = next(by_id.iterdir())
    camera = camera_with(device=f"/dev/../{path}")  # OpenCV takes it for a device
    camera.configure(20_000, 2.0)
    camera.grab()
    usb.values.clear()  # a camera that lost its supply forgets
    usb.plugged, usb.comes_back = False, True
    taken = camera.grab()
    assert (taken.exposure_us, taken.gain, taken.sequence) == (20_000, 2.0, 2)
    assert usb.values[cv2.CAP_PROP_EXPOSURE] == 200.0
    assert [backend for _, backend in usb.opened] == [cv2.CAP_V4L2] * 2


def test_unplugged_for_good(camera_with: Callable[..., OpenCvCamera], usb: Usb, by_id: Path) -> None:
    path = next(by_id.iterdir())
    camera = camera_with(device=f"/dev/../{path}")
    usb.plugged = False
    path.rename(by_id / "usb-Another-video-index0")
    with pytest.raises(NotConnectedError, match=r"no such device. Plug the camera in. Cameras in .*: usb-Another"):
        camera.grab()
    with pytest.raises(NotConnectedError, match="not connected"):
        camera.grab()


def test_unplugged_under_a_number_and_still_reported_open(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with(device=2)
    usb.plugged = False
    with pytest.raises(NotConnectedError, match="opens and delivers no image"):
        camera.grab()


def test_a_camera_that_delivers_once_and_never_again(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with()
    usb.fails = 100
    with pytest.raises(NoAnswerError, match=r"delivers no new image, nor after it was opened again.*Plug the camera"):
        camera.grab()


def test_a_read_that_never_ends(camera_with: Callable[..., OpenCvCamera], usb: Usb) -> None:
    camera = camera_with(answer_s=0.2)
    usb.hangs = threading.Event()
    try:
        with pytest.raises(NotConnectedError, match="camera on 0"):
            camera.grab()
    finally:
        usb.hangs.set()


# The real OpenCV


def test_no_camera(by_id: Path) -> None:
    with pytest.raises(NotConnectedError, match=r"no such device.*Webcam_C920"):
        CAMERAS.make(OpenCvConfig(device="/dev/v4l/none"), ScaledClock(math.inf)).connect()
    with pytest.raises(NotConnectedError, match="delivers no image"):
        CAMERAS.make(OpenCvConfig(device="/dev/null"), ScaledClock(math.inf)).connect()
