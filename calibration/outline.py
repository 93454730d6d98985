"""Where the coin is in an image, and the image of the coin alone that every comparison starts from.

One rule for every source: twin and bench frames (bright coin on a dark plate, lit from one side), studio photographs
and printed plates (dark coin on white), hand-held ones (on a cloth of any one colour). The background is what the
image's border shows; the coin is the compact thing that differs from it. Everything is decided on a copy of at most
320 pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image, ImageError

WORKING_SIZE_PX = 320
MIN_AREA_FRACTION = 0.015
MIN_CONTRAST = 7.0  # Lab units between coin and background; sensor noise in the dark stays below
MIN_SOLIDITY = 0.82
SURE = 0.9  # a coin found with this confidence is not looked for in another way
DARK_BACKGROUND = 40.0  # Lab lightness
BY_LIGHTNESS = (1.0, 0.5, 0.5)  # weights of Lab's three axes
BY_HUE = (0.3, 1.0, 1.0)
MAX_ELONGATION = 1.7  # a scale bar or a caption is longer
BESIDE_CONTRAST = 10.0  # Lab units; the twin's plate stays below 7 beside a coin
BESIDE_GAP, BESIDE_REACH, BESIDE_THICK = 0.12, 2.5, 0.05  # radii of the coin: its own glow, how far, the thinnest thing
CROP_MARGIN = 0.96  # the coin's radius over half the crop
GREY_MEAN = 116.0
GREY_STD = 46.0

Mask = npt.NDArray[np.bool_]


class NoCoinError(ImageError):
    """Nothing in the image looks like a coin."""


@dataclass(frozen=True)
class Outline:
    """A coin's outline.

    Attributes
    ----------
    centre_px
        Centre of area (x, y), pixel centres at whole numbers.
    radius_px
        Radius of the disc of the same area.
    mask
        (H, W) bool, true on the coin.
    confidence
        0 to 1: how round the thing is, and how clearly it stands out.
    """

    centre_px: tuple[float, float]
    radius_px: float
    mask: Mask
    confidence: float


def find_coin(image: Image) -> Outline:
    """Find the largest coin.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.

    Raises
    ------
    NoCoinError
        If nothing compact stands out from the background.
    """
    outlines = find_coins(image)
    if not outlines:
        raise NoCoinError(
            "no coin was found in the image. One coin must lie whole in it, on a plain background that differs from it."
        )
    return outlines[0]


def find_coins(image: Image) -> list[Outline]:
    """Find every coin, largest first; an empty list if there is none."""
    height, width = image.shape[:2]
    best: list[Outline] = []
    for distance, noise in _distances_from_background(_small_lab(image)):
        outlines = _find_by(distance, noise, (width, height))
        if outlines and (not best or outlines[0].confidence > best[0].confidence):
            best = outlines
        if best and best[0].confidence >= SURE:
            break
    return best


def share_beside(image: Image, outline: Outline) -> float:
    """How much stands out from the background beside a coin, as a share of its area; thin things do not count.

    A dark coin that lies half under a bright one does not make the outline larger.
    """
    distance, noise = next(_distances_from_background(_small_lab(image)))
    height, width = distance.shape
    scale = width / image.shape[1]
    radius = outline.radius_px * scale
    x, y = (coordinate * scale for coordinate in outline.centre_px)
    found = (distance > max(BESIDE_CONTRAST, 4.0 * noise)).astype(np.uint8)
    coin = cv2.resize(outline.mask.view(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    found[cv2.dilate(coin, _disc(BESIDE_GAP * radius)) > 0] = 0
    rows, columns = np.ogrid[:height, :width]
    found[np.hypot(columns - x, rows - y) > BESIDE_REACH * radius] = 0
    thick = cv2.morphologyEx(found, cv2.MORPH_OPEN, _disc(BESIDE_THICK * radius))
    return float(thick.sum() / (np.pi * radius**2))


def normalise(image: Image, outline: Outline, size_px: int = 224, turned_deg: float = 0.0) -> Image:
    """Cut the coin out: background masked, centred, scaled to one size, brightness and colour neutralised.

    Colour goes altogether, since printed catalogues have none and a photograph's is the lamp's as much as the coin's.
    The slow part of the brightness (one-sided light, fall-off) is divided out, the rest brought to one mean and spread.

    Parameters
    ----------
    turned_deg
        Counter-clockwise turn of the coin in the crop.

    Returns
    -------
    Image
        (size_px, size_px, 3) uint8, three equal channels, `GREY_MEAN` outside the coin.
    """
    scale = CROP_MARGIN * size_px / 2.0 / outline.radius_px
    sigma = 0.45 / scale if scale < 0.6 else 0.0  # an affine warp alone would alias
    part = _square(image, outline, size_px / scale / math.sqrt(2.0) + 4.0 * sigma)
    x, y = outline.centre_px[0] - part[1].start, outline.centre_px[1] - part[0].start
    turn = cv2.getRotationMatrix2D((x, y), turned_deg, scale)
    turn[0, 2] += (size_px - 1) / 2.0 - x
    turn[1, 2] += (size_px - 1) / 2.0 - y
    grey = cv2.cvtColor(image[part], cv2.COLOR_RGB2GRAY)
    if sigma:
        grey = cv2.GaussianBlur(grey, (0, 0), sigma)
    crop = cv2.warpAffine(grey, turn, (size_px, size_px), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    on_coin = outline.mask[part].view(np.uint8) * np.uint8(255)
    mask = cv2.warpAffine(on_coin, turn, (size_px, size_px), flags=cv2.INTER_LINEAR)
    return _neutral(crop.astype(np.float32), mask.astype(np.float32) / 255.0)


def crop_coin(image: Image, turned_deg: float = 0.0) -> Image:
    """Find the largest coin and cut it out, as `normalise` does: the crop that every comparison starts from.

    Raises
    ------
    NoCoinError
        If nothing compact stands out from the background.
    """
    return normalise(image, find_coin(image), turned_deg=turned_deg)


def _square(image: Image, outline: Outline, reach_px: float) -> tuple[slice, slice]:
    """Rows and columns of an image that lie within a square around the coin."""
    (x, y), (height, width) = outline.centre_px, image.shape[:2]
    return (
        slice(max(0, int(y - reach_px)), min(height, int(y + reach_px) + 2)),
        slice(max(0, int(x - reach_px)), min(width, int(x + reach_px) + 2)),
    )


def _neutral(grey: npt.NDArray[np.float32], weight: npt.NDArray[np.float32]) -> Image:
    """Even out the light inside the mask and fill the outside with the mean."""
    sigma = grey.shape[0] / 6.0
    area = cv2.GaussianBlur(weight, (0, 0), sigma) + 1e-3
    slow = cv2.GaussianBlur(grey * weight, (0, 0), sigma) / area
    relative = grey / (slow + 4.0) - 1.0
    inside = weight > 0.5
    values = relative[inside]
    if values.size == 0:
        return np.full((*grey.shape, 3), round(GREY_MEAN), np.uint8)
    spread = float(np.sqrt(np.mean(np.clip(values, -0.8, 1.2) ** 2))) + 0.02
    even = GREY_MEAN + GREY_STD * (relative - float(np.mean(values))) / spread * weight
    out = np.clip(np.rint(even), 0, 255).astype(np.uint8)
    return np.repeat(out[:, :, None], 3, axis=2)


def _small_lab(image: Image) -> npt.NDArray[np.float32]:
    """The working copy, in Lab, without noise."""
    height, width = image.shape[:2]
    scale = min(1.0, WORKING_SIZE_PX / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
    blurred = cv2.GaussianBlur(small, (0, 0), 1.2).astype(np.float32) / 255.0
    return np.asarray(cv2.cvtColor(blurred, cv2.COLOR_RGB2Lab), np.float32)


def _disc(radius_px: float) -> npt.NDArray[np.uint8]:
    """A structuring element."""
    across = 2 * round(radius_px) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across)), np.uint8)


def _distances_from_background(lab: npt.NDArray[np.float32]) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
    """How far each pixel is from the background (Lab), and the background's own spread; the likelier way first."""
    height, width = lab.shape[:2]
    edge = max(2, round(0.025 * min(height, width)))
    border = np.ones((height, width), bool)
    border[edge:-edge, edge:-edge] = False
    centre = np.median(lab[border], axis=0)
    # On a coloured cloth a shadow is dark but keeps the cloth's hue, and the coin has another: hue decides there.
    ways = [BY_LIGHTNESS, BY_HUE]
    if float(np.hypot(centre[1], centre[2])) > 14.0:
        ways.reverse()
    for weights in ways:
        apart = lab - centre
        if centre[0] < DARK_BACKGROUND:  # whatever is darker than a dark plate is the coin's shadow on it
            apart[:, :, 0] = np.maximum(apart[:, :, 0], 0.0)
        distance = np.sqrt(np.sum((apart * np.array(weights, np.float32)) ** 2, axis=2)).astype(np.float32)
        yield distance, float(np.median(distance[border]))


def _find_by(distance: npt.NDArray[np.float32], noise: float, size: tuple[int, int]) -> list[Outline]:
    """The coins of one distance map, largest first; ``size`` is the image's (width, height)."""
    threshold = max(_split(distance), MIN_CONTRAST, 4.0 * noise)
    found = _tidy((distance > threshold).astype(np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=4)
    outlines = []
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < MIN_AREA_FRACTION * found.size:
            continue
        outline = _outline((labels == label).astype(np.uint8), distance, threshold, size)
        if outline is not None:
            outlines.append(outline)
    return sorted(outlines, key=lambda outline: -outline.radius_px)


def _split(distance: npt.NDArray[np.float32]) -> float:
    """Otsu's threshold, on distances cut off high so that a few specular pixels do not set it."""
    top = max(float(np.percentile(distance, 90.0)), 1e-3)
    levels = np.clip(distance * (255.0 / top), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return 0.75 * float(level) * top / 255.0


def _tidy(found: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Close gaps, fill holes, cut off thin things such as a scale bar that touches the coin."""
    across = max(found.shape)
    gap = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    thin = max(3, round(0.03 * across) | 1)
    closed = cv2.morphologyEx(found, cv2.MORPH_CLOSE, gap)
    filled = np.zeros_like(closed)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thin, thin))
    # Bordered by nothing, so that what touches the image's edge is cut off like everything else.
    bordered = cv2.copyMakeBorder(filled, thin, thin, thin, thin, cv2.BORDER_CONSTANT, value=0)
    opened = cv2.morphologyEx(bordered, cv2.MORPH_OPEN, kernel, iterations=2)
    return np.ascontiguousarray(opened[thin:-thin, thin:-thin], np.uint8)


def _outline(
    blob: npt.NDArray[np.uint8], distance: npt.NDArray[np.float32], threshold: float, size: tuple[int, int]
) -> Outline | None:
    """Judge one connected thing; None if it is no coin."""
    contours, _ = cv2.findContours(blob, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    contour = max(contours, key=cv2.contourArea)
    hull = cv2.convexHull(contour)
    hull_area = float(cv2.contourArea(hull))
    area = float(cv2.contourArea(contour))
    if hull_area <= 0.0 or area / hull_area < MIN_SOLIDITY:
        return None
    (_, _), (side_a, side_b), _ = cv2.minAreaRect(hull)
    if max(side_a, side_b) > MAX_ELONGATION * max(1.0, min(side_a, side_b)):
        return None
    large = cv2.resize(blob * np.uint8(255), size, interpolation=cv2.INTER_LINEAR)
    cv2.threshold(large, 127, 1, cv2.THRESH_BINARY, dst=large)
    left, top, right, bottom = _around(contour, blob.shape, size)
    moments = cv2.moments(large[top:bottom, left:right], binaryImage=True)
    if moments["m00"] <= 0.0:
        return None
    centre = (left + moments["m10"] / moments["m00"], top + moments["m01"] / moments["m00"])
    radius = float(np.sqrt(moments["m00"] / np.pi))
    perimeter = float(cv2.arcLength(hull, True))
    roundness = 4.0 * np.pi * hull_area / perimeter**2
    contrast = float(np.median(distance[blob > 0]))
    clear = contrast / (contrast + 1.5 * threshold) / 0.4
    confidence = float(np.clip(roundness * min(1.0, clear) * area / hull_area, 0.0, 1.0))
    return Outline(centre, radius, np.asarray(large, np.uint8).view(np.bool_), confidence)


def _around(contour: npt.NDArray[Any], small: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what a contour of the small image can cover in the large one."""
    x, y, width, height = cv2.boundingRect(contour)
    across, down = size[0] / small[1], size[1] / small[0]
    return (
        max(0, int((x - 1) * across)),
        max(0, int((y - 1) * down)),
        min(size[0], int((x + width + 1) * across) + 1),
        min(size[1], int((y + height + 1) * down) + 1),
    )
