"""The part of `rig calibrate` that its report comes from: board, card and chart once more, calibrated.

Nothing in here stops a calibration: what cannot be measured is left out of the report, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from calibration.apply import apply
from calibration.board import BoardSpec, find_board
from calibration.bundle import Bundle
from calibration.chart import find_chart
from calibration.control import EXPOSURE_US, appearance_of
from calibration.errors import CalibrationError
from calibration.image import Image
from calibration.imaging import of_card, of_chart, of_edges, of_scale
from calibration.plate import RingSpec
from calibration.quality import Quality
from calibration.response import to_linear
from calibration.sharpness import measure_sharpness
from pipeline.reporter import Reporter

CHART_TURN_DEG = 10.0  # of the plate, so that the chart's patches are seen elsewhere than where they were fitted


@dataclass(frozen=True, eq=False)
class Witnesses:
    """Raw images (H, W, 3) under the calibration's light that nothing was fitted to; None for what was not shown.

    Attributes
    ----------
    plate, plate_exposure_us
        The empty plate with its ring, at 0 degrees.
    board
        The board lying flat, its edges slanted.
    card
        The white card.
    chart
        The colour chart.
    ring_mm_per_pixel
        The scale that the ring gives.
    """

    plate: Image
    plate_exposure_us: int
    board: Image
    card: Image
    chart: Image | None
    ring_mm_per_pixel: float | None


def measure_quality(
    bundle: Bundle, light: str, spec: BoardSpec, ring: RingSpec, seen: Witnesses, reporter: Reporter
) -> Quality:
    """What images are worth that a calibration corrects, and how the plate looks, for control frames."""
    chart, card = seen.chart, seen.card
    steps: list[Callable[[], dict[str, float]]] = [
        lambda: of_scale(bundle.mm_per_pixel, seen.ring_mm_per_pixel),
        lambda: of_card(apply(card, bundle, light)),
        lambda: _of_board(apply(seen.board, bundle, light), spec),
    ]
    if chart is not None:
        steps.append(lambda: _of_chart(apply(chart, bundle, light)))
    quality: dict[str, float] = {}
    for measure in steps:
        try:
            quality |= measure()
        except CalibrationError as error:
            reporter.warn(f"Left out of the imaging report: {error}")
    appearance = appearance_of(apply(seen.plate, bundle, light), ring)
    return quality | ({EXPOSURE_US: float(seen.plate_exposure_us)} | appearance if appearance else {})


def _of_chart(image: Image) -> dict[str, float]:
    return of_chart(image, find_chart(image, "the chart, turned"))


def _of_board(image: Image, spec: BoardSpec) -> dict[str, float]:
    sharpness = measure_sharpness(to_linear(image), find_board(image, spec, "the board, turned"), spec)
    if sharpness is None:
        raise CalibrationError(
            "the sharpness, since the board shows too few edges that are long and slanted enough. Lay it flat, whole "
            "in sight."
        )
    return of_edges(sharpness)
