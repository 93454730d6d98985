"""A coin's two sides, and its edge."""

from __future__ import annotations

from typing import Final, Literal

Side = Literal["obverse", "reverse"]
"""One that can lie upwards, and that a coin is recognised by."""

SIDES: tuple[Side, Side] = ("obverse", "reverse")

EDGE: Final = "edge"

ShotSide = Literal["obverse", "reverse", "edge"]
"""What a shot shows of a coin. The edge is seen whichever side is up, by a tilted camera."""

SHOT_SIDES: tuple[ShotSide, ...] = (*SIDES, EDGE)
