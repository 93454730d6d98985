"""The lens: focal length, centre and distortion from views of the ChArUco board; the scale in the plate's plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from calibration.board import BoardView
from calibration.errors import CalibrationError

MIN_VIEWS = 6
MAX_RMS_PX = 0.8
MIN_TILT_DEG = 8.0
MIN_DIRECTIONS = 3  # Zhang's least, if nothing about the lens is known
APART_DEG = 4.0  # directions in which the board faces differ by more


@dataclass(frozen=True)
class Lens:
    """A pinhole with Brown and Conrady's distortion, in OpenCV's terms.

    Attributes
    ----------
    matrix
        (3, 3) camera matrix, pixels.
    distortion
        (k1, k2, p1, p2).
    rms_px
        Root mean square distance of the corners from where the model puts them.
    width_px, height_px
        Size of the images it holds for.
    """

    matrix: npt.NDArray[np.float64]
    distortion: npt.NDArray[np.float64]
    rms_px: float
    width_px: int
    height_px: int


def calibrate_lens(views: Sequence[BoardView]) -> Lens:
    """Fit the lens to views of the board, some of them tilted.

    Z. Zhang, "A flexible new technique for camera calibration", IEEE TPAMI 22 (2000).

    Raises
    ------
    CalibrationError
        If there are too few views, none is tilted, sizes differ, or the fit is bad.
    """
    if len(views) < MIN_VIEWS:
        raise CalibrationError(
            f"{len(views)} views of the board are too few for the lens: at least {MIN_VIEWS} are needed. "
            "Take more, with the board shifted, turned and tilted by 10 to 30 degrees."
        )
    sizes = {(view.width_px, view.height_px) for view in views}
    if len(sizes) > 1:
        raise CalibrationError(
            f"The views of the board have different sizes ({sorted(sizes)}). Take all with one camera setting."
        )
    width_px, height_px = sizes.pop()
    rms_px, matrix, distortion, rotations, _ = cv2.calibrateCamera(
        [view.corners_mm for view in views],
        [view.corners_px for view in views],
        (width_px, height_px),
        None,
        None,
        flags=cv2.CALIB_FIX_K3,
    )
    tilts = [np.degrees(np.arccos(min(abs(cv2.Rodrigues(rotation)[0][2, 2]), 1.0))) for rotation in rotations]
    if sum(tilt > MIN_TILT_DEG for tilt in tilts) < 3:
        raise CalibrationError(
            "The board lies flat in nearly all views, which cannot tell focal length from distance. "
            "Take at least 3 with one edge of the board raised by 10 to 30 degrees."
        )
    normals = [np.asarray(cv2.Rodrigues(rotation)[0], np.float64)[:, 2] for rotation in rotations]
    if _count_directions(normals) < MIN_DIRECTIONS:
        raise CalibrationError(
            "The board is tilted in the same way in nearly all views, which cannot tell focal length from distance. "
            f"Raise another of its edges in each view: it has to face at least {MIN_DIRECTIONS} directions."
        )
    if not np.isfinite(rms_px) or rms_px > MAX_RMS_PX:
        raise CalibrationError(
            f"The lens fits the board's corners only to {rms_px:.2f} pixels ({MAX_RMS_PX} at most). "
            "Check that the board is flat and at rest, and that the images are sharp."
        )
    return Lens(
        np.asarray(matrix, np.float64),
        np.asarray(distortion, np.float64).ravel()[:4],
        float(rms_px),
        width_px,
        height_px,
    )


def _count_directions(normals: Sequence[npt.NDArray[np.float64]]) -> int:
    """How many directions the board faces, those that hardly differ counted once."""
    apart: list[npt.NDArray[np.float64]] = []
    for normal in normals:
        if all(float(normal @ other) < np.cos(np.radians(APART_DEG)) for other in apart):
            apart.append(normal)
    return len(apart)


def mm_per_pixel(lens: Lens, flat_view: BoardView) -> float:
    """Scale in the plane of a board that lies flat on the plate, at the image's centre, distortion taken out.

    It does not rest on the focal length: the board's own squares are the ruler.

    Raises
    ------
    CalibrationError
        If the view is of another size than the lens, or the board is tilted.
    """
    if (flat_view.width_px, flat_view.height_px) != (lens.width_px, lens.height_px):
        raise CalibrationError(
            "The view for the scale has another size than the lens calibration. Take it with the same setting."
        )
    straight = cv2.undistortPoints(flat_view.corners_px.reshape(-1, 1, 2), lens.matrix, lens.distortion, P=lens.matrix)
    homography, _ = cv2.findHomography(flat_view.corners_mm[:, :2], straight.reshape(-1, 2))
    to_mm = np.linalg.inv(homography)
    x, y = lens.width_px / 2, lens.height_px / 2
    u, v, w = to_mm @ (x, y, 1.0)
    along_x = (to_mm[:2, 0] - np.array([u, v]) / w * to_mm[2, 0]) / w
    along_y = (to_mm[:2, 1] - np.array([u, v]) / w * to_mm[2, 1]) / w
    scales = np.linalg.svd(np.stack([along_x, along_y]), compute_uv=False)
    if scales[0] / scales[1] > 1.01:
        raise CalibrationError(
            "The board for the scale is tilted towards the camera. Lay it flat on the plate and take it again."
        )
    return float(np.sqrt(scales[0] * scales[1]))
