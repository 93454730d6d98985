"""What the things on a printed page lie on: paper, black card, the soft shadows and stains on them."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from calibration.background import Blob, disc
from calibration.shape import is_sheet

Tones = npt.NDArray[np.float32]

EVEN = 2.6  # grey levels a working px: a coin's edge is steeper, stains and the ends of shadows are not
EVEN_OVER_NOISE = 4.0  # the same over the page's usual slope
FRAME_AREA = 0.004  # of the page: a panel that coins lie on is larger
PAPER, PAPER_AREA = 10.0, 0.0008  # grey levels that enclosed paper may differ from the rest, and its share of the page
RIM_PX = 9  # beside a panel, as wide as its edge is blurred
NEAR_PX, FAR_PX = 9.0, 60.0  # how far the ground's tone is averaged, beside it and below things


def find_ground(small: Tones) -> tuple[Tones, Blob]:
    """The tone of the ground at every pixel, below things too, and where the ground is seen.

    The ground is what can be reached from the page's border, or from the border of a four-sided panel, without a step:
    stains and soft shadows belong to it, and a coin that lies in one differs from it still. So is a large even area of
    the paper's tone that something encloses: a stamp, a cup's ring, a frame.

    Parameters
    ----------
    small
        (H, W) grey levels without a screen.

    Returns
    -------
    tuple[Tones, Blob]
        (H, W) grey levels; (H, W), 1 where the ground is seen.
    """
    across, down = cv2.Sobel(small, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(small, cv2.CV_32F, 0, 1, scale=0.125)
    slope = cv2.magnitude(across, down)
    even = (slope < max(EVEN, EVEN_OVER_NOISE * float(np.median(slope)))).astype(np.uint8)
    even = np.asarray(cv2.erode(even, disc(1)), np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(even, connectivity=4)
    border = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    seen = np.isin(labels, border[border > 0]).astype(np.uint8)
    tone = _below_things(small, seen)
    paper = float(np.median(small[seen > 0])) if seen.any() else np.nan
    least = FRAME_AREA * small.size
    for label in range(1, count):
        left, top, width, height = stats[label, :4]
        area = stats[label, cv2.CC_STAT_AREA]
        if label in border or (width * height < least and area < PAPER_AREA * small.size):
            continue
        part = (slice(top, top + height), slice(left, left + width))
        own = (labels[part] == label).astype(np.uint8)
        if area >= PAPER_AREA * small.size and abs(float(np.median(small[part][own > 0])) - paper) < PAPER:
            seen[part] |= own
            if area >= least:
                tone[part] = _below_things(small, seen)[part]
            continue
        contours, _ = cv2.findContours(own, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        hull = cv2.convexHull(np.concatenate(contours))
        if cv2.contourArea(hull) > least and is_sheet(hull):
            panel = np.zeros_like(own)
            cv2.fillPoly(panel, [hull], 1)
            tone[part] = np.where(panel > 0, _below_things(small[part], own), tone[part])
            seen[part] |= own
            rim = np.zeros_like(seen)
            cv2.polylines(rim, [np.add(hull, (left, top))], True, 1, 2 * RIM_PX)
            rim[part][panel > 0] = 0
            tone = np.where(rim > 0, small, tone)  # or numbers and coins beside it would enclose ground with it
    return tone, seen


def _below_things(small: Tones, seen: Blob) -> Tones:
    """The ground's tone, where it is not seen from the nearest that is."""
    weight = seen.astype(np.float32)
    tone = np.zeros_like(small)
    known = np.zeros_like(small)
    for reach in (FAR_PX, NEAR_PX):
        scale = max(1.0, reach / 4.0)
        size = (max(4, round(small.shape[1] / scale)), max(4, round(small.shape[0] / scale)))
        sums = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in (small * weight, weight)]
        sums = [cv2.GaussianBlur(each, (0, 0), reach / scale) for each in sums]
        large = [cv2.resize(each, small.shape[::-1], interpolation=cv2.INTER_LINEAR) for each in sums]
        mean, share = large[0] / (large[1] + 1e-4), np.clip(large[1] * 4.0, 0.0, 1.0)
        tone, known = tone * (1 - share) + mean * share, np.maximum(known, share)
    usual = float(np.median(small[seen > 0])) if seen.any() else float(np.median(small))
    return np.asarray(tone + (1.0 - known) * usual, np.float32)
