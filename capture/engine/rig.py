"""Everything the engine needs of a rig. `rig.station.Station` and the cameras of `capture.cameras` fulfil it.

Every command returns when the thing has happened (arrived, settled, lit), and raises a `rig.errors.DeviceError` when it
cannot. Angles are degrees, slots count from 1, lights go by the names in rig.yaml.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from capture.cameras import Camera
from rig.clock import Clock


class Costs(Protocol):
    """A rig that knows how long its changes take, without a connection."""

    def estimate_s(self, *, turns_deg: Sequence[float] = (), tilts_deg: Sequence[float] = (), lights: int = 0) -> float:
        """Time for so many turns, tilts and changes of light (s)."""


class Reach(Costs, Protocol):
    """What limits a rig; known without connecting to it."""

    @property
    def slots(self) -> int:
        """How many slots its tray has."""

    @property
    def light_names(self) -> Sequence[str]:
        """Every light it can show."""

    @property
    def tilts_camera(self) -> bool:
        """Whether something tilts the camera; else it looks straight down."""

    @property
    def camera_is_on_arm(self) -> bool:
        """Whether an arm holds it, in poses that it was taught."""

    def reaches_tilt(self, tilt_deg: float) -> bool:
        """Whether the camera can be tilted so far."""


class CoinStation(Reach, Protocol):
    """Carries coins between tray and plate, turns the plate, and lights it."""

    def taught_square_px(self, tilt_deg: float) -> tuple[tuple[float, float], ...] | None:
        """Where the plate was seen when this pose of the camera's arm was taught; None where no arm holds it."""

    def tilt_for_errand(self, tilt_deg: float) -> float:
        """Where a camera that is tilted so far is tilted to while a coin is carried."""

    @property
    def turntable_deg(self) -> float | None:
        """Where the plate was turned to; None while that is not to be believed."""

    @property
    def tilt_deg(self) -> float | None:
        """Where the camera was tilted to; None while that is not to be believed."""

    @property
    def clock(self) -> Clock:
        """What its motion and settling wait on."""

    def connect(self) -> object:
        """Connect every device. Nothing moves; home before moving."""

    def close(self) -> None:
        """Let go of every port."""

    def home(self) -> None:
        """Find every reference position. A coin that hangs on the arm stays there."""

    def stop(self) -> None:
        """Stop everything at once; nothing is believed until it is homed again."""

    def park(self) -> None:
        """Bring the arm to rest beside the plate."""

    def rotate_to(self, angle_deg: float, light_name: str | None = None) -> float:
        """Turn the plate, and return the angle read back, settled; with a light, lit as well."""

    def tilt_to(self, tilt_deg: float) -> float:
        """Tilt the camera, and return the tilt read back, settled."""

    def show(self, light_name: str) -> None:
        """Light one of the named lights, verified."""

    def load(self, slot: int) -> None:
        """Bring the coin of a slot onto the plate; raises `rig.errors.NothingThereError` if there is none."""

    def unload(self, slot: int) -> None:
        """Bring the coin from the plate, or the one that hangs on the arm, into a slot."""

    def flip(self) -> None:
        """Turn the coin on the plate over."""

    def holds_coin(self) -> bool:
        """Whether something hangs on the arm, as far as the arm can sense."""

    def feels_empty(self, slot: int) -> bool:
        """Whether a slot is empty for sure; false too where that cannot be known."""

    def let_go_into(self, slot: int) -> None:
        """Bring a coin that may hang on the arm unnoticed into a slot."""

    def fetch_from_flip_station(self) -> None:
        """Bring the coin that lies turned over in the flip station onto the plate; `rig.errors.GripError` if none."""


class ScanRig(Protocol):
    """A rig that trays are scanned with."""

    @property
    def station(self) -> CoinStation:
        """What moves and what shines."""

    @property
    def camera(self) -> Camera:
        """What looks at the plate."""
