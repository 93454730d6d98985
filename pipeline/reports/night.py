"""What a batch came to, coin by coin, read from the store and its journal alone.

It may be read at any time: while the batch is running, after it ended, and after a power cut. What counts is what the
store has of a coin now; a coin that was skipped and photographed later is done.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from capture.engine.skips import is_away, latest_skips
from capture.plan import Shot
from capture.store import Store
from capture.store.journal_lines import (
    BatchBegan,
    BatchEnded,
    BatchSession,
    CoinLine,
    CoinSkipped,
    JournalLine,
    NotificationSent,
    TrayEnded,
)
from capture.store.records import Frame, Session
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reports.scan_results import CoinResult, coin_diameter_mm, coin_result

T = TypeVar("T")
L = TypeVar("L", bound=JournalLine)
State = Literal["done", "partly", "skipped", "not begun"]
STATES: tuple[State, ...] = ("done", "partly", "skipped", "not begun")


@dataclass(frozen=True)
class CoinNight:
    """A coin of a batch.

    Attributes
    ----------
    state
        ``done``: every shot has a good frame. ``partly``: some have, or all were tried. ``skipped``: not done, and the
        journal says why. ``not begun``: there is no frame of it, and no reason for that is known.
    why
        A sentence where it is not done.
    shots, frames
        In the order of the plan; in the order they were taken, quarantined ones too.
    skips
        Lines of the journal, oldest first, also of a coin that was done later.
    is_away
        Whether it was last seen away from its slot, be it done or not.
    handled
        From when to when it was out of its slot, ISO 8601; the second None while it is.
    """

    tray: str
    result: CoinResult
    state: State
    why: str
    shots: tuple[Shot, ...]
    frames: tuple[Frame, ...]
    skips: tuple[CoinSkipped, ...]
    is_away: bool
    handled: tuple[tuple[str, str | None], ...]
    diameter_mm: float | None

    @property
    def coin(self) -> str:
        """Its accession number."""
        return self.result.coin

    @property
    def slot(self) -> int:
        """Where it should lie."""
        return self.result.slot


@dataclass(frozen=True)
class TrayNight:
    """A tray of a batch: ``state`` and ``why`` as the journal says; None while it says nothing."""

    tray: str
    session: Session | None
    state: str | None
    why: str
    coins: tuple[CoinNight, ...]


@dataclass(frozen=True)
class Night:
    """A batch.

    Attributes
    ----------
    began, ended
        Lines of the journal: when it began first, and how it ended last. ``ended`` is None while it is running, and
        after it was killed.
    last_at
        When it was last seen at work.
    lines
        Lines of the journal since it began, of its sessions or of none.
    """

    batch: str
    began: BatchBegan
    ended: BatchEnded | None
    last_at: str
    trays: tuple[TrayNight, ...]
    lines: tuple[JournalLine, ...]

    @property
    def coins(self) -> tuple[CoinNight, ...]:
        """Every coin of every tray."""
        return tuple(coin for tray in self.trays for coin in tray.coins)

    def lines_of(self, *types: type[L]) -> list[L]:
        """Lines of the journal of these types, oldest first."""
        return [line for line in self.lines if isinstance(line, types)]


def newest_batch(store: Store, lab: Lab) -> str:
    """The id of the batch that was begun last.

    Raises
    ------
    LabError
        If there was none.
    """
    last = store.journal.last(BatchBegan)
    if last is None:
        raise LabError(f"there was no batch in {lab.folder} yet. Start one: `{lab.command('rig batch --trays all')}`.")
    return last.batch


def read_night(lab: Lab, store: Store, batch: str) -> Night:
    """Read what a batch came to so far.

    Raises
    ------
    LabError
        If there is no such batch.
    """
    journal = store.journal.lines(BatchBegan, BatchSession, TrayEnded, BatchEnded)
    own = [line for line in journal if line.batch == batch]
    began = own[0] if own else None
    if not isinstance(began, BatchBegan):
        raise LabError(f"there is no batch {batch} in {lab.folder}. `rig report --batch` alone writes the newest one.")
    last = own[-1]
    ended = last if isinstance(last, BatchEnded) else None
    after = (line.number for line in journal if isinstance(line, BatchBegan) and line.number > last.number)
    until = min(after, default=None)
    sessions = {line.tray: line.session_id for line in own if isinstance(line, BatchSession)}
    endings = {line.tray: line for line in own if isinstance(line, TrayEnded)}
    for tray, line in endings.items():
        sessions.setdefault(tray, line.session)
    here = {each for each in sessions.values() if each}
    lines = tuple(
        line
        for line in store.journal.lines(JournalLine)
        if line.number >= began.number
        and (until is None or line.number < until)
        and (ended is None or line.number <= ended.number or isinstance(line, NotificationSent))
        and (line.session_id is None or line.session_id in here)
    )
    planned = _shots_of_a_coin(lab, began.plan)
    trays = tuple(_tray(lab, store, tray, sessions.get(tray), endings.get(tray), planned) for tray in began.trays)
    taken = (frame.taken_at for tray in trays for coin in tray.coins for frame in coin.frames[-1:])
    last_at = ended.at if ended else max([line.at for line in lines] + list(taken), default=began.at)
    return Night(batch, began, ended, last_at, trays, lines)


def _tray(
    lab: Lab, store: Store, tray: str, session_id: str | None, ending: TrayEnded | None, planned: int
) -> TrayNight:
    state, why = (ending.state, ending.why or "") if ending else (None, "")
    if session_id is None:
        try:
            slots = lab.tray(tray).coins
        except LabError as error:
            return TrayNight(tray, None, state, f"{why} {error}".strip(), ())
        return TrayNight(
            tray, None, state, why, tuple(_untouched(tray, slot, coin, planned) for slot, coin in slots.items())
        )
    session = store.sessions.get(session_id)
    shots = _by_coin(store.sessions.shots(session_id), lambda shot: shot.coin)
    frames = _by_coin(store.frames.find(session_id, good=None), lambda frame: frame.coin_id)
    lines = _by_coin(store.journal.lines(CoinLine, session_id=session_id), lambda line: line.coin)
    coins = tuple(
        _coin(store, session, slot, coin, shots[coin], frames[coin], lines[coin])
        for slot, coin in session.frozen_tray().coins.items()
    )
    return TrayNight(tray, session, state, why, coins)


def _coin(
    store: Store,
    session: Session,
    slot: int,
    coin: str,
    shots: Sequence[Shot],
    frames: Sequence[Frame],
    lines: Sequence[CoinLine],
) -> CoinNight:
    result = coin_result(store, session, slot, coin, len(shots), frames)
    skips = tuple(line for line in lines if isinstance(line, CoinSkipped))
    state, why = _state(result, frames, skips)
    return CoinNight(
        tray=session.name,
        result=result,
        state=state,
        why=why,
        shots=tuple(shots),
        frames=tuple(frames),
        skips=skips,
        is_away=is_away(lines),
        handled=_handled(lines),
        diameter_mm=coin_diameter_mm(store, coin, frames),
    )


def _state(result: CoinResult, frames: Sequence[Frame], skips: Sequence[CoinSkipped]) -> tuple[State, str]:
    if result.frames == result.planned:
        return "done", ""
    tried_out = result.frames + result.quarantined == result.planned
    last_skip = latest_skips(skips)[0] if skips else None
    if last_skip is not None and last_skip.reason != "not begun" and not tried_out:
        return "skipped", last_skip.why
    if not frames:
        return "not begun", last_skip.why if last_skip is not None else ""
    if not tried_out:
        return "partly", f"{result.planned - result.frames} of {result.planned} shots are still to be taken."
    good = {frame.shot_id for frame in frames if frame.is_good}
    last = {frame.shot_id: str(frame.quarantine_reason) for frame in frames if frame.shot_id not in good}
    reasons = Counter(last.values()).most_common()
    return "partly", f"{len(last)} of {result.planned} shots have no good frame: " + ", ".join(
        f"{reason} ({count})" for reason, count in reasons
    )


def _handled(lines: Sequence[CoinLine]) -> tuple[tuple[str, str | None], ...]:
    """From each lifting to the next return; a kill in between makes one handling of two runs' parts."""
    spans: list[tuple[str, str | None]] = []
    since: str | None = None
    for line in lines:
        if line.is_in_slot:
            if since is not None:
                spans.append((since, line.at))
            since = None
        elif since is None:
            since = line.at
    return tuple([*spans, (since, None)] if since is not None else spans)


def _untouched(tray: str, slot: int, coin: str, planned: int) -> CoinNight:
    result = CoinResult(slot, coin, 0, planned, 0, 0, None, ())
    return CoinNight(tray, result, "not begun", "", (), (), (), False, (), None)


def _shots_of_a_coin(lab: Lab, plan: str) -> int:
    try:
        found = lab.plan(plan)
    except LabError:
        return 0  # it was renamed since; trays that were begun have their own copy
    return len(found.sides) * len(found.lights) * len(found.turntable_deg) * len(found.tilt_deg)


def _by_coin(items: Iterable[T], coin: Callable[[T], str]) -> dict[str, list[T]]:
    grouped: dict[str, list[T]] = defaultdict(list)
    for item in items:
        grouped[coin(item)].append(item)
    return grouped
