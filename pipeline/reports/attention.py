"""What a person has to see to after a batch, the most pressing first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from capture.engine.skips import are_swapped, in_words, latest_skips
from capture.store.journal_lines import (
    NOT_THERE,
    CoinLine,
    CoinSkipped,
    DeviceFailed,
    DeviceLine,
    DeviceRecovered,
    NotIdentified,
    NotificationSent,
)
from pipeline.reports.night import CoinNight, Night, TrayNight

KINDS_TOLD = 3  # kinds of failure of one device that are told, the most frequent
RECURRING = 3  # failures of one device in a batch that the rig got over, and that a person should still look into


@dataclass(frozen=True)
class Item:
    """Something to be seen to.

    Attributes
    ----------
    where
        Tray, slot and coin, or the device.
    what, why, remedy
        What it is, what speaks for it, and what to do.
    coins
        Coins that it is about.
    """

    where: str
    what: str
    why: str
    remedy: str
    coins: tuple[CoinNight, ...] = ()


def items(night: Night, unreadable: dict[str, str]) -> list[Item]:
    """Everything that needs a person.

    Parameters
    ----------
    night
        What the batch came to.
    unreadable
        Pictures of the store that could not be read, and what is wrong with each.
    """
    return [
        *_ending(night),
        *_skipped(night),
        *_trays(night),
        *_devices(night),
        *(
            Item("store", "A picture is damaged", why, "Restore the file from a backup; `rig store verify` lists all.")
            for why in unreadable.values()
        ),
        *_quarantined(night),
        *_unidentified(night),
        *_possible(night),
        *_unsent(night),
    ]


def sentence(night: Night, needs: Sequence[Item]) -> str:
    """The whole night in a sentence."""
    states = Counter(coin.state for coin in night.coins)
    done = f"{states['done']} of {len(night.coins)} coins done"
    if night.ended is None:
        done = f"Not ended yet: {done} so far"
    if not needs:
        return f"{done}, nothing needs you." if night.ended else f"{done}."
    return f"{done}, {len(needs)} {'things need' if len(needs) > 1 else 'thing needs'} you."


def place(coin: CoinNight) -> str:
    """Where a coin should lie."""
    return f"Tray {coin.tray}, slot {coin.slot}"


def _again(coin: CoinNight) -> str:
    if coin.state == "done":
        return "obverse up; every shot of it was taken before."
    return f"then `rig scan --tray {coin.tray}` goes on with it."


def _ending(night: Night) -> Iterator[Item]:
    last_move = max(night.lines_of(CoinLine), key=lambda line: line.number, default=None)
    out = last_move if last_move is not None and not last_move.is_in_slot else None
    if night.ended is None:
        last = f" Coin {out.coin} of slot {out.slot} was out of its slot then." if out else ""
        yield Item(
            "Batch",
            "It has not ended",
            f"The last that was heard of it is of {_clock(night.last_at)}.{last}",
            "`rig status` says whether it still works. If not, give the same `rig batch` again: it goes on from here, "
            "and looks for the coin itself.",
        )
        return
    state, why = night.ended.state, night.ended.why or ""
    if state in ("stopped", "failed"):
        remedy = "See to what it says, then give the same `rig batch` again: it goes on from here."
        yield Item("Batch", "It was stopped early" if state == "stopped" else "It failed", why, remedy)
    if out:
        remedy = f"See that it lies in slot {out.slot}, obverse up, or give `rig batch` again: it looks for it."
        yield Item(f"Slot {out.slot}", f"Coin {out.coin} may lie on the plate", f"{out.kind} was last", remedy)


def _skipped(night: Night) -> Iterator[Item]:
    skipped = {coin.coin: coin for coin in night.coins if coin.state == "skipped" or coin.is_away}
    told: set[str] = set()
    for coin in skipped.values():
        skip, other = _skip(coin), skipped.get(_skip(coin).looks_like or "")
        if coin.coin in told or skip.reason not in NOT_THERE:
            continue
        if other is not None and are_swapped(skip, _skip(other)):
            told.add(other.coin)
            yield _swapped(coin, other)
        else:
            yield Item(place(coin), in_words([skip])[0], skip.why, _remedy(coin, skip, night), (coin,))
    given_up = [coin for coin in skipped.values() if _skip(coin).reason not in NOT_THERE]
    for tray, of_tray in groupby(given_up, lambda coin: coin.tray):
        coins = tuple(of_tray)
        yield Item(
            f"Tray {tray}",
            f"{_count(len(coins), 'coin was', 'coins were')} given up after faults",
            " ".join(list(dict.fromkeys(coin.why for coin in coins))[:2]),
            f"See to the device, then `rig scan --tray {tray}` goes on.",
            coins,
        )


def _swapped(coin: CoinNight, other: CoinNight) -> Item:
    why = " ".join(dict.fromkeys((_skip(coin).why, _skip(other).why)))
    if coin.tray == other.tray:
        what = in_words([_skip(coin), _skip(other)])[0]
        where, remedy = f"{place(coin)} and slot {other.slot}", f"Exchange them, {_again(coin)}"
    else:
        where = f"{place(coin)} and {place(other).lower()}"
        what = (
            f"Coins {coin.coin} and {other.coin} are swapped: {other.coin} lies in {place(coin).lower()}, "
            f"{coin.coin} in {place(other).lower()}."
        )
        remedy = (
            f"Exchange them, then `rig scan --tray {coin.tray}` goes on with {coin.coin}, and "
            f"`rig scan --tray {other.tray}` with {other.coin}."
        )
    return Item(where, what, why, remedy, (coin, other))


def _remedy(coin: CoinNight, skip: CoinSkipped, night: Night) -> str:
    put = f"Put coin {coin.coin} into the slot, {_again(coin)}"
    if skip.reason == "empty slot":
        return f"Look for the coin. {put} If it is away, empty the slot in trays/{coin.tray}.yaml (null)."
    if skip.reason == "two coins":
        return f"Take out what does not belong there, {_again(coin)}"
    home = next((place(each).lower() for each in night.coins if each.coin == skip.looks_like), None)
    return f"Look which coin it is{f'; {skip.looks_like} belongs into {home}' if home else ''}. {put}"


def _trays(night: Night) -> Iterator[Item]:
    for tray in night.trays:
        if tray.session is None and not tray.coins:
            yield Item(f"Tray {tray.tray}", "What lies in it is not known", tray.why, f"Mend trays/{tray.tray}.yaml.")
        elif night.ended is not None and tray.state in (None, "skipped", "not begun"):
            yield Item(
                f"Tray {tray.tray}",
                f"It was {_given_up(tray)}",
                tray.why if tray.why not in ("", night.ended.why) else "The batch ended before its turn.",
                f"`rig scan --tray {tray.tray}`, or put it into the next batch.",
            )
        elif tray.state == "left over" and (open_coins := _unexplained(tray)):
            yield Item(
                f"Tray {tray.tray}",
                f"{_count(len(open_coins), 'coin is', 'coins are')} not done",
                tray.why,
                f"`rig scan --tray {tray.tray}` goes on.",
                open_coins,
            )


def _given_up(tray: TrayNight) -> str:
    return "skipped" if tray.state == "skipped" else "not gone on with" if tray.session else "not begun"


def _unexplained(tray: TrayNight) -> tuple[CoinNight, ...]:
    """Coins of a tray that have shots still to be taken, and of which nothing else is said."""
    return tuple(
        coin
        for coin in tray.coins
        if coin.state in ("partly", "not begun") and coin.result.frames + coin.result.quarantined < coin.result.planned
    )


def _devices(night: Night) -> Iterator[Item]:
    failures = sorted(night.lines_of(DeviceFailed), key=_role)
    for role, of_device in groupby(failures, _role):
        failed = list(of_device)
        if len(failed) < RECURRING:
            continue
        alike: dict[str, list[str]] = defaultdict(list)  # what is done about it, and each problem that asks for it
        for failure in failed:
            alike[failure.remedy].append(failure.problem)
        usual = sorted(alike.items(), key=lambda each: len(each[1]), reverse=True)[:KINDS_TOLD]
        recovered = sum(_role(line) == role for line in night.lines_of(DeviceRecovered))
        times = "each time" if recovered >= len(failed) else f"{recovered} times"
        yield Item(
            max((failure.device for failure in failed), key=len),
            f"It failed {len(failed)} times, and went on by itself {times}",
            " ".join(f"{_count(len(problems), 'time', 'times')}: {problems[-1]}" for _, problems in usual),
            " ".join(remedy for remedy, _ in usual),
        )


def _role(line: DeviceLine) -> str:
    """Which device a line of the journal is about, whether it names the port or not."""
    return line.device.partition(" on ")[0]


def _quarantined(night: Night) -> Iterator[Item]:
    for tray in night.trays:
        coins = tuple(coin for coin in tray.coins if coin.result.quarantined)
        if not coins:
            continue
        shots = sum(coin.result.quarantined for coin in coins)
        reasons = Counter(
            frame.quarantine_reason for coin in coins for frame in coin.frames if frame.quarantine_reason is not None
        )
        yield Item(
            f"Tray {tray.tray}",
            f"{_count(shots, 'shot', 'shots')} of {_count(len(coins), 'coin', 'coins')} in quarantine",
            ", ".join(f"{reason} ({count} takes)" for reason, count in reasons.most_common()),
            "Look at them below. If they are needed, see to the cause and scan the tray anew: "
            f"`rig scan --tray {tray.tray} --fresh`.",
            coins,
        )


def _unidentified(night: Night) -> Iterator[Item]:
    failed = {line.coin: line.why for line in night.lines_of(NotIdentified)}
    coins = tuple(coin for coin in night.coins if coin.coin in failed and coin.result.verdict is None)
    if coins:
        what = f"{_count(len(coins), 'coin', 'coins')} could not be identified"
        why = " ".join(dict.fromkeys(failed[coin.coin] for coin in coins))
        yield Item("Matches", what, why, "Give the same `rig batch` again: it tries these again.", coins)


def _possible(night: Night) -> Iterator[Item]:
    coins = tuple(coin for coin in night.coins if coin.result.verdict == "possible")
    if coins:
        yield Item(
            "Matches",
            f"{_count(len(coins), 'possible match', 'possible matches')} to be looked at",
            "Alike, but not surely the same coin.",
            "Compare the pictures: die, wear, edge, marks.",
            coins,
        )


def _unsent(night: Night) -> Iterator[Item]:
    failed = [line for line in night.lines_of(NotificationSent) if not line.ok]
    for channel in dict.fromkeys(line.channel for line in failed):
        why = next(line.why or "" for line in failed if line.channel == channel)
        yield Item(channel, "A message could not be sent", why, "Correct its address in rig.yaml.")


def _skip(coin: CoinNight) -> CoinSkipped:
    return latest_skips(coin.skips)[0]


def _clock(time: str) -> str:
    return f"{time[11:16]} UTC"


def _count(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"
