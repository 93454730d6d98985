"""The page of cuts that wait for a person."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from calibration.image import Image
from pipeline.lab import Lab
from pipeline.reports.images import as_data_url
from pipeline.reports.pages import page_template, write_page


@dataclass(frozen=True)
class CutView:
    """A coin that was cut out of a page, why that is doubtful, and its images."""

    coin: str
    doubt: str
    images: tuple[Image, ...]


def write_cuts_page(lab: Lab, cuts: Sequence[CutView]) -> Path:
    """Write ``reports/cuts.html`` and return its path."""
    shown = [(cut.coin, cut.doubt, [as_data_url(image, 86) for image in cut.images]) for cut in cuts]
    return write_page(lab, "cuts.html", page_template("cuts.html").render(cuts=shown))
