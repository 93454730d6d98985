"""`rig calibrate report`: what a calibration's images are worth by FADGI and ISO 19264-1, and how that changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from calibration.bundle import Bundle, load, number_of, numbered
from calibration.errors import CalibrationError
from calibration.guidelines import CRITERIA, Criterion, Requirement
from calibration.quality import Quality, read_quality
from pipeline.lab import Lab
from pipeline.reporter import Reporter


@dataclass(frozen=True)
class Verdict:
    """What one guideline says of one value: the grade, and the limit that it keeps or misses."""

    limits: Requirement
    grade: str
    limit: float | None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "guideline": self.limits.guideline,
            "verdict": self.grade,
            "limit": self.limit,
            "limits": dict(zip(self.limits.grades, self.limits.limits, strict=True)),
            "source": self.limits.source,
        }


@dataclass(frozen=True)
class Line:
    """A value of the report; None where it was not measured."""

    criterion: Criterion
    value: float | None
    verdicts: tuple[Verdict, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "name": self.criterion.name,
            "unit": self.criterion.unit,
            "value": None if self.value is None else round(self.value, self.criterion.digits + 2),
            "verdicts": [verdict.as_json() for verdict in self.verdicts],
        }


@dataclass(frozen=True)
class PastCalibration:
    """An earlier calibration, or this one, in the trend."""

    number: int
    id: str
    created_at: datetime
    values: Quality

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "number": self.number,
            "id": self.id,
            "created_at": self.created_at.isoformat(),
            "values": {key: round(value, 5) for key, value in self.values.items()},
        }


@dataclass(frozen=True)
class ImagingReport:
    """What a calibration's images are worth, and how that changed over the lab's calibrations."""

    bundle: Bundle
    number: int
    lines: tuple[Line, ...]
    trend: tuple[PastCalibration, ...]
    page: Path | None = None

    @property
    def grades(self) -> dict[str, str]:
        """Guideline -> the worst grade of any value that was measured, and that the guideline limits."""
        worst: dict[str, tuple[int, str]] = {}
        for verdict in (verdict for line in self.lines if line.value is not None for verdict in line.verdicts):
            place = verdict.limits.all_grades.index(verdict.grade)
            if place >= worst.get(verdict.limits.guideline, (-1, ""))[0]:
                worst[verdict.limits.guideline] = (place, verdict.grade)
        return {guideline: grade for guideline, (_, grade) in worst.items()}

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "calibration": self.bundle.id,
            "number": self.number,
            "created_at": self.bundle.created_at.isoformat(),
            "camera": self.bundle.camera,
            "grades": self.grades,
            "values": {line.criterion.key: line.as_json() for line in self.lines},
            "trend": [past.as_json() for past in self.trend],
            "page": None if self.page is None else str(self.page),
        }


def report_imaging(lab: Lab, folder: Path, reporter: Reporter) -> ImagingReport:
    """Judge the calibration in a folder of the lab's, and put it in line with those before it.

    Raises
    ------
    CalibrationError
        If it cannot be read. An earlier one that cannot be is left out of the trend, with a warning.
    """
    bundle, number = load(folder), number_of(folder)
    trend = []
    for past_number, past_folder in numbered(lab.calibrations):
        if (past_number, past_folder.name) > (number, folder.name):
            break
        try:
            past = bundle if past_folder == folder else load(past_folder)
        except CalibrationError as error:
            reporter.warn(f"Left out of the trend: {error}")
            continue
        if past.camera == bundle.camera:
            trend.append(PastCalibration(past_number, past.id, past.created_at, _values(past, past_folder)))
    quality = read_quality(folder)
    if not quality:
        reporter.warn(
            f"Calibration {bundle.id} was made without the measurements of this report. Run "
            f"`{lab.command('rig calibrate')}` again to have them."
        )
    return ImagingReport(bundle, number, tuple(_lines(_values(bundle, folder))), tuple(trend))


def _values(bundle: Bundle, folder: Path) -> Quality:
    """What was measured with a bundle, and what it holds itself."""
    return {
        "mm_per_pixel": bundle.mm_per_pixel,
        "focal_px": float(bundle.lens.matrix[0, 0]),
        "lens_rms_px": bundle.lens.rms_px,
        **read_quality(folder),
    }


def _lines(values: Quality) -> Sequence[Line]:
    lines = []
    for criterion in CRITERIA:
        value = values.get(criterion.key)
        verdicts = (
            ()
            if value is None
            else tuple(Verdict(asked, *asked.grade(value, criterion.better)) for asked in criterion.asked)
        )
        lines.append(Line(criterion, value, verdicts))
    return lines
