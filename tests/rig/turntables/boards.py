"""Boards whose firmware speaks GRBL, each with a turntable, and a clock that lets things happen at a moment."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from rig.clock import ScaledClock
from rig.turntables.fluidnc_emulator import FluidNcEmulator
from rig.turntables.grbl import GrblTurntable
from rig.turntables.grbl_emulator import GrblEmulator
from rig.turntables.grbl_protocol import GrblConfig
from rig.turntables.grblhal_emulator import GrblHalEmulator
from rig.turntables.marlin import MarlinConfig
from rig.turntables.motor_axis import TiltConfig
from rig.twin.lab import make_world
from rig.twin.world import World
from tests.rig.wires import CONFIG

BOARDS: dict[str, Callable[..., GrblEmulator]] = {
    "grbl": GrblEmulator,
    "grblHAL": GrblHalEmulator,
    "FluidNC": FluidNcEmulator,
}
IMPATIENT = {"answer_s": 0.2, "boot_s": 1.0, "homing_s": 2.0}


class EventClock(ScaledClock):
    """Hardware time at full speed, on which something is done once, as soon as it is time for it."""

    def __init__(self) -> None:
        super().__init__(math.inf)
        self._when: Callable[[], bool] | None = None
        self._then: Callable[[], object] = lambda: None

    def once(self, when: Callable[[], bool], then: Callable[[], object]) -> None:
        """Do this when that is so."""
        self._when, self._then = when, then

    def sleep(self, seconds: float) -> None:
        """Return when so long has passed."""
        super().sleep(seconds)
        if self._when is not None and self._when():
            self._when = None
            self._then()


class TurntableBench:
    """A turntable, connected: its driver, its controller, and the truth about it."""

    def __init__(
        self,
        controller: Callable[..., Any] = GrblEmulator,
        driver: Any = GrblTurntable,
        *,
        home: bool = True,
        connect: bool = True,
        tilt: TiltConfig | None = None,
        **options: Any,
    ) -> None:
        self.clock = EventClock()
        turntable = CONFIG.turntable.model_copy(update={"tilt": tilt})
        self.world: World = make_world(CONFIG.model_copy(update={"turntable": turntable}), self.clock, seed=1)
        self.controller = controller(self.world, tilt=tilt, **options)
        self.world.emulators["turntable"] = self.controller
        config = GrblConfig if driver is GrblTurntable else MarlinConfig
        self.turntable = driver(config(**IMPATIENT, tilt=tilt), self.clock)
        if connect:
            self.identity = self.turntable.connect()
            if home:
                self.turntable.home()

    def is_turning(self) -> bool:
        """Whether the plate turns at this moment."""
        return self.world.scene().plate_speed_deg_s > 0

    def runs_on_deg(self, seconds: float = 10.0) -> float:
        """How far the plate turns from now on (deg), if it is let."""
        before = self.world.plate_deg()
        for _ in range(100):
            self.clock.sleep(seconds / 100)
            self.controller.poll()
        return abs(self.world.plate_deg() - before)
