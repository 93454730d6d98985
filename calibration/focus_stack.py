"""Images focused on several heights as one: each place from the image in which it is sharpest.

How sharp an image is at a place says how high the coin lies there (shape from focus; S. K. Nayar and Y. Nakagawa, IEEE
PAMI 16, 1994). Each image's share of the sharpness at a place is averaged over its surroundings, so that a strong edge
nearby, whose blur reaches far, counts no more than what lies there itself; then one image is taken, and only a pixel
of transition mixed: a mean of sharp and blurred images would be less sharp than the best of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image

Light = npt.NDArray[np.float32]

DETAIL = 1 / 2000  # of the image's width: the finest detail that is looked at
FINEST_PX = 0.8
NEAR, AROUND = 1 / 640, 1 / 256  # of the image's width: how far the sharpness of a place, and its surroundings, reach
WORKING_WIDTH_PX = 1280  # at which that is compared: both reach over several pixels of larger images
SEAM_PX = 0.7  # transition from one image to the next
NOTHING = 1e-3  # sharpness below which there is nothing to be seen
LEAST_SHIFT_PX = 0.05  # at the image's corner: a lens that magnifies by less than that is left as it is


def stack_focus(images: Sequence[Image], heights_mm: Sequence[float]) -> tuple[Image, Light]:
    """One image (H, W, 3) uint8 of several that show the same in one place and size, and each place's height (mm).

    The height is the mean of the images' heights, by the square of how sharp they are there.

    Parameters
    ----------
    images
        RGB, (H, W, 3) uint8, focused on the heights (mm), lowest first; see `resized` for lenses that breathe.
    """
    height_px, width_px = images[0].shape[:2]
    step = max(1, width_px // WORKING_WIDTH_PX)
    sharpness = [_sharpness(image, step) for image in images]
    total = np.full_like(sharpness[0], NOTHING)
    for each in sharpness:
        total += each
    around_px = max(1.0, AROUND * width_px / step)
    shares = [_at_size(cv2.GaussianBlur(each / total, (0, 0), around_px), width_px, height_px) for each in sharpness]
    chosen = np.argmax(shares, axis=0)
    merged, weights = np.zeros(images[0].shape, np.float32), np.zeros((height_px, width_px), np.float32)
    depth, votes = np.zeros_like(weights), np.zeros_like(weights)
    for number, (image, share, height_mm) in enumerate(zip(images, shares, heights_mm, strict=True)):
        weight = cv2.GaussianBlur((chosen == number).astype(np.float32), (0, 0), SEAM_PX)
        weights += weight
        merged += cv2.multiply(image, cv2.merge([weight] * 3), dtype=cv2.CV_32F)
        vote = cv2.multiply(share, share)
        votes += vote
        depth += vote * np.float32(height_mm)
    stacked = cv2.convertScaleAbs(cv2.divide(merged, cv2.merge([weights] * 3)))
    return np.asarray(stacked, np.uint8), np.asarray(depth / votes, np.float32)


def resized(image: Image, zoom: float) -> Image:
    """An image that a lens magnified by a factor about its middle, as it would have been without.

    It is interpolated once, with a kernel that keeps what the lens resolved (Lanczos, 8 pixels wide); the image itself
    where no corner would move by a twentieth of a pixel.
    """
    height_px, width_px = image.shape[:2]
    if abs(zoom - 1) * np.hypot(height_px, width_px) / 2 < LEAST_SHIFT_PX:
        return image
    middle = np.array([width_px - 1, height_px - 1]) / 2
    to_source = np.column_stack([np.eye(2) * zoom, (1 - zoom) * middle])
    how = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REPLICATE
    return np.asarray(cv2.warpAffine(image, to_source, (width_px, height_px), flags=how, borderMode=border), np.uint8)


def _sharpness(image: Image, step: int) -> Light:
    """How much fine detail there is at each place, of an image ``step`` times smaller."""
    height_px, width_px = image.shape[:2]
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    detail = cv2.Laplacian(cv2.GaussianBlur(grey, (0, 0), max(FINEST_PX, DETAIL * width_px)), cv2.CV_32F)
    energy = _at_size(cv2.multiply(detail, detail), width_px // step, height_px // step)
    return np.asarray(cv2.GaussianBlur(energy, (0, 0), max(1.0, NEAR * width_px / step)), np.float32)


def _at_size(values: npt.ArrayLike, width_px: int, height_px: int) -> Light:
    values = np.asarray(values, np.float32)
    how = cv2.INTER_AREA if values.shape[1] > width_px else cv2.INTER_LINEAR
    is_so = values.shape == (height_px, width_px)
    return values if is_so else np.asarray(cv2.resize(values, (width_px, height_px), interpolation=how), np.float32)
