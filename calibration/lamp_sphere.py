"""Rays towards lamps, from their images in a chrome sphere of known size that lies on the plate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.image import Image
from calibration.lens import Lens
from calibration.rim import Edges, guess_circles
from calibration.sphere import Sphere, find_spot

Vector = npt.NDArray[np.float64]

MAX_HEIGHT_MISS = 0.06  # share of the camera's height by which a sphere of another size seems to hover or sink
ROUNDS = 5


@dataclass(frozen=True, eq=False)
class SphereOnPlate:
    """A sphere where the camera sees it.

    Attributes
    ----------
    outline
        Its circle in the image, distortion included, to look for reflections in.
    centre_mm
        (3,) in the camera's frame: x to the right, y down, z away.
    radius_mm
        Its radius.
    """

    outline: Sphere
    centre_mm: Vector
    radius_mm: float


def find_sphere(image: Image, lens: Lens, mm_per_pixel: float, sphere_mm: float) -> SphereOnPlate:
    """Find a chrome sphere that lies on the plate, or on a card there, in an image (H, W, 3).

    Parameters
    ----------
    mm_per_pixel
        Scale on the plate.
    sphere_mm
        The sphere's diameter.

    Raises
    ------
    CalibrationError
        If it is not seen, or is not as large as that.
    """
    radius_mm, height_mm = sphere_mm / 2, float(lens.matrix[0, 0]) * mm_per_pixel
    expected = float(lens.matrix[0, 0]) * radius_mm / np.sqrt((height_mm - radius_mm) ** 2 - radius_mm**2)
    edges = Edges(image)
    for x, y, radius in sorted(guess_circles(image), key=lambda each: abs(each[2] - expected)):
        if radius > 1.3 * expected:
            continue
        rim = edges.find_rim((x, y), expected)
        if rim is None:
            continue
        centre = _centre_of(rim.points_px, lens, radius_mm)
        if abs(centre[2] + radius_mm - height_mm) > MAX_HEIGHT_MISS * height_mm:
            raise CalibrationError(
                f"The sphere is seen as if it were not {sphere_mm:g} mm across. Measure it, and correct `calibration: "
                "sphere_mm` in rig.yaml."
            )
        # How far away it is follows better from where the plate is than from how large it looks.
        centre *= (height_mm - radius_mm) / centre[2]
        return SphereOnPlate(Sphere(*rim.centre_px, rim.radius_px), centre, radius_mm)
    raise CalibrationError(
        f"No sphere of {sphere_mm:g} mm is seen. Lay it on the white card, whole in the image, and check `calibration: "
        "sphere_mm` in rig.yaml."
    )


def ray_to_lamp(image: Image, sphere: SphereOnPlate, lens: Lens, name: str) -> tuple[Vector, Vector]:
    """Where a lamp's light meets the sphere on its way to the camera, and the unit vector towards the lamp.

    Both (3,) in the camera's frame; `name` is for messages.

    Raises
    ------
    CalibrationError
        If the image (H, W, 3) shows no single reflection of a lamp.
    """
    spot = np.array(find_spot(image, sphere.outline, name), np.float64)
    x, y = lens.at_unit_depth(spot).ravel()
    ray = np.array([x, y, 1.0]) / np.sqrt(x * x + y * y + 1)
    along = float(ray @ sphere.centre_mm)
    inside = along**2 - float(sphere.centre_mm @ sphere.centre_mm) + sphere.radius_mm**2
    point = ray * (along - np.sqrt(max(0.0, inside)))
    normal = (point - sphere.centre_mm) / sphere.radius_mm
    return point, np.asarray(ray - 2 * float(ray @ normal) * normal, np.float64)


def _centre_of(rim_px: Vector, lens: Lens, radius_mm: float) -> Vector:
    """Where a sphere is whose rim is seen along a cone of rays; points that leave the cone lose their weight."""
    along = np.column_stack([lens.at_unit_depth(rim_px), np.ones(len(rim_px))])
    rays = along / np.linalg.norm(along, axis=1, keepdims=True)
    weight = np.ones(len(rays))
    for _ in range(ROUNDS):
        axis = np.linalg.lstsq(rays * weight[:, None], weight, rcond=None)[0]
        miss = np.abs(rays @ axis - 1)
        spread = 1.4826 * float(np.median(miss)) + 1e-12
        weight = np.clip(1 - (miss / (4 * spread)) ** 2, 0, None)
    cosine = 1 / float(np.linalg.norm(axis))
    return np.asarray(axis * cosine * radius_mm / np.sqrt(1 - cosine**2), np.float64)
