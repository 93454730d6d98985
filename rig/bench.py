"""Where everything stands on the bench, in the arm's own coordinates (mm)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

PointMm = tuple[float, float, float]


class SlotGrid(BaseModel):
    """The tray: slots 1, 2, 3 ... run along a row, then row by row. Its height is the cup's when it touches a coin."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_mm: PointMm = (115.0, 105.0, 10.0)
    columns: int = Field(default=5, ge=1)
    rows: int = Field(default=4, ge=1)
    pitch_mm: float = Field(default=30.0, gt=0)

    @property
    def count(self) -> int:
        """How many slots there are."""
        return self.columns * self.rows

    def position_mm(self, slot: int) -> PointMm:
        """Centre of a slot.

        Raises
        ------
        ValueError
            If the tray has no such slot.
        """
        if not 1 <= slot <= self.count:
            raise ValueError(f"slot {slot} is not on the tray: it has slots 1 to {self.count}.")
        row, column = divmod(slot - 1, self.columns)
        x_mm, y_mm, z_mm = self.first_mm
        return (x_mm + column * self.pitch_mm, y_mm + row * self.pitch_mm, z_mm)


class FlipStation(BaseModel):
    """A passive chute: a coin let go at `drop_mm` comes to lie at `pick_mm`, turned over."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    drop_mm: PointMm = (180.0, -150.0, 50.0)
    pick_mm: PointMm = (240.0, -150.0, 10.0)
    slide_s: float = Field(default=0.6, ge=0, description="how long the coin takes to come to rest")


class BenchLayout(BaseModel):
    """Where tray, plate and flip station stand, in arm coordinates; measured once with `rig jog`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tray: SlotGrid = SlotGrid()
    plate_mm: PointMm = (220.0, 0.0, 20.0)
    plate_radius_mm: float = Field(default=60.0, gt=0)
    flip: FlipStation = FlipStation()
    rest_mm: PointMm = (130.0, -160.0, 100.0)
    safe_z_mm: float = Field(default=90.0, description="the cup clears everything, coin included, at this height")
