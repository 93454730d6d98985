"""`rig measure --coin`: diameters, area, outline and die axis of coins in the store, kept in its journal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from calibration.bracket import MERGED_EXPOSURE_US
from calibration.bundle import find
from calibration.coin_shape import USUAL_THICKNESS_MM, CoinShape, axis_hours, coin_shape, die_axis_deg, turn_between
from calibration.errors import CalibrationError
from calibration.image import Image, ImageError
from calibration.outline import Outline, find_coin
from calibration.response import LUMINANCE, to_image, to_linear
from capture.store import Store
from capture.store.journal_lines import CoinMeasured
from capture.store.records import Candidate, Frame
from pipeline.lab import Lab
from pipeline.people import name_of_user
from pipeline.reporter import Reporter
from rig.sides import SIDES, Side

KEPT_EVERY = 6  # point of an outline: 120 of them, 3 degrees apart


@dataclass(frozen=True)
class MeasuredSide:
    """One side's shape, in frames at one angle of the plate (deg)."""

    side: Side
    shape: CoinShape
    turntable_deg: float
    frames: int


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
    for frame in frames:
        if shows_from_above(frame) and frame.side in SIDES:
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
            found = _measure(store, coin, [each for each in by_coin[coin] if each.session_id == latest], height_mm)
        except (CalibrationError, ImageError) as error:
            failed.append(f"{coin}: {error}")
            reporter.warn(failed[-1])
            continue
        store.journal.log(found.line, latest)
        measured.append(found)
    return MeasuredCoins(tuple(measured), tuple(failed))


def _measure(
    store: Store, coin: str, frames: Sequence[Frame], height_mm_by: Callable[[str], float | None]
) -> MeasuredCoin:
    height_mm = height_mm_by(str(frames[0].calibration_id))
    sides = tuple(
        _measure_side(store, side, shown, height_mm)
        for side in SIDES
        if (shown := one_angle([frame for frame in frames if frame.side == side]))
    )
    shapes = [each.shape for each in sides]
    axis_deg = _die_axis(store, frames[0].session_id, coin, sides)
    line = CoinMeasured(
        coin=coin,
        diameter_mm=_mean([shape.diameter_mm for shape in shapes]),
        diameter_min_mm=_mean([shape.least_mm for shape in shapes]),
        diameter_max_mm=_mean([shape.greatest_mm for shape in shapes]),
        area_mm2=_mean([shape.area_mm2 for shape in shapes]),
        axis_deg=None if axis_deg is None else round(axis_deg, 1),
        axis_h=None if axis_deg is None else axis_hours(axis_deg),
        outlines={
            str(each.side): tuple(
                (round(float(x), 2), round(float(y), 2)) for x, y in each.shape.outline_mm[::KEPT_EVERY]
            )
            for each in sides
        },
        calibration=frames[0].calibration_id,
        who=name_of_user(),
    )
    return MeasuredCoin(coin, sides, line)


def _measure_side(store: Store, side: Side, frames: Sequence[Frame], height_mm: float | None) -> MeasuredSide:
    """Its shape in the brightest of lights, in which each part of the rim is lit and no shadow widens it."""
    mean, brightest = lights_of(shared_parts(store, frames))
    scale = frames[0].mm_per_pixel or 1.0
    shape = coin_shape(brightest, coin_in(mean), scale, thickness_mm=USUAL_THICKNESS_MM, height_mm=height_mm)
    return MeasuredSide(side, shape, frames[0].turntable_read_deg or 0.0, len(frames))


def shows_from_above(frame: Frame) -> bool:
    """Whether a frame is good, calibrated, and taken from straight above."""
    return frame.is_good and frame.calibrated_sha256 is not None and not frame.tilt_deg


def lights_of(parts: Iterable[Image]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean and brightest linear light (H, W) of images (H, W, 3), of which there is at least one."""
    lights = (to_linear(part) @ LUMINANCE for part in parts)
    total = brightest = next(lights)
    number = 1
    for light in lights:
        total, number = total + light, number + 1
        brightest = np.maximum(brightest, light)
    return np.asarray(total / number, np.float32), np.asarray(brightest, np.float32)


def coin_in(light: npt.NDArray[np.float32]) -> Outline:
    """Find the coin in light (H, W).

    Raises
    ------
    NoCoinError
        If there is none.
    """
    return find_coin(to_image(np.repeat(light[..., None], 3, axis=2)))


def shared_parts(store: Store, frames: Sequence[Frame]) -> Iterator[Image]:
    """Of each calibrated frame (H, W, 3), the part that all of them show; as if all were exposed for as long.

    Images of exposure brackets are each as bright as they can be: they are brought to the shortest exposure of them.
    """
    exposures_us: list[float | None] = [frame.quality.get(MERGED_EXPOSURE_US) for frame in frames]
    shortest_us = min((each for each in exposures_us if each), default=None)
    boxes = np.array([frame.quality["calibrated_box_px"] for frame in frames])
    left, top = boxes[:, :2].max(axis=0)
    right, bottom = boxes[:, 2:].min(axis=0)
    for frame, box, exposure_us in zip(frames, boxes, exposures_us, strict=True):
        image = store.image(str(frame.calibrated_sha256))
        part = np.ascontiguousarray(image[top - box[1] : bottom - box[1], left - box[0] : right - box[0]])
        if shortest_us is not None and exposure_us is not None and exposure_us > shortest_us:
            part = to_image(to_linear(part) * np.float32(shortest_us / exposure_us))
        yield part


def one_angle(frames: Sequence[Frame]) -> list[Frame]:
    """The frames of the commonest placement, at the angle that was lit by most lights; one of each light."""
    if not frames:
        return []
    placement = Counter(frame.placement for frame in frames).most_common(1)[0][0]
    placed = [frame for frame in frames if frame.placement == placement]
    angle = Counter(frame.turntable_deg for frame in placed).most_common(1)[0][0]
    return list({frame.light: frame for frame in placed if frame.turntable_deg == angle}.values())


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
