"""`rig calibrate colour`: true colours, from photographs of a ColorChecker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calibration.chart import CORNERS, find_chart
from calibration.colour import ColourFit, Model, fit_colour
from calibration.image import read_image
from calibration.saved import save_colour
from pipeline.errors import UsageError
from pipeline.measuring.photographs import photographs


@dataclass(frozen=True)
class ColourResult:
    """A colour correction, and the photograph that it was made of."""

    file: str
    fit: ColourFit
    out: Path | None

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
            "out": None if self.out is None else str(self.out),
        }


def calibrate_colour_of(images: Sequence[Path], corners: str | None, model: Model, out: Path | None) -> ColourResult:
    """Make a colour correction of a photograph of a chart.

    Raises
    ------
    UsageError
        If more than one photograph is given, or the corners cannot be read.
    CalibrationError
        If the chart is not found, or is not fit for it.
    """
    files = photographs(images, "--image")
    if len(files) > 1:
        raise UsageError(
            f"--image: {len(files)} images are given. A lamp has one correction: give one photograph of it."
        )
    chart = find_chart(read_image(files[0]), files[0].name, None if corners is None else _corners(corners))
    fit = fit_colour(chart, model, files[0].name)
    if out is not None:
        save_colour(fit.correction, out)
    return ColourResult(files[0].name, fit, out)


def _corners(text: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        numbers = np.array([float(part) for part in text.replace(",", " ").split()]).reshape(4, 2)
        if not np.isfinite(numbers).all():
            raise ValueError
    except ValueError:
        raise UsageError(f"--corners: {text!r} are not four places. Give {CORNERS}, in pixels.") from None
    return numbers
