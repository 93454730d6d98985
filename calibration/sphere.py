"""Where lights come from, by their reflection in a chrome sphere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.image import Image

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Focal length over the image's longer side of a macro lens of 105 mm on a full frame, the usual one for such work. What
# is taken for granted otherwise, a camera infinitely far away, tilts every light by some degrees too much.
USUAL_FOCAL = 2.9
LEAST_LEVEL = 60  # of 255, of a reflection
BRIGHT = 0.9  # of the brightest, to belong to the reflection
LARGEST = 0.05  # share of the sphere; a larger one is a room, not a lamp
RIM = 0.97  # of the radius; beyond, the direction is not known
MIN_RADIUS_PX = 20
AMBIGUOUS = 0.5  # area of another reflection as bright over that of the largest


@dataclass(frozen=True)
class Sphere:
    """A sphere's outline in an image: centre (x, y) and radius in pixels."""

    x: float
    y: float
    radius: float


def sphere_of_mask(mask: Mask) -> Sphere:
    """The circle that a mask (H, W) shows.

    Raises
    ------
    CalibrationError
        If it shows no circle.
    """
    count, _, stats, centres = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2:
        raise CalibrationError("The mask is empty. It is white where the sphere is, and black elsewhere.")
    largest = 1 + int(stats[1:, cv2.CC_STAT_AREA].argmax())
    area = float(stats[largest, cv2.CC_STAT_AREA])
    width, height = (int(stats[largest, side]) for side in (cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT))
    radius = float(np.sqrt(area / np.pi))
    if max(width, height) > 1.15 * min(width, height) or not 0.9 < 2 * radius / max(width, height) < 1.1:
        raise CalibrationError(
            f"The mask shows no circle (it is {width}x{height} pixels, {area:.0f} in area). White where the sphere is."
        )
    return Sphere(float(centres[largest][0]), float(centres[largest][1]), radius)


def light_direction(image: Image, sphere: Sphere, name: str, focal_px: float | None = None) -> Vector:
    """Unit vector towards the light: x to the right, y up, z towards the camera.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8, of the sphere under one light.
    focal_px
        Focal length; that of the usual lens if it is not known.

    Raises
    ------
    CalibrationError
        If the sphere is too small or reaches out of the image, or shows no single reflection of a lamp.
    """
    height, width = image.shape[:2]
    spot = find_spot(image, sphere, name)
    return _reflected(spot, sphere, (width, height), focal_px or USUAL_FOCAL * max(width, height))


def find_spot(image: Image, sphere: Sphere, name: str) -> tuple[float, float]:
    """Where a lamp is reflected in the sphere (x, y).

    Raises
    ------
    CalibrationError
        See `light_direction`.
    """
    height, width = image.shape[:2]
    if sphere.radius < MIN_RADIUS_PX:
        raise CalibrationError(f"The sphere is too small: {2 * sphere.radius:.0f} pixels across. Go nearer.")
    if not (0 <= sphere.x < width and 0 <= sphere.y < height):
        raise CalibrationError(
            f"{name}: the sphere lies outside of the image. Give its mask or place as in this image."
        )
    top_row, left = max(0, int(sphere.y - sphere.radius)), max(0, int(sphere.x - sphere.radius))
    near = image[top_row : int(sphere.y + sphere.radius) + 2, left : int(sphere.x + sphere.radius) + 2]
    y, x = np.indices(near.shape[:2], np.float64) + np.array([top_row, left])[:, None, None]
    inside = np.hypot(x - sphere.x, y - sphere.y) < RIM * sphere.radius
    level = np.where(inside, near.max(axis=2), 0).astype(np.float64)
    top = float(level.max())
    if top < LEAST_LEVEL:
        raise CalibrationError(f"{name}: no lamp is reflected in the sphere (at most {top:.0f} of 255). Was it lit?")
    count, labels, stats, _ = cv2.connectedComponentsWithStats((level >= BRIGHT * top).astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    largest = int(areas.argmax())
    if areas[largest] > LARGEST * np.pi * sphere.radius**2:
        raise CalibrationError(
            f"{name}: what is reflected in the sphere is too large for a lamp. Darken the room, or expose less."
        )
    if count > 2 and np.sort(areas)[-2] > AMBIGUOUS * areas[largest] and areas[largest] > 4:
        raise CalibrationError(f"{name}: two lamps are reflected in the sphere. Light one at a time.")
    weight = level * (labels == 1 + largest)
    return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())


def _reflected(spot: tuple[float, float], sphere: Sphere, size: tuple[int, int], focal_px: float) -> Vector:
    """The direction that a ray from the camera through a spot leaves the sphere in."""

    def ray(x: float, y: float) -> Vector:
        towards = np.array([(x - (size[0] - 1) / 2) / focal_px, -(y - (size[1] - 1) / 2) / focal_px, -1.0])
        return np.asarray(towards / np.linalg.norm(towards), np.float64)

    centre = ray(sphere.x, sphere.y) / np.sin(np.arctan(sphere.radius / focal_px))  # in radii of the sphere
    seen = ray(*spot)
    along = float(seen @ centre)
    normal = seen * (along - np.sqrt(max(0.0, along**2 - float(centre @ centre) + 1))) - centre
    normal /= np.linalg.norm(normal)
    light = seen - 2 * float(seen @ normal) * normal
    return np.asarray(light / np.linalg.norm(light), np.float64)
