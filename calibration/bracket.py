"""Several images of one coin as one: sharp from its field to its highest relief, or clipped nowhere.

Exposure: the light of each image over its time, weighted by that time where it is not clipped (P. Debevec and J. Malik,
SIGGRAPH 1997, for a camera whose response is known). Focus: `calibration.focus_stack`.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from calibration.focus_stack import Light, resized, stack_focus
from calibration.image import Image, ImageError, decode_image, encode_lossless
from calibration.response import to_image, to_linear

CLEAR, FULL = 230, 250  # stored values up to which an exposure counts fully, and from which on not at all
HEADROOM = 0.97  # of full scale, that the brightest place is brought to
CLIPPED = 255
MERGED_EXPOSURE_US = "merged_exposure_us"  # of a frame's quality: what the image of an exposure bracket is as bright as
SOURCES_SUFFIX = ".zip"
EPOCH = (1980, 1, 1, 0, 0, 0)  # a file of the same images has the same bytes on every day


@dataclass(frozen=True, eq=False)
class BracketImage:
    """One image of a bracket, RGB (H, W, 3) uint8, as it came.

    ``exposure_us`` is how long it was exposed, ``focus_mm`` the height that it was focused on, ``zoom`` how much larger
    than at its usual focus the lens showed it there.
    """

    image: Image
    exposure_us: int
    focus_mm: float | None = None
    zoom: float = 1.0


@dataclass(frozen=True, eq=False)
class Merged:
    """A bracket as one image (H, W, 3) uint8, as if exposed for ``exposure_us``.

    ``depth_mm`` is the height that each place was sharpest at, of a focus bracket.
    """

    image: Image
    exposure_us: float
    depth_mm: Light | None = None


def merge(sources: Sequence[BracketImage]) -> Merged:
    """Merge a bracket: the exposures of each focus first, to one brightness, then their focus.

    Parameters
    ----------
    sources
        In any order, of one size; at least one.
    """
    heights = sorted({each.focus_mm for each in sources if each.focus_mm is not None})
    groups = [[each for each in sources if each.focus_mm == height] for height in heights] or [list(sources)]
    if len(groups[0]) > 1:
        lights = [_mean_light(group) for group in groups]
        exposure_us = min(_exposure_us(light, group) for light, group in zip(lights, groups, strict=True))
        images = [_exposed(light, exposure_us, group) for light, group in zip(lights, groups, strict=True)]
    else:
        images = [group[0].image for group in groups]
        exposure_us = float(groups[0][0].exposure_us)
    if not heights:
        return Merged(images[0], exposure_us)
    sized = [resized(image, group[0].zoom) for image, group in zip(images, groups, strict=True)]
    image, depth_mm = stack_focus(sized, heights)
    return Merged(image, exposure_us, depth_mm)


def encode_sources(sources: Sequence[BracketImage], depth_mm: Light | None) -> bytes:
    """The images of a bracket as they came, and its depth map: a zip file of lossless images and what each is.

    ``sources.json`` names them in order; ``depth.tif`` is the height of each place in mm, as 32-bit floats.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        table: list[dict[str, Any]] = []
        for number, source in enumerate(sources, 1):
            name = f"{number:02d}.jxl"
            table.append(
                {"file": name, "exposure_us": source.exposure_us, "focus_mm": source.focus_mm, "zoom": source.zoom}
            )
            archive.writestr(zipfile.ZipInfo(name, EPOCH), encode_lossless(source.image))
        archive.writestr(zipfile.ZipInfo("sources.json", EPOCH), json.dumps(table, indent=1))
        if depth_mm is not None:
            done, data = cv2.imencode(".tif", depth_mm)
            assert done
            archive.writestr(zipfile.ZipInfo("depth.tif", EPOCH), data.tobytes())
    return written.getvalue()


def decode_sources(data: bytes, name: str = "the bracket") -> tuple[list[BracketImage], Light | None]:
    """What `encode_sources` wrote; ``name`` is for messages.

    Raises
    ------
    ImageError
        If it, or an image in it, is damaged.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            files = {each: archive.read(each) for each in archive.namelist()}
        sources = [
            BracketImage(
                decode_image(files[each["file"]], f"{each['file']} in {name}"),
                each["exposure_us"],
                each["focus_mm"],
                each["zoom"],
            )
            for each in json.loads(files["sources.json"])
        ]
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError) as error:
        raise ImageError(f"{name} is damaged, or not the images of a bracket.") from error
    if "depth.tif" not in files:
        return sources, None
    depth = cv2.imdecode(np.frombuffer(files["depth.tif"], np.uint8), cv2.IMREAD_UNCHANGED)
    return sources, np.asarray(depth, np.float32)


def _mean_light(sources: Sequence[BracketImage]) -> Light:
    """Light in each microsecond, (H, W, 3): the mean of exposures, each by its time and where it is not clipped."""
    shortest = _shortest(sources)
    total = np.zeros(sources[0].image.shape, np.float32)
    weights = np.zeros((*sources[0].image.shape[:2], 1), np.float32)
    for source in sources:
        brightest = source.image.max(axis=2, keepdims=True).astype(np.float32)
        clear = np.clip((FULL - brightest) / np.float32(FULL - CLEAR), 0, 1)
        if source is shortest:
            clear = np.maximum(clear, np.float32(1e-4))  # what is clipped even there is as bright as that at least
        total += to_linear(source.image) * clear
        weights += clear * np.float32(source.exposure_us)
    return np.asarray(total / weights, np.float32)


def _exposure_us(light: Light, sources: Sequence[BracketImage]) -> float:
    """The exposure at which the brightest place comes just below full scale, no longer than the longest one."""
    longest_us = max(each.exposure_us for each in sources)
    return min(float(longest_us), HEADROOM / max(float(light.max()), 1e-12))


def _exposed(light: Light, exposure_us: float, sources: Sequence[BracketImage]) -> Image:
    """The image of a light; what is clipped even in the shortest exposure stays so, to be seen by who checks it."""
    image = to_image(light * np.float32(exposure_us))
    image[_shortest(sources).image >= CLIPPED] = CLIPPED
    return image


def _shortest(sources: Sequence[BracketImage]) -> BracketImage:
    return min(sources, key=lambda each: each.exposure_us)
