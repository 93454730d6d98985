"""What of the twin's world outlives the program, in a file."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from rig.errors import DeviceError
from rig.twin.lying import LyingCoin


class WorldState(BaseModel):
    """What outlives the program. Motors finish their moves without it: plate and cup are where they were sent."""

    coins: list[LyingCoin] = []
    mounted: dict[int, tuple[str, ...]] = {}  # what lay in each slot when the tray was put there
    plate_deg: float = 0.0
    camera_tilt_deg: float = 0.0
    cup_mm: tuple[float, float, float] = (200.0, 0.0, 150.0)
    camera_arm_mm: tuple[float, float, float] = (200.0, 0.0, 150.0)
    camera_wrist_deg: float = 90.0
    camera_arm_moves: int = 0
    suction: bool = False
    dtr_held: list[str] = []
    events: int = 0
    images: int = Field(default=0, alias="pictures")


def read_state(path: Path | None) -> WorldState | None:
    """What was kept, if anything."""
    if path is None or not path.exists():
        return None
    try:
        return WorldState.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DeviceError(
            "the twin", f"{path} is damaged, as after a power cut.", "Delete it: the twin then starts with a full tray."
        ) from error
