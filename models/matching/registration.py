"""Two photographs of one coin in register: points that they share, and the similarity that takes one onto the other.

XFeat finds points and describes them, LighterGlue says which of two images belong together, and RANSAC keeps those that
one shift, turn and scale explains (the inliers). The weights and their licence are in ``models/local_features``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.image import Image
from calibration.outline import GREY_MEAN
from models.local_features.networks import SIZE_PX, LocalFeatures, Points, describe, match_points

TOLERANCE_PX = 6.0  # at SIZE_PX: perspective and a bent flan move points this far from where a similarity puts them
_FEWEST_POINTS = 20  # of two different coins at most 18 agreed, where they have no design in common
_MOST_SCALE, _MOST_SHIFT, _LEAST_COSINE = 0.15, 0.12, 0.9  # ln(scale), shares of the width, of the turn that is left


@dataclass(frozen=True)
class Registration:
    """How one crop lies on another.

    Attributes
    ----------
    matrix
        (2, 3) float64: takes a place (x, y) of the first crop to the second; both in shares of a crop's width, 0 to 1
        from the upper left corner. A turn, a scale and a shift.
    first, second
        (inliers, 2) float32: the points that agree, in the same units.
    """

    matrix: npt.NDArray[np.float64]
    first: Points
    second: Points

    @property
    def inliers(self) -> int:
        """How many points agree."""
        return len(self.first)

    @property
    def holds(self) -> bool:
        """Whether it is more than a coincidence: many points agree, and crops of coins differ by no more."""
        linear, centre = self.matrix[:, :2], self.matrix @ (0.5, 0.5, 1.0)
        scale = float(np.hypot(linear[0, 0], linear[1, 0]))
        return (
            self.inliers >= _FEWEST_POINTS
            and abs(np.log(scale)) <= _MOST_SCALE
            and float(np.hypot(*(centre - 0.5))) <= _MOST_SHIFT
            and linear[0, 0] / scale >= _LEAST_COSINE
        )


NOT_REGISTERED = Registration(np.eye(2, 3), np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32))


def lay_on(image: npt.NDArray[Any], registration: Registration, turn_deg: float = 0.0) -> npt.NDArray[Any]:
    """A crop, or a map of it (float32), turned by so much (counter-clockwise) and then laid on the second crop.

    Where the registration does not hold it is only turned.
    """
    size = image.shape[0]
    turn = cv2.getRotationMatrix2D((0.5, 0.5), turn_deg, 1.0)
    matrix = registration.matrix @ np.vstack([turn, (0.0, 0.0, 1.0)]) if registration.holds else turn
    # From shares of the width to the middles of pixels.
    matrix[:, 2] = matrix[:, 2] * size + matrix[:, :2] @ (0.5, 0.5) - 0.5
    outside = (round(GREY_MEAN),) * 3 if image.dtype == np.uint8 else (0.0,)
    return cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=outside)


def register_crops(first: Image, second: Image) -> Registration:
    """Lay one normalised crop, turned upright already, on another (`register`).

    The last few are kept: a pair that was laid together to weigh it is drawn so afterwards.
    """
    return _register_bytes(first.tobytes(), second.tobytes(), first.shape, second.shape)


@lru_cache(maxsize=8)
def _register_bytes(
    first: bytes, second: bytes, first_shape: tuple[int, ...], second_shape: tuple[int, ...]
) -> Registration:
    crops = (
        np.frombuffer(data, np.uint8).reshape(shape) for data, shape in ((first, first_shape), (second, second_shape))
    )
    return register(*map(describe, crops))


def register(first: LocalFeatures, second: LocalFeatures) -> Registration:
    """Lay one crop, turned upright already, on another; without a point, and as it lies, if no three agree."""
    one, other = match_points(first, second)
    if len(one) < 3:
        return NOT_REGISTERED
    one, other = (np.asarray((points + 0.5) / SIZE_PX, np.float32) for points in (one, other))
    matrix, inliers = cv2.estimateAffinePartial2D(
        one,
        other,
        method=cv2.RANSAC,
        ransacReprojThreshold=TOLERANCE_PX / SIZE_PX,
        maxIters=2000,
        confidence=0.999,
    )
    if matrix is None or int(inliers.sum()) < 3:
        return NOT_REGISTERED
    agree = inliers.ravel().astype(bool)
    return Registration(np.asarray(matrix, np.float64), one[agree], other[agree])
