"""A coin measured by reflectance transformation imaging, as a coin to train on.

A folder as OpenLIME and Relight write it (https://github.com/cnr-isti-vclab/relight): ``info.json`` and one image a
plane. The polynomial texture map (T. Malzbender, D. Gelb, H. Wolters, "Polynomial texture maps", SIGGRAPH 2001) gives
every pixel's light under a lamp from anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, Field, ValidationError

from calibration.image import Image, read_image
from calibration.outline import find_coin, normalise
from models.training.batches import TrainingCoin
from pipeline.errors import LabError
from pipeline.learning.training_coins import RELIEF_ELEVATION_DEG, RELIEF_LAMPS_DEG, relief_of

_TERMS = 6  # 1, x, y, x², xy, y²


class Material(BaseModel):
    """By what the planes' coefficients were scaled and moved before they were stored."""

    scale: list[float] = Field(min_length=3 * _TERMS, max_length=3 * _TERMS)
    bias: list[float] = Field(min_length=3 * _TERMS, max_length=3 * _TERMS)


class _Info(BaseModel):
    type: Literal["ptm"]
    colorspace: Literal["rgb"]
    format: Literal["jpg", "png"]
    materials: list[Material] = Field(min_length=1)


def rti_coin(folder: Path) -> TrainingCoin:
    """The coin under lamps all around, and the relief that they show.

    Raises
    ------
    LabError
        If the folder holds no RGB polynomial texture map.
    ImageError, NoCoinError
        If a plane cannot be read, or shows no coin.
    """
    planes, info = read_planes(folder)
    images = [under_lamp(planes, info, lamp_deg) for lamp_deg in RELIEF_LAMPS_DEG]
    outline = find_coin(under_lamp(planes, info, 0.0, 90.0))  # found once: it does not move between lamps
    crops = tuple(normalise(image, outline) for image in images)
    return TrainingCoin(folder.name, "", crops, relief=relief_of(crops))


def read_planes(folder: Path) -> tuple[npt.NDArray[np.float32], Material]:
    """(6, H, W, 3) stored planes, and what they are scaled by; raises as `rti_coin`."""
    path = folder / "info.json"
    try:
        info = _Info.model_validate_json(path.read_bytes())
    except OSError as error:
        raise LabError(
            f"{path} cannot be read: {error.strerror}. Give a folder as OpenLIME or Relight write it."
        ) from error
    except ValidationError as error:
        wrong = ", ".join(dict.fromkeys(".".join(map(str, each["loc"])) for each in error.errors()))
        raise LabError(
            f"{path} describes no RGB polynomial texture map (wrong: {wrong}). Export it as such."
        ) from error
    images = [read_image(folder / f"plane_{number}.{info.format}") for number in range(_TERMS)]
    sizes = {f"{each.shape[1]} x {each.shape[0]}": number for number, each in enumerate(images)}
    if len(sizes) > 1:
        named = ", ".join(f"plane_{number} has {size} pixels" for size, number in sizes.items())
        raise LabError(f"{folder}: the planes differ in size ({named}). Export them again, all of one size.")
    return np.stack(images).astype(np.float32) / np.float32(255.0), info.materials[0]


def under_lamp(
    planes: npt.NDArray[np.float32], material: Material, lamp_deg: float, elevation_deg: float = RELIEF_ELEVATION_DEG
) -> Image:
    """The image under a lamp at an azimuth, counter-clockwise from the right, and an elevation."""
    reach, azimuth = np.cos(np.radians(elevation_deg)), np.radians(lamp_deg)
    x, y = reach * np.cos(azimuth), reach * np.sin(azimuth)
    terms = np.array([1.0, x, y, x * x, x * y, y * y], np.float32)
    scale, bias = (np.array(each, np.float32).reshape(_TERMS, 1, 1, 3) for each in (material.scale, material.bias))
    light = np.tensordot(terms, (planes - bias) * scale, axes=1)
    return np.asarray(np.clip(light, 0.0, 1.0) * 255.0, np.uint8)
