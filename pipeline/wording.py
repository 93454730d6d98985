"""How names and quantities are written for a person, in the terminal and in reports."""

from __future__ import annotations

from datetime import datetime

from rich.markup import escape

from capture.names import printable
from capture.wording import count

__all__ = ["count", "duration", "literal", "minute", "moment"]


def literal(text: str) -> str:
    """A text for the terminal, as it is: nothing in it is taken for markup, a control character or another line."""
    return escape(printable(text))


def duration(seconds: float) -> str:
    """A time for a person to read."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def moment(time: str) -> datetime:
    """A time of the store, as clocks here show it."""
    return datetime.fromisoformat(time).astimezone()


def minute(time: str) -> str:
    """A time of the store to the minute, as clocks here show it, with the zone."""
    return f"{moment(time):%Y-%m-%d %H:%M %Z}"
