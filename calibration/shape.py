"""The shape of things that stand out: round as a coin is, or straight-sided as paper, boards and screens are."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.background import Blob

ROUND_ENOUGH = 0.92  # 506 photographs of single coins: 0.951 at least; boards, sheets, keyboards: 0.90 at most
ROUND_ENOUGH_CUT = 0.95  # of what the image's edge cuts off: an ellipse fits any short arc
LONGEST = 1.35  # longer axis over the shorter one
EDGE_PX = 2
SHEET = 0.9  # share of its bounding rectangle that a sheet or board fills; half a coin 0.79, a round one 0.79
FOUR_SIDES = 0.84  # share that four of its corners span: sheets and boards askew 0.86 at least, coins cut down 0.76
ROUND_EDGE, EDGE_REACH = 0.5, 0.1  # a coin that lost a quarter keeps 0.78; boards, keyboards 0.35 at most
ENCLOSED = 0.955  # of the least quadrilateral around it; coins cut down 0.95 at most, halves 0.914, round ones 0.86


def is_sheet(hull: npt.NDArray[Any]) -> bool:
    """Whether an outline has four straight sides: paper, a board, a screen."""
    corners = cv2.approxPolyDP(hull, 0.04 * cv2.arcLength(hull, True), True)
    (_, _), (side_a, side_b), _ = cv2.minAreaRect(hull)
    fills = cv2.contourArea(hull) / max(1.0, side_a * side_b)
    return fills > SHEET or (len(corners) == 4 and cv2.contourArea(corners) > 0.93 * cv2.contourArea(hull))


def has_four_sides(hull: npt.NDArray[Any]) -> bool:
    """Whether an outline may be of a sheet seen askew, whose corners are rounded or cut off by the image's edge."""
    length = cv2.arcLength(hull, True)
    for tolerance in np.arange(0.01, 0.2, 0.005):
        corners = cv2.approxPolyDP(hull, tolerance * length, True)
        if len(corners) <= 4:
            if cv2.contourArea(corners) > FOUR_SIDES * cv2.contourArea(hull):
                return True
            break
    area, _ = cv2.minEnclosingConvexPolygon(hull.astype(np.float32), 4)
    return bool(cv2.contourArea(hull) > ENCLOSED * area)


def touches_edge(blob: Blob) -> bool:
    """Whether a thing is cut off by the image's edge."""
    inner = blob[EDGE_PX:-EDGE_PX, EDGE_PX:-EDGE_PX]
    return bool(int(blob.sum()) > int(inner.sum()))


def is_round(contour: npt.NDArray[Any], blob: Blob) -> bool:
    """Whether a thing is as round as a coin, in the part of it that the image shows."""
    height, width = blob.shape
    x, y = contour[:, 0, 0], contour[:, 0, 1]
    is_free = (x >= EDGE_PX) & (x < width - EDGE_PX) & (y >= EDGE_PX) & (y < height - EDGE_PX)
    if is_free.sum() < 5:
        return False
    fitted = cv2.fitEllipse(contour[is_free])
    if max(fitted[1]) > LONGEST * min(fitted[1]):
        return False
    ellipse = np.zeros_like(blob)
    cv2.ellipse(ellipse, fitted, (1,), cv2.FILLED)
    enough = ROUND_ENOUGH if is_free.all() else ROUND_ENOUGH_CUT
    return float(np.sum(ellipse & blob)) > enough * float(np.sum(ellipse | blob))


def is_chipped(contour: npt.NDArray[Any]) -> bool:
    """Whether a thing may be a coin that lost a piece: most of its edge lies on the circle around it."""
    (x, y), radius = cv2.minEnclosingCircle(contour)
    across, down = contour[:, 0, 0] - x, contour[:, 0, 1] - y
    on_circle = np.abs(np.hypot(across, down) - radius) < EDGE_REACH * radius
    directions = (np.degrees(np.arctan2(down, across)) // 5.0).astype(int)
    return len(set(directions[on_circle].tolist())) > ROUND_EDGE * 72
