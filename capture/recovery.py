"""Getting a rig that failed back to work, so that a loose plug at night does not end the night's scan.

What the devices believed is thrown away: everything is stopped, connected anew and homed. Where the coin is then, and
which shots are left, is asked of the journal, the camera and the store, as after any interrupted run.
"""

from __future__ import annotations

import logging

from pydantic import BaseModel, ConfigDict, Field

from capture.cameras import Camera
from rig.errors import DeviceError, EnvelopeError
from rig.station import Station

log = logging.getLogger(__name__)


class Patience(BaseModel):
    """How often a rig that failed is brought back before a person has to see to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    attempts: int = Field(default=3, ge=0, description="in a row, without a good frame in between")
    pause_s: float = Field(default=2.0, ge=0, description="before the first of them; twice as long before each next")


class Recovery:
    """Counts how often the rig was brought back, and brings it back."""

    def __init__(self, station: Station, camera: Camera, patience: Patience) -> None:
        self._station = station
        self._camera = camera
        self._patience = patience
        self._attempt = 0
        self._good_frames = 0

    def recover(self, problem: DeviceError, good_frames: int) -> int:
        """Stop, wait, connect and home every device, until it succeeds.

        Parameters
        ----------
        problem
            Why it is needed.
        good_frames
            How many there are: a new one since the last time makes the attempts count from 1 again.

        Returns
        -------
        int
            The attempt that succeeded.

        Raises
        ------
        DeviceError
            The problem itself, where trying again would not help, or did not as often as patience allows.
        """
        if good_frames > self._good_frames:
            self._good_frames, self._attempt = good_frames, 0
        if isinstance(problem, EnvelopeError):  # the same command would be refused again
            raise problem
        while self._attempt < self._patience.attempts:
            self._attempt += 1
            self._station.stop()
            self._station.clock.sleep(self._patience.pause_s * 2 ** (self._attempt - 1))
            try:
                self._connect()
                self._station.home()
            except DeviceError as error:
                log.info("attempt %d: %s", self._attempt, error)
                continue
            return self._attempt
        raise problem

    def _connect(self) -> None:
        self._station.close()
        self._camera.close()
        self._station.connect()
        self._camera.connect()
