"""What the tests of this room share: the twin's station, and its bare wires."""

from __future__ import annotations

import serial

from rig.station import StationConfig
from rig.twin.emulator import Emulator
from rig.twin.world import World

# Short (wall-clock) patience: nothing in the twin needs longer, and what never answers is found out sooner.
CONFIG = StationConfig.model_validate(
    {
        "turntable": {"answer_s": 0.3, "boot_s": 1.0, "homing_s": 2.0},
        "arm": {"answer_s": 0.3, "boot_s": 1.0, "move_s": 2.0},
        "lightbox": {"answer_s": 0.3, "boot_s": 1.0},
    }
)


class Wire:
    """A bare port of the twin, as a terminal program has it, its controller started."""

    def __init__(self, world: World, device: str) -> None:
        self.port = serial.serial_for_url(f"twin://{device}", timeout=0.02)
        self.clock = world.clock
        self.say(b"", 3.0)

    def say(self, data: bytes, seconds: float = 0.0) -> str:
        """Send bytes, let hardware time pass, and return what was heard by then and shortly after."""
        self.port.write(data)
        self.clock.sleep(seconds)
        heard = b""
        while piece := self.port.read(5000):
            heard += piece
        return heard.decode()


def heard(emulator: Emulator, seconds: float, step_s: float = 0.1) -> str:
    """What a controller says in so many seconds of hardware time, to the letter."""
    sent = emulator.poll()
    for _ in range(round(seconds / step_s)):
        emulator.clock.sleep(step_s)
        sent += emulator.poll()
    return sent.decode("latin-1")
