"""A tilted view as it looks from straight above, in one plane: as many millimetres to a pixel along rows as columns."""

from __future__ import annotations

import cv2
import numpy as np

from calibration.lens import Lens
from calibration.response import Raw
from calibration.view_poses import Points, ViewPose


def rectify(straight: Raw, pose: ViewPose, lens: Lens, height_mm: float, mm_per_pixel: float) -> Raw:
    """A view without distortion, brought straight in the plane at a height above the plate.

    Parameters
    ----------
    straight
        (H, W, 3) of 8 or 16 bits, with the lens's camera matrix and no distortion, as `calibration.apply` makes it.
    pose
        Of the camera over the plate; see `calibration.view_poses`.
    height_mm
        Of the plane: what lies higher or lower is seen where the camera's ray through it meets the plane.
    mm_per_pixel
        Scale of the result.

    Returns
    -------
    Image of the same size and bits. The turntable's axis is in its middle, rows lead to the camera's right. What the
    view does not show is black.
    """
    height_px, width_px = straight.shape[:2]
    to_straight = plane_to_view(pose, lens, height_mm) @ _to_plane(pose, width_px, height_px, mm_per_pixel)
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    seen = cv2.warpPerspective(straight, to_straight, (width_px, height_px), flags=how)
    return np.asarray(seen, straight.dtype)


def plane_to_view(pose: ViewPose, lens: Lens, height_mm: float) -> Points:
    """(3, 3) homography from places (x, y) on the plate, in mm, at a height above it, to pixels of a straight view."""
    rotation = pose.rotation
    columns = [rotation[:, 0], rotation[:, 1], rotation[:, 2] * height_mm + pose.translation_mm]
    return np.asarray(lens.matrix @ np.stack(columns, axis=1), np.float64)


def _to_plane(pose: ViewPose, width_px: int, height_px: int, mm_per_pixel: float) -> Points:
    """(3, 3) from the result's pixels to places on the plate: the camera's right is the image's."""
    right = pose.rotation[0, :2] / np.linalg.norm(pose.rotation[0, :2])
    down = np.array([right[1], -right[0]])  # seen from above, where rows count downwards
    axes = np.stack([right, down], axis=1) * mm_per_pixel
    middle = np.array([width_px - 1, height_px - 1]) / 2
    return np.vstack([np.column_stack([axes, -axes @ middle]), [0.0, 0.0, 1.0]])
