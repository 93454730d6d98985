"""`rig calibrate apply`: images corrected by a lab's calibration, or by flat, colour and lens of photographs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from calibration.apply import apply
from calibration.bundle import Bundle, find, folder_of, load, numbered
from calibration.colour import ColourCorrection, true_light
from calibration.detector import Correction, corrected_light
from calibration.durable_files import make_folder, write_atomically
from calibration.errors import CalibrationError
from calibration.image import ImageError
from calibration.lens import Lens
from calibration.levels import encode_exact, read_deep
from calibration.response import Raw, codes_of, codes_of_light, encode, to_linear
from calibration.saved import load_colour, load_flat, load_lens
from capture.store import Store
from capture.store.records import Frame
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.measuring.photographs import photographs
from pipeline.reporter import Reporter

Format = Literal["tiff", "png"]
SUFFIXES: dict[Format, str] = {"tiff": ".tif", "png": ".png"}


@dataclass(frozen=True)
class Corrections:
    """What is known about the camera and the light of photographs; None where nothing is."""

    lens: Lens | None
    flat: Correction | None
    colour: ColourCorrection | None

    def apply(self, image: Raw, name: str) -> Raw:
        """The image (H, W, 3) evenly lit, in true colours and without distortion; size and bits stay.

        Raises
        ------
        CalibrationError
            If it has another size than lens or flat.
        """
        light = to_linear(image) if self.flat is None else corrected_light(image, self.flat, name)
        if self.colour is not None:
            # A response that was found from a chart is of stored values.
            codes = codes_of(image) if self.flat is None else codes_of_light(np.clip(light, 0, 1))
            light = true_light(codes, self.colour)
        if self.lens is not None:
            if (image.shape[1], image.shape[0]) != (self.lens.width_px, self.lens.height_px):
                raise CalibrationError(
                    f"{name} is {image.shape[1]}x{image.shape[0]} pixels, the lens was calibrated at "
                    f"{self.lens.width_px}x{self.lens.height_px}. Give photographs of that setting."
                )
            light = np.asarray(cv2.undistort(light, self.lens.matrix, self.lens.distortion), np.float32)
        return encode(light, image)


@dataclass(frozen=True)
class Corrected:
    """Where corrected images are, and why others are not.

    Attributes
    ----------
    same
        Of frames of the store, how many came out as they are stored, bit for bit; None of photographs.
    differing
        Frames that did not.
    """

    written: tuple[Path, ...]
    failed: tuple[str, ...]
    same: int | None = None
    differing: tuple[str, ...] = ()
    of: Literal["photograph", "frame"] = "photograph"

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        done = {"written": [str(path) for path in self.written], "failed": list(self.failed)}
        return done if self.same is None else {**done, "same": self.same, "differing": list(self.differing)}


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


def apply_to(
    images: Sequence[Path], corrections: Corrections, out: Path, format_: Format, reporter: Reporter
) -> Corrected:
    """Correct photographs and write them into a folder, with as many bits as they have; the originals stay.

    Raises
    ------
    UsageError
        If there is nothing to correct by, or the folder is one that an original is in.
    """
    if corrections == Corrections(None, None, None):
        raise UsageError("Give what to correct by: --flat, --colour or --lens; or --bundle with --light.")
    return _write_all(images, corrections.apply, out, format_, reporter)


def apply_bundle_to(
    images: Sequence[Path], bundle: Bundle, light: str, out: Path, format_: Format, reporter: Reporter
) -> Corrected:
    """Calibrate photographs taken under a light of the lab by its bundle, as a scan does; see `apply_to`."""

    def calibrated(image: Raw, name: str) -> Raw:
        try:
            return apply(image, bundle, light)
        except CalibrationError as error:
            raise CalibrationError(f"{name}: {error}") from error

    return _write_all(images, calibrated, out, format_, reporter)


def apply_to_frames(
    lab: Lab, store: Store, frames: Sequence[Frame], bundle: Bundle | None, out: Path, format_: Format
) -> Corrected:
    """Make calibrated frames again of raw ones and their bundle, and write them into a folder.

    Parameters
    ----------
    bundle
        Calibrate by this one; None for each frame's own, whose result is compared with what is stored.

    Raises
    ------
    LabError
        If there are no frames.
    """
    require_frames(frames)
    make_folder(out)
    written: list[Path] = []
    failed: list[str] = []
    differing: list[str] = []
    same = 0
    named = cache(partial(bundle_named, lab))
    for frame in frames:
        try:
            used = bundle or named(frame.calibration_id)
            box = frame.quality.get("calibrated_box_px")
            made = apply(store.image(frame.sha256), used, str(frame.light), None if box is None else tuple(box))
        except CalibrationError as error:
            failed.append(f"Frame {frame.id}: {error}")
            continue
        if bundle is None and frame.calibrated_sha256 is not None:
            if np.array_equal(store.image(frame.calibrated_sha256), made):
                same += 1
            else:
                differing.append(frame.id)
        written.append(write_frame(out, frame, made, used, format_))
    return Corrected(tuple(written), tuple(failed), same, tuple(differing), of="frame")


def require_frames(frames: Sequence[Frame]) -> None:
    """Raise LabError if there are no frames to calibrate."""
    if not frames:
        raise LabError("There are no frames to calibrate. `rig status` and `rig search` show what was scanned.")


def write_frame(out: Path, frame: Frame, made: Raw, bundle: Bundle, format_: Format) -> Path:
    """Write what was made of a frame by a bundle into a folder, under the frame's id."""
    return write_atomically(out / f"{frame.id}{SUFFIXES[format_]}", encode_exact(made, format_, bundle.mm_per_pixel))


def bundle_of(lab: Lab, wanted: str) -> Bundle:
    """A lab's bundle by its id, its number or its folder, or the ``latest``.

    Raises
    ------
    UsageError
        If it is not there.
    CalibrationError
        If it cannot be read.
    """
    return load(bundle_folder(lab, wanted))


def bundle_folder(lab: Lab, wanted: str) -> Path:
    """The folder of a lab's bundle by its id, its number or its folder, or the ``latest``.

    Raises
    ------
    UsageError
        If it is not there.
    """
    if wanted == "latest":
        saved = numbered(lab.calibrations)
        found = saved[-1][1] if saved else None
    else:
        found = folder_of(lab.calibrations, wanted)
    if found is None and Path(wanted).is_dir():
        found = Path(wanted)
    if found is None:
        command = lab.command("rig calibrate")
        raise UsageError(f"--bundle: there is no calibration {wanted} in {lab.calibrations}. `{command}` makes one.")
    return found


def bundle_named(lab: Lab, bundle_id: str | None) -> Bundle:
    """The bundle that a frame was calibrated by.

    Raises
    ------
    CalibrationError
        If there is none, or it is gone.
    """
    if bundle_id is None:
        raise CalibrationError("it was taken without a calibration; give one with --bundle.")
    bundle = find(lab.calibrations, bundle_id)
    if bundle is None:
        raise CalibrationError(
            f"its calibration {bundle_id} is not in {lab.calibrations}. Bring it back from a backup, or give "
            "another with --bundle."
        )
    return bundle


def _write_all(
    images: Sequence[Path],
    correct: Callable[[Any, str], Any],
    out: Path,
    format_: Format,
    reporter: Reporter,
) -> Corrected:
    files = photographs(images, "IMAGES")
    if any(file.parent.resolve() == out.resolve() for file in files):
        raise UsageError(f"--out: {out} is where the originals are. Name another folder.")
    if len({file.stem for file in files}) < len(files):
        raise UsageError("Two of the images have the same name. Correct them into two folders.")
    make_folder(out)
    written, failed = [], []
    for file in files:
        try:
            corrected = correct(read_deep(file), file.name)
        except (CalibrationError, ImageError) as error:
            failed.append(str(error))
            reporter.warn(str(error))
            continue
        written.append(write_atomically(out / f"{file.stem}{SUFFIXES[format_]}", encode_exact(corrected, format_)))
    return Corrected(tuple(written), tuple(failed))
