"""Whether an image is a page of many coins, which `calibration.outline` looks at too coarsely to see one by one."""

from __future__ import annotations

import math

import cv2
import numpy as np

from calibration.background import disc, distances_from_plain, small_lab, standing_out
from calibration.image import Image
from calibration.outline import MIN_AREA_FRACTION, Outline, is_sheet
from calibration.separate import solidity

MANY = 4  # small coins make a page; on 138 images of single coins, calibration targets and desks there were 3 at most
ROOMY = 0.33  # radius of a coin over its image's shorter side: no page of others fits beside it
LEAST_AREA_FRACTION = 0.0006
_WORKING_SIZE_PX = 1000
_LEAST_SOLIDITY, _LEAST_ROUNDNESS = 0.88, 0.85


def count_page(image: Image, coins: list[Outline]) -> int:
    """About how many coins are on a page of many; 0 if it is none.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    coins
        What `calibration.outline.find_coins` found in it.
    """
    if any(coin.radius_px >= ROOMY * min(image.shape[:2]) for coin in coins):
        return 0
    small = _count_small(image)
    return len(coins) + small if small >= MANY else 0


def _count_small(image: Image) -> int:
    """How many round things there are that are too small to be found as coins."""
    distance, noise = next(distances_from_plain(small_lab(image, _WORKING_SIZE_PX)))
    apart, _ = standing_out(distance, noise)
    closed = cv2.morphologyEx(apart, cv2.MORPH_CLOSE, disc(1))
    contours, _ = cv2.findContours(np.asarray(closed, np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    found = 0
    for contour in contours:
        hull = cv2.convexHull(contour)
        area = float(cv2.contourArea(hull))
        if not LEAST_AREA_FRACTION <= area / apart.size < MIN_AREA_FRACTION:
            continue
        roundness = 4.0 * math.pi * area / cv2.arcLength(hull, True) ** 2
        found += roundness >= _LEAST_ROUNDNESS and solidity(contour) >= _LEAST_SOLIDITY and not is_sheet(hull)
    return found
