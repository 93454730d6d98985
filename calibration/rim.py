"""The rim of a round coin, where shadows, bevels and a ground of its own brightness mislead a threshold.

A coin's rim is the outermost circle along which the image has sharp edges. A shadow's edge is soft; the bevel, the
ring of another metal and the border of dots lie further inside.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image

Points = npt.NDArray[np.float64]

ANGLES = 180
SHIFT, SHIFT_STEP = 0.06, 0.012  # of the radius: how far off the first guess of the centre may be
NEAREST, FURTHEST = 0.85, 1.2  # of the first guess of the radius
SHARP = 1.6  # a soft edge is this many times as strong when blurred 3.5 times as much
LEAST_SUPPORT, LEAST_DROP = 0.6, 0.15  # along the rim, and from it outwards; a chessboard's square has 0.53
LEAST_ON_RIM = (
    0.5  # share of the circle that lies on edges: 0.53 to 0.70 on modern coins, 0.48 at most on irregular ones
)
WANDER, WANDER_PX = 0.025, 5.0  # of the radius, or pixels, by which the rim may leave its circle: an edge is 2 px soft
SEARCHED_PX = 1000  # longer side of the image in which circles are looked for


@dataclass(frozen=True)
class Rim:
    """A coin's rim.

    Attributes
    ----------
    centre_px
        Centre of its circle (x, y), pixel centres at whole numbers.
    radius_px
        Radius of its circle.
    points_px
        (`ANGLES`, 2) points of the rim, which may leave the circle a little.
    support
        0 to 1: how much of the circle lies on edges.
    """

    centre_px: tuple[float, float]
    radius_px: float
    points_px: Points
    support: float


def guess_circles(image: Image) -> list[tuple[float, float, float]]:
    """Round things (x, y, radius in px), largest first, none within another."""
    scale = min(1.0, SEARCHED_PX / max(image.shape[:2]))
    grey = cv2.cvtColor(cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    longest = max(grey.shape)
    found = cv2.HoughCircles(
        cv2.GaussianBlur(grey, (0, 0), 1.2),
        cv2.HOUGH_GRADIENT_ALT,
        1.5,
        longest / 25,
        param1=300,
        param2=0.75,
        minRadius=longest // 40,
        maxRadius=longest // 2,
    )
    if found is None:
        return []
    circles = [tuple(map(float, each[:3])) for each in found.reshape(-1, found.shape[-1])]
    return [((x + 0.5) / scale - 0.5, (y + 0.5) / scale - 0.5, radius / scale) for x, y, radius in circles]


class Edges:
    """How sharply an image changes, in Lab, for the rims of several coins in it."""

    def __init__(self, image: Image) -> None:
        lab = np.asarray(cv2.cvtColor(image.astype(np.float32) / np.float32(255), cv2.COLOR_RGB2LAB), np.float32)
        self._fine = _gradient(lab, 2.0)
        self._coarse = _gradient(lab, 7.0)

    def find_rim(self, centre_px: tuple[float, float], radius_px: float) -> Rim | None:
        """The rim near a first guess of its circle; None if there is no round thing."""
        radii = np.linspace(NEAREST, FURTHEST, max(100, min(240, int((FURTHEST - NEAREST) * radius_px)))) * radius_px
        usual = self._usual(centre_px, radius_px)
        best = np.zeros(len(radii))
        centres = np.zeros((len(radii), 2))
        for across in np.arange(-SHIFT, SHIFT + 1e-9, SHIFT_STEP):
            for down in np.arange(-SHIFT, SHIFT + 1e-9, SHIFT_STEP):
                centre = np.array(centre_px) + radius_px * np.array([across, down])
                edges = self._along(centre, radii)
                support = (edges / (edges + 0.5 * usual)).mean(axis=0)
                better = support > best
                best[better], centres[better] = support[better], centre
        outside = float(np.median(best[radii > 1.1 * radius_px]))
        top = float(best.max())
        if top < LEAST_SUPPORT or top - outside < LEAST_DROP:
            return None
        level = (top + outside) / 2
        last = int(np.flatnonzero(best >= level)[-1])
        if last == len(radii) - 1 or best[last] < LEAST_ON_RIM:
            return None
        within = (best[last] - level) / max(1e-9, best[last] - best[last + 1])
        radius = float(radii[last] + within * (radii[last + 1] - radii[last]))
        points = self._follow(centres[last], radius, usual)
        return Rim((float(centres[last][0]), float(centres[last][1])), radius, points, float(best[last]))

    def _usual(self, centre_px: tuple[float, float], radius_px: float) -> float:
        """The median change around: texture and noise."""
        (x, y), reach = centre_px, 1.4 * radius_px
        across, down = self._fine
        part = (slice(max(0, int(y - reach)), int(y + reach)), slice(max(0, int(x - reach)), int(x + reach)))
        return float(np.median(np.hypot(across[part], down[part]).sum(axis=2))) + 1e-3

    def _along(self, centre: Points, radii: Points) -> Points:
        """(`ANGLES`, R) how sharply the image changes outwards from a centre, 0 where softly."""
        angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
        right, down = np.cos(angles)[:, None], np.sin(angles)[:, None]
        x = (centre[0] + right * radii).astype(np.float32)
        y = (centre[1] + down * radii).astype(np.float32)
        fine, coarse = (
            np.abs(
                cv2.remap(gradient[0], x, y, cv2.INTER_LINEAR) * right[..., None]
                + cv2.remap(gradient[1], x, y, cv2.INTER_LINEAR) * down[..., None]
            )
            for gradient in (self._fine, self._coarse)
        )
        return np.asarray(np.maximum(fine - SHARP * coarse, 0.0).sum(axis=2), np.float64)

    def _follow(self, centre: Points, radius: float, usual: float) -> Points:
        """The sharpest edge near the circle in each direction; the circle where there is none."""
        reach = max(WANDER * radius, WANDER_PX)
        radii = np.linspace(radius - reach, radius + reach, 41)
        edges = self._along(centre, radii)
        near = edges * (1 - np.abs(np.linspace(-1, 1, len(radii))) ** 3)
        found = radii[near.argmax(axis=1)]
        found[near.max(axis=1) < usual] = radius
        ring = np.concatenate([found[-4:], found, found[:4]])
        smooth = np.array([np.median(ring[number : number + 9]) for number in range(ANGLES)])
        angles = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
        return np.asarray(centre + smooth[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1))


def _gradient(lab: npt.NDArray[np.float32], sigma: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    smooth = cv2.GaussianBlur(lab, (0, 0), sigma)
    return tuple(cv2.Scharr(smooth, cv2.CV_32F, dx, 1 - dx) / np.float32(32) for dx in (1, 0))  # type: ignore[return-value]
