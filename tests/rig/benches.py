"""One bench for every driver, over the twin's own wire and over a real terminal."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from rig.clock import ScaledClock
from rig.link import SerialLink
from rig.registry import STATION
from rig.station import Station, StationConfig
from rig.twin.lab import make_world
from tests.rig.pty_harness import Cable

# Short (wall-clock) patience: nothing in the twin needs longer, and what never answers is found out sooner.
PATIENCE: dict[str, dict[str, Any]] = {
    "grbl": {"answer_s": 0.3, "boot_s": 1.0, "homing_s": 3.0},
    "marlin": {"answer_s": 0.3, "boot_s": 2.0, "homing_s": 3.0},
    "uarm": {"answer_s": 0.3, "boot_s": 1.0, "move_s": 3.0},
    "dobot": {"answer_s": 0.3, "boot_s": 1.0, "move_s": 3.0, "homing_s": 3.0},
    "roarm": {"answer_s": 0.3, "boot_s": 3.0},
    "wled": {"answer_s": 0.3, "boot_s": 1.0},
    "dmx": {"answer_s": 0.3},
}
REGISTRY = {kind: registry for registry in STATION for kind in registry.drivers if kind in PATIENCE}
ROLE = {kind: registry.role for kind, registry in REGISTRY.items()}
DEFAULTS = {"turntable": "grbl", "arm": "uarm", "lightbox": "wled"}


class DriverBench:
    """A twin bench whose device of one kind is at hand: as driver, in its station, and in truth.

    Attributes
    ----------
    device
        The driver, not connected.
    station
        A station with that driver in its place, not connected either.
    """

    def __init__(
        self,
        kind: str,
        *faults: Any,
        cable_in: Path | None = None,
        speed: float = math.inf,
        clock: ScaledClock | None = None,
        **options: Any,
    ) -> None:
        self.kind = kind
        self.role = ROLE[kind]
        port = str(cable_in / f"tty-{self.role}") if cable_in else f"twin://{self.role}"
        config = {role: {"kind": name, **PATIENCE[name]} for role, name in DEFAULTS.items()}
        config[self.role] = {"kind": kind, **PATIENCE[kind], **options, "port": port}
        self.config = StationConfig.model_validate(config)
        self.clock = clock or ScaledClock(speed)
        self.world = make_world(self.config, self.clock, seed=1, faults=faults)
        self.world.fill({1: "first", 2: "second", 20: "last"})
        self.cable = Cable(self.world, self.role, cable_in) if cable_in else None
        self.station = Station(self.config, self.clock)
        self.device: Any = getattr(self.station, self.role)

    @property
    def link(self) -> SerialLink:
        """The wire of the device."""
        return self.device.link  # type: ignore[no-any-return]

    def sent(self) -> int:
        """How many messages were sent so far, as far back as the transcript goes."""
        return sum(" >> " in line for line in self.link.recent)

    def close(self) -> None:
        """Clear the bench."""
        self.device.close()
        if self.cable:
            self.cable.pull_out()
