"""`rig calibrate lens`: the lens of a camera, from photographs of a board."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.board import BoardView
from calibration.errors import CalibrationError
from calibration.image import ImageError, read_image
from calibration.lens import LensFit, fit_lens
from calibration.saved import save_lens
from calibration.target import corners_of, find_target, parse_target
from pipeline.measuring.photographs import photographs
from pipeline.reporter import Reporter

SAMPLES = 6  # photographs by which the dictionary of a ChArUco board is found out


@dataclass(frozen=True)
class PhotographedBoard:
    """What one photograph is good for: `corners` found, the residual, or why it was left out."""

    file: str
    corners: int
    rms_px: float | None
    left_out: str | None


@dataclass(frozen=True)
class LensResult:
    """A lens, and the photographs it was made of."""

    fit: LensFit
    board: str
    corners: int
    photographs: tuple[PhotographedBoard, ...]
    out: Path | None

    @property
    def left_out(self) -> tuple[PhotographedBoard, ...]:
        """The photographs that were not used."""
        return tuple(each for each in self.photographs if each.left_out is not None)

    @property
    def field_of_view_deg(self) -> float:
        """The angle that the image is wide, as the camera took it."""
        lens = self.fit.lens
        middle_px = lens.matrix[1, 2]
        ends = lens.at_unit_depth(np.array([[0.0, middle_px], [lens.width_px, middle_px]]))
        return float(np.degrees(np.ptp(np.arctan(ends[:, 0]))))

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        lens = self.fit.lens
        return {
            "board": self.board,
            "rms_px": round(lens.rms_px, 4),
            "size_px": [lens.width_px, lens.height_px],
            "matrix": [[float(value) for value in row] for row in lens.matrix],
            "distortion": [float(value) for value in lens.distortion],
            "focal_std_px": round(self.fit.focal_std_px, 4),
            "field_of_view_deg": round(self.field_of_view_deg, 2),
            "coverage": self.fit.coverage.tolist(),
            "photographs": [
                {
                    "file": each.file,
                    "corners": each.corners,
                    "of": self.corners,
                    "rms_px": None if each.rms_px is None else round(each.rms_px, 4),
                    "left_out": each.left_out,
                }
                for each in self.photographs
            ],
            "out": None if self.out is None else str(self.out),
        }


def calibrate_lens_of(images: Sequence[Path], board: str, out: Path | None, reporter: Reporter) -> LensResult:
    """Calibrate a lens with photographs of a board; those that do not show it are left out.

    Raises
    ------
    CalibrationError
        If they are not enough for the lens.
    """
    files = photographs(images, "--images")
    target = parse_target(board, _samples(files) if board.strip().startswith("charuco") else ())
    views: list[BoardView | None] = []
    reasons: list[str | None] = []
    for file in files:
        try:
            view = find_target(read_image(file), target, file.name)
        except (CalibrationError, ImageError) as error:
            views.append(None)
            reasons.append(str(error))
            reporter.warn(str(error))
            continue
        views.append(view)
        reasons.append(None)
        reporter.report(f"{file.name}: {len(view.corners_px)} of {corners_of(target)} corners.")
    seen = [view for view in views if view is not None]
    try:
        fit = fit_lens(seen)
    except CalibrationError as error:
        raise CalibrationError(f"The board was found in {len(seen)} of {len(files)} images. {error}") from error
    shown = []
    used = iter(zip(fit.view_rms_px, fit.left_out, strict=True))
    for file, found, reason in zip(files, views, reasons, strict=True):
        rms_px, left_out = (None, reason) if found is None else next(used)
        shown.append(PhotographedBoard(file.name, 0 if found is None else len(found.corners_px), rms_px, left_out))
    if out is not None:
        save_lens(fit.lens, out)
    return LensResult(fit, str(target), corners_of(target), tuple(shown), out)


def _samples(files: Sequence[Path]) -> list[Any]:
    step = max(1, len(files) // SAMPLES)
    samples = []
    for file in files[::step][:SAMPLES]:
        try:
            samples.append(read_image(file))
        except ImageError:
            continue  # it is named when it is looked at
    return samples
