"""`rig measure --coin`: diameters, area, thickness, outline and die axis of stored coins, kept in the journal."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from calibration.bundle import find
from calibration.coin_shape import USUAL_THICKNESS_MM, CoinShape, axis_hours, coin_shape, die_axis_deg, turn_between
from calibration.errors import CalibrationError
from calibration.image import ImageError
from calibration.thickness import Thickness
from capture.store import Store
from capture.store.journal_lines import CoinMeasured
from capture.store.records import Candidate, Frame
from pipeline.lab import Lab
from pipeline.measuring.lit_frames import coin_in, lights_of, one_angle, shared_parts, shows_from_above
from pipeline.measuring.thickness import measure_thickness, shows_edge
from pipeline.people import name_of_user
from pipeline.reporter import Reporter
from rig.sides import SIDES, Side

KEPT_EVERY = 6  # point of an outline: 120 of them, 3 degrees apart


@dataclass(frozen=True)
class MeasuredSide:
    """One side's shape, in frames at one angle of the plate (deg), from a height above it if that is known (mm)."""

    side: Side
    shape: CoinShape
    turntable_deg: float
    frames: int
    height_mm: float | None
    calibration: str | None

    def of_thickness(self, thickness_mm: float) -> MeasuredSide:
        """As it is for a coin of this thickness instead of the usual one: its upper side is nearer, or further."""
        if self.height_mm is None:
            return self
        factor = (self.height_mm - thickness_mm) / (self.height_mm - USUAL_THICKNESS_MM)
        return replace(self, shape=self.shape.enlarged(factor))


@dataclass(frozen=True)
class MeasuredCoin:
    """What a coin of the store measures; `line` is what is kept of it."""

    coin: str
    sides: tuple[MeasuredSide, ...]
    line: CoinMeasured

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return self.line.detail()


@dataclass(frozen=True)
class MeasuredCoins:
    """The coins that were measured, and why others were not."""

    coins: tuple[MeasuredCoin, ...]
    failed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"coins": [coin.as_json() for coin in self.coins], "failed": list(self.failed)}


def measure_stored(lab: Lab, store: Store, frames: Sequence[Frame], reporter: Reporter) -> MeasuredCoins:
    """Measure every coin that frames show, each in its latest session, and write what comes out to the journal."""
    by_coin: dict[str, list[Frame]] = {}
    edges: dict[str, list[Frame]] = {}
    for frame in frames:
        if shows_edge(frame):
            edges.setdefault(frame.coin_id, []).append(frame)
        elif shows_from_above(frame) and frame.side in SIDES:
            by_coin.setdefault(frame.coin_id, []).append(frame)
    height_mm = cache(partial(_height_mm, lab.calibrations))
    measured, failed = [], []
    for coin in dict.fromkeys(frame.coin_id for frame in frames):
        try:
            latest = max((frame.number, frame.session_id) for frame in by_coin.get(coin, []))[1]
        except ValueError:
            failed.append(f"{coin}: there is no good calibrated frame from above. Scan it, or calibrate first.")
            reporter.warn(failed[-1])
            continue
        try:
            sides = _measure_sides(store, [each for each in by_coin[coin] if each.session_id == latest], height_mm)
        except (CalibrationError, ImageError) as error:
            failed.append(f"{coin}: {error}")
            reporter.warn(failed[-1])
            continue
        thickness = _thickness(lab, store, coin, edges.get(coin, []), sides, reporter)
        found = _measured(store, coin, latest, sides, thickness)
        store.journal.log(found.line, latest)
        measured.append(found)
    return MeasuredCoins(tuple(measured), tuple(failed))


def _measure_sides(
    store: Store, frames: Sequence[Frame], height_mm_by: Callable[[str], float | None]
) -> tuple[MeasuredSide, ...]:
    height_mm = height_mm_by(str(frames[0].calibration_id))
    return tuple(
        _measure_side(store, side, shown, height_mm)
        for side in SIDES
        if (shown := one_angle([frame for frame in frames if frame.side == side]))
    )


def _measure_side(store: Store, side: Side, frames: Sequence[Frame], height_mm: float | None) -> MeasuredSide:
    """Its shape in the brightest of lights, in which each part of the rim is lit and no shadow widens it."""
    mean, brightest = lights_of(shared_parts(store, frames))
    scale = frames[0].mm_per_pixel or 1.0
    shape = coin_shape(brightest, coin_in(mean), scale, thickness_mm=USUAL_THICKNESS_MM, height_mm=height_mm)
    angle_deg, calibration = frames[0].turntable_read_deg or 0.0, frames[0].calibration_id
    return MeasuredSide(side, shape, angle_deg, len(frames), height_mm, calibration)


def _thickness(
    lab: Lab, store: Store, coin: str, frames: Sequence[Frame], sides: Sequence[MeasuredSide], reporter: Reporter
) -> Thickness | None:
    """The thickness, in the latest session that has frames of the edge; None, and a warning, if they do not tell."""
    if not frames:
        return None
    latest = max(frames, key=lambda frame: frame.number).session_id
    of_latest = [each for each in frames if each.session_id == latest]
    try:
        return measure_thickness(lab, store, of_latest, [each.shape for each in sides], sides[0].height_mm or math.inf)
    except (CalibrationError, ImageError) as error:
        reporter.warn(f"{coin}: its thickness was not measured: {error}")
        return None


def _measured(
    store: Store, coin: str, session_id: str, sides: Sequence[MeasuredSide], thickness: Thickness | None
) -> MeasuredCoin:
    if thickness is not None:
        sides = [each.of_thickness(thickness.mean_mm) for each in sides]
    shapes = [each.shape for each in sides]
    axis_deg = _die_axis(store, session_id, coin, sides)
    line = CoinMeasured(
        coin=coin,
        diameter_mm=_mean([shape.diameter_mm for shape in shapes]),
        diameter_min_mm=_mean([shape.least_mm for shape in shapes]),
        diameter_max_mm=_mean([shape.greatest_mm for shape in shapes]),
        area_mm2=_mean([shape.area_mm2 for shape in shapes]),
        thickness_mm=None if thickness is None else round(thickness.mean_mm, 3),
        thickness_error_mm=None if thickness is None else round(thickness.std_error_mm, 3),
        axis_deg=None if axis_deg is None else round(axis_deg, 1),
        axis_h=None if axis_deg is None else axis_hours(axis_deg),
        outlines={
            str(each.side): tuple(
                (round(float(x), 2), round(float(y), 2)) for x, y in each.shape.outline_mm[::KEPT_EVERY]
            )
            for each in sides
        },
        calibration=sides[0].calibration,
        who=name_of_user(),
    )
    return MeasuredCoin(coin, tuple(sides), line)


def _die_axis(store: Store, session_id: str, coin: str, sides: Sequence[MeasuredSide]) -> float | None:
    """The die axis (deg), from both outlines, and from how the matched catalogue's images, which are upright, lie.

    None where the coin was not matched on both sides, or its outline is too round to say how it was turned over.
    """
    ranking = store.rankings.latest(session_id, coin)
    if ranking is None or ranking.verdict != "match" or len(sides) < len(SIDES):
        return None
    turns = _turns_to_upright(ranking.candidates[0])
    turn_deg = turn_between(sides[0].shape, sides[1].shape)
    if turn_deg is None or set(turns) != set(SIDES):
        return None
    # A frame at a of the plate shows the coin turned by a, and it comes upright when turned on by t: up is at 90 - t.
    up = [90.0 - turns[each.side] + each.turntable_deg for each in sides]
    return die_axis_deg(turn_deg, *up)


def _turns_to_upright(candidate: Candidate) -> Mapping[Side, float]:
    """Side -> how far (deg, counter-clockwise) the coin at 0 of the plate is turned to lie as in the catalogue."""
    turns: dict[Side, float] = {}
    for each in candidate.evidence.get("registrations", []):
        matrix, side = each.get("matrix"), each.get("side")
        if matrix is not None and side in SIDES:
            further_deg = -float(np.degrees(np.arctan2(matrix[1][0], matrix[0][0])))  # rows count downwards
            turns[side] = float(each["turn_deg"]) + further_deg
    return turns


def _height_mm(calibrations: Path, calibration_id: str) -> float | None:
    """The camera's height above the plate (mm), by a calibration; None if that is gone."""
    bundle = find(calibrations, calibration_id)
    return None if bundle is None else float(bundle.lens.matrix[0, 0]) * bundle.mm_per_pixel


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 3)
