"""Why a frame is in quarantine: it failed the quality check, is kept, and never trains a model."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from capture.store.errors import StoreError


class QuarantineReason(StrEnum):
    """What is wrong with a frame; `capture.quality` decides.

    The values are on disk: in the index and in records as a list, "wrong angle, blur".
    """

    DARK = "dark"
    STALE = "stale"
    WRONG_ANGLE = "wrong angle"
    WRONG_TILT = "wrong tilt"
    WRONG_POSE = "wrong pose"
    NO_COIN = "no coin"
    TWO_COINS = "two coins"
    CUT_OFF = "cut off"
    TOO_SMALL = "too small"
    WRONG_LIGHT = "wrong light"
    CLIPPING = "clipping"
    BLUR = "blur"


OF_DEVICES = frozenset({QuarantineReason.WRONG_ANGLE, QuarantineReason.WRONG_TILT, QuarantineReason.WRONG_POSE})
"""What a device did wrong, and not the shot."""


def as_text(reasons: Iterable[QuarantineReason]) -> str | None:
    """Spell reasons as they are stored and shown; None if there are none: the frame is good."""
    return ", ".join(reasons) or None


def from_text(text: str | None) -> tuple[QuarantineReason, ...]:
    """Read reasons as they are stored.

    Raises
    ------
    StoreError
        If one of them is not known.
    """
    try:
        return tuple(QuarantineReason(each) for each in text.split(", ")) if text else ()
    except ValueError as error:
        raise StoreError(
            f"a frame is in quarantine for {text!r}, which this version of the program does not know. "
            "If a later version stored it, update the program."
        ) from error
