"""Coins that touch, taken apart; and the shape of things that may be coins."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.background import Blob, disc

FRAGMENT_SOLIDITY = 0.93
LEAST_DEPTH = 0.45  # of the deepest point of a thing, for another to be a coin's centre
CENTRES_APART = 0.72  # of the sum of two coins' radii; the gap in the midst of three is at 0.6
SMALL_HOLE = 0.012  # of a thing's area; the gap in the midst of three coins is 0.017, of four 0.064
PATTERN = 7  # so many centres that are no coins are a chessboard or print
ROUND = 0.95  # 4 pi area / perimeter^2 of a hull: one coin, whatever dark hollows its relief has; 19 coins: 0.94


def separate(blob: Blob, apart: Blob) -> list[Blob]:
    """The coins of one connected thing, where several touch; else the thing as it is; nothing where it is a pattern.

    Coins that touch leave notches, and each has a centre of its own that is far from every edge. A pixel belongs to
    the centre that is nearest in terms of that coin's own radius. Pieces that are no more solid than the whole are not
    believed. ``apart`` is what stands out from the background, the gap in the midst of coins that touch left open.
    """
    whole = solidity(contour_of(blob))
    if whole >= FRAGMENT_SOLIDITY:
        return [blob]
    closed = np.asarray(cv2.morphologyEx(apart, cv2.MORPH_CLOSE, disc(2)), np.uint8)
    solid, holes = _without_holes(closed & blob, SMALL_HOLE * float(blob.sum()))
    if holes >= PATTERN:
        return [blob] if _roundness(contour_of(blob)) > ROUND else []
    centres = _centres(np.asarray(cv2.distanceTransform(solid, cv2.DIST_L2, 5), np.float32))
    if len(centres) < 2:
        return [blob]
    y, x = np.nonzero(blob)
    reach = [np.hypot(x - centre_x, y - centre_y) / radius for centre_x, centre_y, radius in centres]
    nearest = np.argmin(reach, axis=0)
    pieces = []
    for number in range(len(centres)):
        piece = np.zeros_like(blob)
        piece[y[nearest == number], x[nearest == number]] = 1
        pieces.append(piece & solid)
    if all(solidity(contour_of(piece)) > max(whole + 0.01, 0.9) for piece in pieces):
        return pieces
    return [] if len(centres) >= PATTERN else [blob]


def contour_of(blob: Blob) -> npt.NDArray[Any]:
    """The outer contour of a mask, (N, 1, 2) px; of its largest part where it has several."""
    contours, _ = cv2.findContours(blob, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return max(contours, key=cv2.contourArea)


def solidity(contour: npt.NDArray[Any]) -> float:
    """Area over that of the convex hull."""
    hull_area = float(cv2.contourArea(cv2.convexHull(contour)))
    return float(cv2.contourArea(contour)) / hull_area if hull_area > 0.0 else 0.0


def _roundness(contour: npt.NDArray[Any]) -> float:
    hull = cv2.convexHull(contour)
    return 4.0 * np.pi * float(cv2.contourArea(hull)) / float(cv2.arcLength(hull, True)) ** 2


def _centres(depth: npt.NDArray[np.float32]) -> list[tuple[float, float, float]]:
    """Centre (x, y) and inner radius of each coin of a thing, where its distance transform falls into most parts."""
    deepest = float(depth.max())
    best: list[tuple[float, float, float]] = []
    for level in np.arange(0.95, 0.35, -0.05):
        count, labels = cv2.connectedComponents((depth > level * deepest).astype(np.uint8))
        found = []
        for label in range(1, count):
            own = np.where(labels == label, depth, 0.0)
            y, x = np.unravel_index(int(own.argmax()), own.shape)
            if own[y, x] > LEAST_DEPTH * deepest:
                found.append((float(x), float(y), float(own[y, x])))
        found = _apart(found)
        if len(found) > len(best):
            best = found
    return best


def _apart(centres: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """Without those that lie within a deeper one's coin, such as the gap between three coins."""
    kept: list[tuple[float, float, float]] = []
    for x, y, radius in sorted(centres, key=lambda centre: -centre[2]):
        if all(np.hypot(x - other[0], y - other[1]) > CENTRES_APART * (radius + other[2]) for other in kept):
            kept.append((x, y, radius))
    return kept


def _without_holes(found: Blob, area_px: float) -> tuple[Blob, int]:
    """Fill holes up to an area; and how many of them were more than specks."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(1 - found, connectivity=4)
    small = [n for n in range(1, count) if stats[n, cv2.CC_STAT_AREA] <= area_px]
    specks = sum(stats[n, cv2.CC_STAT_AREA] > area_px / 10 for n in small)
    return np.asarray(found | np.isin(labels, small), np.uint8), specks
