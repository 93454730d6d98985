"""Plays back a folder of pictures as if a camera took them: to rehearse, to measure, to find out what went wrong."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from calibration.image import IMAGE_SUFFIXES, Image, ImageError, read_image
from capture.cameras.camera import Picture
from capture.store.records import now
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import NoAnswerError, NotConnectedError


class ReplayConfig(BaseModel):
    """A folder of pictures, played in the order of their names and then again from the first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["replay"] = "replay"
    folder: Path
    readout_s: float = Field(default=0.03, ge=0)


class ReplayCamera:
    """See `capture.cameras.camera.Camera`. It reads a file ahead: a camera's pictures need no decoding by us."""

    def __init__(self, config: ReplayConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._name = f"camera on {config.folder}"
        self._paths: list[Path] = []
        self._exposure_us = 0
        self._gain = 1.0
        self._sequence = 0
        self._reader: ThreadPoolExecutor | None = None
        self._next: Future[Image] | None = None
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
        self._reader = ThreadPoolExecutor(1, "replay")
        self._identity = Identity(kind="replay", port=str(folder), firmware=f"{len(self._paths)} pictures")
        return self._identity

    def close(self) -> None:
        """Forget the folder."""
        if self._reader is not None:
            self._reader.shutdown(cancel_futures=True)
        self._reader, self._next, self._paths = None, None, []

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
        if self._reader is None:
            raise NotConnectedError(self._name, "it is not connected.", "Connect it first.")
        self._clock.sleep(self._exposure_us / 1e6 + self._config.readout_s)
        reading, self._next = self._next or self._read(self._reader), None
        try:
            image = reading.result()
        except ImageError as error:
            raise NoAnswerError(self._name, str(error), "Take it out of the folder.") from error
        self._sequence += 1
        self._next = self._read(self._reader)
        return Picture(image, self._exposure_us, self._gain, now(), self._sequence)

    def _read(self, reader: ThreadPoolExecutor) -> Future[Image]:
        """Begin to read the next file."""
        return reader.submit(read_image, self._paths[self._sequence % len(self._paths)])
