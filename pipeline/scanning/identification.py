"""Identifying coins beside the scan: in a thread of its own, which never holds up or ends the photographing."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from capture.store import Store
from capture.store.journal_lines import NotIdentified
from capture.store.records import Candidate, Session
from pipeline.collection.catalogue import require_catalogue
from pipeline.errors import LabError, explain
from pipeline.lab import Lab
from pipeline.reporter import LineProgress, Progress, Reporter
from rig.sides import EDGE

if TYPE_CHECKING:
    from pipeline.collection.identify import Identifier  # which needs torch

log = logging.getLogger(__name__)

T = TypeVar("T")

POLL_S = 0.1

OnIdentified = Callable[[str, str], None]
"""Called with a coin and what it was matched with, in a few words."""


class Identified(Protocol):
    """An answer to which catalogue coin this is."""

    @property
    def verdict(self) -> str | None:
        """``match``, ``possible``, ``same die`` or ``not in catalogue``; None without a good frame."""

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The catalogue's coins, most probable first."""


class Identifies(Protocol):
    """What a scan asks of `LateIdentifier`."""

    def require_model(self) -> None:
        """Wait until the model is loaded; LabError or WeightsError if it cannot be."""

    def identify_scanned(self, store: Store, session_id: str, coin: str) -> Identified:
        """Identify a coin by its good frames in a session, and store the ranking."""

    @property
    def opening(self) -> str:
        """What it still makes ready, as the beginning of a sentence; empty once it can be asked."""

    def follow(self, on_step: Callable[[], None]) -> None:
        """Call this whenever `opening` has changed."""

    def cancel(self) -> None:
        """Nothing more will be asked: end what is still being made ready."""


OpenIdentifier = Callable[[], Identifies]
"""Begins to load the model and to embed what it has not seen of the catalogue, which takes seconds, or minutes."""

OPENING = "The model is being loaded, and what it has not seen of the catalogue is being embedded."


def open_identifier(lab: Lab, model: str, reporter: Reporter) -> Identifies:
    """Begin to load a model, and to embed what it has not seen of the catalogue.

    The model is loaded while the devices connect (`Identifies.require_model`). What is imported for it is imported only
    then, since a machine without torch photographs all the same.

    Raises
    ------
    LabError
        If the catalogue is empty.
    """
    require_catalogue(lab)

    def load() -> Callable[[Progress], Identifier]:
        from pipeline.collection.identify import Identifier, load_model

        embedder = load_model(lab, model)

        def open_late(progress: Progress) -> Identifier:
            identifier = Identifier.over(lab, embedder, progress)
            identifier.warn_of_missing(reporter)
            return identifier

        return open_late

    return LateIdentifier(load, reporter)


class LateIdentifier:
    """An identifier that is opened in a thread of its own; whoever has a coin identified waits for it.

    Parameters
    ----------
    load
        Loads the model, and returns what embeds the catalogue, calling what it is given with how far it is.
    """

    def __init__(self, load: Callable[[], Callable[[Progress], Identifier]], reporter: Reporter) -> None:
        self._is_cancelled = Event()
        self._on_step: Callable[[], None] = lambda: None
        self._step = ""
        self._reporter = reporter
        self._lines = LineProgress("Embedding the catalogue", reporter.report)  # the scan has the terminal
        pool = ThreadPoolExecutor(1, "catalogue")
        self._loaded = pool.submit(load)
        self._opened = pool.submit(lambda: self._loaded.result()(self._show))
        pool.shutdown(wait=False)

    def require_model(self) -> None:
        """See `Identifies`."""
        with self._reporter.step("Loading the model"):
            self._loaded.result()

    def identify_scanned(self, store: Store, session_id: str, coin: str) -> Identified:
        """See `Identifies`."""
        return self._opened.result().identify_scanned(store, session_id, coin)

    @property
    def opening(self) -> str:
        """See `Identifies`."""
        return "" if self._opened.done() else self._step

    def follow(self, on_step: Callable[[], None]) -> None:
        """See `Identifies`."""
        self._on_step = on_step

    def cancel(self) -> None:
        """See `Identifies`."""
        self._is_cancelled.set()

    def _show(self, done: int, total: int) -> None:
        if self._is_cancelled.is_set():
            raise LabError("the scan ended before the catalogue was embedded. The same command identifies it.")
        self._lines(done, total)
        self._step = f"Embedding the catalogue, {done} of {total}" if done < total else ""
        self._on_step()


@dataclass(frozen=True)
class Unidentified:
    """A coin that could not be identified, and why; the same command tries it again."""

    tray: str
    coin: str
    why: str


class Identification:
    """Does what it is given one after the other, in a thread of its own; a context manager that waits for the rest.

    What goes wrong is noted, reported and written to the journal: photographs are what cannot be had again.

    Parameters
    ----------
    identifier
        None to photograph only.

    Attributes
    ----------
    failed
        Coins that could not be identified.
    """

    def __init__(self, store: Store, identifier: Identifies | None, reporter: Reporter) -> None:
        self._store = store
        self._identifier = identifier
        self._reporter = reporter
        self._pool = ThreadPoolExecutor(1, "identify")
        self._given: list[Future[Any]] = []
        self._coins = self._done = 0
        self._announce: Callable[[str], None] | None = None
        self.failed: list[Unidentified] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.cancel_opening()
        self._pool.shutdown(wait=True, cancel_futures=kind is not None)

    def report_rest(self, announce: Callable[[str], None]) -> None:
        """Everything is photographed: from now on, announce and report what is being done of what is left."""
        self._announce = announce
        if (sentence := self._next_step()) is not None:
            self._reporter.report(sentence)
        if self._identifier is not None:
            self._identifier.follow(self._announce_step)
        self._announce_step()

    def _announce_step(self) -> None:
        if self._announce is not None and (sentence := self._next_step()) is not None:
            self._announce(sentence)

    def _next_step(self) -> str | None:
        """What is being done, in a sentence; None if nothing is left."""
        if self._identifier is None or self._done >= self._coins:
            return None
        coins = f"identifying coin {self._done + 1} of {self._coins}."
        opening = self._identifier.opening
        return f"{opening}; then {coins}" if opening else coins.capitalize()

    def wait(self, stop: Event) -> None:
        """Wait until all that was given is done, or, once `stop` is set, what is being done now."""
        while any(not each.done() for each in self._given):
            if stop.is_set():
                self.cancel_opening()
                self._pool.shutdown(wait=True, cancel_futures=True)
            time.sleep(POLL_S)

    def cancel_opening(self) -> None:
        """Wait no longer for a catalogue that is still being embedded: its coins are identified another time."""
        if self._identifier is not None:
            self._identifier.cancel()

    def resume(self, session: Session, on_identified: OnIdentified = lambda coin, text: None) -> None:
        """Identify the coins that an earlier run photographed but did not identify."""
        for coin in unidentified(self._store, session) if self._identifier is not None else ():
            self.add(session, coin, on_identified)

    def add(self, session: Session, coin: str, on_identified: OnIdentified) -> None:
        """Identify a coin whose photographs are all there. Returns at once."""
        if self._identifier is not None:
            self._coins += 1
            self._submit(self._identify, self._identifier, session, coin, on_identified)

    def then(self, what: str, action: Callable[[], object]) -> None:
        """Do something when all that was given so far is done. Returns at once; a failure is only reported."""
        self._submit(self._attempt, what, action)

    def afterwards(self, action: Callable[[], T]) -> Future[T]:
        """The same, for what is waited for: its result, or what went wrong, is the future's."""
        return self._submit(action)

    def _submit(self, action: Callable[..., T], *args: object) -> Future[T]:
        self._given = [each for each in self._given if not each.done()]
        given = self._pool.submit(action, *args)
        self._given.append(given)
        return given

    def _identify(self, identifier: Identifies, session: Session, coin: str, on_identified: OnIdentified) -> None:
        self._announce_step()
        try:
            answer = identifier.identify_scanned(self._store, session.id, coin)
        except Exception as error:
            why = explain(error)
            self.failed.append(Unidentified(session.name, coin, why))
            self._attempt(
                "The journal",
                lambda: self._store.journal.log(NotIdentified(coin=coin, why=why), session.id),
            )
            on_identified(coin, "not identified")
            self._reporter.warn(f"{coin} could not be identified: {why}")
            return
        finally:
            self._done += 1
        if answer.verdict is None:
            on_identified(coin, "no good frame of a side")
            return
        best = f", {answer.candidates[0].coin} ({answer.candidates[0].probability:.2f})" if answer.candidates else ""
        on_identified(coin, f"{answer.verdict}{best}")

    def _attempt(self, what: str, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:
            log.exception("%s", what)
            self._reporter.warn(f"{what} could not be written: {explain(error)}")


def unidentified(store: Store, session: Session) -> list[str]:
    """Coins of a session that are photographed and not identified."""
    missing = {shot.coin for shot in store.sessions.missing_shots(session.id)}
    good = {frame.coin_id for frame in store.frames.find(session.id) if frame.side != EDGE}
    return [
        coin
        for coin in session.frozen_tray().coins.values()
        if coin not in missing and coin in good and store.rankings.latest(session.id, coin) is None
    ]
