"""Which entries of the catalogue a person wants to compare with, as the options of `rig identify` say it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from capture.names import printable
from models.matching.gallery import SIDES, Where, days_of
from pipeline.errors import UsageError

_AROUND = 0.03  # of one weight: scales differ, and coins were cleaned since
_NUMBER = r"(\d+(?:[.,]\d+)?)"
_WEIGHT = re.compile(rf"\s*{_NUMBER}(?:\s*(?:-|–|\.\.)\s*{_NUMBER})?\s*g?\s*")
_DATES = re.compile(r"\s*(\d{4}(?:-\d\d){0,2})(?:\s*(?:-|–|\.\.|/)\s*(\d{4}(?:-\d\d){0,2}))?\s*")


def read_where(
    side: str | None, sales: Sequence[str], metal: str | None, weight: str | None, date: str | None
) -> Where:
    """Which entries are meant.

    Raises
    ------
    UsageError
        If an option cannot be understood.
    """
    if side is not None and side not in SIDES:
        raise UsageError(f"--side {printable(side)} is not known. Give {' or '.join(SIDES)}.")
    if metal is not None and not metal.strip():
        raise UsageError("--metal is empty. Give a metal, such as silver.")
    return Where(side, tuple(sales), metal, _read_weight(weight), _read_days(date))


def _read_weight(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    found = _WEIGHT.fullmatch(text)
    least, most = (
        ((float(part.replace(",", ".")) if part else None) for part in found.groups()) if found else (None, None)
    )
    if least is None or (most is not None and most < least):
        raise UsageError(f"--weight {printable(text)} is no weight in grams. Give 3.87, or a range such as 3.7-4.1.")
    return (least * (1.0 - _AROUND), least * (1.0 + _AROUND)) if most is None else (least, most)


def _read_days(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    found = _DATES.fullmatch(text)
    first, last = (found[1], found[2] or found[1]) if found else ("", "")
    if not first or not _is_date(first) or not _is_date(last) or days_of(last)[1] < days_of(first)[0]:
        raise UsageError(f"--date {printable(text)} is no date. Give 1936, 1936-03-18, or years such as 1920-1939.")
    return first, last


def _is_date(date: str) -> bool:
    _, month, day = (*map(int, date.split("-")), 1, 1)[:3]
    return 1 <= month <= 12 and 1 <= day <= 31
