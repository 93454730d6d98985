"""The measures of coins in a photograph: diameters and area, in mm, with a board in sight or a known scale."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.board import BoardView
from calibration.errors import CalibrationError
from calibration.image import Image
from calibration.outline import Mask, find_coins
from calibration.rim import ANGLES, Edges, guess_circles

Points = npt.NDArray[np.float64]

MAX_TILT = 1.12  # how much longer a mm may be in one direction than in another, for a photograph that is measured


@dataclass(frozen=True)
class CoinMeasures:
    """What one coin measures.

    Attributes
    ----------
    centre_px
        Where it is (x, y).
    diameter_mm
        Of the disc of the same area.
    least_mm, greatest_mm
        The smallest and the largest distance between two parallel lines that touch it from both sides.
    area_mm2
        Area within its outline.
    is_round
        Whether its rim is a circle that edges show; otherwise the outline is where it differs from the ground, which
        a shadow may widen.
    """

    centre_px: tuple[float, float]
    diameter_mm: float
    least_mm: float
    greatest_mm: float
    area_mm2: float
    is_round: bool


@dataclass(frozen=True)
class Scale:
    """From pixels to mm in the plane that a board lies in, or by one factor.

    Attributes
    ----------
    to_mm
        (3, 3) homography.
    board_px
        (N, 2) outline of the board's corners; empty where none is in sight.
    """

    to_mm: Points
    board_px: Points

    @classmethod
    def of_board(cls, view: BoardView, name: str = "the image") -> Scale:
        """The scale that a board gives.

        Raises
        ------
        CalibrationError
            If the board is seen too obliquely.
        """
        to_mm, _ = cv2.findHomography(view.corners_px.astype(np.float64), view.corners_mm[:, :2].astype(np.float64))
        if to_mm is None:
            raise CalibrationError(f"{name}: the board's corners lie on one line. Let more of it be seen.")
        hull = cv2.convexHull(view.corners_px).reshape(-1, 2).astype(np.float64)
        scale = cls(np.asarray(to_mm, np.float64), hull)
        sides = scale._sides(hull.mean(axis=0))
        if sides[0] / sides[1] > MAX_TILT:
            tilt_deg = np.degrees(np.arccos(sides[1] / sides[0]))
            raise CalibrationError(
                f"{name}: the board is seen at an angle of {tilt_deg:.0f} degrees; coins have height, and would be "
                "measured wrongly. Photograph from straight above."
            )
        return scale

    @classmethod
    def of_factor(cls, mm_per_pixel: float) -> Scale:
        """One factor all over the image."""
        return cls(np.diag([mm_per_pixel, mm_per_pixel, 1.0]), np.zeros((0, 2)))

    def apply(self, points_px: Points) -> Points:
        """(N, 2) points in mm."""
        return np.asarray(cv2.perspectiveTransform(points_px.reshape(-1, 1, 2), self.to_mm), np.float64).reshape(-1, 2)

    def mm_per_pixel(self, at_px: Points) -> float:
        """The scale at a place, its mean over directions."""
        return float(np.sqrt(np.prod(self._sides(at_px))))

    def _sides(self, at_px: Points) -> Points:
        around = at_px + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
        placed = self.apply(around)
        return np.asarray(np.linalg.svd(placed[1:] - placed[0], compute_uv=False), np.float64)


def measure_coins(image: Image, scale: Scale) -> list[CoinMeasures]:
    """Measure every coin in a photograph (H, W, 3), from the left."""
    edges = Edges(image)
    guesses: list[tuple[float, float, float, Mask | None]] = [
        (*outline.centre_px, outline.radius_px, outline.mask) for outline in find_coins(image)
    ]
    guesses += [(x, y, radius, None) for x, y, radius in guess_circles(image)]
    measured: list[tuple[float, CoinMeasures]] = []
    for x, y, radius, mask in sorted(guesses, key=lambda guess: -guess[2]):
        if any(np.hypot(x - coin.centre_px[0], y - coin.centre_px[1]) < reach for reach, coin in measured):
            continue
        rim = edges.find_rim((x, y), radius)
        if rim is not None:
            measured.append((rim.radius_px, _measures(rim.centre_px, scale.apply(rim.points_px), is_round=True)))
        elif mask is not None and not _is_on_board((x, y), scale):
            contours, _ = cv2.findContours(mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
            outline = max(contours, key=cv2.contourArea).reshape(-1, 2).astype(np.float64)
            measured.append((radius, _measures((x, y), scale.apply(outline), is_round=False)))
    return sorted((coin for _, coin in measured), key=lambda coin: coin.centre_px)


def _is_on_board(place: tuple[float, float], scale: Scale) -> bool:
    if len(scale.board_px) < 3:
        return False
    hull = scale.board_px.astype(np.float32).reshape(-1, 1, 2)
    margin = float(np.sqrt(cv2.contourArea(hull))) / 3  # the outer squares have no inner corners outside of them
    return cv2.pointPolygonTest(hull, place, True) > -margin


def _measures(centre_px: tuple[float, float], outline_mm: Points, *, is_round: bool) -> CoinMeasures:
    area = float(cv2.contourArea(outline_mm.astype(np.float32)))
    angles = np.linspace(0, np.pi, ANGLES, endpoint=False)
    widths = np.ptp(outline_mm @ np.stack([np.cos(angles), np.sin(angles)]), axis=0)
    return CoinMeasures(
        centre_px, 2 * float(np.sqrt(area / np.pi)), float(widths.min()), float(widths.max()), area, is_round
    )
