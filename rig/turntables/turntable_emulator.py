"""What every emulated controller of a turntable has: motors for plate and camera, and straight moves of them."""

from __future__ import annotations

import math

from rig.turntables.motor_axis import TiltConfig
from rig.twin.emulator import Emulator
from rig.twin.faults import Alarm, Brownout
from rig.twin.motion import Point, StraightMove, at_rest
from rig.twin.world import World


class TurntableEmulator(Emulator):
    """The motors, and what is planned for them. Subclasses say how fast each may be, and when it is powered up.

    Parameters
    ----------
    axis
        Letter of the axis that turns the plate.
    tilt
        The one that tilts the camera, if there is one.

    Attributes
    ----------
    driven
        The letters that move something, the plate's first.
    """

    def __init__(self, world: World, axis: str, tilt: TiltConfig | None) -> None:
        super().__init__(world.clock)
        self.world = world
        self.axis = axis
        self.tilt = tilt
        self.driven = axis if tilt is None else axis + tilt.axis

    def _forget_moves(self) -> None:
        """At power-up: the position too."""
        self._blocks: list[StraightMove] = [at_rest((0.0,) * len(self.driven))]
        self._doom: tuple[float, Alarm | Brownout] | None = None

    def _max_rate(self, letter: str) -> float:
        """Fastest that an axis moves (deg/min)."""
        raise NotImplementedError

    def _acceleration(self, letter: str) -> float:
        """How gently an axis starts (deg/s²)."""
        raise NotImplementedError

    def _position(self) -> Point:
        now_s = self.clock.now()
        return next((move for move in reversed(self._blocks) if move.start_s <= now_s), self._blocks[0]).at(now_s)

    def _stop_steppers(self) -> None:
        """From one step to the next; what was planned is forgotten."""
        self.world.stop_turntable()
        self._blocks = [at_rest(self._position())]

    def _plan_straight(self, target: Point, rate: float) -> StraightMove | None:
        """Plan a straight move, no axis faster (deg/min) or started more gently than it may be; None without a step.

        A fault that is due strikes half-way, while the plate turns.
        """
        last = self._blocks[-1]
        ways = {
            letter: there - here
            for letter, here, there in zip(self.driven, last.target, target, strict=True)
            if there != here
        }
        if not ways:
            return None
        length = math.hypot(*ways.values())
        shares = {letter: abs(way) / length for letter, way in ways.items()}
        acceleration = min(self._acceleration(letter) / share for letter, share in shares.items())
        fastest = min(self._max_rate(letter) / share for letter, share in shares.items())
        start_s = max(self.clock.now(), last.end_s)
        move = StraightMove(start_s, last.target, target, min(rate, fastest) / 60, acceleration)
        self._blocks = [block for block in self._blocks if block.end_s > self.clock.now()] + [move]
        for letter, way in ways.items():
            self._drive(letter, way, move.speed * shares[letter], acceleration * shares[letter], start_s)
        fault = self.world.strikes(Alarm, "turntable") or self.world.strikes(Brownout, "turntable")
        if self.axis in ways and fault is not None:
            self._doom = ((move.start_s + move.end_s) / 2, fault)
        return move

    def _drive(self, letter: str, by_deg: float, speed: float, acceleration: float, start_s: float) -> None:
        drive = self.world.turn if letter == self.axis else self.world.tilt_camera
        drive(by_deg, speed, acceleration, start_s)
