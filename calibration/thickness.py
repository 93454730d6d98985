"""How thick a coin is, from its outline in tilted views at several turns of the plate.

Seen obliquely, a coin reaches in each direction of the plate as far as its lower rim where that side is turned to the
camera, and as far as its upper rim where it is turned away; rays through the upper rim meet the plate further out, the
more the thicker the coin is. The same direction is seen both ways once the plate has turned by half a turn: what the
two differ by is the thickness, whatever the outline, and wherever the coin lies. Its lower rim lies on the plate, where
the ring is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

DIRECTIONS = 180
LEAST_FACING = 0.5  # cosine between a direction of the plate and the camera's, to count as turned to it, or away
PARTS = 6  # of the rim, whose own thicknesses say how even it is and how far its mean can be trusted
WIDTH_ERROR_MM = 0.05  # of a coin as it is measured from above
LEAST_SHARE = 0.5  # of the directions, in which the coin has to be seen both ways

_ANGLES = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
_TOWARDS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)])  # each direction


@dataclass(frozen=True, eq=False)
class ObliqueOutline:
    """A coin's outline in one view.

    Attributes
    ----------
    outline_mm
        (N, 2) where the rays through it meet the plate, in the plate's own axes.
    camera_mm
        (3,) where the camera is, in the same axes; z is the height above the plate.
    """

    outline_mm: Points
    camera_mm: Points

    @property
    def reach_mm(self) -> Points:
        """(`DIRECTIONS`,) how far it reaches in each direction."""
        return np.asarray((self.outline_mm @ _TOWARDS).max(axis=0), np.float64)


@dataclass(frozen=True)
class Thickness:
    """A coin's thickness at its rim.

    Attributes
    ----------
    mean_mm
        Over the rim.
    std_error_mm
        Standard error of that, from how far parts of the rim differ; an uneven flan is less certain.
    width_mm
        The coin's, its mean over directions, by its lower rim: what is seen from above has to agree with it.
    """

    mean_mm: float
    std_error_mm: float
    width_mm: float


def turns_suffice(turns_deg: Sequence[float]) -> bool:
    """Whether enough of a coin is seen both from near and from behind at these turns of the plate."""
    facing = _facing(np.radians(np.asarray(turns_deg, np.float64)))
    return _sees_enough(np.logical_and((facing > LEAST_FACING).any(axis=0), (facing < -LEAST_FACING).any(axis=0)))


def thickness_of(views: Sequence[ObliqueOutline]) -> Thickness | None:
    """The thickness of a coin that did not move on the plate between the views.

    Returns
    -------
    Thickness or None
        None where too little of its rim is seen both from near and from behind.
    """
    reach = np.array([view.reach_mm for view in views])
    cameras = np.array([view.camera_mm for view in views])
    along = cameras[:, :2] @ _TOWARDS
    facing = _facing(np.arctan2(cameras[:, 1], cameras[:, 0]))
    found = np.full((len(views) ** 2, DIRECTIONS), np.nan)
    for number, (near, far) in enumerate(product(range(len(views)), repeat=2)):
        both = (facing[near] > LEAST_FACING) & (facing[far] < -LEAST_FACING)
        # A point of the upper rim, h above the plate, is seen further from the camera's foot by height / (height - h).
        share = (reach[far, both] - reach[near, both]) / (reach[near, both] - along[far, both])
        found[number, both] = cameras[far, 2] * share / (1 + share)
    seen = np.isfinite(found).any(axis=0)
    if not _sees_enough(seen):
        return None
    by_direction = np.nanmedian(found[:, seen], axis=0)
    parts = [np.median(each) for each in np.array_split(by_direction, PARTS)]
    return Thickness(
        float(np.median(by_direction)),
        float(np.std(parts, ddof=1) / np.sqrt(PARTS)),
        _width(reach, facing > LEAST_FACING),
    )


def thickness_by_width(
    views: Sequence[ObliqueOutline], from_above_mm: Sequence[Points], height_mm: float
) -> Thickness | None:
    """The thickness of a coin that may have been moved between the views, by how wide it is from above. Less exact.

    Parameters
    ----------
    from_above_mm
        For each side that was seen from above, (`DIRECTIONS`,) how wide, where the rays through its outline meet the
        plate; how the coin is turned in the views against that is found out.
    height_mm
        Of the camera above the plate, when it looked straight down; infinite to take these widths as the coin's own.

    Returns
    -------
    Thickness or None
        None without views.
    """
    parts, scales = [], []
    for view in views:
        reach = view.reach_mm
        behind = np.roll(reach, -DIRECTIONS // 2)
        near = _facing(np.arctan2(view.camera_mm[1:2], view.camera_mm[:1]))[0] > LEAST_FACING
        along = (behind + view.camera_mm[:2] @ _TOWARDS)[near] / view.camera_mm[2]
        scales.append(float(np.median(along)))
        turned = [np.roll(width, turn)[near] for width in from_above_mm for turn in range(DIRECTIONS // 2)]
        found = [((reach + behind)[near] - width) / (along - width / height_mm) for width in turned]
        parts += [np.median(part) for part in np.array_split(min(found, key=np.std), PARTS // 2)]
    if not parts:
        return None
    mean_mm = float(np.median(parts))
    width_mm = float(np.mean(from_above_mm)) * (1 - mean_mm / height_mm)
    of_parts_mm = float(np.std(parts, ddof=1) / np.sqrt(len(parts)))
    return Thickness(mean_mm, float(np.hypot(of_parts_mm, WIDTH_ERROR_MM / np.median(scales))), width_mm)


def _facing(azimuths: Points) -> Points:
    """(N, `DIRECTIONS`) cosine between each direction of the plate and that of each camera."""
    return np.cos(azimuths[:, None] - _ANGLES[None, :])


def _width(reach: Points, is_near: npt.NDArray[np.bool_]) -> float:
    """The mean width by the lower rim, where it is seen on both sides."""
    lower = np.full(DIRECTIONS, np.nan)
    known = is_near.any(axis=0)
    lower[known] = np.nanmedian(np.where(is_near, reach, np.nan)[:, known], axis=0)
    return float(np.nanmean(lower + np.roll(lower, DIRECTIONS // 2)))


def _sees_enough(seen: npt.NDArray[np.bool_]) -> bool:
    return bool(seen.mean() >= LEAST_SHARE)
