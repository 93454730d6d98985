"""The page of `rig calibrate report`: each value, its limits and verdicts, and the trend; one file, opens offline."""

from __future__ import annotations

from pathlib import Path

from calibration.guidelines import Criterion
from pipeline.lab import Lab
from pipeline.reports import plots
from pipeline.reports.imaging import ImagingReport, Line, Verdict
from pipeline.reports.pages import page_template, write_page

LEAST_TREND = 2  # calibrations, to draw one
TRENDS = (
    ("mm_per_pixel", "scale", "mm per pixel"),
    ("ciede2000_mean", "colour", "mean CIEDE2000"),
    ("uniformity_percent", "uniformity", "%"),
    ("mtf50", "sharpness", "MTF50, cycles/px"),
    ("noise", "noise", "L*"),
)


def write_imaging_page(lab: Lab, report: ImagingReport) -> Path:
    """Write ``reports/imaging-<number>-<id>.html`` and return its path."""
    sources = list(dict.fromkeys(verdict.limits.source for line in report.lines for verdict in line.verdicts))
    page = page_template("imaging.html").render(
        bundle=report.bundle,
        number=report.number,
        grades=report.grades,
        rows=[_row(line, sources) for line in report.lines],
        sources=sources,
        trend=_draw_trend(report),
        past=[(past.number, past.created_at.strftime("%Y-%m-%d %H:%M UTC"), past.id) for past in report.trend],
    )
    return write_page(lab, f"imaging-{report.number}-{report.bundle.id}.html", page)


def format_value(criterion: Criterion, value: float | None) -> str:
    """A value with its unit."""
    if value is None:
        return "not measured"
    return f"{value:.{criterion.digits}f}{'' if criterion.unit in ('', '%') else ' '}{criterion.unit}"


def _row(line: Line, sources: list[str]) -> tuple[str, str, list[tuple[str, str, str, int]]]:
    """What, how much, and for each guideline: its name, its limits, its verdict, and the number of its source."""
    verdicts = [
        (each.limits.guideline, _limits(line.criterion, each), each.grade, sources.index(each.limits.source) + 1)
        for each in line.verdicts
    ]
    return line.criterion.name, format_value(line.criterion, line.value), verdicts


def _limits(criterion: Criterion, verdict: Verdict) -> str:
    sign = "≤" if criterion.better == "less" else "≥"
    return ", ".join(
        f"{grade}: {'not read' if limit is None else f'{sign} {limit:g}'}"
        for grade, limit in zip(verdict.limits.grades, verdict.limits.limits, strict=True)
    )


def _draw_trend(report: ImagingReport) -> str:
    trends = []
    for key, title, unit in TRENDS:
        points = [(past.created_at, past.values[key]) for past in report.trend if key in past.values]
        if len(points) >= LEAST_TREND:
            trends.append(plots.Trend(title, unit, [at for at, _ in points], [value for _, value in points]))
    return plots.draw_trends(trends) if trends else ""
