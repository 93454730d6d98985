"""What the controller of an emulated arm moves: the arm that carries coins (the world itself), or one with a camera."""

from __future__ import annotations

from typing import Protocol, TypeVar

from rig.bench import PointMm
from rig.clock import Clock
from rig.twin.faults import Alarm, Brownout
from rig.twin.motion import Point

F = TypeVar("F", Alarm, Brownout)


class ArmBody(Protocol):
    """Joints and pump of an arm."""

    clock: Clock

    def cup_mm(self) -> PointMm:
        """Position of the arm's end, as its joints have it (arm coordinates)."""

    def carry(self, target_mm: Point, speed: float, acceleration: float, start_s: float) -> None:
        """Move its end in a straight line (mm, mm/s, mm/s²)."""

    def stop_cup(self) -> None:
        """Stop dead, wherever it is."""

    def turn_wrist(self, to_deg: float, speed_deg_s: float) -> None:
        """Turn the servo at its end to an angle, from now on."""

    def wrist_deg(self) -> float:
        """Angle of that servo (deg)."""

    @property
    def suction(self) -> bool:
        """Whether the pump runs."""

    def suck(self, on: bool) -> None:
        """Switch the pump."""

    def pump_is_dead(self) -> bool:
        """Whether the pump fails to run though it is switched on."""

    def cup_holds(self) -> bool:
        """Whether something hangs on the cup."""

    def strikes(self, kind: type[F], device: str) -> F | None:
        """The fault of this kind that strikes in the arm's latest move, if any."""

    def is_deaf_to_stop(self, device: str) -> bool:
        """Whether the controller does not obey a stop."""
