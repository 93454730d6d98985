"""What the record says for and against a candidate, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_NAMES = {"weight_g": ("weight", " g"), "diameter_mm": ("diameter", " mm"), "axis_h": ("die axis", " h")}


def describe_facts(facts: Sequence[dict[str, Any]]) -> list[str]:
    """Each fact of a candidate (its ``facts``, docs/json.md) as a sentence."""
    return [_describe(**fact) for fact in facts]


def _describe(fact: str, own: float | str, recorded: float | str, ratio: float) -> str:
    name, unit = _NAMES.get(fact, (fact, ""))
    values = [value if isinstance(value, str) else f"{value:.4g}{unit}" for value in (own, recorded)]
    if round(ratio, 1) == 1.0:
        return f"{name} {values[0]}, recorded {values[1]}: speaks neither for the coin nor against it"
    odds = f"{ratio:.2g} times more" if ratio >= 1.0 else f"{1.0 / ratio:.2g} times less"
    return f"{name} {values[0]}, recorded {values[1]}: {odds} probable if it is the coin than if it is another"
