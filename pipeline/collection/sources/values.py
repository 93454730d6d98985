"""What people write into the fields of a record, as values: decimal commas, units, dates of any form."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from capture.store.lot_details import LotDetails

MAX_WEIGHT_G, MAX_DIAMETER_MM = 5000.0, 300.0
_FIRST_YEAR, _LAST_YEAR = 1500, 2199  # of sales
_EXCEL_DAYS = (1000, 110_000)  # dates as Excel counts them: 1902 to 2201
_EXCEL_ZERO = date(1899, 12, 30)
_NOTHING = {"", "-", "--", "–", "—", "?", "n/a", "na", "none", "null", "nan", "unknown", "unbekannt", "k. a.", "#n/a"}
_NUMBER = re.compile(r"(?:ca\.?|c\.|circa|~|≈)?\s*(\d[\d.,'’ ]*)\s*(.*)", re.IGNORECASE | re.DOTALL)
_GRAMS = {"", "g", "g.", "gr", "gr.", "gm", "gms", "gram", "grams", "gramm", "grammes", "grammi", "gramos", "г"}
_MILLIMETRES = {"", "mm", "mm.", "millimeter", "millimeters", "millimetre", "millimetres", "мм"}
_CENTIMETRES = {"cm", "cm."}
_HOURS = {"", "h", "h.", "hr", "hrs", "hour", "hours", "uhr", "o'clock"}
_DEGREES = {"°", "deg", "degrees", "grad"}
_MONTHS = (
    ("jan", "gen", "ene"),
    ("feb", "fev", "fév"),
    ("mar", "mär", "maer", "mrz"),
    ("apr", "avr", "abr"),
    ("may", "mai", "mag"),
    ("jun", "juin", "giu"),
    ("jul", "juil", "lug"),
    ("aug", "aou", "aoû", "ago"),
    ("sep", "set"),
    ("oct", "okt", "ott"),
    ("nov",),
    ("dec", "dez", "déc", "dic"),
)


class ValueProblem(ValueError):  # noqa: N818 - a reason; whoever reads a row adds where it stands
    """Why a value cannot be read: a clause that follows it."""


def read_details(values: dict[str, str]) -> LotDetails:
    """What a row says of a coin, by field (`LotDetails`).

    Raises
    ------
    ValueProblem
        Naming the field and its value, if one cannot be read.
    """
    found: dict[str, Any] = {}
    for name, text in values.items():
        if is_nothing(text):
            continue
        try:
            found[name] = _READERS.get(name, _plain)(text)
        except ValueProblem as problem:
            raise ValueProblem(f"{name.replace('_', ' ')} {text!r} {problem}") from problem
    return LotDetails(**found)


def is_nothing(text: str) -> bool:
    """Whether a cell says that nothing is known."""
    return text.strip().lower() in _NOTHING


def read_date(text: str) -> str:
    """A date as ISO 8601 has it, as exact as it is given: ``1936-03-18``, ``1936-03``, ``1936``.

    Also ``18.3.1936``, ``18 March 1936``, ``März 1936``, ``18.-19. März 1936`` (the first day), and the days that Excel
    counts where a cell is not formatted as a date. ``3/4/1936`` is refused: it has two meanings.

    Raises
    ------
    ValueProblem
        If it is none, or has two meanings.
    """
    plain = " ".join(text.replace("\u00a0", " ").split()).strip(" .,")
    plain = re.sub(r"[T ]00:00(:00(\.0+)?)?(Z|\+00:00)?$", "", plain)
    for pattern, form in (
        (r"(\d{4})", "y"),
        (r"(\d{4})[-/.](\d{1,2})", "ym"),
        (r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})", "ymd"),
        (r"(\d{1,2})\.\s?(?:[-–/&]\s?\d{1,2}\.\s?)?(\d{1,2})\.\s?(\d{4})", "dmy"),
        (r"(\d{1,2})-(\d{1,2})-(\d{4})", "d?y"),
        (r"(\d{1,2})/(\d{1,2})/(\d{4})", "d?y"),
    ):
        if found := re.fullmatch(pattern, plain):
            return _date(dict(zip(_order(form, found.groups()), map(int, found.groups()), strict=True)))
    if re.fullmatch(r"\d{4,6}(\.0+)?", plain) and _EXCEL_DAYS[0] <= float(plain) <= _EXCEL_DAYS[1]:
        return (_EXCEL_ZERO + timedelta(days=int(float(plain)))).isoformat()
    word = re.search(r"[^\W\d_]{3,}", plain)
    years = re.findall(r"\b(\d{4})\b", plain)
    if word and len(years) == 1:
        rest = plain.replace(years[0], " ")
        day = re.search(r"\b(\d{1,2})(?:st|nd|rd|th|er)?\b", rest)
        parts = {"y": int(years[0]), "m": _month(word[0])}
        return _date({**parts, "d": int(day[1])} if day else parts)
    raise ValueProblem("is no date. Write it as 1936-03-18, 1936-03 or 1936.")


def _order(form: str, found: tuple[str, ...]) -> str:
    if form != "d?y":
        return form
    first, second = int(found[0]), int(found[1])
    if first > 12:
        return "dmy"
    if second > 12:
        return "mdy"
    if first == second:
        return "dmy"
    raise ValueProblem("has two meanings: day or month first. Write it as 1936-03-18.")


def _date(parts: dict[str, int]) -> str:
    year = parts["y"]
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueProblem(f"is no date of a sale: its year would be {year}. Write it as 1936-03-18.")
    try:
        day = date(year, parts.get("m", 1), parts.get("d", 1))
    except ValueError as error:
        raise ValueProblem("is a day that does not exist. Write it as 1936-03-18.") from error
    return day.isoformat()[: 4 if "m" not in parts else 7 if "d" not in parts else 10]


def _month(word: str) -> int:
    letters = unicodedata.normalize("NFC", word.lower())
    for number, names in enumerate(_MONTHS, 1):
        if letters.startswith(names):
            return number
    raise ValueProblem("is no date: its month is not known. Write it as 1936-03-18.")


def read_number(text: str) -> tuple[float, str]:
    """A number and what stands behind it: ``3,87 g`` is 3.87 and ``g``.

    Raises
    ------
    ValueProblem
        If it does not begin with one.
    """
    found = _NUMBER.fullmatch(text.replace("\u00a0", " ").strip())
    if found is None:
        raise ValueProblem("is no number.")
    digits = re.sub(r"['’ ]", "", found[1]).rstrip(".,")
    if "," in digits and "." in digits:  # the last one is the decimal mark
        thousands = "," if digits.rfind(".") > digits.rfind(",") else "."
        digits = digits.replace(thousands, "")
    try:
        return float(digits.replace(",", ".")), found[2].strip().lower()
    except ValueError as error:
        raise ValueProblem("is no number.") from error


def _weight(text: str) -> float:
    number, unit = read_number(text)
    if unit in {"mg", "kg"}:
        number, unit = number * {"mg": 1e-3, "kg": 1e3}[unit], "g"
    if unit not in _GRAMS:
        raise ValueProblem("is not in grams.")
    return _within(number, MAX_WEIGHT_G, "g")


def _diameter(text: str) -> float:
    largest = 0.0
    unit = ""
    for part in re.split(r"\s*[x×*/–-]\s*(?=\d)", text.strip()):
        number, unit = read_number(part)
        largest = max(largest, number)
    if unit in _CENTIMETRES:
        largest, unit = largest * 10.0, "mm"
    if unit not in _MILLIMETRES:
        raise ValueProblem("is not in millimetres.")
    return _within(largest, MAX_DIAMETER_MM, "mm")


def _within(number: float, most: float, unit: str) -> float:
    if not 0.0 < number <= most:
        raise ValueProblem(f"is not between 0 and {most:g} {unit}.")
    return round(number, 4)


def _axis(text: str) -> float:
    number, unit = read_number(text)
    if unit in _DEGREES:
        number, unit = number / 30.0, "h"
    if unit not in _HOURS or not 0.0 <= number <= 12.0:
        raise ValueProblem("is no die axis: hours from 1 to 12, or degrees with °.")
    return round(number, 2) or 12.0


def _address(text: str) -> str:
    if not re.match(r"https?://\S+$", text):
        raise ValueProblem("is no address: it does not begin with http:// or https://.")
    return text


def _plain(text: str) -> str:
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text).split())


_READERS: dict[str, Callable[[str], Any]] = {
    "date": read_date,
    "weight_g": _weight,
    "diameter_mm": _diameter,
    "axis_h": _axis,
    "url": _address,
    "type_uri": _address,
}
