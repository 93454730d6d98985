"""`rig calibrate lights`: where lights come from, from photographs of a chrome sphere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.durable_files import write_atomically
from calibration.errors import CalibrationError
from calibration.image import read_image
from calibration.rti import encode_lp
from calibration.saved import load_lens
from calibration.sphere import Sphere, light_direction, sphere_of_mask
from pipeline.errors import UsageError
from pipeline.measuring.photographs import photographs, split_mask


@dataclass(frozen=True)
class LightsResult:
    """Where the light of each photograph comes from."""

    sphere: Sphere
    files: tuple[str, ...]
    directions: npt.NDArray[np.float64]
    out: Path | None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "sphere": {"x": self.sphere.x, "y": self.sphere.y, "radius": self.sphere.radius},
            "lights": [
                {
                    "file": file,
                    "direction": [round(float(value), 6) for value in direction],
                    "azimuth_deg": round(azimuth_deg(direction), 2),
                    "elevation_deg": round(elevation_deg(direction), 2),
                }
                for file, direction in zip(self.files, self.directions, strict=True)
            ],
            "out": None if self.out is None else str(self.out),
        }


def azimuth_deg(direction: npt.NDArray[np.float64]) -> float:
    """Where a light comes from, counter-clockwise from the right."""
    return float(np.degrees(np.arctan2(direction[1], direction[0])) % 360.0)


def elevation_deg(direction: npt.NDArray[np.float64]) -> float:
    """How high a light stands over the image's plane."""
    return float(np.degrees(np.arcsin(np.clip(direction[2], -1, 1))))


def calibrate_lights_of(
    images: Sequence[Path], mask: Path | None, sphere: str | None, lens: Path | None, out: Path | None
) -> LightsResult:
    """Find the direction of the light in each photograph of a chrome sphere.

    Raises
    ------
    UsageError
        If it is not given where the sphere is.
    CalibrationError
        If a photograph shows no single reflection, or has another size.
    """
    files, beside = split_mask(photographs(images, "--images"))
    mask = mask or (beside if sphere is None else None)
    if sphere is not None:
        place = _sphere(sphere)
    elif mask is not None:
        place = sphere_of_mask(read_image(mask).max(axis=2) > 127)
    else:
        raise UsageError(
            "Give where the sphere is: --mask FILE, white on the sphere, or --sphere x,y,radius in pixels."
        )
    if not files:
        raise CalibrationError("There is no photograph beside the mask. Give one of the sphere for each light.")
    focal_px = None if lens is None else float(load_lens(lens).matrix[0, 0])
    shapes = set()
    directions = []
    for file in files:
        image = read_image(file)
        shapes.add(image.shape)
        if len(shapes) > 1:
            raise CalibrationError(f"{file.name} has another size than the photographs before it. Leave it out.")
        directions.append(light_direction(image, place, file.name, focal_px))
    names = tuple(file.name for file in files)
    found = np.array(directions)
    if out is not None:
        write_atomically(out, encode_lp(names, found))
    return LightsResult(place, names, found, out)


def _sphere(text: str) -> Sphere:
    try:
        x, y, radius = (float(part) for part in text.replace(",", " ").split())
        if not (np.isfinite([x, y, radius]).all() and radius > 0):
            raise ValueError
    except ValueError:
        raise UsageError(f"--sphere: {text!r} is no circle. Give x,y,radius in pixels, as in 253,148,119.") from None
    return Sphere(x, y, radius)
