"""A coin's two sides."""

from __future__ import annotations

from typing import Literal

Side = Literal["obverse", "reverse"]

SIDES: tuple[Side, Side] = ("obverse", "reverse")
