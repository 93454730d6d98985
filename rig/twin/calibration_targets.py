"""A ColorChecker on the plate, and a chrome sphere on the white card: what colours and lights are calibrated with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from rig.twin.coins.surface import Array, as_array
from rig.twin.lamps import AMBIENT, irradiance, lamp_position, power_of
from rig.twin.optics import CameraModel, camera_axes, lens_of, sight_rays
from rig.twin.scene import CameraPose, Lamp
from rig.twin.targets import PAPER

CHART_PX_PER_MM = 20
PITCH_MM, PATCH_MM, FRAME_MM = 7.5, 6.4, 1.5
GAP = 0.035  # reflectance between the patches
# Linear sRGB under D65 of X-Rite's ColorChecker made since November 2014, row by row from dark brown to black; one
# patch lies outside of sRGB and is brought to its edge.
PATCHES = np.array(
    [
        (0.1737, 0.0788, 0.0529),
        (0.5598, 0.2774, 0.2109),
        (0.1042, 0.1889, 0.3289),
        (0.1057, 0.1508, 0.0508),
        (0.2274, 0.2124, 0.4264),
        (0.1153, 0.5074, 0.4111),
        (0.7459, 0.2021, 0.0299),
        (0.0587, 0.1012, 0.3877),
        (0.5601, 0.0802, 0.1146),
        (0.1092, 0.0420, 0.1381),
        (0.3328, 0.4974, 0.0426),
        (0.7710, 0.3579, 0.0204),
        (0.0210, 0.0475, 0.2841),
        (0.0461, 0.2920, 0.0615),
        (0.4462, 0.0364, 0.0406),
        (0.8417, 0.5744, 0.0047),
        (0.5223, 0.0778, 0.2893),
        (0.0, 0.2337, 0.3772),
        (0.8795, 0.8850, 0.8342),
        (0.5845, 0.5922, 0.5845),
        (0.3577, 0.3671, 0.3653),
        (0.1901, 0.1909, 0.1898),
        (0.0859, 0.0887, 0.0898),
        (0.0314, 0.0315, 0.0323),
    ],
    np.float32,
)
SPHERE_RADIUS_MM = 8.0
CHROME = 0.6  # share of the light that the sphere sends back
LAMP_RADIUS_DEG = 1.5  # of a lamp as the sphere shows it
GLARE = 40.0  # brightness of a lamp's image over that of a white wall that it lights


@lru_cache(maxsize=1)
def chart_reflectance() -> Array:
    """The chart as printed, (H, W, 3), `CHART_PX_PER_MM`, dark brown at its top left."""
    size = tuple(round((count * PITCH_MM + 2 * FRAME_MM) * CHART_PX_PER_MM) for count in (4, 6))
    printed = np.full((*size, 3), GAP, np.float32)
    for number, patch in enumerate(PATCHES):
        row, column = divmod(number, 6)
        top, left = (FRAME_MM + PITCH_MM * each + (PITCH_MM - PATCH_MM) / 2 for each in (row, column))
        rows, columns = (
            slice(round(each * CHART_PX_PER_MM), round((each + PATCH_MM) * CHART_PX_PER_MM)) for each in (top, left)
        )
        printed[rows, columns] = patch
    return as_array(cv2.GaussianBlur(printed, (0, 0), 0.7))


def sphere_light(
    camera: CameraModel,
    pose: CameraPose,
    place_mm: tuple[float, float],
    lamps: Sequence[Lamp],
    window: tuple[slice, slice],
) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Light leaving a chrome sphere that lies on the white card, in a window of pixels, (h, w, 3); where it is seen."""
    radius_mm = SPHERE_RADIUS_MM
    axes = camera_axes(pose)
    eye = lens_of(camera, pose)
    x, y = (each[window] for each in sight_rays(camera))
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ axes.astype(np.float32)
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    middle = np.array([*place_mm, radius_mm])
    towards = (middle - eye).astype(np.float32)
    along = rays @ towards
    inside = along**2 - np.float32(towards @ towards - radius_mm**2)
    seen = inside > 0
    point = eye.astype(np.float32) + rays[seen] * (along[seen] - np.sqrt(inside[seen]))[:, None]
    normal = (point - middle.astype(np.float32)) / np.float32(radius_mm)
    away = rays[seen] - 2 * (rays[seen] * normal).sum(axis=-1, keepdims=True) * normal
    ambient = sum((AMBIENT * power_of(lamp) for lamp in lamps), np.zeros(3)).astype(np.float32)
    shown = np.broadcast_to(ambient, away.shape).copy()
    down = away[:, 2] < -1e-3
    reach = np.where(down, -point[:, 2] / np.where(down, away[:, 2], -1), 0)
    card_x, card_y = point[:, 0] + reach * away[:, 0], point[:, 1] + reach * away[:, 1]
    card = sum((irradiance(lamp, card_x, card_y) for lamp in lamps), np.zeros_like(shown)) * np.float32(PAPER)
    shown[down] = card[down]
    for lamp in lamps:
        to_lamp = lamp_position(lamp).astype(np.float32) - point
        to_lamp /= np.linalg.norm(to_lamp, axis=-1, keepdims=True)
        off_deg = np.degrees(np.arccos(np.clip((away * to_lamp).sum(axis=-1), -1, 1)))
        spot = np.clip(LAMP_RADIUS_DEG + 0.5 - off_deg, 0, 1)[:, None]
        shown += spot * (GLARE * power_of(lamp)).astype(np.float32)
    light = np.zeros((*seen.shape, 3), np.float32)
    light[seen] = np.float32(CHROME) * shown
    return light, seen
