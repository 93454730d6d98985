"""How quantities are said to a person, on the terminal and in reports."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """A time for a person to read."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
