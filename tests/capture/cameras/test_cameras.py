"""Cameras: the twin's, a replayed folder, and OpenCV's with a video file in place of a device."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from calibration.image import encode_jpeg
from capture.cameras import CAMERAS
from capture.cameras.opencv import OpenCvConfig
from capture.cameras.picamera2 import Picamera2Config
from capture.cameras.replay import ReplayConfig
from capture.cameras.twin import TwinCameraConfig
from rig.clock import ScaledClock
from rig.errors import NoAnswerError, NotConnectedError
from rig.station import StationConfig
from rig.twin import world as twin_world
from rig.twin.faults import FrozenFrame
from rig.twin.lab import make_world
from rig.twin.world import World


@pytest.fixture
def clock() -> ScaledClock:
    return ScaledClock(math.inf)


@pytest.fixture
def world(clock: ScaledClock) -> Iterator[World]:
    made = make_world(StationConfig(), clock)
    made.leds = [(1.0, 5000)] * 60
    made.show_target("white card")
    yield made
    twin_world.use(None)


def test_the_twins_camera_sees_its_world(world: World, clock: ScaledClock) -> None:
    camera = CAMERAS.make(TwinCameraConfig(), clock)
    assert camera.connect() == camera.identity
    camera.configure(5_000, 1.0)
    before = clock.now()
    bright = camera.grab()
    assert clock.now() - before == pytest.approx(0.035)
    assert (bright.exposure_us, bright.gain, bright.sequence) == (5_000, 1.0, 1)
    world.leds = []
    dark = camera.grab()
    assert bright.image.mean() > 60 > 10 > dark.image.mean()
    assert dark.sequence == 2
    camera.configure(10_000, 1.0)
    world.leds = [(0.5, 5000)] * 60
    assert camera.grab().image.mean() == pytest.approx(bright.image.mean(), rel=0.05)
    camera.close()
    camera.close()
    with pytest.raises(NotConnectedError, match="not connected"):
        camera.grab()


def test_a_frozen_frame_is_the_one_before(world: World, clock: ScaledClock) -> None:
    world.faults.append(FrozenFrame(after_frames=0, frames=1))
    camera = CAMERAS.make(TwinCameraConfig(), clock)
    camera.connect()
    camera.configure(5_000, 1.0)
    first, frozen, third = (camera.grab().image for _ in range(3))
    assert (first == frozen).all()
    assert (first != third).any()


def test_the_twins_camera_needs_a_twin(clock: ScaledClock) -> None:
    twin_world.use(None)
    with pytest.raises(NotConnectedError, match="no twin world"):
        CAMERAS.make(TwinCameraConfig(), clock).connect()


def test_replay_plays_a_folder_round_and_round(tmp_path: Path, clock: ScaledClock) -> None:
    for level in (40, 200):
        (tmp_path / f"{level}.jpg").write_bytes(encode_jpeg(np.full((20, 30, 3), level, np.uint8)))
    camera = CAMERAS.make(ReplayConfig(folder=tmp_path), clock)
    assert "2 images" in camera.connect().firmware
    camera.configure(20_000, 1.0)
    levels = [round(float(camera.grab().image.mean()), -1) for _ in range(3)]
    assert levels == [200, 40, 200]
    (tmp_path / "200.jpg").write_bytes(b"")
    camera.grab()
    with pytest.raises(NoAnswerError, match="empty file"):
        camera.grab()


def test_replay_of_nothing(tmp_path: Path, clock: ScaledClock) -> None:
    with pytest.raises(NotConnectedError, match="no images"):
        CAMERAS.make(ReplayConfig(folder=tmp_path), clock).connect()


@pytest.mark.parametrize(
    ("device", "message"), [("/dev/v4l/by-id/none", "there is no such device"), ("/dev/null", "delivers no image")]
)
def test_opencv_says_that_there_is_no_camera(device: str, message: str, clock: ScaledClock) -> None:
    with pytest.raises(NotConnectedError, match=message):
        CAMERAS.make(OpenCvConfig(device=device), clock).connect()


def test_configurations_are_distinguished_by_kind() -> None:
    adapter: TypeAdapter[object] = TypeAdapter(CAMERAS.config_type())
    assert adapter.validate_python({"kind": "twin"}) == TwinCameraConfig()
    assert adapter.validate_python({"kind": "opencv", "device": 2}) == OpenCvConfig(device=2)
    assert isinstance(adapter.validate_python({"kind": "picamera2"}), Picamera2Config)
    with pytest.raises(ValidationError, match="width"):
        adapter.validate_python({"kind": "opencv", "width": 640})
    with pytest.raises(ValidationError, match="'opencv', 'twin', 'replay'"):
        adapter.validate_python({"kind": "leica"})
