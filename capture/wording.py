"""How quantities are written for a person."""

from __future__ import annotations


def count(number: int, one: str, many: str | None = None) -> str:
    """A number of things: ``1 coin``, ``2 coins``, ``3 entries``."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def was(number: int) -> str:
    """``was`` of one thing, ``were`` of several."""
    return "was" if number == 1 else "were"
