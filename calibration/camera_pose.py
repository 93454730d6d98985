"""Whether a camera still stands where it stood, by the ring on the plate: to a tenth of a millimetre.

What is compared is where a square around the plate's middle lies in the image, its sides along the image's own axes
once the foreshortening is taken away: that does not depend on how far the plate is turned. It is kept in pixels of the
image as the camera takes it, so that a new calibration of the lens changes nothing about what was kept.
"""

from __future__ import annotations

import cv2
import numpy as np

from calibration.image import Image
from calibration.lens import Lens
from calibration.plate import PlateAngle, Points, RingSpec, plate_of, ring_corners

HALF_MM = 15.0  # of the square: the corners lie a little outside the ring's middle circle
STEPS = 3


def seen_square(image: Image, ring: RingSpec) -> Points | None:
    """Where a square around the plate's middle lies in an image: (4, 2) in pixels; None where the ring is not seen."""
    plate = plate_of(ring_corners(image, ring), ring)
    return None if plate is None else square_of(plate)


def square_of(plate: PlateAngle) -> Points:
    """The same, of a ring that was read already, without a lens."""
    turn = np.radians(plate.angle_deg)
    cos, sin = np.cos(turn), np.sin(turn)
    square = HALF_MM * np.array([[-1.0, 1.0], [1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    on_plate = square @ np.array([[cos, -sin], [sin, cos]])  # turned back by as much
    return np.asarray(cv2.perspectiveTransform(on_plate.reshape(-1, 1, 2), plate.to_image).reshape(4, 2), np.float64)


def camera_place(square_px: Points, lens: Lens) -> tuple[Points, Points]:
    """How the plate lies before the camera: its turn (a rotation vector) and its middle (mm), in the camera's axes."""
    corners = HALF_MM * np.array([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, -1.0, 0.0]])
    _, turn, middle = cv2.solvePnP(corners, square_px, lens.matrix, lens.distortion, flags=cv2.SOLVEPNP_IPPE)
    turn, middle = cv2.solvePnPRefineLM(corners, square_px, lens.matrix, lens.distortion, turn, middle)
    return np.asarray(turn, np.float64).ravel(), np.asarray(middle, np.float64).ravel()


def shift_mm(square_px: Points, was_px: Points, lens: Lens) -> Points:
    """How far a camera is from where it was, (3,) mm to the right, down and forward of its own axes.

    Its direction is taken to be the same, which tells place from direction where the ring alone cannot: one that was
    turned as well shows as much more of a shift (a degree as 4 mm at 250 mm).

    Parameters
    ----------
    square_px, was_px
        `seen_square` now, and then.
    lens
        Of the camera.
    """
    turn, middle = camera_place(was_px, lens)
    corners = HALF_MM * np.array([[-1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [-1.0, -1.0, 0.0]])
    moved = middle.copy()
    for _ in range(STEPS):
        there, slopes = cv2.projectPoints(corners, turn, moved, lens.matrix, lens.distortion)
        miss = square_px.ravel() - there.ravel()
        step, *_ = np.linalg.lstsq(slopes[:, 3:6], miss, rcond=None)
        moved += step
    return np.asarray(middle - moved, np.float64)
