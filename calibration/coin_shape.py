"""A coin's outline to a part of a pixel, its measures in mm, and the die axis that two sides' outlines give."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

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
# Of light, before the steepest place is looked for, and before a blurred step is fitted there: a coin darkens towards
# its rounded rim, and the rim lies where it leaves the plate. On ten coins of the twin, 0.1 mm a pixel, diameters come
# out 0.001 mm too great, with a spread of 0.016.
ROUGH_POWER, EDGE_POWER = 0.35, 0.7
MOST_ASIDE, ASIDE_COST = 4, 0.3  # steps from one direction to the next, and what each costs of a direction's steepest
STEP_BLURS_PX = (0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.1)
STEP_INSIDE_PX, STEP_OUTSIDE_PX = 1.5, 3.0  # what a step is fitted to: further in, the rim's shading is no step
STEP_SHIFT_PX = 2.0
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

    def widths_mm(self, directions: int) -> Points:
        """(`directions`,) distance between two parallel lines that touch it from both sides, evenly over a turn."""
        return _widths(self.outline_mm, np.arange(directions) * 2 * np.pi / directions)

    def enlarged(self, factor: float) -> CoinShape:
        """The same shape, larger by a factor."""
        return replace(
            self,
            outline_mm=self.outline_mm * factor,
            diameter_mm=self.diameter_mm * factor,
            least_mm=self.least_mm * factor,
            greatest_mm=self.greatest_mm * factor,
            area_mm2=self.area_mm2 * factor**2,
        )

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
        (H, W) linear light, best the brightest of lights from all around: each part of the rim is seen by the lamp
        that it faces, and no shadow widens the coin.
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
    widths = _widths(outline, np.linspace(0, np.pi, 360, endpoint=False))
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


def _widths(outline: Points, turns: Points) -> Points:
    """(N,) distance between two parallel lines that touch an outline from both sides, at angles (rad) to the right."""
    return np.asarray(np.ptp(outline @ np.stack([np.cos(turns), np.sin(turns)]), axis=0), np.float64)


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
    """Where the coin ends near a rough outline in each direction, to a part of a pixel."""
    bent = np.power(np.maximum(light, np.float32(1e-5)), np.float32(ROUGH_POWER))
    seen = np.asarray(cv2.GaussianBlur(bent, (0, 0), 1.0), np.float32)
    steps = np.arange(-REACH_PX, REACH_PX + STEP_PX / 2, STEP_PX)
    along = _along(seen, centre, rough, steps)
    rise = np.abs(np.gradient(along, axis=1))
    rise = rise * (1 - 0.5 * np.abs(steps / REACH_PX) ** 2)
    top = np.clip(_ring(rise / np.maximum(1e-12, rise.max(axis=1, keepdims=True))), 1, len(steps) - 2)
    rows = np.arange(ANGLES)
    before, at, after = (rise[rows, top + shift] for shift in (-1, 0, 1))
    within = 0.5 * (before - after) / np.minimum(-1e-9, before - 2 * at + after)
    radii = _step(light, centre, rough + steps[top] + np.clip(within, -1, 1) * STEP_PX)
    ring = np.concatenate([radii[-3:], radii, radii[:3]])  # one direction in which a scratch is steeper than the edge
    return np.array([np.median(ring[number : number + 7]) for number in range(ANGLES)])


def _ring(gains: Light) -> npt.NDArray[np.int64]:
    """(`ANGLES`,) the way around through gains (`ANGLES`, S) that gains most, at a cost for each step aside.

    Where the rim is dark, the pearls of the border inside it are steeper: the rim's neighbours say which is the rim. By
    dynamic programming, over a quarter more than a round at either end so that it closes.
    """
    more = ANGLES // 4
    rounds = np.concatenate([gains[-more:], gains, gains[:more]]).astype(np.float64)
    aside = np.arange(-MOST_ASIDE, MOST_ASIDE + 1)
    costs = ASIDE_COST * np.abs(aside)[:, None]
    places = np.arange(gains.shape[1])
    came = np.zeros(rounds.shape, np.int64)
    total = rounds[0]
    for number in range(1, len(rounds)):
        reached = np.pad(total, MOST_ASIDE, constant_values=-np.inf)
        choices = np.lib.stride_tricks.sliding_window_view(reached, len(places)) - costs
        best = choices.argmax(axis=0)
        came[number] = places + aside[best]
        total = choices[best, places] + rounds[number]
    way = np.empty(len(rounds), np.int64)
    way[-1] = total.argmax()
    for number in range(len(rounds) - 1, 0, -1):
        way[number - 1] = came[number, way[number]]
    return way[more : more + ANGLES]


def _step(light: Light, centre: Points, steepest: Points) -> Points:
    """Where the blurred step lies that fits best to what is seen near the steepest place in each direction."""
    seen = np.asarray(np.power(np.maximum(light, np.float32(1e-5)), np.float32(EDGE_POWER)), np.float32)
    reach = STEP_SHIFT_PX + STEP_OUTSIDE_PX
    steps = np.arange(-reach, reach + STEP_PX / 2, STEP_PX)
    along = _along(seen, centre, steepest, steps).astype(np.float64)
    shifts = np.arange(-STEP_SHIFT_PX, STEP_SHIFT_PX + 0.05, 0.1)
    misses = []  # of each blur: (shifts, ANGLES); the lens blurs the whole rim alike
    for blur_px in STEP_BLURS_PX:
        miss = []
        for shift in shifts:
            used = (steps >= shift - STEP_INSIDE_PX) & (steps <= shift + STEP_OUTSIDE_PX)
            step = _normal_share((shift - steps[used]) / blur_px)
            step -= step.mean()
            values = along[:, used] - along[:, used].mean(axis=1, keepdims=True)
            height = values @ step / (step @ step)
            off = ((values - height[:, None] * step) ** 2).mean(axis=1)
            miss.append(np.where(height > 0, off / np.maximum(height, 1e-6) ** 2, np.inf))
        misses.append(np.array(miss))
    best = min(misses, key=lambda each: float(np.median(each.min(axis=0))))
    rows = np.arange(ANGLES)
    at = np.clip(best.argmin(axis=0), 1, len(shifts) - 2)
    before, here, after = (best[at + aside, rows] for aside in (-1, 0, 1))
    known = np.isfinite(before + here + after)
    before, here, after = (np.where(known, each, 0.0) for each in (before, here, after))
    within = 0.5 * (before - after) / np.maximum(1e-12, before - 2 * here + after)
    return np.asarray(steepest + np.where(known, shifts[at] + 0.1 * np.clip(within, -1, 1), 0.0), np.float64)


def _along(seen: Light, centre: Points, radii: Points, steps: Points) -> Light:
    """(`ANGLES`, S) what is seen at steps from a radius in each direction, y up."""
    angles = np.arange(ANGLES) * 2 * np.pi / ANGLES
    reach = radii[:, None] + steps[None, :]
    x = (centre[0] + np.cos(angles)[:, None] * reach).astype(np.float32)
    y = (centre[1] - np.sin(angles)[:, None] * reach).astype(np.float32)
    return np.asarray(cv2.remap(seen, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _normal_share(values: Points) -> Points:
    """The normal distribution's share below each value."""
    return np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in values])


def _without_mean(radii: Points) -> Points:
    """Radii less the size and less the shift of the centre, each direction as rough as the others."""
    waves = np.fft.rfft(radii)
    waves[:2] = 0
    return np.asarray(np.fft.irfft(waves, len(radii)), np.float64)
