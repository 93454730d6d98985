"""Whether an image shows small coins, as a page of many does: `calibration.outline` looks too coarsely to see them."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np

from calibration.background import disc, distances_from_plain, small_lab, standing_out
from calibration.image import Image
from calibration.outline import MIN_AREA_FRACTION, Outline
from calibration.separate import solidity
from calibration.shape import is_sheet

MANY = 4  # small coins make a page; on 138 images of single coins, calibration targets and desks there were 3 at most
SMALLEST = 0.5  # radius over that of the largest coin, for one that is too small to be found beside it
ROOMY = 0.33  # radius of a coin over its image's shorter side: no page of others fits beside it
LEAST_AREA_FRACTION = 0.0006
_WORKING_SIZE_PX = 1000
_LEAST_SOLIDITY, _LEAST_ROUNDNESS = 0.88, 0.85


def count_page(image: Image, coins: list[Outline]) -> int:
    """About how many coins there are, where some are too small to be found, as on a page of many; 0 if none is.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    coins
        What `calibration.outline.find_coins` found in it.
    """
    if any(coin.radius_px >= ROOMY * min(image.shape[:2]) for coin in coins):
        return 0
    radii_px = list(_small_radii_px(image, coins))
    if len(radii_px) >= MANY:
        return len(coins) + len(radii_px)
    like_sized = [radius for radius in radii_px if coins and radius > SMALLEST * coins[0].radius_px]
    return len(coins) + len(like_sized) if like_sized else 0


def _small_radii_px(image: Image, coins: list[Outline]) -> Iterator[float]:
    """The radius of each round thing that is too small to be found as a coin."""
    distance, noise = next(distances_from_plain(small_lab(image, _WORKING_SIZE_PX)))
    apart, _ = standing_out(distance, noise)
    closed = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, disc(1))
    contours, _ = cv2.findContours(np.asarray(closed, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    scale = image.shape[1] / apart.shape[1]
    for contour in contours:
        hull = cv2.convexHull(contour)
        area = float(cv2.contourArea(hull))
        if not LEAST_AREA_FRACTION <= area / apart.size < MIN_AREA_FRACTION:
            continue
        roundness = 4.0 * math.pi * area / cv2.arcLength(hull, True) ** 2
        if roundness < _LEAST_ROUNDNESS or solidity(contour) < _LEAST_SOLIDITY or is_sheet(hull):
            continue
        x, y = (round(float(place) * scale) for place in contour[:, 0].mean(axis=0))
        if not any(coin.mask[y, x] for coin in coins):
            yield math.sqrt(area / math.pi) * scale
