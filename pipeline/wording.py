"""How names and quantities are written for a person, in the terminal and in reports."""

from __future__ import annotations

from datetime import datetime

from rich.markup import escape

from capture.names import printable
from capture.wording import count, was

__all__ = ["count", "describe_pages", "duration", "duration_range", "literal", "minute", "moment", "was", "were"]


def literal(text: str) -> str:
    """A text for the terminal, as it is: nothing in it is taken for markup, a control character or another line."""
    return escape(printable(text))


def duration(seconds: float) -> str:
    """A time for a person to read."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def duration_range(low_s: float, high_s: float) -> str:
    """A time that lies between two: ``10 to 20 min``, or ``about 15 min`` where both round to that."""
    low, high = duration(low_s), duration(high_s)
    if low == high:
        return f"about {high}"
    (short, unit), (_, other) = low.split(" "), high.split(" ")
    return f"{short if unit == other else low} to {high}"


def were(number: int) -> str:
    """A number of things, as a subject: ``1 was``, ``2 were``."""
    return f"{number:,} {was(number)}"


def describe_pages(file: str, pages: int) -> str:
    """Say that of a file of several pages the first was read, and how to get at the others."""
    return (
        f"{file} has {pages} pages, and only the first was read. For the others, save each page as a file of its own: "
        "`tiffsplit` does that, or the scanner's program."
    )


def moment(time: str) -> datetime:
    """A time of the store, as clocks here show it."""
    return datetime.fromisoformat(time).astimezone()


def minute(time: str) -> str:
    """A time of the store to the minute, as clocks here show it, with the zone."""
    return f"{moment(time):%Y-%m-%d %H:%M %Z}"
