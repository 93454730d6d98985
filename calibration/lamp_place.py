"""Where a lamp stands: its direction from the plate's centre and, seen from several places, its position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]

FAR_MM = 3000.0  # beyond, rays from the plate are as good as parallel
LEAST_BASELINE_MM = 5.0


@dataclass(frozen=True, eq=False)
class LampPlace:
    """Where a light comes from; x to the right, y up in the image, z towards the camera.

    Attributes
    ----------
    direction
        (3,) unit vector from the plate's centre.
    position_mm
        (3,) from the plate's centre; None where it is far away or not known.
    """

    direction: Vector
    position_mm: Vector | None = None

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> LampPlace:
        """Read what `facts` gave.

        Raises
        ------
        ValueError, KeyError, TypeError
            If that is none.
        """
        position = facts.get("position_mm")
        direction = np.array(facts["direction"], np.float64).reshape(3)
        if not np.isfinite(direction).all():
            raise ValueError("no direction")
        return cls(direction, None if position is None else np.array(position, np.float64).reshape(3))

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        position = self.position_mm
        return {
            "direction": [float(value) for value in self.direction],
            **({} if position is None else {"position_mm": [float(value) for value in position]}),
        }


def place_lamp(origins_mm: Sequence[Vector], directions: Sequence[Vector]) -> LampPlace:
    """The lamp that rays from several places (3,) along unit vectors (3,) lead to.

    It is where they come nearest to each other; with rays from one place, or nearly parallel ones, only its direction
    is known.
    """
    mean = np.mean(directions, axis=0)
    mean /= np.linalg.norm(mean)
    places = np.array(origins_mm)
    if len(places) < 2 or np.ptp(places, axis=0).max() < LEAST_BASELINE_MM:
        return LampPlace(mean)
    across = [np.eye(3) - np.outer(each, each) for each in directions]
    matrix = np.sum(across, axis=0)
    if np.linalg.cond(matrix) > 1e6:
        return LampPlace(mean)
    position = np.linalg.solve(matrix, np.sum([a @ p for a, p in zip(across, places, strict=True)], axis=0))
    distance_mm = float(np.linalg.norm(position))
    if distance_mm > FAR_MM or position @ mean < 0.5 * distance_mm:
        return LampPlace(mean)
    return LampPlace(position / distance_mm, position)
