"""Where the coin is in an image, and the image of the coin alone that every comparison starts from.

One rule for every source: twin and bench frames (bright coin on a dark plate, lit from one side), studio photographs
and printed plates (dark coin on white), hand-held ones (on a cloth of any one colour). The background is what the
image's border shows (`calibration.background`), evenly lit or not; a coin is a compact thing that differs from it.
Coins that touch are taken apart (`calibration.separate`); of a sheet, holder or capsule, what lies on it is the coin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.background import (
    MIN_CONTRAST,
    Blob,
    Lab,
    border_apart,
    disc,
    distances_from_plain,
    distances_from_uneven,
    small_lab,
    standing_out,
    tidy,
)
from calibration.image import Image, ImageError
from calibration.separate import FRAGMENT_SOLIDITY, contour_of, separate, solidity
from calibration.shape import has_four_sides, is_chipped, is_round, is_sheet, touches_edge

MIN_AREA_FRACTION = 0.015
MIN_SOLIDITY = 0.82
SURE = 0.9  # a coin found with this confidence is not looked for in another way
MAX_ELONGATION = 1.7  # a scale bar or a caption is longer
MAX_FRAGMENT_ELONGATION = 2.4  # of half a coin, whose outline has no notch: two coins that touch have
DOUBTFUL = 0.8  # below this confidence an uneven background is tried as well
MOUNT_RINGS = (0.03, 0.06, 0.09, 0.12, 0.15, 0.18)  # bands inside its outline in which a mount is even, in its radius
MOUNT_EVEN = 0.95  # share of one such band at least; no band of a coin is
MOUNT_CLEARER = 3.0  # contrast of a coin over the spread of what it lies on; of a portrait over its dull rim 2
MOUNT_FILLED = 0.8  # share of a mount that a coin may cover
MOUNTED_CONFIDENCE = 0.75
BESIDE_CONTRAST = 10.0  # Lab units; the twin's plate stays below 7 beside a coin
BESIDE_GAP, BESIDE_REACH, BESIDE_THICK = 0.12, 2.5, 0.05  # radii of the coin: its own glow, how far, the thinnest thing
CLUTTERED = 0.22  # share of the image's border that is no background: 0.3 in offices, 0.22 at most beside single coins
SMOOTH, TIDY = 0.95, 0.06  # halves are more solid; what is less and no chipped coin, as spade money, has to lie alone
FEW, THING_FRACTION = 4, 0.0008  # more things than that on a sheet, of this share of the image, are print or a board
RESTLESS = 8.0  # median distance of the border from what it is taken for; beside single coins 7.2 at most
LEAST_EDGE, EDGE_IN_PX, EDGE_OUT_PX = 2.0, (1, 4), (2, 5)  # Lab units over so many small px; of lit ground 1.2 at most
FAINTER, GLOW_PX, LIKE_SIZED = 0.7, 3, 2.5  # beside bright coins: threshold over theirs, halo (small px), radii
CROP_MARGIN = 0.96  # the coin's radius over half the crop
GREY_MEAN = 116.0
GREY_STD = 46.0

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ground:
    """What things lie on.

    On a desk or before an office only what is round is taken for a coin; on a plain ground fragments are found as well.

    Attributes
    ----------
    distance
        How far each pixel is from it (Lab).
    threshold
        How far a thing is at least.
    clutter
        How much of it shows something else, from 0 to 1: of the image's border, or of a sheet.
    """

    distance: npt.NDArray[np.float32]
    threshold: float
    clutter: float


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
    lab = small_lab(image)
    best: list[Outline] = []
    for distance, noise in distances_from_plain(lab):
        if best and best[0].confidence >= SURE:
            break
        outlines = _find_by(distance, noise, lab, (width, height))
        if outlines and (not best or outlines[0].confidence > best[0].confidence):
            best = outlines
    if not best or best[0].confidence < DOUBTFUL:
        for distance, noise in distances_from_uneven(lab):
            outlines = _find_by(distance, noise, lab, (width, height))
            if outlines and (not best or outlines[0].confidence > best[0].confidence):
                best = outlines
    return best


def share_beside(image: Image, outline: Outline) -> float:
    """How much stands out from the background beside a coin, as a share of its area; thin things do not count.

    A dark coin that lies half under a bright one does not make the outline larger.
    """
    distance, noise = next(distances_from_plain(small_lab(image)))
    height, width = distance.shape
    scale = width / image.shape[1]
    radius = outline.radius_px * scale
    x, y = (coordinate * scale for coordinate in outline.centre_px)
    found = (distance > max(BESIDE_CONTRAST, 4.0 * noise)).astype(np.uint8)
    coin = cv2.resize(outline.mask.view(np.uint8), (width, height), interpolation=cv2.INTER_AREA)
    found[cv2.dilate(coin, disc(BESIDE_GAP * radius)) > 0] = 0
    rows, columns = np.ogrid[:height, :width]
    found[np.hypot(columns - x, rows - y) > BESIDE_REACH * radius] = 0
    thick = cv2.morphologyEx(found, cv2.MORPH_OPEN, disc(BESIDE_THICK * radius))
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


def _find_by(distance: npt.NDArray[np.float32], noise: float, lab: Lab, size: tuple[int, int]) -> list[Outline]:
    """The coins of one distance map, largest first; ``size`` is the image's (width, height)."""
    apart, threshold = standing_out(distance, noise)
    around = Ground(distance, threshold, border_apart(distance, noise) if noise <= RESTLESS else 1.0)
    outlines = _coins_of(apart, around, lab, size)
    if outlines:
        outlines += _fainter(outlines, apart, around, noise, lab, size)
    return sorted(outlines, key=lambda outline: -outline.radius_px)


def _coins_of(apart: Blob, ground: Ground, lab: Lab, size: tuple[int, int]) -> list[Outline]:
    """The coins among what stands out."""
    found = tidy(apart)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=4)
    outlines = []
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < MIN_AREA_FRACTION * found.size:
            continue
        for blob in separate((labels == label).astype(np.uint8), apart):
            mounted = _on_mount(blob, lab, size)
            if mounted:
                outlines += mounted
            elif (outline := _outline(blob, ground, size)) is not None:
                outlines.append(outline)
    return outlines


def _fainter(
    found: list[Outline], apart: Blob, ground: Ground, noise: float, lab: Lab, size: tuple[int, int]
) -> list[Outline]:
    """Coins that those found outshine: round things in what is left of the image, of a size with them."""
    rest = cv2.dilate(apart, disc(GLOW_PX)) == 0
    if not rest.any():
        return []
    faint, threshold = standing_out(ground.distance, noise, rest)
    if threshold > FAINTER * ground.threshold:
        return []
    seen = _coins_of(faint, Ground(ground.distance, threshold, clutter=1.0), lab, size)
    low, high = (limit * found[0].radius_px for limit in (1 / LIKE_SIZED, LIKE_SIZED))
    return [
        each
        for each in seen
        if low < each.radius_px < high and not any(np.any(each.mask & other.mask) for other in found)
    ]


def _on_mount(blob: Blob, lab: Lab, size: tuple[int, int]) -> list[Outline]:
    """The coins that lie on one thing, where that is a sheet, a holder or a capsule: even all along its edge."""
    reach = float(np.sqrt(blob.sum() / np.pi))
    depth = cv2.distanceTransform(blob, cv2.DIST_L2, 5)
    even = None  # the innermost band that is
    for low, high in pairwise(MOUNT_RINGS):
        ring = lab[(depth > low * reach) & (depth <= high * reach)]
        if not ring.size:
            return []
        spread = np.linalg.norm(ring - np.median(ring, axis=0), axis=-1)
        if float(np.mean(spread < MIN_CONTRAST)) > MOUNT_EVEN:
            even = (high, np.median(ring, axis=0), spread)
    if even is None:
        return []
    inner, centre, spread = even
    distance = np.linalg.norm(lab - centre, axis=2).astype(np.float32)
    threshold = max(MIN_CONTRAST, 4.0 * float(np.median(spread)))
    clear = MOUNT_CLEARER * float(np.percentile(spread, 100 * MOUNT_EVEN))
    apart = ((distance > threshold) & (depth > inner * reach)).astype(np.uint8)
    found = tidy(apart)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(found, connectivity=4)
    ground = Ground(distance, threshold, clutter=float(_count_things(apart) > FEW))
    outlines = []
    for label in range(1, count):
        area = stats[label, cv2.CC_STAT_AREA]
        if not MIN_AREA_FRACTION * found.size <= area <= MOUNT_FILLED * blob.sum():
            continue
        for piece in separate((labels == label).astype(np.uint8), apart):
            if float(np.median(distance[piece > 0])) < clear:
                continue
            deeper = _on_mount(piece, lab, size)
            outline = _outline(piece, ground, size)
            if deeper:
                outlines += deeper
            elif outline is not None and outline.confidence >= MOUNTED_CONFIDENCE:
                outlines.append(outline)
    return outlines


def _count_things(apart: Blob) -> int:
    """How many things stand out, down to small ones: squares of a board, letters, keys."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=4)
    return int(np.sum(stats[1:, cv2.CC_STAT_AREA] > THING_FRACTION * apart.size))


def _outline(blob: Blob, ground: Ground, size: tuple[int, int]) -> Outline | None:
    """Judge one connected thing; None if it is no coin."""
    contour = contour_of(blob)
    hull = cv2.convexHull(contour)
    hull_area = float(cv2.contourArea(hull))
    area = float(cv2.contourArea(contour))
    solid = solidity(contour)
    if solid < MIN_SOLIDITY or is_sheet(hull):
        return None
    (_, _), (side_a, side_b), _ = cv2.minAreaRect(hull)
    longest = MAX_FRAGMENT_ELONGATION if solid >= FRAGMENT_SOLIDITY else MAX_ELONGATION
    if max(side_a, side_b) > longest * max(1.0, min(side_a, side_b)):
        return None
    is_plain = solid >= SMOOTH or is_chipped(contour)
    is_whole = ground.clutter <= (CLUTTERED if is_plain else TIDY) and not touches_edge(blob)
    if not is_round(contour, blob) and (not is_whole or has_four_sides(hull)):  # in this order: that takes long
        return None
    if _edge_step(blob, ground) < LEAST_EDGE:
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
    contrast = float(np.median(ground.distance[blob > 0]))
    clear = contrast / (contrast + 1.5 * ground.threshold) / 0.4
    confidence = float(np.clip(roundness * min(1.0, clear) * area / hull_area, 0.0, 1.0))
    return Outline(centre, radius, np.asarray(large, np.uint8).view(np.bool_), confidence)


def _edge_step(blob: Blob, ground: Ground) -> float:
    """How much more a thing stands out just inside its outline than just outside (Lab): lit ground fades away."""
    inside, outside = (cv2.distanceTransform(each, cv2.DIST_L2, 3) for each in (blob, 1 - blob))
    (near, far), (beside, beyond) = EDGE_IN_PX, EDGE_OUT_PX
    within = ground.distance[(inside > near) & (inside <= far)]
    around = ground.distance[(outside > beside) & (outside <= beyond)]
    return float(np.median(within) - np.median(around)) if within.size and around.size else 0.0


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
