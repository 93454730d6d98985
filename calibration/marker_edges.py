"""The corners of square markers, found again by their edges: a line is fitted along each, and the lines cross.

A corner shows in a few pixels, an edge in as many as it is long: what a camera's place is known to by the twin's ring
(0.05 mm a pixel) is a quarter of what it is with corners that were found by themselves.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

ALONG = np.linspace(0.12, 0.88, 24)  # places of an edge, as shares of it: its ends belong to the corners' blur
STEP_PX = 0.5  # from sample to sample across an edge
ROUNDS = 3  # the window is laid about the edge that was found in the one before: off its middle it would pull


def corners_by_edges(corners_px: Points, grey: npt.NDArray[np.uint8], reach_px: float) -> Points:
    """Find the corners (N, 4, 2) of dark markers on a brighter ground again, in the order that OpenCV finds them in.

    Parameters
    ----------
    reach_px
        How far an edge may lie from where it is looked for; corners that would move by more are left as they are.
    """
    found = np.asarray(corners_px, np.float64)
    for _ in range(ROUNDS):
        found = _crossings(*_lines(found, grey, reach_px))
        lost = ~(np.linalg.norm(found - corners_px, axis=2) <= 2 * reach_px).all(axis=1)
        found[lost] = corners_px[lost]
    return found


def _lines(quads: Points, grey: npt.NDArray[np.uint8], reach_px: float) -> tuple[Points, Points]:
    """Two points (N, 4, 2) of the line along each edge, where the image rises most from dark to bright."""
    edge = np.roll(quads, -1, axis=1) - quads
    outwards = np.stack([edge[..., 1], -edge[..., 0]], axis=2)
    outwards /= np.maximum(np.linalg.norm(outwards, axis=2, keepdims=True), 1e-9)
    across_px = np.arange(-reach_px, reach_px + STEP_PX / 2, STEP_PX)
    places = (
        quads[:, :, None, None]
        + ALONG[:, None, None] * edge[:, :, None, None]
        + across_px[:, None] * outwards[:, :, None, None]
    ).astype(np.float32)
    rows = places.reshape(-1, len(across_px), 2)
    seen = cv2.remap(grey, rows[..., 0], rows[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = seen.reshape(places.shape[:-1]).astype(np.float64)
    rise = np.square(np.clip(seen[..., 2:] - seen[..., :-2], 0.0, None))
    along, across = ALONG - 0.5, across_px[1:-1]
    total = np.maximum(rise.sum(axis=(2, 3)), 1e-9)
    here, there = rise.sum(axis=3) @ along / total, rise.sum(axis=2) @ across / total
    spread = rise.sum(axis=3) @ np.square(along) / total - np.square(here)
    slope = (rise @ across @ along / total - here * there) / np.maximum(spread, 1e-9)
    middle = there - slope * here
    first, last = (middle + share * slope for share in (-0.5, 0.5))
    return quads + first[..., None] * outwards, quads + edge + last[..., None] * outwards


def _crossings(first: Points, last: Points) -> Points:
    """Where the line along each edge crosses that along the one before, which is the corner that it begins with."""
    way, before, way_before = last - first, np.roll(first, 1, axis=1), np.roll(last - first, 1, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = _cross(first - before, way) / _cross(way_before, way)
    return np.asarray(before + share[..., None] * way_before, np.float64)


def _cross(one: Points, other: Points) -> Points:
    return np.asarray(one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0], np.float64)
