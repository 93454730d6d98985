"""Getting a rig that failed back to work, so that a loose plug at night does not end the night's scan.

What the devices believed is thrown away: everything is stopped, connected anew and homed. Where the coin is then, and
which shots are left, is asked of the journal, the camera and the store, as after any interrupted run.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

from capture.cameras import Camera
from rig.errors import DeviceError, EnvelopeError
from rig.station import Station

log = logging.getLogger(__name__)


class Patience(BaseModel):
    """How often a rig that failed is connected and homed anew before a person has to see to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(default=3, ge=0, le=10, description="in a row, until every device is connected and homed")
    pause_s: float = Field(
        default=2.0, ge=0, le=600, description="before the first of them; twice as long before each next"
    )


@dataclass(frozen=True)
class Attempt:
    """The attempt that brought the rig back, and how long was waited before it (s)."""

    number: int
    pause_s: float


class Recovery:
    """Brings the rig back."""

    def __init__(self, station: Station, camera: Camera, patience: Patience) -> None:
        self._station = station
        self._camera = camera
        self._patience = patience

    def recover(self, problem: DeviceError) -> Attempt:
        """Stop, wait, connect and home every device, until it succeeds.

        Parameters
        ----------
        problem
            Why it is needed.

        Raises
        ------
        DeviceError
            The problem itself, where trying again would not help, or did not as often as patience allows.
        """
        if isinstance(problem, EnvelopeError):  # the same command would be refused again
            raise problem
        for number in range(1, self._patience.attempts + 1):
            pause_s = self._patience.pause_s * 2 ** (number - 1)
            self._station.stop()
            self._station.clock.sleep(pause_s)
            try:
                self._connect()
                self._station.home()
            except DeviceError as error:
                log.info("attempt %d: %s", number, error)
                continue
            return Attempt(number, pause_s)
        raise problem

    def _connect(self) -> None:
        self._station.close()
        self._camera.close()
        self._station.connect()
        self._camera.connect()
