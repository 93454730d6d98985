"""What the record says of a coin, as evidence: its weight, diameter, die axis and type against the coin's own.

For each fact: how many times as probable it is to read what an entry says if it is the coin as if it is another that
looks like it. A fact that either side lacks says nothing.

A coin is weighed on another balance, and may have been cleaned or worn since: it is lighter then, and never heavier.
Catalogues round, and sometimes they err, or the record is another coin's: then a fact says nothing either way, and so
none ever excludes a coin. The spreads are assumptions, on the careful side, and none was fitted (docs/identify.md).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Fact = Literal["weight_g", "diameter_mm", "axis_h", "type"]

_WRONG = {"weight_g": 0.03, "diameter_mm": 0.05, "axis_h": 0.05}  # of records: misprinted, or another coin's
_BALANCES, _OTHER_WEIGHTS = 0.004, 0.05  # of a weight: between two balances, and of coins of one type
_WORN, _LOSS = 0.3, 0.02  # so many coins have lost weight since, and so much in the mean
_CALLIPERS, _OTHER_DIAMETERS = 0.02, 0.05  # of a diameter
_READING_H, _OTHER_AXIS_H, _FREE_AXIS = 0.5, 1.0, 0.5  # coins of one mint often have one axis; so many have any
_SAME_TYPE, _ANOTHER_TYPE = 1.3, 0.1  # what looks like the coin is of its type more often than not


@dataclass(frozen=True)
class Facts:
    """What is known of a coin: weight in g, largest diameter in mm, die axis in hours, type. None where it is not."""

    weight_g: float | None = None
    diameter_mm: float | None = None
    axis_h: float | None = None
    type: str | None = None


@dataclass(frozen=True)
class ComparedFact:
    """A fact that both have: the coin's own value, the recorded one, and the ratio of likelihoods."""

    fact: Fact
    own: float | str
    recorded: float | str
    ratio: float


def compare_facts(own: Facts, recorded: Facts) -> tuple[ComparedFact, ...]:
    """Compare what both have."""
    found: list[ComparedFact] = []
    if own.weight_g and recorded.weight_g:
        ratio = weight_ratio(own.weight_g, recorded.weight_g)
        found.append(ComparedFact("weight_g", own.weight_g, recorded.weight_g, ratio))
    if own.diameter_mm and recorded.diameter_mm:
        ratio = diameter_ratio(own.diameter_mm, recorded.diameter_mm)
        found.append(ComparedFact("diameter_mm", own.diameter_mm, recorded.diameter_mm, ratio))
    if own.axis_h is not None and recorded.axis_h is not None:
        ratio = axis_ratio(own.axis_h, recorded.axis_h)
        found.append(ComparedFact("axis_h", own.axis_h, recorded.axis_h, ratio))
    if own.type and recorded.type and (type_ratio := _type_ratio(own.type, recorded.type)) is not None:
        found.append(ComparedFact("type", own.type, recorded.type, type_ratio))
    return tuple(found)


def log_ratio_of(compared: Sequence[Sequence[ComparedFact]]) -> float:
    """ln of the ratio of likelihoods of all facts; of records of several sales, which repeat each other, the mean."""
    by_fact: dict[Fact, list[float]] = {}
    for record in compared:
        for each in record:
            by_fact.setdefault(each.fact, []).append(math.log(each.ratio))
    return sum(float(np.mean(logs)) for logs in by_fact.values())


def weigh_facts(chances: Sequence[float], log_ratios: Sequence[float]) -> list[float]:
    """The probability of each candidate, given what its record says, by Bayes' rule; 0 is a record that says nothing.

    The query is one of them or none.
    """
    weighed = np.array(chances, np.float64)
    left = max(0.0, 1.0 - float(weighed.sum()))
    weighed[: len(log_ratios)] *= np.exp(log_ratios)
    return [float(p) for p in weighed / max(left + float(weighed.sum()), 1e-12)]


def weight_ratio(own_g: float, recorded_g: float) -> float:
    """Of a weight, in g."""
    apart, rounded = math.log(own_g / recorded_g), _rounding(recorded_g, 1) / recorded_g
    spread = math.hypot(_BALANCES, rounded)
    same = (1.0 - _WORN) * _normal(apart, spread) + _WORN * _normal_and_loss(apart, spread, _LOSS)
    return _with_errors(same / _students_t(apart, math.hypot(_OTHER_WEIGHTS, rounded)), _WRONG["weight_g"])


def diameter_ratio(own_mm: float, recorded_mm: float) -> float:
    """Of a largest diameter, in mm."""
    apart, rounded = math.log(own_mm / recorded_mm), _rounding(recorded_mm, 0) / recorded_mm
    same = _normal(apart, math.hypot(_CALLIPERS, rounded))
    return _with_errors(same / _students_t(apart, math.hypot(_OTHER_DIAMETERS, rounded)), _WRONG["diameter_mm"])


def axis_ratio(own_h: float, recorded_h: float) -> float:
    """Of a die axis, in hours."""
    apart = math.remainder(own_h - recorded_h, 12.0)
    other = _FREE_AXIS / 12.0 + (1.0 - _FREE_AXIS) * _normal(apart, _OTHER_AXIS_H)
    return _with_errors(_normal(apart, _READING_H) / other, _WRONG["axis_h"])


def _type_ratio(own: str, recorded: str) -> float | None:
    """Of a type's number; None where the two are of different works, such as RRC and RIC."""
    one, other = ("".join(each.casefold().split()) for each in (own, recorded))
    if one == other:
        return _SAME_TYPE
    works = ["".join(letter for letter in each if letter.isalpha())[:3] for each in (one, other)]
    is_comparable = works[0] == works[1] and all(any(map(str.isdigit, each)) for each in (one, other))
    return _ANOTHER_TYPE if is_comparable else None


def _with_errors(ratio: float, wrong: float) -> float:
    return (1.0 - wrong) * ratio + wrong


def _rounding(value: float, least: int) -> float:
    """Standard deviation of what rounding took: of the decimals that a number is given with, at least so many."""
    decimals = next((count for count in range(least, 3) if abs(value - round(value, count)) < 1e-9), 3)
    return 0.1**decimals / math.sqrt(12.0)


def _normal(x: float, spread: float) -> float:
    return math.exp(-0.5 * (x / spread) ** 2) / (spread * math.sqrt(2.0 * math.pi))


def _normal_and_loss(x: float, spread: float, loss: float) -> float:
    """Density of a normal number less an exponential one."""
    shifted = (x + spread**2 / loss) / (spread * math.sqrt(2.0))
    return math.exp(min(50.0, x / loss + 0.5 * (spread / loss) ** 2)) * math.erfc(shifted) / (2.0 * loss)


def _students_t(x: float, scale: float) -> float:
    """Student's t with three degrees of freedom: some coins of a type are far from the others."""
    return 6.0 * math.sqrt(3.0) / (math.pi * scale * (3.0 + (x / scale) ** 2) ** 2)
