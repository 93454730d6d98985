"""The capabilities a rig is made of, one small protocol each.

Every command returns when the thing has *happened* (arrived, settled, lit), never when it was merely accepted,
and raises a `rig.errors.DeviceError` otherwise. Angles are degrees, counter-clockwise seen from above; positions
are mm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class Identity:
    """How a device identifies itself; stored with every session.

    `settings` are those kept in the device that bear on what it does, by the names that it has for them.
    """

    kind: str
    port: str
    firmware: str
    settings: dict[str, str] = field(default_factory=dict)


class Device(Protocol):
    """What every device can do."""

    def connect(self) -> Identity:
        """Open the port, wake the device and ask who it is."""

    def close(self) -> None:
        """Let go of the port. Safe to call twice, and after a failure."""

    def stop(self) -> None:
        """Stop at once, from any thread, while anything else is going on. Position is not to be believed after."""


class Turntable(Device, Protocol):
    """A plate that turns about the optical axis."""

    def home(self) -> None:
        """Find the reference position."""

    def rotate_to(self, angle_deg: float) -> float:
        """Turn to an absolute angle, settle, and return the angle read back (deg)."""

    def angle_deg(self) -> float:
        """Angle the controller reports (deg)."""


class CameraMount(Device, Protocol):
    """What tilts the camera about the middle of the plate; 0 is straight down."""

    def reaches_tilt(self, tilt_deg: float) -> bool:
        """Whether the camera can be brought there; known without a connection."""

    def tilt_to(self, tilt_deg: float) -> float:
        """Tilt the camera, settle, and return the tilt read back (deg)."""

    def tilt_s(self, by_deg: float) -> float:
        """Time to tilt it by so much, settling included (s)."""


class Arm(Device, Protocol):
    """An arm with a suction cup. Coordinates are the arm's own (mm)."""

    def home(self) -> None:
        """Find the reference position."""

    def move_to(self, x_mm: float, y_mm: float, z_mm: float) -> None:
        """Move the cup in a straight line."""

    def grip(self) -> None:
        """Start suction and verify that something is held; raises `rig.errors.NothingThereError` if nothing is."""

    def release(self) -> None:
        """Let go."""

    def holds(self) -> bool:
        """Whether the cup holds something, as the arm senses it."""

    def stop_idle_pump(self) -> None:
        """Stop the pump unless something hangs on the cup. Nothing moves; also possible after `stop`."""

    def may_hold(self) -> bool:
        """Whether something may hang on the cup that `holds` does not know of, since another program used the arm."""

    def position_mm(self) -> tuple[float, float, float]:
        """Position the controller reports (mm)."""

    def turn_wrist(self, angle_deg: float) -> float:
        """Turn the servo at its end, and return the angle read back (deg)."""

    def wrist_deg(self) -> float:
        """Angle of the servo at its end that the controller reports (deg)."""


@runtime_checkable
class Handler(Device, Protocol):
    """Whoever brings coins from their slots to the plate and back: an arm, or a technician."""

    def home(self) -> None:
        """Make sure that the plate is free to turn, and find the reference position if there is one."""

    def park(self) -> None:
        """Out of the way."""

    def holds_coin(self) -> bool:
        """Whether a coin hangs on it."""

    def load(self, slot: int) -> None:
        """Bring the coin of a slot onto the plate; raises `rig.errors.GripError`."""

    def unload(self, slot: int) -> None:
        """Bring the coin on the plate, or the one that it holds, into a slot; raises `rig.errors.GripError`."""

    def let_go_into(self, slot: int) -> None:
        """Bring a coin that may hang on it unnoticed into a slot; nothing where that cannot be."""

    def feels_empty(self, slot: int) -> bool:
        """Whether a slot is empty for sure; what lies in it stays there."""

    def flip(self) -> None:
        """Turn the coin on the plate over; raises `rig.errors.GripError`."""

    def fetch_from_flip_station(self) -> None:
        """Finish a `flip` that was interrupted; raises `rig.errors.GripError`."""

    def make_safe(self) -> None:
        """On the way out: a coin that it holds back where it came from, then out of the way."""

    def load_s(self) -> float:
        """Time to bring a coin one way (s)."""

    def flip_s(self) -> float:
        """Time to turn a coin over (s)."""


@dataclass(frozen=True)
class Light:
    """A named lighting state of the lightbox.

    ``sectors`` are ranges of azimuth (deg, counter-clockwise, where the light comes *from*); ``intensity`` is 0 to 1.
    """

    name: str
    sectors: tuple[tuple[float, float], ...]
    intensity: float = 1.0
    colour_temperature_k: int = 5000


@dataclass(frozen=True)
class Weight:
    """What a balance shows: grams, and whether it says that they stand."""

    grams: float
    is_stable: bool


class Balance(Device, Protocol):
    """A balance on a serial port."""

    def zero(self) -> None:
        """Make what lies on the pan the zero, at rest."""

    def weigh(self) -> Weight:
        """What lies on the pan, once it stands; marked as unstable if it never does."""


class Lightbox(Device, Protocol):
    """Lamps around the plate."""

    def show(self, light: Light) -> None:
        """Light exactly this, verified by reading back."""

    def dark(self) -> None:
        """All lamps off, verified by reading back."""
