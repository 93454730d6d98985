"""The order in which the shots of a coin cost least time, by what each change of the rig costs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Literal

from capture.engine.rig import Costs
from capture.plan import Shot
from rig.sides import EDGE, SIDES, Side

Setting = Literal["tilt_deg", "turntable_deg", "light"]
SETTINGS: tuple[Setting, ...] = ("tilt_deg", "turntable_deg", "light")


@dataclass(frozen=True)
class RigSetting:
    """How a rig is set; None where that is not known."""

    tilt_deg: float | None = None
    turntable_deg: float | None = None
    light: str | None = None


@dataclass(frozen=True)
class Changes:
    """What changes between shots: how far each turn and tilt goes (deg), and how many changes of light there are."""

    turns_deg: tuple[float, ...]
    tilts_deg: tuple[float, ...]
    lights: int


def by_side_up(shots: Sequence[Shot], up: Side) -> list[tuple[Side, list[Shot]]]:
    """Shots of one coin by the side that has to be up, beginning with the one that is: it is turned over once at most.

    The edge is seen whichever side is up: its shots are taken with those of the last side.
    """
    first_up = sorted(SIDES, key=lambda side: side != up)
    of_sides = [(side, [shot for shot in shots if shot.side == side]) for side in first_up]
    found = [(side, of_side) for side, of_side in of_sides if of_side] or [(up, [])]
    found[-1][1].extend(shot for shot in shots if shot.side == EDGE)
    return found if shots else []


def order_shots(shots: Sequence[Shot], rig: Costs, here: RigSetting) -> list[Shot]:
    """Order shots of a coin that is not turned over between them so that the rig is done soonest.

    One setting runs through its values while those outside it stand still, back and forth, so that no change of what
    lies outside costs a second one; which is innermost is what costs least in all. At equal cost lights are.

    Parameters
    ----------
    rig
        What knows the cost of each change.
    here
        How the rig is set before the first of them.
    """
    orders = [_nested(shots, nesting, here) for nesting in permutations(SETTINGS)]
    return min(orders, key=lambda order: round(changes_s(order, rig, here), 6), default=[])


def changes(shots: Sequence[Shot], here: RigSetting) -> Changes:
    """What changes from shot to shot, in their order; the way from an angle that is not known is left out."""
    turns: list[float] = []
    tilts: list[float] = []
    lights = 0
    for shot in shots:
        turns += _by(here.turntable_deg, shot.turntable_deg)
        tilts += _by(here.tilt_deg, shot.tilt_deg)
        lights += here.light != shot.light
        here = setting_of(shot)
    return Changes(tuple(turns), tuple(tilts), lights)


def changes_s(shots: Sequence[Shot], rig: Costs, here: RigSetting) -> float:
    """Time that the changes between shots take, in their order (s)."""
    made = changes(shots, here)
    return rig.estimate_s(turns_deg=made.turns_deg, tilts_deg=made.tilts_deg, lights=made.lights)


def setting_of(shot: Shot) -> RigSetting:
    """How the rig is set for a shot."""
    return RigSetting(shot.tilt_deg, shot.turntable_deg, shot.light)


def _by(before: float | None, after: float) -> list[float]:
    return [] if before is None or before == after else [after - before]


def _nested(shots: Sequence[Shot], nesting: Sequence[Setting], here: RigSetting) -> list[Shot]:
    """Shots with the first setting outermost, each from the end of its values that is nearer to how the rig is set."""
    if not nesting or not shots:
        return list(shots)
    outer, inner = nesting[0], nesting[1:]
    values = list(dict.fromkeys(getattr(shot, outer) for shot in shots))
    if outer != "light":
        values.sort()
    if _is_nearer(values[-1], values[0], getattr(here, outer), outer):
        values.reverse()
    ordered: list[Shot] = []
    for value in values:
        here = replace(here, **{outer: value})
        ordered += _nested([shot for shot in shots if getattr(shot, outer) == value], inner, here)
        here = setting_of(ordered[-1])
    return ordered


def _is_nearer(one: float | str, other: float | str, here: float | str | None, setting: Setting) -> bool:
    if here is None or isinstance(one, str) or isinstance(other, str) or isinstance(here, str):
        return one == here and one != other
    if setting == "turntable_deg":
        return abs(math.remainder(one - here, 360.0)) < abs(math.remainder(other - here, 360.0))
    return abs(one - here) < abs(other - here)
