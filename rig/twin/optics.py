"""The twin's camera: where every pixel looks, and what the sensor makes of the light."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from rig.twin.coins.surface import Array, as_array
from rig.twin.scene import CameraPose


class CameraModel(BaseModel):
    """A macro camera looking straight down at the plate; the truth that calibration has to recover.

    Lengths on the sensor are pixels. Distortion is Brown and Conrady's, in OpenCV's order (D. C. Brown, "Close-range
    camera calibration", Photogrammetric Engineering 37, 1971).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    width_px: int = Field(default=1280, ge=64, le=8192)
    height_px: int = Field(default=960, ge=64, le=8192)
    focal_px: float = Field(default=5300.0, gt=0)
    centre_px: tuple[float, float] = (645.5, 474.0)
    height_mm: float = Field(default=250.0, gt=0, description="lens above the plate's surface")
    k1: float = -0.9
    k2: float = 4.0
    p1: float = 0.003
    p2: float = -0.002
    vignetting: float = Field(default=0.28, ge=0, lt=1, description="light lost in the corners")
    sharpness_px: float = Field(default=0.6, ge=0, description="standard deviation of the lens's blur in focus")
    focus_height_mm: float = Field(default=2.0, description="height above the plate that is in focus")
    blur_px_per_mm: float = Field(default=0.28, ge=0, description="blur added per mm out of focus")
    breathing_per_mm: float = Field(
        default=0.0003, ge=0, lt=0.01, description="by how much larger everything looks for each mm of nearer focus"
    )
    full_well_electrons: float = Field(default=11000.0, gt=0)
    read_noise_electrons: float = Field(default=6.0, ge=0)
    crosstalk: tuple[tuple[float, float, float], ...] = Field(
        default=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        min_length=3,
        max_length=3,
        description="what red, green and blue of the sensor see of red, green and blue light, a row each",
    )
    sensitivity: float = Field(
        default=1.0, gt=0, description="saturation of a perfect white at 20 ms, gain 1, irradiance 1"
    )

    @property
    def matrix(self) -> npt.NDArray[np.float64]:
        """The 3x3 camera matrix."""
        x, y = self.centre_px
        return np.array([[self.focal_px, 0, x], [0, self.focal_px, y], [0, 0, 1]], np.float64)

    @property
    def distortion(self) -> npt.NDArray[np.float64]:
        """(k1, k2, p1, p2)."""
        return np.array([self.k1, self.k2, self.p1, self.p2], np.float64)

    @property
    def mm_per_pixel(self) -> float:
        """True scale in the plate's plane, camera not tilted."""
        return self.height_mm / self.focal_px

    def blur_px(self, height_mm: float) -> float:
        """Standard deviation of the blur of something this high above the plate."""
        return self.sharpness_px + self.blur_px_per_mm * abs(height_mm - self.focus_height_mm)

    def focused_on(self, height_mm: float) -> CameraModel:
        """The same camera with a height above the plate in focus; its lens magnifies by that."""
        zoom = 1 + self.breathing_per_mm * (height_mm - self.focus_height_mm)
        return self.model_copy(update={"focus_height_mm": height_mm, "focal_px": self.focal_px * zoom})


@lru_cache(maxsize=6)
def sight_rays(camera: CameraModel) -> tuple[Array, Array]:
    """Undistorted image coordinates (x, y) of each pixel at unit depth: two (height_px, width_px) arrays."""
    columns, rows = np.meshgrid(
        np.arange(camera.width_px, dtype=np.float64), np.arange(camera.height_px, dtype=np.float64)
    )
    distorted_x = (columns - camera.centre_px[0]) / camera.focal_px
    distorted_y = (rows - camera.centre_px[1]) / camera.focal_px
    x, y = distorted_x.copy(), distorted_y.copy()
    for _ in range(8):  # the distortion is a contraction of a few percent per step
        r2 = x * x + y * y
        radial = 1 + r2 * (camera.k1 + camera.k2 * r2)
        shift_x = 2 * camera.p1 * x * y + camera.p2 * (r2 + 2 * x * x)
        shift_y = camera.p1 * (r2 + 2 * y * y) + 2 * camera.p2 * x * y
        x, y = (distorted_x - shift_x) / radial, (distorted_y - shift_y) / radial
    return x.astype(np.float32), y.astype(np.float32)


def camera_axes(pose: CameraPose) -> npt.NDArray[np.float64]:
    """Rows: the camera's right, down and forward in bench axes. Tilt swings it towards the bottom of the image."""
    tilt, turn = np.radians(pose.tilt_deg), np.radians(pose.turn_deg)
    tilted = np.array([[1, 0, 0], [0, -np.cos(tilt), -np.sin(tilt)], [0, np.sin(tilt), -np.cos(tilt)]])
    if not turn:
        return tilted
    cos, sin = np.cos(turn), np.sin(turn)
    return np.asarray(tilted @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]]), np.float64)


def lens_of(camera: CameraModel, pose: CameraPose) -> npt.NDArray[np.float64]:
    """Where the lens is on the bench (mm)."""
    if pose.lens_mm is not None:
        return np.array(pose.lens_mm, np.float64)
    return np.asarray(-camera.height_mm * camera_axes(pose)[2], np.float64)


def on_plane(
    camera: CameraModel, pose: CameraPose, height_mm: float, window: tuple[slice, slice] = (slice(None), slice(None))
) -> tuple[Array, Array]:
    """Bench x and y (mm) where the rays of a window of pixels meet the plane at a height above the plate."""
    point, axis_u, axis_v = np.array([0, 0, height_mm]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    return on_tilted_plane(camera, pose, point, axis_u, axis_v, window)


def on_tilted_plane(
    camera: CameraModel,
    pose: CameraPose,
    point: npt.NDArray[np.float64],
    axis_u: npt.NDArray[np.float64],
    axis_v: npt.NDArray[np.float64],
    window: tuple[slice, slice] = (slice(None), slice(None)),
) -> tuple[Array, Array]:
    """Coordinates along two axes of a plane through a point, where the rays of a window of pixels meet it."""
    axes = camera_axes(pose)
    eye = lens_of(camera, pose)
    to_camera = axes @ np.stack([axis_u, axis_v, point - eye], axis=1)
    a = np.linalg.inv(to_camera)
    rays_x, rays_y = (rays[window] for rays in sight_rays(camera))
    w = np.float32(a[2, 0]) * rays_x + np.float32(a[2, 1]) * rays_y + np.float32(a[2, 2])
    u = np.float32(a[0, 0]) * rays_x + np.float32(a[0, 1]) * rays_y + np.float32(a[0, 2])
    v = np.float32(a[1, 0]) * rays_x + np.float32(a[1, 1]) * rays_y + np.float32(a[1, 2])
    u /= w
    v /= w
    return u, v


def to_pixel(camera: CameraModel, pose: CameraPose, point_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pixel coordinates (N, 2) of bench points (N, 3), distortion included."""
    axes = camera_axes(pose)
    seen = (np.asarray(point_mm, np.float64) - lens_of(camera, pose)) @ axes.T
    x, y = seen[:, 0] / seen[:, 2], seen[:, 1] / seen[:, 2]
    r2 = x * x + y * y
    radial = 1 + r2 * (camera.k1 + camera.k2 * r2)
    distorted_x = x * radial + 2 * camera.p1 * x * y + camera.p2 * (r2 + 2 * x * x)
    distorted_y = y * radial + camera.p1 * (r2 + 2 * y * y) + 2 * camera.p2 * x * y
    pixels = np.stack([distorted_x, distorted_y], axis=1) * camera.focal_px
    return np.asarray(pixels + np.asarray(camera.centre_px), np.float64)


def blurred(image: npt.ArrayLike, sigma_px: float) -> Array:
    """Gaussian blur, cut at 2.5 standard deviations; as it was for less than a fifth of a pixel."""
    image = as_array(image)
    if sigma_px < 0.2:
        return image
    size = 2 * int(np.ceil(2.5 * sigma_px)) + 1
    return as_array(cv2.GaussianBlur(image, (size, size), sigma_px))


@lru_cache(maxsize=2)
def vignette(camera: CameraModel) -> Array:
    """Share of the light that reaches each pixel, (height_px, width_px, 3)."""
    x, y = sight_rays(camera)
    r2 = x * x + y * y
    fall = 1 - np.float32(camera.vignetting) * r2 / r2.max()
    return np.asarray(cv2.merge([fall, fall, fall]), np.float32)


_SLACK_PX = 61  # noise is drawn once, larger than a frame, and every frame takes it at another offset


class Sensor:
    """Turns light into 8-bit sRGB: shot noise, read noise, saturation, quantisation."""

    _LEVELS = 4096

    def __init__(self, camera: CameraModel, seed: int) -> None:
        self._camera = camera
        self._rng = np.random.default_rng(seed)
        shape = (camera.height_px + _SLACK_PX, camera.width_px + _SLACK_PX, 3)
        self._noise = self._rng.standard_normal(shape, np.float32)
        linear = np.arange(self._LEVELS, dtype=np.float64) / (self._LEVELS - 1)
        encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
        self._encode = np.round(255 * encoded).astype(np.uint8)

    def expose(self, light: Array, exposure_us: float, gain: float) -> npt.NDArray[np.uint8]:
        """The image, (H, W, 3) RGB uint8, of light (H, W, 3) leaving the scene; `light` is used up."""
        camera = self._camera
        scale = camera.sensitivity * exposure_us / 20000.0 * gain
        if camera.crosstalk != CameraModel.model_fields["crosstalk"].default:
            light = as_array(cv2.transform(light, np.array(camera.crosstalk, np.float64)))
        level = as_array(cv2.multiply(light, vignette(camera), scale=scale, dst=light))
        # In units of saturation, e electrons make e / full_well * gain; their variance is e.
        per_electron = gain / camera.full_well_electrons
        floor = (camera.read_noise_electrons * per_electron) ** 2
        spread = cv2.sqrt(cv2.addWeighted(level, per_electron, level, 0.0, floor))
        row, column = self._rng.integers(0, _SLACK_PX, 2)
        cv2.accumulateProduct(
            spread, self._noise[row : row + camera.height_px, column : column + camera.width_px], level
        )
        np.clip(level, 0, 1, out=level)
        level *= np.float32(self._LEVELS - 1)
        return np.asarray(self._encode.take(level.astype(np.uint16)), np.uint8)
