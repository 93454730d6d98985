"""What every serial turntable is told in rig.yaml, whatever protocol it speaks."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class AxisConfig(BaseModel):
    """A rotary axis on a motion controller; each driver's config adds its kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: str = "twin://turntable"
    baud: int = Field(default=115200, gt=0)
    axis: Literal["X", "Y", "Z", "A", "B", "C"] = "X"
    endless: bool = Field(default=True, description="no cable winds up: the shorter way round is always allowed")
    range_deg: tuple[float, float] = Field(default=(0.0, 360.0), description="allowed angles, if not endless")
    speed_deg_s: float = Field(default=45.0, gt=0)
    backlash_deg: float = Field(default=0.5, ge=0, description="every angle is approached upwards from this far below")
    settle_s: float = Field(default=0.15, ge=0, description="until the coin has stopped trembling")
    tolerance_deg: float = Field(default=0.1, gt=0)
    answer_s: float = Field(default=2.0, gt=0, description="longest wait for an answer (wall-clock)")
    boot_s: float = Field(default=10.0, gt=0, description="longest wait for the controller to start (wall-clock)")
    homing_s: float = Field(default=90.0, gt=0, description="longest wait for homing (wall-clock)")
