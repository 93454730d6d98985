"""What guidelines ask of an imaging system: limits of FADGI's stars and of ISO 19264-1's levels, each with its source.

Neither the text of FADGI's third edition (2023) nor that of ISO 19264-1:2021 was at hand. Their limits are those that
two independent comparisons quote alike, FADGI's for bound general collections, which is stated with every limit. Where
neither quotes one, FADGI's second edition (2016), whose own text was read, is named as the source, or there is none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Better = Literal["less", "more"]

STARS = ("4 stars", "3 stars", "2 stars", "1 star")
LEVELS = ("level A", "level B", "level C")

FADGI = "FADGI 2023, as quoted by skandalski.pl/tabela-fadgi-iso-metamorfoze and standardy.digitalizaty.cz"
FADGI_ONE = "FADGI 2023, as quoted by skandalski.pl/tabela-fadgi-iso-metamorfoze"
FADGI_OTHER = "FADGI 2023, as quoted by standardy.digitalizaty.cz; no limit for 1 star was read"
FADGI_MIXED = (
    "FADGI 2023 for 4 stars and 1 star, as quoted by standardy.digitalizaty.cz; for 3 and 2 stars FADGI 2016, whose "
    "text was read"
)
ISO = "ISO 19264-1:2021, as quoted by skandalski.pl/tabela-fadgi-iso-metamorfoze"


@dataclass(frozen=True)
class Requirement:
    """What one guideline asks of one value, the best grade first.

    Attributes
    ----------
    guideline
        Its name.
    grades
        Names of the grades.
    limits
        One for each grade; None where none was read.
    source
        Where they were read.
    """

    guideline: str
    grades: Sequence[str]
    limits: Sequence[float | None]
    source: str

    @property
    def all_grades(self) -> Sequence[str]:
        """The grades, and the one of a value that keeps no limit."""
        return [*self.grades, f"below {self.grades[-1]}"]

    def grade(self, value: float, better: Better) -> tuple[str, float | None]:
        """The best grade whose limit a value keeps, and that limit; else the last grade, and the widest limit."""
        for name, limit in zip(self.grades, self.limits, strict=True):
            if limit is not None and (value <= limit if better == "less" else value >= limit):
                return name, limit
        return self.all_grades[-1], next((limit for limit in reversed(self.limits) if limit is not None), None)


@dataclass(frozen=True)
class Criterion:
    """A value of an imaging system, what it is, and what guidelines ask of it.

    Attributes
    ----------
    key
        Its name in JSON.
    name
        What it is, in words.
    unit
        Its unit, or nothing.
    digits
        Shown after the point.
    better
        Whether less or more of it is better.
    asked
        What guidelines ask; empty where no limit was read.
    """

    key: str
    name: str
    unit: str
    digits: int
    better: Better
    asked: Sequence[Requirement]


def _fadgi(*limits: float | None, source: str = FADGI) -> Requirement:
    return Requirement("FADGI 2023", STARS, limits, source)


def _iso(*limits: float | None) -> Requirement:
    return Requirement("ISO 19264-1", LEVELS, limits, ISO)


CRITERIA = (
    Criterion("resolution_ppi", "resolution", "ppi", 0, "more", [_fadgi(396.0, 294.0, 242.5, 190.0, source=FADGI_ONE)]),
    Criterion(
        "scale_percent",
        "scale: the ring's against the board's",
        "%",
        2,
        "less",
        [_fadgi(1.0, 2.0, 3.0, None, source=FADGI_OTHER)],
    ),
    Criterion(
        "tone",
        "tone: greatest ΔL* of the greys, brightness aside",
        "",
        2,
        "less",
        [_fadgi(1.5, 3.0, 4.5, 6.0, source=FADGI_ONE), _iso(2.0, 3.0, 4.0)],
    ),
    Criterion(
        "white_balance",
        "white balance: greatest ΔE(a*b*) of the greys",
        "",
        2,
        "less",
        [_fadgi(2.0, 4.0, 6.0, 8.0), _iso(3.0, 4.0, 5.0)],
    ),
    Criterion(
        "ciede2000_mean",
        "colour: mean CIEDE2000",
        "",
        2,
        "less",
        [_fadgi(2.0, 3.5, 5.0, 6.5), _iso(4.0, 5.0, 5.0)],
    ),
    Criterion("ciede2000_p90", "colour: 90th percentile of CIEDE2000", "", 2, "less", [_fadgi(4.0, 7.0, 10.0, 13.0)]),
    Criterion("ciede2000_max", "colour: greatest CIEDE2000", "", 2, "less", [_iso(10.0, 15.0, 15.0)]),
    Criterion(
        "noise",
        "noise: greatest standard deviation of L* in a grey",
        "",
        2,
        "less",
        [_fadgi(1.0, 2.0, 3.0, 4.0, source=FADGI_ONE), _iso(1.6, 2.0, 2.2)],
    ),
    Criterion(
        "uniformity_percent",
        "uniformity: standard deviation of the white card's L* over its mean",
        "%",
        2,
        "less",
        [_fadgi(1.0, 3.0, 5.0, 8.0, source=FADGI_MIXED)],
    ),
    Criterion("mtf50", "sharpness: MTF50", "cycles/px", 3, "more", []),
    Criterion("mtf10", "sharpness: MTF10", "cycles/px", 3, "more", []),
    Criterion(
        "sampling_efficiency_percent",
        "sampling efficiency: MTF10 of what the pixels can show",
        "%",
        0,
        "more",
        [_fadgi(90.0, 80.0, 70.0, 60.0), _iso(85.0, 80.0, 70.0)],
    ),
    Criterion(
        "greatest_modulation",
        "sharpening: greatest modulation",
        "",
        3,
        "less",
        [_fadgi(1.02, 1.05, 1.1, None, source=FADGI_OTHER)],
    ),
    Criterion(
        "misregistration_px",
        "colours beside each other at an edge",
        "px",
        3,
        "less",
        [_fadgi(0.33, 0.5, 0.8, None, source=FADGI_OTHER)],
    ),
)
