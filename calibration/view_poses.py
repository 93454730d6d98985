"""Where the camera stood for each frame of a coin, by the plate's ring.

The world is the plate, which turns with the coin: its origin is where the axis meets the plate, z is the axis, towards
the camera, x leads to the ring's first marker; millimetres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.axis import LEAST_VIEWS, PlateFit, fit_plate
from calibration.lens import Lens
from calibration.plate import RingView

Points = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ViewPose:
    """From the plate to the camera: a point of the plate, in mm, is at `rotation` x point + `translation_mm` in the
    camera's frame (x to the right, y down, z forward), in which OpenCV and COLMAP project."""

    rotation: Points
    translation_mm: Points

    @property
    def place_mm(self) -> Points:
        """Where the camera is, on the plate."""
        return np.asarray(-self.rotation.T @ self.translation_mm, np.float64)

    @property
    def quaternion(self) -> Points:
        """(w, x, y, z), w not negative."""
        vector, _ = cv2.Rodrigues(self.rotation)
        angle = float(np.linalg.norm(vector))
        axis = vector.ravel() / angle if angle > 1e-12 else np.zeros(3)
        found = np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * axis])
        return np.asarray(found if found[0] >= 0 else -found, np.float64)

    def project(self, points_mm: Points, lens: Lens) -> Points:
        """(N, 2) pixels of a straightened image at which points (N, 3) of the plate are seen."""
        seen = points_mm @ self.rotation.T + self.translation_mm
        at = seen @ lens.matrix.T
        return np.asarray(at[:, :2] / at[:, 2:], np.float64)


@dataclass(frozen=True, eq=False)
class Posed:
    """The poses of one tilt's views, in their order, how far the ring is from centred, and how well it agrees (px)."""

    poses: tuple[ViewPose, ...]
    shift_mm: Points
    rms_px: float


def poses_at_one_tilt(views: Sequence[RingView], angles_deg: Sequence[float], lens: Lens) -> Posed:
    """The camera's poses in views of the ring at one tilt, at several angles of the plate (deg, counter-clockwise).

    All views share one pose and one axis, which says how the camera is tilted far better than a single view of a ring
    does. Of fewer views than an axis takes, the ring is taken to lie centred.

    Raises
    ------
    CalibrationError
        If the views do not agree.
    """
    if len(views) < LEAST_VIEWS:
        alone = [fit_plate([view], [0.0], lens, centred=True) for view in views]
        poses = tuple(pose for fit in alone for pose in _poses(fit, [0.0]))
        return Posed(poses, np.zeros(2), max(fit.rms_px for fit in alone))
    fit = fit_plate(views, angles_deg, lens)
    return Posed(_poses(fit, [each - angles_deg[0] for each in angles_deg]), fit.shift_mm, fit.rms_px)


def _poses(fit: PlateFit, turns_deg: Sequence[float]) -> tuple[ViewPose, ...]:
    poses = []
    for turn_deg in turns_deg:
        turned, _ = cv2.Rodrigues(np.array([0.0, 0.0, np.radians(turn_deg)]))
        poses.append(ViewPose(fit.rotation @ turned, fit.point_mm))
    return tuple(poses)
