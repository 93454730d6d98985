"""Where a coin on a printed page ends: the closed path around it along which the page is steepest.

A cast's shadow and a vignette end softly, a coin does not. Beside a neighbour or a caption the path stays on the
coin's side, since its distance from the centre changes little from one direction to the next.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import numpy.typing as npt

from calibration.background import Blob
from calibration.page_ground import Tones
from calibration.separate import contour_of

RAYS = 96
INNER, OUTER, STEPS = 0.76, 1.12, 73  # of the coarse outline's distance from the centre, where the edge is looked for
BEND = 0.25  # cost of a path that moves by one step from one ray to the next, in terms of the usual edge
FARTHER = 0.15  # gain of the outermost place over the innermost one, in terms of the usual edge
MOST_MOVE = 3  # steps from one ray to the next


def find_edges(small: Tones, blob: Blob, corner: tuple[int, int]) -> npt.NDArray[np.float64]:
    """The outline of a coin whose rough extent is known.

    Parameters
    ----------
    small
        (H, W) grey levels.
    blob
        The rough extent, 1 on the coin, of a part of ``small`` whose upper left pixel is ``corner`` (x, y).

    Returns
    -------
    NDArray
        (RAYS, 2) points x, y, in px of ``small``.
    """
    moments = cv2.moments(blob, binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    contour = contour_of(blob)[:, 0, :].astype(np.float64)
    angles, reach = np.arctan2(contour[:, 1] - y, contour[:, 0] - x), np.hypot(contour[:, 0] - x, contour[:, 1] - y)
    directions = np.linspace(-math.pi, math.pi, RAYS, endpoint=False)
    order = np.argsort(angles)
    rough = np.interp(directions, angles[order], reach[order], period=2 * math.pi)
    shares = np.linspace(INNER, OUTER, STEPS)
    across = (corner[0] + x + np.cos(directions)[:, None] * rough[:, None] * shares).astype(np.float32)
    down = (corner[1] + y + np.sin(directions)[:, None] * rough[:, None] * shares).astype(np.float32)
    profile = cv2.remap(small, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    slope = np.abs(np.gradient(profile.astype(np.float64), axis=1))
    usual = max(float(np.median(slope.max(axis=1))), 1e-3)
    gain = np.minimum(slope / usual, 1.2) + FARTHER * np.linspace(0.0, 1.0, STEPS)
    radii = rough * shares[_best_path(gain)]
    return np.stack([corner[0] + x + np.cos(directions) * radii, corner[1] + y + np.sin(directions) * radii], axis=1)


def _best_path(gain: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """The step of each ray on the closed path of most gain (R, S): walked around twice, its middle is kept."""
    rays, steps = gain.shape
    moves = np.arange(-MOST_MOVE, MOST_MOVE + 1)
    price = BEND * np.abs(moves)[:, None] / MOST_MOVE
    total, came = gain[0], np.zeros((2 * rays, steps), np.int64)
    columns = np.arange(steps)
    sources = columns + moves[:, None]
    is_outside = (sources < 0) | (sources >= steps)
    sources = sources.clip(0, steps - 1)
    for ray in range(1, 2 * rays):
        options = np.where(is_outside, -np.inf, total[sources] - price)
        best = options.argmax(axis=0)
        came[ray] = sources[best, columns]
        total = options[best, columns] + gain[ray % rays]
    path = np.zeros(2 * rays, np.int64)
    path[-1] = int(total.argmax())
    for ray in range(2 * rays - 1, 0, -1):
        path[ray - 1] = came[ray, path[ray]]
    half = rays // 2
    return np.roll(path[half : half + rays], half)
