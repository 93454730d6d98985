"""What a batch came to, coin by coin, read from the store and its journal alone.

It may be read at any time: while the batch is running, after it ended, and after a power cut. What counts is what the
store has of a coin now; a coin that was skipped and photographed later is done.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from capture.engine.skips import is_away, skipped_of
from capture.engine.transport import IN_SLOT
from capture.engine.transport import KINDS as HANDLING
from capture.plan import Shot
from capture.store import Store
from capture.store.records import Event, Frame, Session
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reports.results import CoinResult, coin_result, diameter_mm

T = TypeVar("T")
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
    skips: tuple[Event, ...]
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
    events
        Lines of the journal since it began, of its sessions or of none.
    """

    batch: str
    began: Event
    ended: Event | None
    last_at: str
    trays: tuple[TrayNight, ...]
    events: tuple[Event, ...]

    @property
    def coins(self) -> tuple[CoinNight, ...]:
        """Every coin of every tray."""
        return tuple(coin for tray in self.trays for coin in tray.coins)

    def events_of(self, *kinds: str) -> list[Event]:
        """Lines of the journal of these kinds, oldest first."""
        return [event for event in self.events if event.kind in kinds]


def newest_batch(store: Store, lab: Lab) -> str:
    """The id of the batch that was begun last.

    Raises
    ------
    LabError
        If there was none.
    """
    last = store.journal.last(("batch began",))
    if last is None:
        raise LabError(f"there was no batch in {lab.folder} yet. Start one: `rig batch --trays 1-12`.")
    return str(last.detail["batch"])


def read_night(lab: Lab, store: Store, batch: str) -> Night:
    """Read what a batch came to so far.

    Raises
    ------
    LabError
        If there is no such batch.
    """
    journal = store.journal.events(kinds=("batch began", "batch session", "batch tray", "batch ended"))
    own = [event for event in journal if event.detail.get("batch") == batch]
    if not own or own[0].kind != "batch began":
        raise LabError(f"there is no batch {batch} in {lab.folder}. `rig report --batch` alone writes the newest one.")
    began = own[0]
    ended = own[-1] if own[-1].kind == "batch ended" else None
    after = (event.id for event in journal if event.kind == "batch began" and event.id > own[-1].id)
    until = min(after, default=None)
    sessions = {str(event.detail["tray"]): event.session_id for event in own if event.kind == "batch session"}
    endings = {str(event.detail["tray"]): event for event in own if event.kind == "batch tray"}
    for tray, event in endings.items():
        sessions.setdefault(tray, event.detail.get("session"))
    here = {each for each in sessions.values() if each}
    events = tuple(
        event
        for event in store.journal.events()
        if event.id >= began.id
        and (until is None or event.id < until)
        and (ended is None or event.id <= ended.id or event.kind == "notified")
        and (event.session_id is None or event.session_id in here)
    )
    planned = _shots_of_a_coin(lab, str(began.detail["plan"]))
    trays = tuple(
        _tray(lab, store, tray, sessions.get(tray), endings.get(tray), planned)
        for tray in map(str, began.detail["trays"])
    )
    taken = (frame.taken_at for tray in trays for coin in tray.coins for frame in coin.frames[-1:])
    last_at = ended.at if ended else max([event.at for event in events] + list(taken), default=began.at)
    return Night(batch, began, ended, last_at, trays, events)


def _tray(lab: Lab, store: Store, tray: str, session_id: str | None, ending: Event | None, planned: int) -> TrayNight:
    state, why = (str(ending.detail["state"]), str(ending.detail.get("why") or "")) if ending else (None, "")
    if session_id is None:
        try:
            slots = lab.tray(tray).coins
        except LabError as error:
            return TrayNight(tray, None, state, f"{why} {error}".strip(), ())
        return TrayNight(
            tray, None, state, why, tuple(_untouched(tray, slot, coin, planned) for slot, coin in slots.items())
        )
    session = store.session(session_id)
    shots = _by_coin(store.shots(session_id), lambda shot: shot.coin)
    frames = _by_coin(store.frames(session_id, good=None), lambda frame: frame.coin_id)
    journal = _by_coin(store.journal.events(session_id, HANDLING), lambda event: str(event.detail.get("coin")))
    coins = tuple(
        _coin(store, session, slot, coin, shots[coin], frames[coin], journal[coin])
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
    journal: Sequence[Event],
) -> CoinNight:
    result = coin_result(store, session, slot, coin, len(shots), frames)
    skips = tuple(event for event in journal if event.kind == "coin skipped")
    state, why = _state(result, frames, skips)
    return CoinNight(
        tray=session.name,
        result=result,
        state=state,
        why=why,
        shots=tuple(shots),
        frames=tuple(frames),
        skips=skips,
        is_away=is_away(journal),
        handled=_handled(journal),
        diameter_mm=diameter_mm(frames),
    )


def _state(result: CoinResult, frames: Sequence[Frame], skips: Sequence[Event]) -> tuple[State, str]:
    if result.frames == result.planned:
        return "done", ""
    tried_out = result.frames + result.quarantined == result.planned
    last_skip = skipped_of(skips)[0] if skips else None
    if last_skip is not None and last_skip.reason != "not begun" and not tried_out:
        return "skipped", last_skip.why
    if not frames:
        return "not begun", last_skip.why if last_skip is not None else ""
    if not tried_out:
        return "partly", f"{result.planned - result.frames} of {result.planned} shots are still to be taken."
    good = {frame.shot_id for frame in frames if frame.quarantine_reason is None}
    last = {frame.shot_id: str(frame.quarantine_reason) for frame in frames if frame.shot_id not in good}
    reasons = Counter(last.values()).most_common()
    return "partly", f"{len(last)} of {result.planned} shots have no good frame: " + ", ".join(
        f"{reason} ({count})" for reason, count in reasons
    )


def _handled(journal: Sequence[Event]) -> tuple[tuple[str, str | None], ...]:
    """From each lifting to the next return; a kill in between makes one handling of two runs' parts."""
    spans: list[tuple[str, str | None]] = []
    since: str | None = None
    for event in journal:
        if event.kind in IN_SLOT:
            if since is not None:
                spans.append((since, event.at))
            since = None
        elif since is None:
            since = event.at
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
