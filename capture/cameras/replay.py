"""Plays back a folder of pictures as if a camera took them: to rehearse, to measure, to find out what went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from calibration.image import IMAGE_SUFFIXES, ImageError, read_image
from capture.cameras.camera import Picture
from capture.records import now
from rig.devices import Identity
from rig.errors import NoAnswerError, NotConnectedError
from rig.twin.clock import Clock


class ReplayConfig(BaseModel):
    """A folder of pictures, played in the order of their names and then again from the first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["replay"] = "replay"
    folder: Path
    readout_s: float = Field(default=0.03, ge=0)


class ReplayCamera:
    """See `capture.cameras.camera.Camera`."""

    def __init__(self, config: ReplayConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._name = f"camera on {config.folder}"
        self._paths: list[Path] = []
        self._exposure_us = 0
        self._gain = 1.0
        self._sequence = 0
        self._identity = Identity(kind="replay", port=str(config.folder), firmware="not connected")

    @property
    def identity(self) -> Identity:
        """Who it said it is when it was connected."""
        return self._identity

    def connect(self) -> Identity:
        """List the folder.

        Raises
        ------
        NotConnectedError
            If it has no pictures.
        """
        folder = self._config.folder
        self._paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not self._paths:
            raise NotConnectedError(self._name, "there are no pictures in the folder.", "Correct `camera: folder:`.")
        self._identity = Identity(kind="replay", port=str(folder), firmware=f"{len(self._paths)} pictures")
        return self._identity

    def close(self) -> None:
        """Forget the folder."""
        self._paths = []

    def configure(self, exposure_us: int, gain: float) -> None:
        """Note the settings; the pictures stay as they are."""
        self._exposure_us, self._gain = exposure_us, gain

    def grab(self) -> Picture:
        """Return the next picture after the time an exposure would take.

        Raises
        ------
        NotConnectedError
            Before `connect`.
        NoAnswerError
            If the next file is no picture.
        """
        if not self._paths:
            raise NotConnectedError(self._name, "it is not connected.", "Connect it first.")
        path = self._paths[self._sequence % len(self._paths)]
        try:
            image = read_image(path)
        except ImageError as error:
            raise NoAnswerError(self._name, str(error), "Take it out of the folder.") from error
        self._clock.sleep(self._exposure_us / 1e6 + self._config.readout_s)
        self._sequence += 1
        return Picture(image, self._exposure_us, self._gain, now(), self._sequence)
