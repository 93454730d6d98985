"""One motor of a turntable's controller: what turns the plate, or what tilts the camera. Counts are degrees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

RAMPS_S = 0.3  # to start and to stop, of a controller that does not say how fast it accelerates
AxisLetter = Literal["X", "Y", "Z", "A", "B", "C"]


class TiltConfig(BaseModel):
    """`turntable: tilt:` of rig.yaml: a second motor on the turntable's controller, which tilts the camera.

    It swings the camera about a line through the middle of the plate, so that the plate stays in its view.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    axis: AxisLetter = "Y"
    range_deg: tuple[float, float] = Field(default=(0.0, 60.0), description="tilts that it may go to; 0 looks down")
    home_deg: float = Field(default=-1.0, description="the camera's tilt where the axis rests after homing")
    speed_deg_s: float = Field(default=20.0, gt=0)
    backlash_deg: float = Field(default=0.5, ge=0, description="every tilt is approached upwards from this far below")
    settle_s: float = Field(default=0.4, ge=0, description="until the camera has stopped trembling")
    clear_deg: float = Field(default=0.0, ge=0, description="the arm reaches the plate up to this tilt, not beyond")

    @model_validator(mode="after")
    def _is_a_range(self) -> TiltConfig:
        low, high = self.range_deg
        if not low < high:
            raise ValueError("range_deg: the first number must be below the second")
        if not low <= 0.0 <= high:
            raise ValueError("range_deg must include 0, where the camera looks straight down at the coin")
        if not -90.0 <= self.home_deg <= high:
            raise ValueError(f"home_deg {self.home_deg:g} must not be above range_deg, nor below -90")
        return self


@dataclass
class MotorAxis:
    """A motor, how it is moved, and what its controller says of it.

    Attributes
    ----------
    letter
        Its name in the controller.
    speed_deg_s
        How fast it is to move.
    backlash_deg
        Every position is approached upwards from this far below.
    settle_s, tolerance_deg
        Rest after a move, and how far the position read back may be off.
    lowest_deg
        Never moved below that, seen from `zero`.
    zero
        The count where its angle is 0; homing may find another.
    commanded
        The count it was sent to; None while that is not to be believed.
    fastest_deg_s, acceleration_deg_s2
        What the controller says of it, whatever it is sent.
    """

    letter: str
    speed_deg_s: float
    backlash_deg: float
    settle_s: float
    tolerance_deg: float
    lowest_deg: float
    zero: float = 0.0
    commanded: float | None = None
    fastest_deg_s: float = math.inf
    acceleration_deg_s2: float | None = None

    @property
    def moves_deg_s(self) -> float:
        """How fast it moves: as asked for, or as fast as it can."""
        return min(self.speed_deg_s, self.fastest_deg_s)

    def legs(self, target: float) -> list[float]:
        """The counts to go to in turn, so that the last is reached upwards, with the gears' play always the same."""
        if self.commanded is None or target >= self.commanded or not self.backlash_deg:
            return [target]
        return [max(target - self.backlash_deg, self.zero + self.lowest_deg), target]

    def travel_s(self, by_deg: float) -> float:
        """Time the motor needs from rest to rest (s)."""
        speed = self.moves_deg_s
        if self.acceleration_deg_s2 is None:
            return by_deg / speed + RAMPS_S
        ramps_deg = speed**2 / self.acceleration_deg_s2
        if by_deg < ramps_deg:
            return 2 * math.sqrt(by_deg / self.acceleration_deg_s2)
        return by_deg / speed + speed / self.acceleration_deg_s2

    def estimate_s(self, by_deg: float) -> float:
        """Time a move takes, settling included (s)."""
        return self.travel_s(abs(by_deg)) + self.settle_s if by_deg else 0.0

    def left_s(self, left_deg: float) -> float:
        """Time until it has come so far, on its way at full speed (s)."""
        speed, acceleration = self.moves_deg_s, self.acceleration_deg_s2
        braking_deg = speed**2 / (2 * acceleration) if acceleration else 0.0
        if acceleration and left_deg < braking_deg:
            return math.sqrt(2 * left_deg / acceleration)
        return (left_deg + braking_deg) / speed
