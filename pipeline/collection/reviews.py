"""`rig label`, `confirm`, `reject` and `reviews`: what a person decided. The journal keeps who, when and why.

The latest decision about a frame, or about a coin and an entry, counts; former ones stay in the journal.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from capture.names import NameProblem, clean_name, printable
from capture.store import Store
from capture.store.journal_lines import (
    FramesRelabelled,
    MatchConfirmed,
    MatchRejected,
    MatchReviewed,
    MatchUndone,
    MatchUnsure,
    PersonLine,
)
from capture.store.labels import Labels
from capture.store.records import Entry
from pipeline.collection.decisions import Decision, decision_of, line_of
from pipeline.collection.storekeeping import Selection
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.people import name_of_user
from pipeline.wording import count
from rig.sides import EDGE, Side

VERDICTS: dict[type[PersonLine], str] = {
    MatchConfirmed: "confirmed",
    MatchRejected: "rejected",
    MatchUnsure: "unsure",
    MatchUndone: "undone",
    FramesRelabelled: "relabelled",
}


_VERBS: dict[Decision, str] = {
    "same coin": "is the coin of",
    "same die": "is not the coin, but of the die, of",
    "same type": "is not the coin, but of the type, of",
    "different": "is not the coin of",
    "unsure": "may or may not be the coin of",
}


@dataclass(frozen=True)
class Person:
    """Who decides, and why; without a name it is whoever is logged in."""

    name: str | None
    why: str

    @property
    def who(self) -> str:
        """The name that the journal keeps."""
        return printable((self.name or "").strip()) or name_of_user()

    @property
    def reason(self) -> str:
        """The reason that the journal keeps."""
        return printable(self.why.strip())


@dataclass(frozen=True)
class Review:
    """A decision, as the journal has it.

    ``counts`` is false if later ones have decided all of it otherwise, or again. ``hint`` is what to check.
    """

    line: PersonLine
    counts: bool = True
    hint: str = ""

    @property
    def verdict(self) -> str:
        """``confirmed``, ``rejected``, ``unsure``, ``undone`` or ``relabelled``."""
        return VERDICTS[type(self.line)]

    @property
    def sentence(self) -> str:
        """What was decided."""
        match self.line:
            case FramesRelabelled() as line:
                side = f", {line.side}" if line.side else ""
                shows = "shows" if len(line.frames) == 1 else "show"
                return f"{count(len(line.frames), 'frame')} of {', '.join(line.was)} {shows} {line.coin}{side}."
            case MatchUndone() as line:
                return f"Decision {line.undoes} about {line.coin} and {'; '.join(line.entries)} is taken back."
            case MatchReviewed() as line:
                return f"{line.coin} {_VERBS[decision_of(line)]} {'; '.join(line.entries)}."
        raise AssertionError(self.line)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        stamps = {"number": self.line.number, "at": self.line.at}
        return {**stamps, "verdict": self.verdict, "counts": self.counts, **self.line.detail()}


@dataclass(frozen=True)
class Reviews:
    """Every decision, the oldest first."""

    reviews: tuple[Review, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [each.as_json() for each in self.reviews]


def review_match(lab: Lab, coin: str, entry: str, person: Person, decision: Decision) -> Review:
    """Record whether a coin is the one that an entry shows.

    Parameters
    ----------
    coin
        A coin of the lab, or another name of the catalogue: of two lots that show one coin.
    entry
        The id of an entry, or what the catalogue calls its coin: then all of that coin's entries.

    Raises
    ------
    LabError
        If no frame and no entry is of this coin, or there is no such entry.
    """
    with Store.open(lab.store) as store:
        coin = _clean(coin, "the coin's name")
        if not _is_known(store, coin):
            raise LabError(
                f"no good frame is of coin {coin}, and no entry of the catalogue. "
                f"{_suggest(coin, _known_coins(store, store.catalogue.entries()))}"
                "Scan or import it first, or check the spelling."
            )
        entries = tuple(each.id for each in _named(store, entry))
        return Review(store.journal.log(line_of(decision, coin, entries, person.who, person.reason)))


def undo_review(lab: Lab, number: int, person: Person) -> Review:
    """Take back a decision about a match; what was decided before it counts again.

    Parameters
    ----------
    number
        Of the decision's line in the journal.

    Raises
    ------
    UsageError
        If there is no such decision, somebody else made it, or it is taken back already.
    """
    with Store.open(lab.store) as store:
        lines = store.journal.lines(MatchReviewed, MatchUndone, after=number - 1)
        line = next((line for line in lines if line.number == number), None)
        if not isinstance(line, MatchReviewed):
            raise UsageError(f"there is no decision {number} about a match. `rig reviews --json` lists their numbers.")
        if line.who != person.who:
            raise UsageError(
                f"decision {number} is {line.who}'s, and only they can take it back. Decide otherwise instead: both "
                "decisions are kept, and the latest counts."
            )
        if any(isinstance(each, MatchUndone) and each.undoes == number for each in lines):
            raise UsageError(f"decision {number} is taken back already. Nothing was changed.")
        undone = MatchUndone(coin=line.coin, entries=line.entries, undoes=number, who=person.who, why=person.reason)
        return Review(store.journal.log(undone))


def relabel_frames(lab: Lab, coin: str, selection: Selection, side: Side | None, person: Person) -> Review:
    """Record that frames show another coin, or another side, than their labels say.

    Raises
    ------
    UsageError
        If no frame is named.
    StoreError
        If something named has no frame.
    """
    if not (selection.frames or selection.sessions or selection.coins):
        raise UsageError("name the frames: --frame, --session or --coin. Nothing was changed.")
    with Store.open(lab.store) as store:
        frames = Labels.read(store).apply(store.frames.select(selection.frames, selection.sessions, selection.coins))
        of_edge = [frame.id for frame in frames if frame.side == EDGE]
        if side is not None and of_edge:
            raise UsageError(
                f"frame {of_edge[0]} shows the edge, which is no {side}. Name the frames of the {side}, or leave out "
                "--side. Nothing was changed."
            )
        coin = _clean(coin, "the new name")
        known = _known_coins(store, store.catalogue.entries())
        was = tuple(dict.fromkeys(f"{frame.coin_id} {frame.side or ''}".strip() for frame in frames))
        line = FramesRelabelled(
            frames=tuple(frame.id for frame in frames),
            coin=coin,
            side=side,
            was=was,
            who=person.who,
            why=person.reason,
        )
        store.coins.add(coin)
        hint = "" if coin in known else f"{coin} is a new coin. {_suggest(coin, known)}".strip()
        return Review(store.journal.log(line), hint=hint)


def list_reviews(lab: Lab, coin: str | None) -> Reviews:
    """Every decision about a coin, or about any."""
    if not (lab.store / "index.sqlite").is_file():
        return Reviews(())
    with Store.open(lab.store, writing=False) as store:
        return reviews_of(store, coin)


def reviews_of(store: Store, coin: str | None) -> Reviews:
    """Every decision about a coin, or about any."""
    about = store.journal.lines(MatchReviewed, MatchUndone, coin=coin)
    lines: list[PersonLine] = [*store.journal.lines(FramesRelabelled), *about]
    lines.sort(key=lambda line: line.number)
    undone = {line.undoes for line in lines if isinstance(line, MatchUndone)}
    decided: set[object] = set()
    reviews: list[Review] = []
    for line in reversed(lines):
        parts = _parts(line)
        if isinstance(line, MatchUndone) or line.number in undone:
            reviews.append(Review(line, counts=isinstance(line, MatchUndone)))
            continue
        reviews.append(Review(line, counts=not parts <= decided))
        decided |= parts
    return Reviews(tuple(each for each in reversed(reviews) if coin is None or _is_about(each.line, coin)))


def _parts(line: PersonLine) -> set[object]:
    """What a decision is about: frames, or pairs of a coin and an entry."""
    match line:
        case FramesRelabelled():
            return set(line.frames)
        case MatchReviewed() | MatchUndone():
            return {(line.coin, entry) for entry in line.entries}
    raise AssertionError(line)


def _is_about(line: PersonLine, coin: str) -> bool:
    was = line.was if isinstance(line, FramesRelabelled) else ()
    return coin in (line.coin, *was, *(each.rpartition(" ")[0] for each in was))


def _clean(name: str, what: str) -> str:
    try:
        return clean_name(name)
    except NameProblem as problem:
        raise UsageError(f"{what} {problem} Nothing was changed.") from problem


def _is_known(store: Store, coin: str) -> bool:
    """Whether a good frame or an entry shows a coin, without reading every frame there is."""
    if store.catalogue.entries(coin):
        return True
    labels = Labels.read(store)
    moved = [frame_id for frame_id, line in labels.corrections.items() if line.coin == coin]
    frames = [*store.frames.find(coin=coin), *(store.frames.select(moved) if moved else [])]
    return any(frame.coin_id == coin and frame.is_good for frame in labels.apply(frames))


def _known_coins(store: Store, entries: Sequence[Entry]) -> set[str]:
    """Coins that a good frame or an entry shows."""
    frames = Labels.read(store).apply(store.frames.find())
    return {frame.coin_id for frame in frames} | {entry.coin_id for entry in entries}


def _suggest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"Did you mean {near[0]}? " if near else ""


def _named(store: Store, name: str) -> list[Entry]:
    entry = store.catalogue.get(name)
    if entry is not None and entry.removed_at is None:
        return [entry]
    found = store.catalogue.entries(name)
    if not found:
        names = {name for entry in store.catalogue.entries() for name in (entry.id, entry.coin_id)}
        hint = _suggest(name, names) or "`rig catalogue list --sale NAME` lists them."
        raise LabError(f"there is no entry {printable(name)!r} in the catalogue. {hint}".strip())
    return found
