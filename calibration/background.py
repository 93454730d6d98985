"""What stands out from the background of an image, on a working copy of at most 320 pixels, in Lab."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image

WORKING_SIZE_PX = 320
MIN_CONTRAST = 7.0  # Lab units between coin and background; sensor noise in the dark stays below
DARK_BACKGROUND = 40.0  # Lab lightness
BY_LIGHTNESS = (1.0, 0.5, 0.5)  # weights of Lab's three axes
BY_HUE = (0.3, 1.0, 1.0)
SURFACE_ROUNDS = 4

Lab = npt.NDArray[np.float32]
Blob = npt.NDArray[np.uint8]  # 1 where something is, (H, W) of the working copy


def small_lab(image: Image, size_px: int = WORKING_SIZE_PX) -> Lab:
    """The working copy, in Lab, without noise; its longer side is at most `size_px`."""
    height, width = image.shape[:2]
    scale = min(1.0, size_px / max(height, width))
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1.0 else image
    blurred = cv2.GaussianBlur(small, (0, 0), 1.2).astype(np.float32) / 255.0
    return np.asarray(cv2.cvtColor(blurred, cv2.COLOR_RGB2Lab), np.float32)


def distances_from_plain(lab: npt.NDArray[np.float32]) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
    """How far each pixel is from the background (Lab), and the background's own spread; the likelier way first."""
    height, width = lab.shape[:2]
    border = _border(height, width, 0.025)
    centre = np.median(lab[border], axis=0)
    # On a coloured cloth a shadow is dark but keeps the cloth's hue, and the coin has another: hue decides there.
    ways = [BY_LIGHTNESS, BY_HUE]
    if float(np.hypot(centre[1], centre[2])) > 14.0:
        ways.reverse()
    for weights in ways:
        apart = lab - centre
        if centre[0] < DARK_BACKGROUND:  # whatever is darker than a dark plate is the coin's shadow on it
            apart[:, :, 0] = np.maximum(apart[:, :, 0], 0.0)
        distance = _lengths(apart, weights)
        yield distance, float(np.median(distance[border]))


def distances_from_uneven(
    lab: npt.NDArray[np.float32],
) -> Iterator[tuple[npt.NDArray[np.float32], float]]:
    """The same for a background whose light falls off: a surface of second order, fitted from the border inwards."""
    height, width = lab.shape[:2]
    terms, rows_of_terms = _second_order(height, width)
    colours = lab.reshape(-1, 3)
    background = _border(height, width, 0.05)
    for weights in (BY_LIGHTNESS, BY_HUE):
        fits = background
        for _ in range(SURFACE_ROUNDS):
            which = np.flatnonzero(fits)
            known = rows_of_terms.take(which, axis=0)
            # six unknowns, some 10,000 pixels: the normal equations cost a fiftieth of a decomposition of all rows
            factors = np.linalg.solve(known.T @ known, known.T @ colours.take(which, axis=0))
            surface = terms @ factors.astype(np.float32)
            distance = _lengths(lab - surface, weights)
            noise = float(np.median(distance[background]))
            fitted, fits = fits, distance < max(MIN_CONTRAST / 2.0, 3.0 * noise)
            if fits.sum() < background.sum() / 2 or np.array_equal(fits, fitted):
                break
        yield distance, noise


def standing_out(
    distance: npt.NDArray[np.float32], noise: float, where: npt.NDArray[np.bool_] | None = None
) -> tuple[Blob, float]:
    """What is farther from the background than its own spread explains, and that threshold (Lab).

    Parameters
    ----------
    where
        (H, W), a part of the image that is looked at alone; at least one pixel.
    """
    threshold = max(_split(distance if where is None else distance[where]), MIN_CONTRAST, 4.0 * noise)
    apart = distance > threshold
    return (apart if where is None else apart & where).astype(np.uint8), threshold


def border_apart(distance: npt.NDArray[np.float32], noise: float) -> float:
    """The share of the image's border that is not the background: other things, or a room."""
    height, width = distance.shape
    border = distance[_border(height, width, 0.025)]
    return float(np.mean(border > max(MIN_CONTRAST, 4.0 * noise)))


def tidy(found: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Close gaps, fill holes, cut off thin things such as a scale bar that touches the coin."""
    across = max(found.shape)
    gap = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    thin = max(3, round(0.03 * across) | 1)
    closed = cv2.morphologyEx(found, cv2.MORPH_CLOSE, gap)
    filled = np.zeros_like(closed)
    contours, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(filled, contours, -1, 1, cv2.FILLED)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thin, thin))
    # Bordered by nothing, so that what touches the image's edge is cut off like everything else.
    bordered = cv2.copyMakeBorder(filled, thin, thin, thin, thin, cv2.BORDER_CONSTANT, value=0)
    opened = cv2.morphologyEx(bordered, cv2.MORPH_OPEN, kernel, iterations=2)
    return np.ascontiguousarray(opened[thin:-thin, thin:-thin], np.uint8)


def disc(radius_px: float) -> npt.NDArray[np.uint8]:
    """A structuring element."""
    across = 2 * round(radius_px) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (across, across)), np.uint8)


@lru_cache(maxsize=4)
def _second_order(height: int, width: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    """The terms of a surface of second order: (height, width, 6), and as rows for its fit."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
    return terms, terms.reshape(-1, terms.shape[-1]).astype(np.float64)


def _lengths(apart: npt.NDArray[np.float32], weights: tuple[float, float, float]) -> npt.NDArray[np.float32]:
    """Length of each pixel's weighted difference (Lab), (H, W); numpy's sum over three numbers takes thrice as long."""
    squares = apart * np.array(weights, np.float32)
    squares *= squares
    total = squares[..., 0] + squares[..., 1]
    total += squares[..., 2]
    return np.asarray(np.sqrt(total, out=total), np.float32)


def _border(height: int, width: int, share: float) -> npt.NDArray[np.bool_]:
    """The outer pixels of an image, so much of its shorter side on each side."""
    edge = max(2, round(share * min(height, width)))
    border = np.ones((height, width), bool)
    border[edge:-edge, edge:-edge] = False
    return border


def _split(distance: npt.NDArray[np.float32]) -> float:
    """Otsu's threshold, on distances cut off high so that a few specular pixels do not set it."""
    top = max(float(np.percentile(distance, 90.0)), 1e-3)
    levels = np.clip(distance * (255.0 / top), 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return 0.75 * float(level) * top / 255.0
