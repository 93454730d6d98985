"""Plays back a folder of images as if a camera took them: to rehearse, to measure, to find out what went wrong."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from pydantic import Field

from calibration.image import IMAGE_SUFFIXES, Image, ImageError, read_image
from capture.cameras.camera import CameraConfig, CameraDriver, RawImage
from capture.wording import count
from rig.clock import Clock
from rig.devices import Identity
from rig.errors import NoAnswerError, NotConnectedError


class ReplayConfig(CameraConfig):
    """A folder of images, played in the order of their names and then again from the first."""

    kind: Literal["replay"] = "replay"
    folder: Path
    readout_s: float = Field(default=0.03, ge=0)


class ReplayCamera(CameraDriver[ReplayConfig]):
    """See `capture.cameras.camera.Camera`. It reads a file ahead: a camera's images need no decoding by us."""

    def __init__(self, config: ReplayConfig, clock: Clock) -> None:
        super().__init__(config, clock, str(config.folder))
        self._paths: list[Path] = []
        self._next: Future[Image] | None = None

    def _open(self) -> Identity:
        """List the folder."""
        folder = self._config.folder
        self._paths = sorted(path for path in folder.glob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
        if not self._paths:
            raise NotConnectedError(self._name, "there are no images in the folder.", "Correct `camera: folder:`.")
        self._handle = ThreadPoolExecutor(1, "replay")
        return Identity(self._config.kind, self._port, count(len(self._paths), "image"))

    def close(self) -> None:
        """Forget the folder."""
        if self._handle is not None:
            self._handle.shutdown(cancel_futures=True)
        self._next, self._paths = None, []
        super().close()

    def grab(self) -> RawImage:
        """Return the next image after the time an exposure would take.

        Raises
        ------
        NotConnectedError
            Before `connect`.
        NoAnswerError
            If the next file is no image.
        """
        reader = self._opened()
        self._clock.sleep(self._exposure_us / 1e6 + self._config.readout_s)
        reading, self._next = self._next or self._read(reader), None
        try:
            image = reading.result()
        except ImageError as error:
            raise NoAnswerError(self._name, str(error), "Take it out of the folder.") from error
        raw_image = self._raw_image(image)
        self._next = self._read(reader)
        return raw_image

    def _read(self, reader: ThreadPoolExecutor) -> Future[Image]:
        """Begin to read the next file."""
        return reader.submit(read_image, self._paths[self._sequence % len(self._paths)])
