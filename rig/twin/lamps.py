"""The twin's lamps: how strong, which colour, and how unevenly they light the plate."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from rig.twin.coins.surface import Array
from rig.twin.scene import Lamp

LAMP_DISTANCE_MM = 170.0
IRRADIANCE = 1.45  # of a lamp of intensity 1, face on, at the plate's centre
AMBIENT = 0.05  # share of the lamps' light that the box's white walls send back from everywhere


def merged(lamps: Sequence[Lamp]) -> list[Lamp]:
    """Neighbouring lamps as one: relief cannot tell lamps within some 60 degrees of azimuth from one wide lamp."""
    groups: dict[tuple[int, int, int], list[Lamp]] = {}
    for lamp in lamps:
        key = (int((lamp.azimuth_deg + 30) % 360 // 60), round(lamp.elevation_deg / 20), lamp.colour_temperature_k)
        groups.setdefault(key, []).append(lamp)
    return [_as_one(group) for group in groups.values()]


def _as_one(lamps: Sequence[Lamp]) -> Lamp:
    if len(lamps) == 1:
        return lamps[0]
    total = sum(lamp.intensity for lamp in lamps)
    x, y, z = sum((lamp_position(lamp) * lamp.intensity for lamp in lamps), np.zeros(3)) / max(total, 1e-9)
    azimuth, elevation = float(np.degrees(np.arctan2(y, x))), float(np.degrees(np.arctan2(z, np.hypot(x, y))))
    return Lamp(azimuth, elevation, total, lamps[0].colour_temperature_k)


def lamp_position(lamp: Lamp) -> npt.NDArray[np.float64]:
    """Where a lamp stands on its ring (bench mm)."""
    azimuth, elevation = np.radians(lamp.azimuth_deg), np.radians(lamp.elevation_deg)
    flat = np.cos(elevation)
    return LAMP_DISTANCE_MM * np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])


@lru_cache(maxsize=64)
def _tint(colour_temperature_k: int) -> tuple[float, float, float]:
    """RGB of a black body (Planck's law at 610, 545 and 465 nm), 1 at 5000 K, where the camera's white lies."""

    def planck(kelvin: float) -> npt.NDArray[np.float64]:
        metres = np.array([610e-9, 545e-9, 465e-9])
        return np.asarray(1 / (metres**5 * np.expm1(0.014388 / (metres * kelvin))))

    rgb = planck(colour_temperature_k) / planck(5000)
    return (float(rgb[0] / rgb[1]), 1.0, float(rgb[2] / rgb[1]))


def power_of(lamp: Lamp) -> npt.NDArray[np.float64]:
    """RGB irradiance from a lamp at the plate's centre, face on."""
    return np.asarray(_tint(lamp.colour_temperature_k)) * lamp.intensity * IRRADIANCE


def irradiance(lamp: Lamp, x: Array | np.float32, y: Array | np.float32, normal: Sequence[float] = (0, 0, 1)) -> Array:
    """Irradiance from a lamp of finite distance on a plane at bench points (x, y), with a last axis of RGB."""
    from_x, from_y, from_z = (np.float32(v) for v in lamp_position(lamp))
    to_x, to_y = from_x - x, from_y - y
    distance2 = to_x * to_x + to_y * to_y + from_z * from_z
    facing = np.maximum(to_x * np.float32(normal[0]) + to_y * np.float32(normal[1]) + from_z * np.float32(normal[2]), 0)
    level = facing / np.sqrt(distance2) * np.float32(LAMP_DISTANCE_MM**2) / distance2 + np.float32(AMBIENT)
    return np.asarray(level[..., None] * power_of(lamp).astype(np.float32), np.float32)
