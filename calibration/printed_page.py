"""Coins on a printed page: halftone plates, photographs and plaster casts on paper or on a dark ground, with captions.

A page is looked at on a working copy in which the printer's screen is gone. What differs from its ground and is round
is a coin: text falls apart into what is too small, ornaments and drawings show the paper between their lines. Where a
coin ends is where its edge is steep: a cast's shadow ends softly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.background import Blob, disc
from calibration.image import Image
from calibration.separate import contour_of, separate, solidity
from calibration.shape import is_sheet

WORKING_PX = 1800  # longer side of the working copy
SCREEN = 1.6  # blur in working px: the dots of 85 lines an inch run together
LEAST_RADIUS, MOST_RADIUS = 0.011, 0.17  # of the longer side
LEAST_CONTRAST = 12.0  # grey levels between the ground and what stands out of it
COIN_CONTRAST = 24.0  # grey levels, the median of a coin's
THIN = 0.006  # of the longer side: lines, letters and scale bars that touch a coin are thinner
LEAST_SOLIDITY, LEAST_ROUNDNESS, LONGEST = 0.86, 0.72, 1.5
SURE_ROUNDNESS = 0.86
TONES, SURE_TONES = 0.1, 0.2  # share of a coin that is neither paper nor ink
PAPER_WITHIN, INK_SPREAD = 0.1, 40.0  # a drawing: share that is as the ground, standard deviation; coins 0.02, 29
ODD_SIZE = 2.2  # radius over the page's median, or under it
RAYS = 96
FRAME = 0.9  # of the longer side
REACH = (0.72, 1.12)  # of its radius, where a coin's edge is looked for along a ray
STEEP = 0.75  # of the steepest place of all rays


@dataclass(frozen=True)
class PageCoin:
    """A coin image on a page: its box (left, top, right, bottom) in px, and why it is doubtful; empty if it is not."""

    box: tuple[int, int, int, int]
    doubts: tuple[str, ...] = ()

    @property
    def centre(self) -> tuple[float, float]:
        """Of the box, (x, y) px."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    @property
    def radius(self) -> float:
        """Half of the box's mean side, px."""
        return (self.box[2] - self.box[0] + self.box[3] - self.box[1]) / 4


@dataclass(frozen=True)
class _Found:
    blob: Blob
    x: int
    y: int
    radius: float
    roundness: float
    tones: float


def find_page_coins(page: Image) -> list[PageCoin]:
    """Find every coin image of a page.

    Parameters
    ----------
    page
        RGB, (H, W, 3) uint8; a coin should be 60 pixels wide at least.
    """
    grey = cv2.cvtColor(page, cv2.COLOR_RGB2GRAY)
    scale = min(1.0, WORKING_PX / max(grey.shape))
    size = (max(16, round(grey.shape[1] * scale)), max(16, round(grey.shape[0] * scale)))
    small = cv2.GaussianBlur(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), (0, 0), SCREEN).astype(np.float32)
    ground = _ground(small)
    found = [each for part in _standing_out(small, ground) for each in _coins_of(part, small, ground)]
    if not found:
        return []
    usual = float(np.median([each.radius for each in found]))
    across, down = grey.shape[1] / size[0], grey.shape[0] / size[1]
    coins = []
    for each in found:
        left, top, right, bottom = _edges(small, each)
        box = (
            max(0, math.floor(left * across)),
            max(0, math.floor(top * down)),
            min(grey.shape[1], math.ceil(right * across)),
            min(grey.shape[0], math.ceil(bottom * down)),
        )
        coins.append(PageCoin(box, tuple(_doubts(each, usual, box, grey.shape))))
    return coins


def _ground(small: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The page without what is on it: a surface of second order through the commonest tone, stains left out."""
    levels = np.bincount(small[::2, ::2].astype(np.uint8).ravel(), minlength=256).astype(np.float32)
    common = int(np.argmax(cv2.GaussianBlur(levels[None], (0, 0), 3.0)))
    height, width = small.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    sample = (slice(None, None, 6), slice(None, None, 6))
    rows, values = terms[sample].reshape(-1, 6).astype(np.float64), small[sample].ravel()
    surface = np.full(values.shape, float(common))
    factors = np.array([common, 0.0, 0.0, 0.0, 0.0, 0.0])
    for within in (30.0, 22.0, 15.0):
        fits = np.abs(values - surface) < within
        if fits.sum() < 200:
            break
        factors = np.linalg.lstsq(rows[fits], values[fits], rcond=None)[0]
        surface = rows @ factors
    return np.asarray(terms @ factors.astype(np.float32), np.float32)


def _standing_out(small: npt.NDArray[np.float32], ground: npt.NDArray[np.float32]) -> Iterator[Blob]:
    """Each connected thing of the page that is large enough, filled, without what is thin."""
    apart = small - ground
    if float(np.median(ground)) < 150.0:  # on a dark ground a shadow is darker, and the coin is not
        apart = np.maximum(apart, 0.0)
    noise = 1.4826 * float(np.median(np.abs(apart[np.abs(apart) < LEAST_CONTRAST])))
    mask = (np.abs(apart) > max(LEAST_CONTRAST, 4.0 * noise)).astype(np.uint8)
    longest = max(small.shape)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, disc(0.0022 * longest))
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros_like(closed)
    cv2.drawContours(filled, [each for each in contours if cv2.contourArea(each) > 60], -1, 1, cv2.FILLED)
    opened = cv2.morphologyEx(filled, cv2.MORPH_OPEN, disc(THIN * longest))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    least = math.pi * (LEAST_RADIUS * longest) ** 2
    for label in range(1, count):
        if stats[label, cv2.CC_STAT_AREA] < least:
            continue
        if max(stats[label, cv2.CC_STAT_WIDTH], stats[label, cv2.CC_STAT_HEIGHT]) > FRAME * longest:
            continue  # a frame around the page, or the black beside it
        yield (labels == label).astype(np.uint8)


def _coins_of(thing: Blob, small: npt.NDArray[np.float32], ground: npt.NDArray[np.float32]) -> Iterator[_Found]:
    """The coins of one connected thing: one, several that touch, or none."""
    left, top, width, height = cv2.boundingRect(thing)
    margin = 4
    box = (
        slice(max(0, top - margin), top + height + margin),
        slice(max(0, left - margin), left + width + margin),
    )
    part = np.ascontiguousarray(thing[box])
    longest = max(small.shape)
    for piece in separate(part, part):
        if not piece.any():
            continue
        contour = contour_of(piece)
        hull = cv2.convexHull(contour)
        area = float(cv2.contourArea(hull))
        radius = math.sqrt(max(area, 1.0) / math.pi)
        roundness = 4.0 * math.pi * area / max(cv2.arcLength(hull, True), 1.0) ** 2
        (_, _), sides, _ = cv2.minAreaRect(hull)
        if not LEAST_RADIUS * longest <= radius <= MOST_RADIUS * longest:
            continue
        if max(sides) > LONGEST * max(min(sides), 1.0) or is_sheet(hull):
            continue
        if solidity(contour) < LEAST_SOLIDITY or roundness < LEAST_ROUNDNESS:
            continue
        inside = cv2.erode(piece, disc(0.12 * radius)) > 0
        tone, paper = small[box][inside], ground[box][inside]
        if tone.size < 50 or float(np.median(np.abs(tone - paper))) < COIN_CONTRAST:
            continue
        tones = _tones(tone, paper)
        if tones >= TONES:
            yield _Found(piece, box[1].start, box[0].start, radius, roundness, tones)


def _tones(tone: npt.NDArray[np.float32], paper: npt.NDArray[np.float32]) -> float:
    """The share of a thing that is neither ground nor the tone farthest from it, and not all of one tone."""
    apart = np.abs(tone - paper)
    most = float(np.percentile(apart, 97.0))
    is_drawn = float(np.mean(apart < LEAST_CONTRAST)) > PAPER_WITHIN and float(np.std(tone)) > INK_SPREAD
    if float(np.std(tone)) < 5.0 or is_drawn:
        return 0.0
    return float(np.mean((apart > 0.15 * most) & (apart < 0.85 * most)))


def _edges(small: npt.NDArray[np.float32], found: _Found) -> tuple[float, float, float, float]:
    """Where a coin ends, by the steep places along rays from its centre: left, top, right and bottom, working px."""
    moments = cv2.moments(found.blob, binaryImage=True)
    x, y = moments["m10"] / moments["m00"], moments["m01"] / moments["m00"]
    contour = contour_of(found.blob)[:, 0, :].astype(np.float32)
    angles = np.arctan2(contour[:, 1] - y, contour[:, 0] - x)
    reach = np.hypot(contour[:, 0] - x, contour[:, 1] - y)
    directions = np.linspace(-math.pi, math.pi, RAYS, endpoint=False, dtype=np.float32)
    order = np.argsort(angles)
    outline = np.interp(directions, angles[order], reach[order], period=2 * math.pi)
    shares = np.linspace(REACH[0], REACH[1], 64, dtype=np.float32)
    across = (found.x + x + np.cos(directions)[:, None] * outline[:, None] * shares).astype(np.float32)
    down = (found.y + y + np.sin(directions)[:, None] * outline[:, None] * shares).astype(np.float32)
    profile = cv2.remap(small, across, down, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    slope = np.abs(np.gradient(profile, axis=1))
    is_peak = (slope >= np.roll(slope, 1, axis=1)) & (slope >= np.roll(slope, -1, axis=1))
    steepest = slope.max(axis=1, keepdims=True)
    enough = is_peak & (slope >= np.maximum(STEEP * steepest, STEEP * float(np.median(steepest)) * 0.8))
    place = np.where(enough.any(axis=1), shares.size - 1 - np.argmax(enough[:, ::-1], axis=1), -1)
    ratio = np.where(place >= 0, shares[place], 1.0)
    around = np.concatenate([ratio[-3:], ratio, ratio[:3]])
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(around, 7), axis=-1)
    radii = outline * smooth
    edge_x, edge_y = found.x + x + np.cos(directions) * radii, found.y + y + np.sin(directions) * radii
    return float(edge_x.min()), float(edge_y.min()), float(edge_x.max()) + 1.0, float(edge_y.max()) + 1.0


def _doubts(found: _Found, usual: float, box: tuple[int, int, int, int], shape: tuple[int, ...]) -> Iterator[str]:
    if found.roundness < SURE_ROUNDNESS:
        yield "it is not round"
    if found.tones < SURE_TONES:
        yield "it has few tones, as a drawing has"
    if not 1 / ODD_SIZE < found.radius / usual < ODD_SIZE:
        yield "it is of another size than the others"
    if min(box[0], box[1]) <= 1 or box[2] >= shape[1] - 1 or box[3] >= shape[0] - 1:
        yield "the edge of the page cuts it off"
