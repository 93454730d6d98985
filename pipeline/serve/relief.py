"""A coin's relief for the page to light: normals and colour, measured from frames under known lights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.image import Image
from calibration.relief import LEAST_LIGHTS, check_lights, measure_relief
from calibration.response import LUMINANCE, to_image, to_linear
from capture.store import Store
from capture.store.records import Frame
from pipeline.lab import Lab
from pipeline.reports.images import PORTRAIT_MARGIN, frame_portrait, lamp_deg

SIZE_PX = 400
MOST_FRAMES = 16


def frames_for_relief(lab: Lab, frames: Sequence[Frame]) -> list[tuple[Frame, tuple[float, float, float]]]:
    """Frames of one placement, seen from above, with the direction of their light in the upright coin's frame.

    At most `MOST_FRAMES`, one for each direction; none if the lights cannot tell how a surface is inclined.
    """
    found: dict[tuple[float, ...], Frame] = {}
    for frame in frames:
        if frame.tilt_deg == 0 and (direction := _direction(lab, frame)) is not None:
            found.setdefault(tuple(round(each, 2) for each in direction), frame)
    step = max(1, -(-len(found) // MOST_FRAMES))
    chosen = [(frame, (each[0], each[1], each[2])) for each, frame in list(found.items())[::step]]
    try:
        if len(chosen) >= LEAST_LIGHTS:
            check_lights(np.array([direction for _, direction in chosen]))
            return chosen
    except CalibrationError:
        pass
    return []


def draw_relief(lab: Lab, store: Store, frames: Sequence[Frame]) -> Image | None:
    """Normals above colour, (2 * `SIZE_PX`, `SIZE_PX`, 3) uint8; None where the lights do not determine them.

    A normal's x, y (up) and z from -1 to 1 are red, green and blue from 0 to 255. The colour is the surface's own, lit
    by nothing, as sRGB.
    """
    chosen = frames_for_relief(lab, frames)
    if not chosen:
        return None
    light = np.stack([to_linear(frame_portrait(store, frame, SIZE_PX)) for frame, _ in chosen])
    relief = measure_relief(light @ LUMINANCE, np.array([direction for _, direction in chosen]), _disc())
    normals = np.rint((relief.normals + 1) * 127.5).astype(np.uint8)
    mean = np.median(light, axis=0)
    grey = np.maximum(mean @ LUMINANCE, 1e-4)[..., None]
    brightest = max(float(np.percentile(relief.albedo[relief.albedo > 0], 99)), 1e-4)
    colour = mean / grey * (relief.albedo / brightest)[..., None]
    return np.ascontiguousarray(np.vstack([normals, to_image(np.asarray(colour, np.float32))]))


def _direction(lab: Lab, frame: Frame) -> tuple[float, float, float] | None:
    """Towards the lamp, x to the right, y up; None where the light comes from all around."""
    azimuth_deg = lamp_deg(lab, frame)
    if azimuth_deg is None:
        return None
    azimuth, elevation = np.radians(azimuth_deg), np.radians(lab.rig.station.lightbox.elevation_deg)
    flat = float(np.cos(elevation))
    return flat * float(np.cos(azimuth)), flat * float(np.sin(azimuth)), float(np.sin(elevation))


def _disc() -> npt.NDArray[np.bool_]:
    """Where the coin is in a portrait."""
    y, x = np.mgrid[:SIZE_PX, :SIZE_PX] - (SIZE_PX - 1) / 2
    return np.asarray(np.hypot(x, y) < 1.06 * SIZE_PX / (2 * PORTRAIT_MARGIN), np.bool_)
