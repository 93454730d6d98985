"""What needs a person after a batch, the most urgent first."""

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
from pipeline.wording import count, moment

KINDS_SHOWN = 3  # kinds of failure of one device that are reported, the most frequent
RECURRING = 3  # failures of one device in a batch that the rig recovered from, and a person should still look into


@dataclass(frozen=True)
class Need:
    """Something that needs a person.

    Attributes
    ----------
    where
        Tray, slot and coin, or the device.
    what, why, remedy
        What it is, what shows it, and what to do.
    coins
        Coins that it is about.
    """

    where: str
    what: str
    why: str
    remedy: str
    coins: tuple[CoinNight, ...] = ()


def list_needs(night: Night, unreadable: dict[str, str], *, is_running: bool) -> list[Need]:
    """Everything that needs a person.

    Parameters
    ----------
    night
        What the batch came to.
    unreadable
        Images of the store that could not be read, and what is wrong with each.
    is_running
        Whether it is at work now: a coin that is out of its slot is being photographed then.
    """
    return [
        *(() if is_running and night.ended is None else _ending(night)),
        *_skipped(night),
        *_trays(night),
        *_devices(night),
        *(
            Need("store", "An image is damaged", why, "Restore the file from a backup; `rig store verify` lists all.")
            for why in unreadable.values()
        ),
        *_quarantined(night),
        *_unidentified(night),
        *_possible(night),
        *_unsent(night),
    ]


def summarise(night: Night, needs: Sequence[Need], *, is_running: bool) -> str:
    """The whole night in a sentence; of a batch that was killed, too."""
    states = Counter(coin.state for coin in night.coins)
    done = f"{states['done']} of {count(len(night.coins), 'coin')} done"
    if night.ended is None:
        done = f"Still running: {done} so far" if is_running else f"It has not ended: {done}"
    if not needs:
        return f"{done}, nothing needs you." if night.ended else f"{done}."
    return f"{done}, {count(len(needs), 'thing needs', 'things need')} you."


def _place(coin: CoinNight) -> str:
    """Where a coin should lie."""
    return f"Tray {coin.tray}, slot {coin.slot}"


def _next_step(coin: CoinNight) -> str:
    if coin.state == "done":
        return "obverse up; all its shots were taken before."
    return f"then run `rig scan --tray {coin.tray}` to photograph it."


def _ending(night: Night) -> Iterator[Need]:
    last_move = max(night.lines_of(CoinLine), key=lambda line: line.number, default=None)
    out = last_move if last_move is not None and not last_move.is_in_slot else None
    if night.ended is None:
        last = f" Coin {out.coin} of slot {out.slot} was out of its slot then." if out else ""
        yield Need(
            "Batch",
            "It has not ended",
            f"It was last seen at work at {_clock(night.last_at)}.{last}",
            "`rig status` shows whether it is still running. If not, run the same `rig batch` again: it resumes from "
            "here, and looks for the coin itself.",
        )
        return
    state, why = night.ended.state, night.ended.why or ""
    if state in ("stopped", "failed"):
        remedy = "Fix what it says, then run the same `rig batch` again: it resumes from here."
        yield Need("Batch", "It was stopped early" if state == "stopped" else "It failed", why, remedy)
    if out:
        remedy = f"Put it into slot {out.slot}, obverse up, or run `rig batch` again: it looks for the coin itself."
        yield Need(
            f"Slot {out.slot}",
            f"Coin {out.coin} may be on the plate",
            f'The last thing recorded of it is "{out.kind}".',
            remedy,
        )


def _skipped(night: Night) -> Iterator[Need]:
    skipped = {coin.coin: coin for coin in night.coins if coin.state == "skipped" or coin.is_away}
    paired: set[str] = set()
    for coin in skipped.values():
        skip, other = _skip(coin), skipped.get(_skip(coin).looks_like or "")
        if coin.coin in paired or skip.reason not in NOT_THERE:
            continue
        if other is not None and are_swapped(skip, _skip(other)):
            paired.add(other.coin)
            yield _swapped(coin, other)
        else:
            yield Need(_place(coin), in_words([skip])[0], skip.why, _remedy(coin, skip, night), (coin,))
    given_up = [coin for coin in skipped.values() if _skip(coin).reason not in NOT_THERE]
    for tray, of_tray in groupby(given_up, lambda coin: coin.tray):
        coins = tuple(of_tray)
        yield Need(
            f"Tray {tray}",
            f"{count(len(coins), 'coin was', 'coins were')} given up after faults",
            " ".join(list(dict.fromkeys(coin.why for coin in coins))[:2]),
            f"Fix the device, then run `rig scan --tray {tray}` to resume.",
            coins,
        )


def _swapped(coin: CoinNight, other: CoinNight) -> Need:
    why = " ".join(dict.fromkeys((_skip(coin).why, _skip(other).why)))
    if coin.tray == other.tray:
        what = in_words([_skip(coin), _skip(other)])[0]
        where, remedy = f"{_place(coin)} and slot {other.slot}", f"Swap them, {_next_step(coin)}"
    else:
        where = f"{_place(coin)} and {_place(other).lower()}"
        what = (
            f"Coins {coin.coin} and {other.coin} are swapped: {other.coin} is in {_place(coin).lower()}, "
            f"{coin.coin} in {_place(other).lower()}."
        )
        remedy = (
            f"Swap them, then run `rig scan --tray {coin.tray}` for {coin.coin}, and "
            f"`rig scan --tray {other.tray}` for {other.coin}."
        )
    return Need(where, what, why, remedy, (coin, other))


def _remedy(coin: CoinNight, skip: CoinSkipped, night: Night) -> str:
    put = f"Put coin {coin.coin} into the slot, {_next_step(coin)}"
    if skip.reason == "empty slot":
        return f"Look for the coin. {put} If it is not here, empty the slot in trays/{coin.tray}.yaml."
    if skip.reason == "two coins":
        return f"Remove what does not belong there, {_next_step(coin)}"
    home = next((_place(each).lower() for each in night.coins if each.coin == skip.looks_like), None)
    return f"Find out which coin it is{f'; {skip.looks_like} belongs in {home}' if home else ''}. {put}"


def _trays(night: Night) -> Iterator[Need]:
    for tray in night.trays:
        if tray.session is None and not tray.coins:
            yield Need(f"Tray {tray.tray}", "Its contents are not known", tray.why, f"Correct trays/{tray.tray}.yaml.")
        elif night.ended is not None and tray.state in (None, "skipped", "not begun"):
            yield Need(
                f"Tray {tray.tray}",
                f"It was {_given_up(tray)}",
                tray.why if tray.why not in ("", night.ended.why) else "The batch ended before its turn.",
                f"Run `rig scan --tray {tray.tray}`, or add it to the next batch.",
            )
        elif tray.state == "left over" and (open_coins := _unexplained(tray)):
            yield Need(
                f"Tray {tray.tray}",
                f"{count(len(open_coins), 'coin is', 'coins are')} not done",
                tray.why,
                f"Run `rig scan --tray {tray.tray}` to resume.",
                open_coins,
            )


def _given_up(tray: TrayNight) -> str:
    return "skipped" if tray.state == "skipped" else "not resumed" if tray.session else "not begun"


def _unexplained(tray: TrayNight) -> tuple[CoinNight, ...]:
    """Coins of a tray that have shots still to be taken, and no other need."""
    return tuple(
        coin
        for coin in tray.coins
        if coin.state in ("partly", "not begun") and coin.result.frames + coin.result.quarantined < coin.result.planned
    )


def _devices(night: Night) -> Iterator[Need]:
    failures = sorted(night.lines_of(DeviceFailed), key=_role)
    for role, of_device in groupby(failures, _role):
        failed = list(of_device)
        if len(failed) < RECURRING:
            continue
        alike: dict[str, list[str]] = defaultdict(list)  # what is done about it, and each problem that asks for it
        for failure in failed:
            alike[failure.remedy].append(failure.problem)
        usual = sorted(alike.items(), key=lambda each: len(each[1]), reverse=True)[:KINDS_SHOWN]
        recovered = sum(_role(line) == role for line in night.lines_of(DeviceRecovered))
        times = "each time" if recovered >= len(failed) else count(recovered, "time")
        yield Need(
            max((failure.device for failure in failed), key=len),
            f"It failed {count(len(failed), 'time')}, and recovered by itself {times}",
            " ".join(f"{count(len(problems), 'time')}: {problems[-1]}" for _, problems in usual),
            " ".join(remedy for remedy, _ in usual),
        )


def _role(line: DeviceLine) -> str:
    """Which device a line of the journal is about, whether it names the port or not."""
    return line.device.partition(" on ")[0]


def _quarantined(night: Night) -> Iterator[Need]:
    for tray in night.trays:
        coins = tuple(coin for coin in tray.coins if coin.result.quarantined)
        if not coins:
            continue
        shots = sum(coin.result.quarantined for coin in coins)
        reasons = Counter(frame.quarantine_reason for coin in coins for frame in coin.frames if not frame.is_good)
        yield Need(
            f"Tray {tray.tray}",
            f"{count(shots, 'shot')} of {count(len(coins), 'coin')} in quarantine",
            ", ".join(f"{reason} ({count(takes, 'take')})" for reason, takes in reasons.most_common()),
            "See them below. If they are needed, fix the cause and scan the tray again: "
            f"`rig scan --tray {tray.tray} --fresh`.",
            coins,
        )


def _unidentified(night: Night) -> Iterator[Need]:
    failed = {line.coin: line.why for line in night.lines_of(NotIdentified)}
    coins = tuple(coin for coin in night.coins if coin.coin in failed and coin.result.verdict is None)
    if coins:
        what = f"{count(len(coins), 'coin')} could not be identified"
        why = " ".join(dict.fromkeys(failed[coin.coin] for coin in coins))
        yield Need("Matches", what, why, "Run the same `rig batch` again: it retries these.", coins)


def _possible(night: Night) -> Iterator[Need]:
    coins = tuple(coin for coin in night.coins if coin.result.verdict == "possible")
    if coins:
        yield Need(
            "Matches",
            f"{count(len(coins), 'possible match', 'possible matches')} to review",
            "Similar, but not certainly the same coin.",
            "Compare the images: die, wear, edge, marks.",
            coins,
        )


def _unsent(night: Night) -> Iterator[Need]:
    failed = [line for line in night.lines_of(NotificationSent) if not line.ok]
    for channel in dict.fromkeys(line.channel for line in failed):
        why = next(line.why or "" for line in failed if line.channel == channel)
        yield Need(channel, "A message could not be sent", why, "Correct its address in rig.yaml.")


def _skip(coin: CoinNight) -> CoinSkipped:
    return latest_skips(coin.skips)[0]


def _clock(time: str) -> str:
    return f"{moment(time):%H:%M %Z}"
