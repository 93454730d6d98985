"""Several images of one coin as one: sharp from its field to its highest relief, or clipped nowhere.

Focus: how sharp each image is at each place decides how much of it is taken there, and at which height the coin lies
(shape from focus; S. K. Nayar and Y. Nakagawa, IEEE PAMI 16, 1994). Exposure: the light of each image over its time,
weighted by that time where it is not clipped (P. Debevec and J. Malik, SIGGRAPH 1997, for a camera whose response is
known).
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
import numpy.typing as npt

from calibration.image import Image, decode_image, encode_lossless
from calibration.response import to_image, to_linear

Light = npt.NDArray[np.float32]

SHARPNESS_REACH = 0.004  # of the image's width: how far around a place it is looked at how sharp it is
CHOICE = 4  # power of that sharpness by which an image weighs
FLOOR = 1e-3  # of the mean sharpness: where nothing is to be seen, all weigh alike
CLEAR, FULL = 230, 250  # stored values up to which an exposure counts fully, and from which on not at all
HEADROOM = 0.97  # of full scale, that the brightest place is brought to
SMALL_PX = 900  # width at which images are laid on one another
ZOOM_PX = 0.3  # at the image's edge: what differs by less is left as it is
STEPS = cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT
EPOCH = (1980, 1, 1, 0, 0, 0)  # a file of the same images has the same bytes on every day


@dataclass(frozen=True, eq=False)
class BracketImage:
    """One image of a bracket, RGB (H, W, 3) uint8, as it came; where it was focused (mm), and for how long exposed."""

    image: Image
    exposure_us: int
    focus_mm: float | None = None


@dataclass(frozen=True, eq=False)
class Merged:
    """A bracket as one image (H, W, 3) uint8; the height that each place was sharpest at (mm), of a focus bracket."""

    image: Image
    depth_mm: Light | None = None


def merge(sources: Sequence[BracketImage]) -> Merged:
    """Merge a bracket: the exposures of each focus first, to one brightness, then their focus.

    Parameters
    ----------
    sources
        In any order, of one size; at least one.
    """
    heights = sorted({each.focus_mm for each in sources if each.focus_mm is not None})
    if not heights:
        return Merged(merge_exposures(sources))
    groups = [[each for each in sources if each.focus_mm == height] for height in heights]
    if len(groups[0]) > 1:
        lights = [_mean_light(group) for group in groups]
        scale = min(_scale(light, group) for light, group in zip(lights, groups, strict=True))
        images = [to_image(light * np.float32(scale)) for light in lights]
    else:
        images = [group[0].image for group in groups]
    return stack_focus(images, heights)


def merge_exposures(sources: Sequence[BracketImage]) -> Image:
    """One image of several exposures, linear in light, as bright as can be without clipping."""
    if len(sources) == 1:
        return sources[0].image
    light = _mean_light(sources)
    return to_image(light * np.float32(_scale(light, sources)))


def stack_focus(images: Sequence[Image], heights_mm: Sequence[float]) -> Merged:
    """One image of several that are focused on heights, lowest first, and the height of each place.

    A lens that is focused nearer also magnifies: each image is first laid on the middle one.
    """
    middle = len(images) // 2
    laid = [image if number == middle else _laid_on(image, images[middle]) for number, image in enumerate(images)]
    shape = laid[0].shape[:2]
    total, weights, depth = (
        np.zeros(laid[0].shape, np.float32),
        np.zeros(shape, np.float32),
        np.zeros(shape, np.float32),
    )
    for image, height_mm in zip(laid, heights_mm, strict=True):
        weight = _sharpness(image) ** CHOICE
        weights += weight
        depth += weight * np.float32(height_mm)
        total += image * weight[..., None]
    merged = np.clip(total / weights[..., None] + np.float32(0.5), 0, 255).astype(np.uint8)
    return Merged(merged, np.asarray(depth / weights, np.float32))


def encode_sources(sources: Sequence[BracketImage], depth_mm: Light | None) -> bytes:
    """The images of a bracket as they came, and its depth map: a zip file of lossless images and what each is.

    ``sources.json`` names them in order; ``depth.tif`` is the height of each place in mm, as 32-bit floats.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        table: list[dict[str, Any]] = []
        for number, source in enumerate(sources, 1):
            name = f"{number:02d}.jxl"
            table.append({"file": name, "exposure_us": source.exposure_us, "focus_mm": source.focus_mm})
            archive.writestr(zipfile.ZipInfo(name, EPOCH), encode_lossless(source.image))
        archive.writestr(zipfile.ZipInfo("sources.json", EPOCH), json.dumps(table, indent=1))
        if depth_mm is not None:
            done, data = cv2.imencode(".tif", depth_mm)
            assert done
            archive.writestr(zipfile.ZipInfo("depth.tif", EPOCH), data.tobytes())
    return written.getvalue()


def decode_sources(data: bytes) -> tuple[list[BracketImage], Light | None]:
    """What `encode_sources` wrote.

    Raises
    ------
    ImageError
        If an image in it is damaged.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        table = json.loads(archive.read("sources.json"))
        sources = [
            BracketImage(decode_image(archive.read(each["file"]), each["file"]), each["exposure_us"], each["focus_mm"])
            for each in table
        ]
        if "depth.tif" not in archive.namelist():
            return sources, None
        depth = cv2.imdecode(np.frombuffer(archive.read("depth.tif"), np.uint8), cv2.IMREAD_UNCHANGED)
    return sources, np.asarray(depth, np.float32)


def _sharpness(image: Image) -> Light:
    """How much fine detail there is around each place, over the image's mean."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (0, 0), 0.8).astype(np.float32)
    detail = cv2.Laplacian(grey, cv2.CV_32F)
    reach = max(1.5, SHARPNESS_REACH * image.shape[1])
    energy = cv2.GaussianBlur(cv2.multiply(detail, detail), (0, 0), reach)
    return np.asarray(energy / max(float(energy.mean()), 1e-6) + np.float32(FLOOR), np.float32)


def _laid_on(image: Image, reference: Image) -> Image:
    """An image in the place and at the size of another: a lens changes both with its focus, by a percent or so."""
    height_px, width_px = image.shape[:2]
    scale = min(1.0, SMALL_PX / width_px)
    small, onto = (
        cv2.GaussianBlur(cv2.resize(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY), None, fx=scale, fy=scale), (0, 0), 2.0)
        for each in (image, reference)
    )
    try:
        _, found = cv2.findTransformECC(
            onto, small, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, (STEPS, 30, 1e-5)
        )
    except cv2.error:  # nothing on it to hold on to
        return image
    warp = np.asarray(found, np.float32)
    warp[:, 2] /= np.float32(scale)
    corners = np.array([[0, 0, 1], [width_px, 0, 1], [0, height_px, 1], [width_px, height_px, 1]], np.float32)
    if float(np.abs(corners @ warp.T - corners[:, :2]).max()) < ZOOM_PX:
        return image
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, warp, (width_px, height_px), flags=how, borderMode=cv2.BORDER_REPLICATE))


def _mean_light(sources: Sequence[BracketImage]) -> Light:
    """Light in each microsecond, (H, W, 3): the mean of exposures, each by its time and where it is not clipped."""
    shortest = min(sources, key=lambda each: each.exposure_us)
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


def _scale(light: Light, sources: Sequence[BracketImage]) -> float:
    """The exposure (us) at which the brightest place comes just below full scale, no longer than the longest one."""
    longest_us = max(each.exposure_us for each in sources)
    return min(float(longest_us), HEADROOM / max(float(light.max()), 1e-12))
