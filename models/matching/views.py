"""Images of one coin, and which of them to compare at each turn.

Frames of a scan say more than one photograph. Turning a coin under a fixed lamp is not image rotation: shadows move.
But with lamps all around and a turntable, for every turn that is tried there is a frame whose lamp then stands where
catalogue photographers put theirs, at the upper left; that frame is the one compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calibration.image import Image
from models.matching.rotation import TURNS, turn_angles_deg, turn_crop

CATALOGUE_LAMP_DEG = 135.0  # upper left, the convention of coin photography


@dataclass(frozen=True)
class View:
    """One image of a coin.

    Attributes
    ----------
    crop
        From `calibration.outline.normalise`, as the camera saw it (not turned back).
    side
        ``obverse``, ``reverse``, or None when unknown.
    turned_deg
        How far the coin is turned in this image (counter-clockwise) against its other images of this side, None when
        unknown.
    lamp_deg
        Where in this image the light comes from (counter-clockwise from the right), None when unknown.
    """

    crop: Image
    side: str | None = None
    turned_deg: float | None = None
    lamp_deg: float | None = None


def group_views(views: Sequence[View]) -> list[list[View]]:
    """Views that can be searched together: those of one side whose turns are known; every other one by itself."""
    alone = [[view] for view in views if view.turned_deg is None]
    by_side: dict[str | None, list[View]] = {}
    for view in views:
        if view.turned_deg is not None:
            by_side.setdefault(view.side, []).append(view)
    return [*by_side.values(), *alone]


def crops_at_turns(views: Sequence[View], turns: int = TURNS) -> list[Image]:
    """For each of ``turns`` turns of the coin, the crop to compare: the view lit most like a catalogue photograph."""
    return [crop_at_turn(views, turn_deg) for turn_deg in turn_angles_deg(turns)]


def crop_at_turn(views: Sequence[View], turn_deg: float) -> Image:
    """The crop to compare at one turn of the coin, turned so."""
    chosen = min(views, key=lambda view: _lamp_error_deg(view, turn_deg))
    return turn_crop(chosen.crop, turn_deg - (chosen.turned_deg or 0.0))


def _lamp_error_deg(view: View, turn_deg: float) -> float:
    """How far from the upper left the lamp stands once the coin is turned so."""
    if view.lamp_deg is None:
        return 0.0
    lamp = view.lamp_deg + turn_deg - (view.turned_deg or 0.0)
    return abs(math.remainder(lamp - CATALOGUE_LAMP_DEG, 360.0))
