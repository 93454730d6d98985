"""What every emulated arm shares: motors and a pump that lose their supply together, and a supply that may dip."""

from __future__ import annotations

from rig.twin.arm_body import ArmBody
from rig.twin.emulator import Emulator, Firmware
from rig.twin.faults import Brownout
from rig.twin.motion import Point, StraightMove


class ArmEmulator(Emulator):
    """The controller of an arm. Subclasses write `_power_up`, `main` and `_serve`."""

    def __init__(self, world: ArmBody) -> None:
        super().__init__(world.clock)
        self.world = world
        self._power_up()

    def reset(self) -> None:
        """Power-up: the motors hold, the pump stops, whatever was queued is lost."""
        self.world.stop_cup()
        self.world.suck(False)
        self._power_up()
        super().reset()

    def resume(self) -> None:
        """It has been running since another process used it: pump and position are as they were left."""
        if self._main is None:
            self._power_up()
            self._pick_up()
            self._run(self._serve())

    def _power_up(self) -> None:
        """What the controller knows when it starts."""
        self._brownout_s: float | None = None

    def _pick_up(self) -> None:
        """What it knows more when it has been running all along."""

    def _serve(self) -> Firmware:
        """The main loop, once it is up."""
        raise NotImplementedError

    def _carry(self, origin: Point, target: Point, speed: float, acceleration: float, start_s: float) -> StraightMove:
        """Set the cup moving, and return the move as the controller plans it."""
        move = StraightMove(start_s, origin, target, speed, acceleration)
        self.world.carry(target, speed, acceleration, start_s)
        if self.world.strikes(Brownout, "arm"):
            self._brownout_s = (move.start_s + move.end_s) / 2
        return move

    def _until(self, wake_s: float | None) -> Firmware:
        """Wait for a moment, or for input; start again if the supply dips meanwhile."""
        yield wake_s if self._brownout_s is None else min(self._brownout_s, wake_s or self._brownout_s)
        if self._brownout_s is not None and self.clock.now() >= self._brownout_s:
            self.reset()
            yield None  # this main program is over
