"""The Raspberry Pi camera: the real picamera2 package on a camera that is late, drops requests, or hangs."""

from __future__ import annotations

import inspect
import json
import math
import os
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from capture.cameras import CAMERAS, Camera
from capture.cameras.picamera2 import Picamera2Config
from rig.clock import ScaledClock
from rig.errors import DeviceError, EnvelopeError, NoAnswerError, NotConnectedError
from tests.capture.cameras import fake_libcamera
from tests.capture.cameras.fake_libcamera import Behaviour, Machine, level

pytestmark = pytest.mark.filterwarnings("ignore:setDaemon:DeprecationWarning")  # picamera2's

PORT = "/base/soc/i2c0mux/i2c@1/imx477@1a"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Machine:
    return fake_libcamera.install(monkeypatch, tmp_path)


@pytest.fixture
def sensor(machine: Machine) -> Behaviour:
    return machine.attach(PORT, "imx477")


@pytest.fixture
def camera_with(machine: Machine) -> Iterator[Callable[..., Camera]]:
    """Makes cameras, and closes them."""
    made: list[Camera] = []

    def make(**settings: Any) -> Camera:
        made.append(CAMERAS.make(Picamera2Config(**{"answer_s": 1.0, **settings}), ScaledClock(math.inf)))
        return made[-1]

    yield make
    for camera in made:
        camera.close()


@pytest.fixture
def camera(sensor: Behaviour, camera_with: Callable[..., Camera]) -> Camera:
    """Connected."""
    made = camera_with()
    made.connect()
    return made


def seen(camera: Camera) -> tuple[float, float, float, int, float]:
    taken = camera.grab()
    assert taken.image.min(axis=(0, 1)) == pytest.approx(taken.image.max(axis=(0, 1)))  # padding was cut off
    red, green, blue = (float(value) for value in taken.image[0, 0])
    return red, green, blue, taken.exposure_us, taken.gain


def test_it_says_who_it_is(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    camera = camera_with(width_px=300, height_px=220)
    identity = camera.connect()
    assert identity == camera.identity
    assert (identity.kind, identity.port, identity.firmware) == ("picamera2", PORT, "imx477 300x220")
    camera.configure(2_000, 1.0)
    taken = camera.grab()
    assert taken.image.shape == (220, 300, 3)
    assert taken.image.flags["C_CONTIGUOUS"]


@pytest.mark.parametrize("delay_frames", [0, 3, 8])
def test_an_image_waits_for_its_controls(sensor: Behaviour, camera: Camera, delay_frames: int) -> None:
    sensor.delay_frames = delay_frames
    for exposure_us, gain in ((2_000, 1.0), (4_000, 2.0), (1_000, 8.0), (1_000, 1.0)):
        camera.configure(exposure_us, gain)
        red, green, blue, shown_us, shown_gain = seen(camera)
        assert shown_us == pytest.approx(exposure_us, abs=20)  # a whole number of lines
        assert shown_gain == pytest.approx(gain, rel=0.01)
        expected = level({"ExposureTime": shown_us, "AnalogueGain": shown_gain, "ColourGains": (2.0, 2.0)})
        assert (red, green, blue) == pytest.approx(expected, abs=1)


def test_colour_gains_reach_the_image(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    camera = camera_with(colour_gains=(3.0, 1.5))
    camera.connect()
    camera.configure(3_000, 1.0)
    red, green, blue, *_ = seen(camera)
    assert (red / green, blue / green) == pytest.approx((3.0, 1.5), rel=0.05)


def test_an_image_is_exposed_after_it_was_asked_for(sensor: Behaviour, camera: Camera) -> None:
    camera.configure(20_000, 1.0)
    camera.grab()
    before = sensor.frames
    camera.grab()
    # The frame under way when it was asked for is not the one: at least one more was waited for.
    assert sensor.frames >= before + 1
    assert camera.grab().sequence == 3


def test_dropped_requests_cost_frames_alone(sensor: Behaviour, camera: Camera) -> None:
    for number in range(2, 60, 2):
        sensor.drop.add(sensor.frames + number)
    camera.configure(2_000, 1.0)
    assert seen(camera)[3] == pytest.approx(2_000, abs=20)
    camera.configure(4_000, 1.0)
    assert seen(camera)[3] == pytest.approx(4_000, abs=20)
    assert sensor.starts == 1


def test_controls_that_were_lost_are_sent_again(sensor: Behaviour, camera: Camera) -> None:
    camera.configure(2_000, 1.0)
    camera.grab()
    sensor.loses_controls = 1
    camera.configure(6_000, 1.0)
    assert seen(camera)[3] == pytest.approx(6_000, abs=20)
    assert sensor.loses_controls == 0


def test_controls_without_effect_are_reported(sensor: Behaviour, camera: Camera) -> None:
    sensor.ignores_controls = True
    camera.configure(6_000, 2.0)
    with pytest.raises(NoAnswerError, match=r"controls still show .*ExposureTime.* instead of .*6000"):
        camera.grab()


def test_a_hung_request_is_cured_by_restarting(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    camera = camera_with()
    camera.connect()
    camera.configure(2_000, 3.0)
    camera.grab()
    sensor.hang_at, sensor.hangs = 0, 1
    *_, shown_us, shown_gain = seen(camera)
    assert sensor.starts == 2
    assert shown_us == pytest.approx(2_000, abs=20)  # settings survive
    assert shown_gain == pytest.approx(3.0, rel=0.01)
    assert seen(camera)[3] == shown_us


def test_a_camera_that_stays_hung_is_reported(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    camera = camera_with(answer_s=0.3)
    camera.connect()
    camera.configure(2_000, 1.0)
    sensor.hang_at, sensor.hangs = 0, 99
    with pytest.raises(NoAnswerError, match=r"camera 0 on picamera2: no image came within 0.3 s.* press the ribbon"):
        camera.grab()
    assert sensor.starts == 2
    sensor.hang_at = None
    assert seen(camera)[3] == pytest.approx(2_000, abs=20)  # it came back by itself


def test_a_camera_that_delivers_nothing_is_not_connected(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    sensor.hang_at, sensor.hangs = 0, 99
    camera = camera_with(answer_s=0.3)
    with pytest.raises(NoAnswerError, match="no image came"):
        camera.connect()
    with pytest.raises(NotConnectedError, match="not connected"):
        camera.grab()


def test_a_camera_that_cannot_be_stopped_does_not_stop_us(
    sensor: Behaviour, camera_with: Callable[..., Camera]
) -> None:
    camera = camera_with(answer_s=0.3)
    camera.connect()
    camera.configure(2_000, 1.0)
    sensor.hang_at, sensor.hangs, sensor.stop_hangs = 0, 99, threading.Event()
    try:
        with pytest.raises(NoAnswerError, match="closing it has not ended"):
            camera.grab()
    finally:
        sensor.stop_hangs.set()


def test_cameras_are_distinguished_by_name(machine: Machine, camera_with: Callable[..., Camera]) -> None:
    machine.attach("/base/axi/i2c@88000/imx477@1a", "imx477")
    machine.attach("/base/axi/i2c@80000/imx708@1a", "imx708", has_motor=True)
    assert "imx708" in camera_with(camera="imx708").connect().port
    assert "i2c@88000" in camera_with(camera="i2c@88000").connect().port
    with pytest.raises(NotConnectedError, match=r"there are 0 such cameras.*0: imx477.*1: imx708"):
        camera_with(camera="ov5647").connect()
    with pytest.raises(NotConnectedError, match="there are 2 such cameras"):
        camera_with(camera="i2c@8").connect()


def test_focus_by_hand_and_by_motor(machine: Machine, camera_with: Callable[..., Camera]) -> None:
    machine.attach(PORT, "imx477")
    by_motor = machine.attach("/base/soc/i2c0mux/i2c@1/imx708@1a", "imx708", has_motor=True)
    camera = camera_with(camera="imx708", lens_position=12.5)
    camera.connect()
    camera.configure(2_000, 1.0)
    camera.grab()
    assert by_motor.shown[-1]["LensPosition"] == 12.5
    camera.focus(2.0)  # above the plate, which is 80 mm away
    assert camera.grab().zoom == 1.0, "not known without the focal length"
    assert by_motor.shown[-1]["LensPosition"] == pytest.approx(1000 / 78, abs=0.001)
    with pytest.raises(EnvelopeError, match="LensPosition"):
        camera.focus(60.0)
    camera.focus(None)
    camera.grab()
    assert by_motor.shown[-1]["LensPosition"] == 12.5
    camera.close()
    camera = camera_with(camera="imx708", lens_position=12.5, focal_mm=4.74)
    camera.connect()
    camera.focus(2.0)
    assert camera.grab().zoom == pytest.approx((1 / 4.74 - 1 / 80) / (1 / 4.74 - 1 / 78), abs=1e-5)  # a thin lens
    camera.close()
    camera = camera_with(camera="imx477", lens_position=12.5)
    camera.connect()
    with pytest.raises(EnvelopeError, match=r"no LensPosition. Leave `lens_position` out"):
        camera.configure(2_000, 1.0)


@pytest.mark.parametrize(
    ("exposure_us", "gain", "message"),
    [(5_000_000, 1.0, "ExposureTime goes from 14 to 2e"), (2_000, 40.0, "AnalogueGain goes from 1 to 22, not to 40")],
)
def test_what_the_sensor_cannot_do(camera: Camera, exposure_us: int, gain: float, message: str) -> None:
    with pytest.raises(EnvelopeError, match=message):
        camera.configure(exposure_us, gain)


def test_another_program_has_it(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    sensor.busy = True
    with pytest.raises(NotConnectedError, match=r"opening it failed .* Close other programs"):
        camera_with().connect()


def test_no_camera_at_all(machine: Machine, camera_with: Callable[..., Camera]) -> None:
    with pytest.raises(NotConnectedError, match="libcamera sees: none"):
        camera_with().connect()


def test_a_size_that_cannot_be(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    with pytest.raises(EnvelopeError, match="cannot be set to 4000x240"):
        camera_with(width_px=4_000).connect()


def test_picamera2_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(NotConnectedError, match=r"pip install 'coinlab\[pi\]'"):
        CAMERAS.make(Picamera2Config(), ScaledClock(math.inf)).connect()


def real_dng(patch: pytest.MonkeyPatch) -> None:
    """Let picamera2 write with the PiDNG that is installed, also where that is PyPI's, which newer picamera2 outgrew.

    From 0.3.30 on picamera2 names the camera's model, from 0.3.35 on it hands over an open file: PiDNG of Raspberry
    Pi OS takes both, PyPI's 4.0.9 neither.
    """
    import picamera2.request
    from pidng.camdefs import Picamera2Camera
    from pidng.core import PICAM2DNG

    if len(inspect.signature(Picamera2Camera).parameters) >= 3:
        return

    class Writer(PICAM2DNG):  # type: ignore[misc]
        def convert(self, image: Any, filename: str = "", file: Any = None) -> Any:
            made = super().convert(image, filename)
            return made if file is None else file.write(made)

    patch.setattr(picamera2.request, "Picamera2Camera", lambda config, metadata, *_: Picamera2Camera(config, metadata))
    patch.setattr(picamera2.request, "PICAM2DNG", Writer)


def tags(dng: bytes) -> dict[int, tuple[int, ...]]:
    """The numbers in the first directory of a little-endian TIFF file."""
    assert dng[:4] == b"II*\0"
    (at,) = struct.unpack_from("<I", dng, 4)
    (entries,) = struct.unpack_from("<H", dng, at)
    found = {}
    for number in range(entries):
        tag, kind, count = struct.unpack_from("<HHI", dng, at + 2 + 12 * number)
        code, size = {3: ("H", 2), 4: ("I", 4)}.get(kind, ("", 0))
        if code:
            where = at + 10 + 12 * number
            if size * count > 4:
                (where,) = struct.unpack_from("<I", dng, where)
            found[tag] = struct.unpack_from(f"<{count}{code}", dng, where)
    return found


def test_raw_data_are_kept_beside_the_image(
    sensor: Behaviour, camera_with: Callable[..., Camera], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_dng(monkeypatch)
    camera = camera_with(raw=tmp_path / "raw", width_px=160, height_px=120)
    camera.connect()
    camera.configure(2_000, 1.0)
    taken = camera.grab()
    assert taken.image.shape == (120, 160, 3)
    (path,) = (tmp_path / "raw").iterdir()
    assert path.name == f"{taken.taken_at.replace(':', '')}_000001.dng"
    dng = path.read_bytes()
    width, height, bits, black = (tags(dng)[tag] for tag in (256, 257, 258, 50714))
    assert (width[0], height[0]) == fake_libcamera.SENSOR_SIZE  # the sensor's own, whatever the image's size
    assert bits == (12,) and black == (256,) * 4
    assert len(dng) > width[0] * height[0] * 12 // 8


def test_raw_data_that_cannot_be_written_fail_at_once(
    sensor: Behaviour, camera_with: Callable[..., Camera], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import picamera2.request
    from pidng.camdefs import Picamera2Camera

    if len(inspect.signature(Picamera2Camera).parameters) >= 3:
        pytest.skip("the PiDNG that is installed fits this picamera2")
    if "Picamera2Camera(config, metadata)" in inspect.getsource(picamera2.request):
        pytest.skip("this picamera2 is older than 0.3.30 and fits PyPI's PiDNG")
    with pytest.raises(DeviceError, match=r"cannot be written as DNG .* apt install python3-pidng"):
        camera_with(raw=tmp_path).connect()


def test_a_camera_without_raw_data_is_refused(
    sensor: Behaviour, camera_with: Callable[..., Camera], tmp_path: Path
) -> None:
    sensor.has_raw = False
    with pytest.raises(EnvelopeError, match=r"it has no raw data.*Leave `raw`"):
        camera_with(raw=tmp_path).connect()
    camera_with().connect()


def test_another_size_than_was_asked_for_is_noticed(sensor: Behaviour, camera_with: Callable[..., Camera]) -> None:
    sensor.adjusts = (304, 224)
    with pytest.raises(EnvelopeError, match="asked for 300x220 and is set to 304x224"):
        camera_with(width_px=300, height_px=220).connect()


def test_the_tuning_does_not_adapt(
    machine: Machine, sensor: Behaviour, camera_with: Callable[..., Camera], tmp_path: Path
) -> None:
    contrast = {"ce_enable": 1, "gamma_curve": [0, 0, 65535, 65535]}
    algorithms = [{"rpi.black_level": {}}, {"rpi.contrast": contrast}, {"rpi.alsc": {"n_iter": 100}}]
    fake_libcamera.write_tuning(tmp_path, "imx477", {"version": 2.0, "algorithms": algorithms})
    read = []
    attach = machine.manager.cameras[0].acquire

    def acquire() -> None:  # when it opens, libcamera reads the file that this names
        read.append(json.loads(Path(os.environ["LIBCAMERA_RPI_TUNING_FILE"]).read_text()))
        attach()

    machine.manager.cameras[0].acquire = acquire  # type: ignore[method-assign]
    camera_with().connect()
    (tuning,) = read
    assert [name for each in tuning["algorithms"] for name in each] == ["rpi.black_level", "rpi.contrast"]
    curve = tuning["algorithms"][1]["rpi.contrast"]["gamma_curve"]
    assert tuning["algorithms"][1]["rpi.contrast"]["ce_enable"] == 0
    light, code = curve[::2], curve[1::2]
    assert (light[0], code[0], light[-1], code[-1]) == (0, 0, 65535, 65535)
    assert light == sorted(set(light))
    middle = min(range(len(light)), key=lambda n: abs(light[n] - 0.25 * 65535))
    assert code[middle] / 65535 == pytest.approx(0.537, abs=0.01)


def test_closing_twice(camera: Camera) -> None:
    camera.close()
    camera.close()
    with pytest.raises(DeviceError, match="not connected"):
        camera.configure(2_000, 1.0)
