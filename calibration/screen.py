"""A printer's screen in an image of a coin, found by its spectrum and removed: for comparing, never for keeping.

A screen is a square lattice of dots. Its spectrum has two peaks of one frequency at a right angle, which no relief has:
a coin's own lines, its letters and pearls, stand in no lattice.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from calibration.outline import Outline

WITHIN = 0.7  # of the coin's radius: half of the square that is looked at
LEAST_PX, MOST_PX = 24, 180  # of that half: less is none, and more is reduced, as it is for comparing
LEAST_DOTS = 15  # across a radius: 85 lines an inch on a coin of 9 mm; coarser lattices are moiré or drawing
PEAK = 8.0  # times the median of its frequency; screens have 140 to 250, in black-and-white scans 17 to 47, no screen 5
BLUR = 0.3  # of the screen's period: leaves a sixth of it, and three quarters of what is twice as long
_RINGS = 8  # to an octave, in which a frequency's median is taken
_NEAR = (-1, 0, 1)  # samples of the spectrum


def remove_screen(image: Image, outline: Outline) -> Image:
    """Return the image blurred just so much that the screen is gone; as it is where there is none.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    """
    period_px = find_screen(image, outline)
    return image if period_px is None else np.asarray(cv2.GaussianBlur(image, (0, 0), BLUR * period_px), np.uint8)


def find_screen(image: Image, outline: Outline) -> float | None:
    """The period of the screen that a coin is printed with, px; None if there is none.

    Parameters
    ----------
    image
        RGB, (H, W, 3) uint8.
    """
    half = round(WITHIN * outline.radius_px)
    x, y = (round(place) for place in outline.centre_px)
    part = image[max(0, y - half) : y + half, max(0, x - half) : x + half]
    if half < LEAST_PX or part.shape[:2] != (2 * half, 2 * half):
        return None
    size = 2 * min(half, MOST_PX)
    grey = cv2.resize(cv2.cvtColor(part, cv2.COLOR_RGB2GRAY), (size, size), interpolation=cv2.INTER_AREA)
    standing_out, frequency = _spectrum(grey.astype(np.float32))
    frequency *= size / (2 * half)
    standing_out[frequency < LEAST_DOTS / outline.radius_px] = 0.0
    # a lattice looks the same when it is turned by a right angle: row k of the turned spectrum is column -k
    turned = np.roll(np.rot90(standing_out), 1, axis=0)
    both = np.minimum(standing_out, np.maximum.reduce([np.roll(turned, (a, b), (0, 1)) for a in _NEAR for b in _NEAR]))
    peak = np.unravel_index(int(both.argmax()), both.shape)
    return float(1.0 / frequency[peak]) if both[peak] > PEAK else None


def _spectrum(grey: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """How far each frequency stands out from others of its length; and these lengths, cycles a px."""
    window = np.hanning(len(grey)).astype(np.float32)
    power = np.abs(np.fft.fft2((grey - grey.mean()) * window * window[:, None])).astype(np.float32)
    along = np.fft.fftfreq(len(grey)).astype(np.float32)
    frequency = np.hypot(along, along[:, None])
    ring = np.rint(_RINGS * np.log2(np.maximum(frequency * len(grey), 1.0))).astype(int)
    usual = np.ones(ring.max() + 1)
    for each in np.unique(ring):
        usual[each] = np.median(power[ring == each])
    return (power / np.maximum(usual[ring], 1e-3)).astype(np.float32), frequency
