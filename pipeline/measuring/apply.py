"""`rig calibrate apply`: photographs corrected by flat, colour and lens; and read so for measuring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from calibration.colour import ColourCorrection, correct_colour
from calibration.detector import Correction, correct
from calibration.durable_files import make_folder, write_atomically
from calibration.errors import CalibrationError
from calibration.image import Image, ImageError, encode_for_exchange, read_image
from calibration.lens import Lens
from calibration.saved import load_colour, load_flat, load_lens
from pipeline.errors import UsageError
from pipeline.measuring.photographs import photographs
from pipeline.reporter import Reporter


@dataclass(frozen=True)
class Corrections:
    """What is known about the camera and the light of photographs; None where nothing is."""

    lens: Lens | None
    flat: Correction | None
    colour: ColourCorrection | None

    def apply(self, image: Image, name: str) -> Image:
        """The image (H, W, 3) evenly lit, in true colours and without distortion; its size stays.

        Raises
        ------
        CalibrationError
            If it has another size than lens or flat.
        """
        if self.flat is not None:
            image = correct(image, self.flat, name)
        if self.colour is not None:
            image = correct_colour(image, self.colour)
        if self.lens is not None:
            if (image.shape[1], image.shape[0]) != (self.lens.width_px, self.lens.height_px):
                raise CalibrationError(
                    f"{name} is {image.shape[1]}x{image.shape[0]} pixels, the lens was calibrated at "
                    f"{self.lens.width_px}x{self.lens.height_px}. Give photographs of that setting."
                )
            image = np.asarray(cv2.undistort(image, self.lens.matrix, self.lens.distortion), np.uint8)
        return image


@dataclass(frozen=True)
class Corrected:
    """Where corrected photographs are, and why others are not."""

    written: tuple[Path, ...]
    failed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"written": [str(path) for path in self.written], "failed": list(self.failed)}


def load_corrections(lens: Path | None, flat: Path | None, colour: Path | None) -> Corrections:
    """Read what `rig calibrate lens`, `flat` and `colour` wrote.

    Raises
    ------
    CalibrationError
        If a file holds none.
    """
    return Corrections(
        None if lens is None else load_lens(lens),
        None if flat is None else load_flat(flat),
        None if colour is None else load_colour(colour),
    )


def apply_to(images: Sequence[Path], corrections: Corrections, out: Path, reporter: Reporter) -> Corrected:
    """Correct photographs and write them as TIFF into a folder; the originals stay.

    Raises
    ------
    UsageError
        If there is nothing to correct by, or the folder is one that an original is in.
    """
    if corrections == Corrections(None, None, None):
        raise UsageError("Give what to correct by: --flat, --colour or --lens.")
    files = photographs(images, "IMAGES")
    if any(file.parent.resolve() == out.resolve() for file in files):
        raise UsageError(f"--out: {out} is where the originals are. Name another folder.")
    if len({file.stem for file in files}) < len(files):
        raise UsageError("Two of the images have the same name. Correct them into two folders.")
    make_folder(out)
    written, failed = [], []
    for file in files:
        try:
            corrected = corrections.apply(read_image(file), file.name)
        except (CalibrationError, ImageError) as error:
            failed.append(str(error))
            reporter.warn(str(error))
            continue
        written.append(write_atomically(out / f"{file.stem}.tif", encode_for_exchange(corrected, "tiff", None)))
    return Corrected(tuple(written), tuple(failed))
