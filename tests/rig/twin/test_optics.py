"""The twin camera's geometry against OpenCV's, and its sensor against the physics of counting electrons."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig.twin.optics import CameraModel, Sensor, camera_axes, on_plane, to_pixel
from rig.twin.scene import STRAIGHT_DOWN, CameraPose

CAMERA = CameraModel()


@given(
    x=st.floats(-25, 25), y=st.floats(-18, 18), z=st.floats(0, 4), tilt_deg=st.floats(-30, 30), width=st.integers(1, 2)
)
def test_points_fall_where_opencv_projects_them(x: float, y: float, z: float, tilt_deg: float, width: int) -> None:
    points = np.array([[x, y, z]] * width)
    # turned here: OpenCV's own turning takes one of less than 1e-5 for none
    turned = points @ np.asarray(camera_axes(CameraPose(tilt_deg))).T
    shift = CAMERA.height_mm * np.array([0.0, 0.0, 1.0])
    expected, _ = cv2.projectPoints(turned, np.zeros(3), shift, CAMERA.matrix, CAMERA.distortion)
    assert to_pixel(CAMERA, CameraPose(tilt_deg), points) == pytest.approx(expected.reshape(-1, 2), abs=1e-6)


@pytest.mark.parametrize(("tilt_deg", "height_mm"), [(0, 0), (0, 2), (20, 0), (-15, 3)])
def test_rays_and_projection_agree(tilt_deg: float, height_mm: float) -> None:
    rows, columns = np.mgrid[10:950:94, 10:1270:126]
    x, y = on_plane(CAMERA, CameraPose(tilt_deg), height_mm)
    points = np.stack([x[rows, columns], y[rows, columns], np.full(rows.shape, height_mm)], axis=-1).reshape(-1, 3)
    back = to_pixel(CAMERA, CameraPose(tilt_deg), points)
    assert np.abs(back - np.stack([columns, rows], axis=-1).reshape(-1, 2)).max() < 0.02


def test_image_axes_are_the_benchs() -> None:
    centre, right, up = to_pixel(CAMERA, STRAIGHT_DOWN, np.array([[0, 0, 0], [10, 0, 0], [0, 10, 0]]))
    assert right[0] - centre[0] == pytest.approx(10 / CAMERA.mm_per_pixel, rel=0.01)
    assert up[1] - centre[1] == pytest.approx(-10 / CAMERA.mm_per_pixel, rel=0.01)


def test_field_of_view_takes_in_a_coin_with_room() -> None:
    assert 55 < CAMERA.width_px * CAMERA.mm_per_pixel < 65


def _linear(image: np.ndarray) -> np.ndarray:
    code = image / 255
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def test_noise_is_that_of_electrons() -> None:
    camera = CameraModel(vignetting=0.0)
    sensor = Sensor(camera, 1)
    grey = np.full((camera.height_px, camera.width_px, 3), 0.4, np.float32)
    one, other = (_linear(sensor.expose(grey.copy(), 20_000, 1.0)) for _ in range(2))
    assert one.mean() == pytest.approx(0.4, rel=0.01)
    electrons = 0.4 * camera.full_well_electrons
    expected = np.sqrt(electrons + camera.read_noise_electrons**2) / camera.full_well_electrons
    assert (one - other).std() / np.sqrt(2) == pytest.approx(expected, rel=0.1)


def test_gain_brightens_and_amplifies_noise() -> None:
    camera = CameraModel(vignetting=0.0)
    sensor = Sensor(camera, 1)
    grey = np.full((camera.height_px, camera.width_px, 3), 0.2, np.float32)
    plain, gained = sensor.expose(grey.copy(), 20_000, 1.0), sensor.expose(grey.copy(), 5_000, 4.0)
    assert gained.mean() == pytest.approx(plain.mean(), rel=0.02)
    assert _linear(gained).std() > 1.7 * _linear(plain).std()


def test_over_exposure_saturates() -> None:
    grey = np.full((CAMERA.height_px, CAMERA.width_px, 3), 0.5, np.float32)
    assert (Sensor(CAMERA, 1).expose(grey, 200_000, 1.0) == 255).all()


def test_unknown_setting_is_refused() -> None:
    with pytest.raises(ValueError, match="focal_mm"):
        CameraModel.model_validate({"focal_mm": 25})
