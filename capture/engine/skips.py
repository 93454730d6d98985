"""Coins that a scan passed over, and what they add up to: two of them in each other's place are swapped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from capture.store.journal_lines import NOT_THERE, CoinLine, CoinSkipped


def latest_skips(lines: Iterable[CoinLine]) -> list[CoinSkipped]:
    """The coins passed over that these lines of the journal report, the latest of each, by slot."""
    latest = {line.slot: line for line in lines if isinstance(line, CoinSkipped)}
    return [latest[slot] for slot in sorted(latest)]


def is_away(lines: Sequence[CoinLine]) -> bool:
    """Whether the last of these lines of the journal about one coin reports that it does not lie alone in its slot."""
    last = lines[-1] if lines else None
    return isinstance(last, CoinSkipped) and last.reason in NOT_THERE


def in_words(skipped: Sequence[CoinSkipped]) -> list[str]:
    """What a person has to know of one tray's skipped coins, a sentence each; swapped coins, or never begun, in one."""
    by_coin = {each.coin: each for each in skipped}
    not_begun: dict[str, list[CoinSkipped]] = {}
    sentences, mentioned = [], set()
    for each in skipped:
        other = by_coin.get(each.looks_like or "")
        if each.reason == "not begun":
            not_begun.setdefault(each.why, []).append(each)
        elif each.slot in mentioned:
            continue
        elif other is not None and are_swapped(each, other):
            mentioned.add(other.slot)
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


def are_swapped(one: CoinSkipped, other: CoinSkipped) -> bool:
    """Whether two coins lie in each other's place."""
    are_wrong = one.reason == other.reason == "wrong coin"
    return are_wrong and (one.looks_like, other.looks_like) == (other.coin, one.coin)


def _sentence(skipped: CoinSkipped, other: CoinSkipped | None) -> str:
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
