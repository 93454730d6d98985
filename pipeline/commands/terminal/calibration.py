"""What the commands of `pipeline.commands.calibration` print."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.table import Table

from pipeline.commands.terminal.output import console, print_line
from pipeline.fitted_table import Column, FittedTable
from pipeline.wording import count, literal

if TYPE_CHECKING:
    from pathlib import Path

    from pipeline.measuring.apply import Corrected
    from pipeline.measuring.colmap import ColmapFolder
    from pipeline.measuring.colour import ChartResult, ColourResult
    from pipeline.measuring.flat import FlatResult
    from pipeline.measuring.lens import LensResult
    from pipeline.measuring.lights import LightsResult
    from pipeline.measuring.measure import Measured
    from pipeline.measuring.relief import ReliefResult
    from pipeline.measuring.result import CalibrationResult
    from pipeline.measuring.stored import MeasuredCoins
    from pipeline.reports.imaging import ImagingReport

PATCH_COLUMNS = 6
COIN_COLUMNS = (
    Column("Coin"),
    Column("Diameter, mm", is_number=True),
    Column("least", is_number=True),
    Column("greatest", is_number=True),
    Column("mm²", is_number=True),
    Column("Thickness, mm", is_number=True),
    Column("Die axis", is_number=True),
    Column("Sides", rank=1),
)


def print_calibration(result: CalibrationResult) -> None:
    """Print what `calibrate` measured."""
    bundle = result.bundle
    print_line(
        f"Calibrated: {bundle.id} (number {result.number}, valid until {bundle.expires_at():%Y-%m-%d}). "
        f"Lens error: {bundle.lens.rms_px:.2f} px RMS (0.8 at most). "
        f"Scale: {1000 * bundle.mm_per_pixel:.2f} µm per pixel. Flat fields: {count(len(bundle.flats), 'light')}."
    )


def print_imaging(result: ImagingReport) -> None:
    """Print each value of an imaging report with its verdicts."""
    from pipeline.reports.imaging_page import format_value

    table = Table("Value", "Measured", "Verdict", title=f"Calibration {result.number}, {result.bundle.id}")
    for line in result.lines:
        verdicts = "; ".join(f"{each.limits.guideline}: {each.grade}" for each in line.verdicts)
        table.add_row(literal(line.criterion.name), format_value(line.criterion, line.value), literal(verdicts))
    console.print(table)
    print_line(f"The limits, where they were read, and the trend: {result.page}.")


def print_lens(result: LensResult) -> None:
    """Print the lens, and which photographs were left out."""
    lens, used = result.fit.lens, len(result.photographs) - len(result.left_out)
    terms = " ".join(f"{value:.4f}" for value in lens.distortion)
    of = count(len(result.photographs), "photograph")
    empty = int((result.fit.coverage == 0).sum())
    print_line(
        f"Lens of {lens.width_px}x{lens.height_px} pixels, from {used} of {of}.",
        f"  error: {lens.rms_px:.3f} px RMS",
        f"  focal length: {lens.matrix[0, 0]:.2f} px, certain to {result.fit.focal_std_px:.2f}; the image is "
        f"{result.field_of_view_deg:.1f} degrees wide",
        f"  centre: {lens.matrix[0, 2]:.2f}, {lens.matrix[1, 2]:.2f}",
        f"  distortion: {terms}",
        f"  corners in {result.fit.coverage.size - empty} of {result.fit.coverage.size} parts of the image",
    )
    for each in result.left_out:
        print_line(f"  left out: {each.file}: {each.left_out}")
    _print_kept(result.out)


def print_flat(result: FlatResult) -> None:
    """Print what the flat takes out."""
    correction, gain = result.correction, result.correction.gain
    print_line(
        f"Flat of {correction.width_px}x{correction.height_px} pixels, from "
        + ", ".join(f"{number} {kind}" for kind, number in result.frames.items())
        + ".",
        f"  dark level: {100 * float(correction.dark.mean()):.2f} % of the light that the camera can take; "
        f"{count(len(correction.hot), 'hot pixel')}",
        f"  uneven light: factors from {gain.min():.2f} to {gain.max():.2f}; edges of objects: {correction.masked:.0%}",
    )
    _print_kept(result.out)


def print_colour(result: ColourResult) -> None:
    """Print how true the colours become, for each chart."""
    for chart in result.charts:
        _print_chart(chart)
    _print_kept(result.out)


def _print_chart(chart: ChartResult) -> None:
    left, correction = chart.fit.ciede2000, chart.fit.correction
    balance = ", ".join(f"{value:.3f}" for value in correction.white_balance)
    stored = {"linear": "light", "srgb": "sRGB", "fitted": "a curve of the camera's own"}[correction.response_kind]
    print_line(
        f"Colours of {chart.file}: CIEDE2000 mean {left.mean():.2f}, 90th percentile {np.percentile(left, 90):.2f}, "
        f"greatest {left.max():.2f} ({correction.model}).",
        f"  white balance: {balance}; the camera stores {stored}; the light falls by {chart.fit.shading:.0%}",
    )
    for row in left.reshape(-1, PATCH_COLUMNS):
        print_line("  " + " ".join(f"{value:5.2f}" for value in row))


def print_lights(result: LightsResult) -> None:
    """Print where each light comes from."""
    from pipeline.measuring.lights import azimuth_deg, elevation_deg

    table = Table("Photograph", "Azimuth", "Elevation", "x", "y", "z")
    for file, direction in zip(result.files, result.directions, strict=True):
        angles = f"{azimuth_deg(direction):.1f}°", f"{elevation_deg(direction):.1f}°"
        table.add_row(literal(file), *angles, *(f"{value:.3f}" for value in direction))
    console.print(table)
    _print_kept(result.out)


def print_relief(result: ReliefResult) -> None:
    """Print how good a relief is, and where it was written."""
    facts = result.as_json()
    low, high = facts["height_range"]
    stored = "light" if result.response == "linear" else "sRGB"
    print_line(
        f"Relief from {count(result.lights, 'light')}; the images store {stored}.",
        f"  used at a place on average: {count(facts['lights_used_mean'], 'light')}",
        f"  difference from Lambert's law: {facts['residual']:.1%} of the light",
        f"  height: {low:g} to {high:g} {facts['height_unit']}",
    )
    if result.rti_by_law:
        print_line(
            "  the lights alone do not determine a relightable image: what they lack is taken from Lambert's law"
        )
    print_line(f"Written to {result.out}.")


def print_colmap(result: ColmapFolder) -> None:
    """Print what was written for COLMAP."""
    tilts = ", ".join(f"{tilt:g}" for tilt in result.tilts_deg)
    print_line(
        f"{count(len(result.images), 'image')} under {result.light}, at a tilt of {tilts} degrees, in {result.out}.",
        f"The ring agrees with the cameras to {result.rms_px:.2f} px RMS.",
    )


def print_corrected(result: Corrected) -> None:
    """Print where corrected images are, and whether frames came out as they are stored."""
    if result.written:
        print_line(f"{count(len(result.written), result.of)} corrected, in {result.written[0].parent}.")
    if result.same is not None:
        print_line(f"{result.same} came out as they are stored, bit for bit.")
    for frame in result.differing:
        print_line(f"Frame {frame} differs from what is stored: it was made by another version of this program.")
    if result.of == "frame":  # a photograph's reason is a warning
        for reason in result.failed:
            print_line(reason)
    if result.failed:
        print_line(f"{count(len(result.failed), result.of)} not corrected.")


def print_measured(result: Measured) -> None:
    """Print each coin's measures."""
    for each in result.photographs:
        if not each.coins:
            continue
        by = f", by {each.corners} corners of the board" if each.corners else ""
        table = Table(
            "x", "y", "Diameter", "least", "greatest", "mm²", "", title=literal(each.file), title_justify="left"
        )
        for coin in each.coins:
            table.add_row(
                *(f"{value:.0f}" for value in coin.centre_px),
                *(f"{value:.2f} mm" for value in (coin.diameter_mm, coin.least_mm, coin.greatest_mm)),
                f"{coin.area_mm2:.1f}",
                "" if coin.is_round else "by its ground",
            )
        console.print(table)
        print_line(f"{1000 * each.mm_per_pixel:.2f} µm per pixel{by}.")


def print_measured_coins(result: MeasuredCoins) -> None:
    """Print what coins of the store measure."""
    if not result.coins:
        return
    rows = [
        (
            literal(coin.coin),
            *(f"{value:.2f}" for value in (line.diameter_mm, line.diameter_min_mm, line.diameter_max_mm)),
            f"{line.area_mm2:.1f}",
            "" if line.thickness_mm is None else f"{line.thickness_mm:.2f} ± {line.thickness_error_mm:.2f}",
            "" if line.axis_h is None else f"{line.axis_h:g} h",
            ", ".join(f"{each.side} ({count(each.frames, 'light')})" for each in coin.sides),
        )
        for coin in result.coins
        for line in [coin.line]
    ]
    console.print(FittedTable(COIN_COLUMNS, rows))
    if any(coin.line.axis_h is None for coin in result.coins):
        print_line("A die axis needs both sides, matched with the catalogue, and an outline that is not quite round.")


def _print_kept(out: Path | None) -> None:
    if out is not None:
        print_line(f"Kept in {out}.")
