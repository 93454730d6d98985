"""Coins that a scan passed over, and what they add up to: two of them in each other's place are swapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from capture.store.records import Event

Reason = Literal["empty slot", "wrong coin", "two coins", "device", "time", "not begun"]
"""`not begun`: nothing is known of the coin, since the tray was given up before its turn."""

NOT_THERE: tuple[Reason, ...] = ("empty slot", "wrong coin", "two coins")
"""Reasons that say where a coin is not: a person has to see to it, even if every shot of it was taken before."""


@dataclass(frozen=True)
class Skipped:
    """A coin that was passed over; its shots are still to be taken.

    Attributes
    ----------
    slot, coin
        As the tray file has it.
    why
        A sentence.
    looks_like
        The coin that lies there instead, where it is known.
    diameter_mm
        Of what lies there, where it was measured.
    """

    slot: int
    coin: str
    reason: Reason
    why: str
    looks_like: str | None = None
    diameter_mm: float | None = None

    def detail(self) -> dict[str, Any]:
        """What the journal's line `coin skipped` holds."""
        return asdict(self)


def skipped_of(events: Iterable[Event]) -> list[Skipped]:
    """The coins passed over that lines of the journal (`coin skipped`) tell of, the latest of each, by slot."""
    latest = {event.detail["slot"]: Skipped(**event.detail) for event in events if event.kind == "coin skipped"}
    return [latest[slot] for slot in sorted(latest)]


def is_away(handled: Sequence[Event]) -> bool:
    """Whether the last that lines of the journal about one coin tell is that it does not lie alone in its slot."""
    return bool(handled) and handled[-1].kind == "coin skipped" and handled[-1].detail["reason"] in NOT_THERE


def in_words(skipped: Sequence[Skipped]) -> list[str]:
    """What a person has to know of one tray's skipped coins, a sentence each; swapped coins, or never begun, in one."""
    by_coin = {each.coin: each for each in skipped}
    not_begun: dict[str, list[Skipped]] = {}
    sentences, told = [], set()
    for each in skipped:
        other = by_coin.get(each.looks_like or "")
        if each.reason == "not begun":
            not_begun.setdefault(each.why, []).append(each)
        elif each.slot in told:
            continue
        elif other is not None and are_swapped(each, other):
            told.add(other.slot)
            sentences.append(
                f"Slots {each.slot} and {other.slot} are swapped: {other.coin} lies in slot {each.slot}, "
                f"{each.coin} in slot {other.slot}."
            )
        else:
            sentences.append(_sentence(each, other))
    for why, coins in not_begun.items():
        names = ", ".join(f"{each.coin} (slot {each.slot})" for each in coins)
        sentences.append(f"Not begun: {names}. {why}")
    return sentences


def are_swapped(one: Skipped, other: Skipped) -> bool:
    """Whether two coins lie in each other's place."""
    are_wrong = one.reason == other.reason == "wrong coin"
    return are_wrong and (one.looks_like, other.looks_like) == (other.coin, one.coin)


def _sentence(skipped: Skipped, other: Skipped | None) -> str:
    slot, coin = skipped.slot, skipped.coin
    match skipped.reason:
        case "empty slot":
            return f"Slot {slot} is empty: {coin} is missing."
        case "two coins":
            return f"Slot {slot} holds two coins; only {coin} belongs there."
        case "wrong coin" if skipped.looks_like is not None:
            place = f", which belongs in slot {other.slot}" if other is not None else ""
            return f"Slot {slot} holds {skipped.looks_like}{place}; {coin} belongs there."
        case "wrong coin":
            size = f" ({skipped.diameter_mm:.1f} mm)" if skipped.diameter_mm is not None else ""
            return f"Slot {slot} holds a coin that was never scanned here{size}; {coin} belongs there."
        case _:
            return f"Slot {slot}, {coin}: {skipped.why}"
