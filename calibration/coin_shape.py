"""A coin's outline to a part of a pixel, its measures in mm, and the die axis that two sides' outlines give."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.outline import Outline

Points = npt.NDArray[np.float64]
Light = npt.NDArray[np.float32]

ANGLES = 720
REACH_PX = 7.0  # from the outline that was found, in which the edge is looked for
STEP_PX = 0.25
# Of light, before the steepest place is looked for: a coin darkens towards its rounded rim, and the rim lies where it
# leaves the plate. By 0.5 the outline comes out 0.05 to 0.3 mm too small, by 0.2 within 0.05 (coins of the twin).
EDGE_POWER = 0.2
USUAL_THICKNESS_MM = 2.0  # of an ancient coin, where it was not measured
LEAST_CORRELATION, LEAST_LEAD = 0.75, 0.05  # of two outlines, to be one; and over the next best turn


@dataclass(frozen=True, eq=False)
class CoinShape:
    """One side's outline as seen from straight above.

    Attributes
    ----------
    outline_mm
        (`ANGLES`, 2) about its centre of area, counter-clockwise from the right; x to the right, y up.
    centre_px
        That centre in the image (x, y).
    diameter_mm
        Of the disc of the same area.
    least_mm, greatest_mm
        The smallest and the largest distance between two parallel lines that touch it from both sides.
    area_mm2
        Area within it.
    """

    outline_mm: Points
    centre_px: tuple[float, float]
    diameter_mm: float
    least_mm: float
    greatest_mm: float
    area_mm2: float

    @property
    def radii_mm(self) -> Points:
        """(`ANGLES`,) distance of the outline from its centre, evenly over the angles."""
        angles = np.unwrap(np.arctan2(self.outline_mm[:, 1], self.outline_mm[:, 0]))
        radii = np.hypot(*self.outline_mm.T)
        even = np.arange(ANGLES) * 2 * np.pi / ANGLES
        order = np.argsort(angles % (2 * np.pi))
        return np.asarray(np.interp(even, angles[order] % (2 * np.pi), radii[order], period=2 * np.pi), np.float64)


def coin_shape(
    light: Light,
    found: Outline,
    mm_per_pixel: float,
    *,
    thickness_mm: float = USUAL_THICKNESS_MM,
    height_mm: float | None = None,
) -> CoinShape:
    """The shape of a coin that was found in a calibrated image.

    Parameters
    ----------
    light
        (H, W) linear light, best the mean over lights from all around, in which no shadow widens the coin.
    mm_per_pixel
        Scale on the plate.
    thickness_mm
        The coin's upper side is nearer to the camera than the plate by this, and so seen larger.
    height_mm
        Of the lens above the plate; None if that is not known, and the scale taken as that of the coin.

    Raises
    ------
    CalibrationError
        If the outline cannot be followed.
    """
    contours, _ = cv2.findContours(found.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        raise CalibrationError("The coin has no outline.")
    # Dark patina is like the plate and eats into the mask: its hull is nearer to the rim.
    rough = cv2.convexHull(max(contours, key=cv2.contourArea)).reshape(-1, 2).astype(np.float64)
    centre = np.array(found.centre_px)
    radii = _edge(light, centre, _radii_about(rough, centre))
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    nearer = 1.0 if height_mm is None else 1.0 - thickness_mm / height_mm
    points = radii[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)  # y up
    outline = points * mm_per_pixel * nearer
    moments = cv2.moments(outline.astype(np.float32).reshape(-1, 1, 2))
    if moments["m00"] <= 0:
        raise CalibrationError("The coin's outline crosses itself.")
    middle = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
    at = centre + middle / (mm_per_pixel * nearer) * (1, -1)
    turns = np.linspace(0, np.pi, 360, endpoint=False)
    widths = np.ptp(outline @ np.stack([np.cos(turns), np.sin(turns)]), axis=0)
    area = float(moments["m00"])
    return CoinShape(
        outline - middle,
        (float(at[0]), float(at[1])),
        2 * float(np.sqrt(area / np.pi)),
        float(widths.min()),
        float(widths.max()),
        area,
    )


def turn_between(obverse: CoinShape, reverse: CoinShape) -> float | None:
    """How the flan was turned over, from the two outlines, which are one seen from both sides.

    Returns
    -------
    float or None
        c (deg): what is seen on the obverse at an angle a is seen on the reverse at c - a, both counter-clockwise from
        the right. None where the outlines do not agree, or are too round to say.
    """
    first, second = (_without_mean(shape.radii_mm) for shape in (obverse, reverse))
    # correlation over c of first(a) and second(c - a)
    spectrum = np.fft.rfft(first) * np.fft.rfft(second)
    agreement = np.fft.irfft(spectrum, ANGLES) / max(1e-12, float(np.linalg.norm(first) * np.linalg.norm(second)))
    best = int(agreement.argmax())
    apart = np.abs((np.arange(ANGLES) - best + ANGLES // 2) % ANGLES - ANGLES // 2) > ANGLES // 24
    tops = apart & (agreement >= np.roll(agreement, 1)) & (agreement >= np.roll(agreement, -1))
    if agreement[best] < LEAST_CORRELATION or agreement[best] - agreement[tops].max(initial=-1.0) < LEAST_LEAD:
        return None
    before, after = agreement[best - 1], agreement[(best + 1) % ANGLES]
    within = 0.5 * (before - after) / min(-1e-12, before - 2 * agreement[best] + after)
    return float((best + within) * 360.0 / ANGLES % 360.0)


def die_axis_deg(turn_deg: float, obverse_up_deg: float, reverse_up_deg: float) -> float:
    """The die axis (deg, clockwise, 0 to 360): 30 to the hour, 0 for 12 h.

    With the obverse upright and turned over about its vertical axis, the reverse's top points there.

    Parameters
    ----------
    turn_deg
        What `turn_between` gave.
    obverse_up_deg, reverse_up_deg
        Where the top of each design points in its image, counter-clockwise from the right; 90 if it is upright.
    """
    return (turn_deg - obverse_up_deg - reverse_up_deg) % 360.0


def axis_hours(axis_deg: float) -> float:
    """The die axis in hours, to a tenth, more than 0 and up to 12."""
    return round(axis_deg / 30.0, 1) % 12.0 or 12.0


def _radii_about(hull: Points, centre: Points) -> Points:
    """(`ANGLES`,) how far a convex outline is from a place in it in each direction, y up."""
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    rays = np.stack([np.cos(angles), -np.sin(angles)], axis=1)
    sides = np.roll(hull, -1, axis=0) - hull
    normals = np.stack([sides[:, 1], -sides[:, 0]], axis=1)
    reach = ((hull - centre) * normals).sum(axis=1)
    normals, reach = (each * np.sign(reach)[(...,) + (None,) * (each.ndim - 1)] for each in (normals, reach))
    along = rays @ normals.T
    return np.asarray(np.where(along > 1e-9, reach / np.maximum(along, 1e-9), np.inf).min(axis=1), np.float64)


def _edge(light: Light, centre: Points, rough: Points) -> Points:
    """The steepest place near a rough outline in each direction, to a part of a pixel."""
    seen = cv2.GaussianBlur(np.power(np.maximum(light, np.float32(1e-5)), np.float32(EDGE_POWER)), (0, 0), 1.0)
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    steps = np.arange(-REACH_PX, REACH_PX + STEP_PX / 2, STEP_PX)
    reach = rough[:, None] + steps[None, :]
    x = (centre[0] + np.cos(angles)[:, None] * reach).astype(np.float32)
    y = (centre[1] - np.sin(angles)[:, None] * reach).astype(np.float32)
    along = cv2.remap(seen, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    rise = np.abs(np.gradient(along, axis=1))
    rise = rise * (1 - 0.5 * np.abs(steps / REACH_PX) ** 2)
    top = np.clip(rise.argmax(axis=1), 1, len(steps) - 2)
    rows = np.arange(ANGLES)
    before, at, after = (rise[rows, top + shift] for shift in (-1, 0, 1))
    within = 0.5 * (before - after) / np.minimum(-1e-9, before - 2 * at + after)
    radii = rough + steps[top] + np.clip(within, -1, 1) * STEP_PX
    ring = np.concatenate([radii[-3:], radii, radii[:3]])  # one direction in which a scratch is steeper than the edge
    return np.array([np.median(ring[number : number + 7]) for number in range(ANGLES)])


def _without_mean(radii: Points) -> Points:
    """Radii less the size and less the shift of the centre, each direction as rough as the others."""
    waves = np.fft.rfft(radii)
    waves[:2] = 0
    return np.asarray(np.fft.irfft(waves, len(radii)), np.float64)
