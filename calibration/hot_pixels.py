"""Hot pixels: those that are light in the dark, and what takes their place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.image import Image

Pixels = TypeVar("Pixels", bound=npt.NDArray[Any])

HOT_CODES, HOT_NOISE = 12, 7  # above its surroundings in a dark frame, where noise of JPEG reaches 8; times its noise
MAX_HOT = 0.005  # share of the pixels
REACH_PX = 2  # of the surroundings whose median takes the place of a hot pixel


def find_hot(frames: Sequence[Image]) -> npt.NDArray[np.int64]:
    """(N, 2) rows and columns of the pixels that are light in most of some dark frames.

    Raises
    ------
    CalibrationError
        If there are so many that the frames were not taken in the dark.
    """
    votes = np.zeros(frames[0].shape[:2], np.uint8)
    for frame in frames:
        apart = frame.astype(np.int16) - cv2.medianBlur(frame, 5)
        noise = 1.4826 * float(np.median(np.abs(apart)))
        votes += (apart.max(axis=2) >= max(HOT_CODES, HOT_NOISE * noise)).astype(np.uint8)
    hot = np.argwhere(votes * 2 > len(frames))
    if len(hot) > MAX_HOT * votes.size:
        raise CalibrationError(
            f"{len(hot) / votes.size:.1%} of the pixels are light in the dark frames. Cover the lens, take them at the "
            "same ISO as the photographs, and give them again."
        )
    return hot


def without_hot(
    image: Pixels, hot: npt.NDArray[np.int64], part: tuple[slice, slice] = (slice(None), slice(None))
) -> Pixels:
    """A part of an image (H, W, 3), hot pixels replaced by the median of their surroundings; a view if there are none.

    The surroundings reach beyond the part, so that a part is as it is in the whole.
    """
    seen = image[part]
    rows, columns = (each.indices(size) for each, size in zip(part, image.shape[:2], strict=True))
    if len(hot):
        inside = (hot[:, 0] >= rows[0]) & (hot[:, 0] < rows[1]) & (hot[:, 1] >= columns[0]) & (hot[:, 1] < columns[1])
        hot = hot[inside]
    if len(hot) == 0:
        return seen  # type: ignore[return-value]
    mended = seen.copy()
    height, width = image.shape[:2]
    around = np.arange(-REACH_PX, REACH_PX + 1)
    for row, column in hot:
        near = image[np.ix_(_mirrored(row + around, height), _mirrored(column + around, width))]
        mended[row - rows[0], column - columns[0]] = np.median(near.reshape(-1, image.shape[2]), axis=0).astype(
            image.dtype
        )
    return mended  # type: ignore[return-value]


def _mirrored(places: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """The places, those beyond the image's edge mirrored in its outermost pixels, however small it is."""
    return np.array([cv2.borderInterpolate(int(place), size, cv2.BORDER_REFLECT_101) for place in places])
