"""The turntable's axis as the camera sees it, from the plate's ring at several angles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from calibration.errors import CalibrationError
from calibration.lens import Lens
from calibration.plate import RingView

Points = npt.NDArray[np.float64]

LEAST_VIEWS = 3
ROUNDS = 12
MAX_MISS_PX = 1.5  # root mean square: beyond, the ring moved on the plate, or the camera did


@dataclass(frozen=True, eq=False)
class PlateAxis:
    """The axis in the camera's frame: x to the right, y down, z away from the camera, mm.

    Attributes
    ----------
    point_mm
        (3,) where it meets the plate.
    direction
        (3,) unit vector along it, towards the camera.
    centre_px
        (x, y) where it meets the plate in the image, distortion taken out.
    rms_px
        Root mean square distance of the ring's corners from where plate and angles put them.
    """

    point_mm: Points
    direction: Points
    centre_px: tuple[float, float]
    rms_px: float

    @property
    def inclination_deg(self) -> float:
        """How far it is inclined to the optical axis."""
        return float(np.degrees(np.arccos(np.clip(-self.direction[2], -1.0, 1.0))))

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> PlateAxis:
        """Read what `facts` gave.

        Raises
        ------
        ValueError, KeyError, TypeError
            If that is none.
        """
        x, y = facts["centre_px"]
        point, direction = (np.array(facts[name], np.float64).reshape(3) for name in ("point_mm", "direction"))
        return cls(point, direction, (float(x), float(y)), float(facts["rms_px"]))

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "point_mm": [float(value) for value in self.point_mm],
            "direction": [float(value) for value in self.direction],
            "centre_px": list(self.centre_px),
            "rms_px": self.rms_px,
        }

    def turned(self, points_mm: Points, by_deg: float) -> Points:
        """(N, 3) points in the camera's frame as they are when the plate has turned on, counter-clockwise."""
        turn, _ = cv2.Rodrigues(self.direction * np.radians(by_deg))
        return np.asarray((points_mm - self.point_mm) @ turn.T + self.point_mm, np.float64)


def find_axis(views: Sequence[RingView], angles_deg: Sequence[float], lens: Lens) -> PlateAxis:
    """Fit the axis to the ring's corners, seen at several angles of the turntable (deg, counter-clockwise).

    The ring's place on the plate is free: it need not lie centred. Plate and ring share one pose; Gauss and Newton fit
    it, the ring's place and the axis's together to what all views show.

    Raises
    ------
    CalibrationError
        If there are too few views, or they do not turn about one axis.
    """
    if len(views) < LEAST_VIEWS:
        raise CalibrationError(f"The ring was seen in {len(views)} views; {LEAST_VIEWS} are needed for the axis.")
    fit = fit_plate(views, angles_deg, lens)
    x, y, w = lens.matrix @ (fit.point_mm / fit.point_mm[2])
    return PlateAxis(fit.point_mm, np.asarray(fit.rotation[:, 2], np.float64), (float(x / w), float(y / w)), fit.rms_px)


@dataclass(frozen=True, eq=False)
class PlateFit:
    """The plate's pose in the camera's frame when the turntable is at the first of several angles.

    Attributes
    ----------
    rotation
        (3, 3) from the plate to the camera; the plate's x leads to the ring's first marker.
    point_mm
        (3,) where the axis meets the plate.
    shift_mm
        (2,) of the ring's centre from the axis, on the plate.
    rms_px
        Root mean square distance of the ring's corners from where plate and angles put them.
    """

    rotation: Points
    point_mm: Points
    shift_mm: Points
    rms_px: float


def fit_plate(views: Sequence[RingView], angles_deg: Sequence[float], lens: Lens, *, centred: bool = False) -> PlateFit:
    """Fit the plate's pose to the ring's corners, seen at several angles of the turntable (deg, counter-clockwise).

    Parameters
    ----------
    centred
        Take the ring to lie centred: what one view cannot tell.

    Raises
    ------
    CalibrationError
        If the views do not turn about one axis.
    """
    seen = [lens.at_unit_depth(view.corners_px) for view in views]
    flat = [np.column_stack([view.corners_mm, np.zeros(len(view.corners_mm))]) for view in views]
    _, rotation, translation = cv2.solvePnP(flat[0], seen[0], np.eye(3), None)
    turn_deg = np.asarray(angles_deg, np.float64) - angles_deg[0]
    # Pose of the plate (6), the ring's shift on the plate (2): the ring's own turn is in the pose.
    values = np.concatenate([rotation.ravel(), translation.ravel(), [0.0, 0.0]])
    free = np.eye(len(values))[: 6 if centred else 8]

    def miss(values: Points) -> Points:
        return np.concatenate(
            [
                (_project(values, place, np.radians(by)) - at).ravel()
                for place, at, by in zip(flat, seen, turn_deg, strict=True)
            ]
        )

    weight = np.ones(1)
    for _ in range(ROUNDS):
        off = miss(values)
        slopes = np.stack([(miss(values + step) - off) / 1e-6 for step in 1e-6 * free], axis=1)
        spread = 1.4826 * float(np.median(np.abs(off))) + 1e-9
        weight = np.clip(1 - (off / (6 * spread)) ** 2, 0, None)
        values = values - np.linalg.lstsq(slopes * weight[:, None], off * weight, rcond=None)[0] @ free
    off = miss(values)
    focal = float(np.sqrt(lens.matrix[0, 0] * lens.matrix[1, 1]))
    rms_px = focal * float(np.sqrt(np.average(off**2, weights=weight)))
    if not np.isfinite(rms_px) or rms_px > MAX_MISS_PX:
        raise CalibrationError(
            f"The plate's ring does not turn about one axis: its corners miss by {rms_px:.1f} pixels. Check that ring "
            "and camera are fixed, and that the turntable does not slip."
        )
    turn, _ = cv2.Rodrigues(values[:3])
    return PlateFit(np.asarray(turn, np.float64), np.asarray(values[3:6], np.float64), values[6:], rms_px)


def _project(values: Points, place: Points, turn: float) -> Points:
    """Where ring corners (N, 3) are seen at unit depth when the plate has turned by an angle (rad)."""
    cos, sin = np.cos(turn), np.sin(turn)
    shifted = place + np.array([values[6], values[7], 0.0])
    turned = np.stack(
        [cos * shifted[:, 0] - sin * shifted[:, 1], sin * shifted[:, 0] + cos * shifted[:, 1], shifted[:, 2]], axis=1
    )
    rotation, _ = cv2.Rodrigues(values[:3])
    at = turned @ rotation.T + values[3:6]
    return np.asarray(at[:, :2] / at[:, 2:], np.float64)
