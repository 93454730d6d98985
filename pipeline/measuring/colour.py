"""`rig calibrate colour`: true colours, from photographs of a ColorChecker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.chart import CORNERS, find_chart
from calibration.colour import ColourFit, fit_colour
from calibration.colour_matrix import Model
from calibration.errors import CalibrationError
from calibration.image import ImageError, read_image
from calibration.saved import save_colour
from pipeline.errors import UsageError
from pipeline.measuring.photographs import photographs
from pipeline.reporter import Reporter


@dataclass(frozen=True)
class ChartResult:
    """A colour correction, and the photograph that it was made of."""

    file: str
    fit: ColourFit

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        left, correction = self.fit.ciede2000, self.fit.correction
        return {
            "file": self.file,
            "ciede2000": {
                "mean": round(float(left.mean()), 3),
                "p90": round(float(np.percentile(left, 90)), 3),
                "max": round(float(left.max()), 3),
                "patches": [round(float(value), 3) for value in left],
            },
            "response": correction.response_kind,
            "model": correction.model,
            "white_balance": [round(float(value), 5) for value in correction.white_balance],
            "matrix": [[round(float(value), 6) for value in row] for row in correction.matrix],
            "shading": round(self.fit.shading, 4),
        }


@dataclass(frozen=True)
class ColourResult:
    """The charts of photographs, and why others are no good."""

    charts: tuple[ChartResult, ...]
    failed: tuple[str, ...]
    out: Path | None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "charts": [chart.as_json() for chart in self.charts],
            "failed": list(self.failed),
            "out": None if self.out is None else str(self.out),
        }


def calibrate_colour_of(
    images: Sequence[Path], corners: str | None, model: Model, out: Path | None, reporter: Reporter
) -> ColourResult:
    """Make a colour correction of each photograph of a chart, and keep it if there is one.

    Raises
    ------
    UsageError
        If several are to be kept in one file, or the corners cannot be read.
    """
    files = photographs(images, "--image")
    if len(files) > 1 and (out is not None or corners is not None):
        raise UsageError(
            f"--image: {len(files)} images are given. --out and --corners are of one: give one photograph."
        )
    places = None if corners is None else _corners(corners)
    charts, failed = [], []
    for file in files:
        try:
            fit = fit_colour(find_chart(read_image(file), file.name, places), model, file.name)
        except (CalibrationError, ImageError) as error:
            failed.append(str(error))
            reporter.warn(str(error))
            continue
        charts.append(ChartResult(file.name, fit))
    if not charts or out is None:
        return ColourResult(tuple(charts), tuple(failed), None)
    save_colour(charts[0].fit.correction, out)
    return ColourResult(tuple(charts), tuple(failed), out)


def _corners(text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        numbers = np.array([float(part) for part in text.replace(",", " ").split()]).reshape(4, 2)
        if not np.isfinite(numbers).all():
            raise ValueError
    except ValueError:
        raise UsageError(f"--corners: {text!r} are not four places. Give {CORNERS}, in pixels.") from None
    return numbers
