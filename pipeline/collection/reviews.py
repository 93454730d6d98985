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
from capture.store.journal_lines import FramesRelabelled, MatchConfirmed, MatchRejected, MatchReviewed, PersonLine
from capture.store.labels import Labels
from capture.store.records import Entry
from pipeline.collection.storekeeping import Selection
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.people import name_of_user
from pipeline.wording import count
from rig.sides import Side

VERDICTS: dict[type[PersonLine], str] = {
    MatchConfirmed: "confirmed",
    MatchRejected: "rejected",
    FramesRelabelled: "relabelled",
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
        """``confirmed``, ``rejected`` or ``relabelled``."""
        return VERDICTS[type(self.line)]

    @property
    def sentence(self) -> str:
        """What was decided."""
        match self.line:
            case FramesRelabelled() as line:
                side = f", {line.side}" if line.side else ""
                shows = "shows" if len(line.frames) == 1 else "show"
                return f"{count(len(line.frames), 'frame')} of {', '.join(line.was)} {shows} {line.coin}{side}."
            case MatchReviewed() as line:
                verb = "is" if isinstance(line, MatchConfirmed) else "is not"
                return f"{line.coin} {verb} the coin of {'; '.join(line.entries)}."
        raise AssertionError(self.line)

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"at": self.line.at, "verdict": self.verdict, "counts": self.counts, **self.line.detail()}


@dataclass(frozen=True)
class Reviews:
    """Every decision, the oldest first."""

    reviews: tuple[Review, ...]

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        return [each.as_json() for each in self.reviews]


def review_match(lab: Lab, coin: str, entry: str, person: Person, *, is_same: bool) -> Review:
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
        in_catalogue = store.catalogue.entries()
        coin = _clean(coin, "the coin's name")
        known = _known_coins(store, in_catalogue)
        if coin not in known:
            raise LabError(
                f"no good frame is of coin {coin}, and no entry of the catalogue. {_suggest(coin, known)}"
                "Scan or import it first, or check the spelling."
            )
        entries = tuple(each.id for each in _named(in_catalogue, entry))
        line: MatchReviewed
        if is_same:
            line = MatchConfirmed(coin=coin, entries=entries, who=person.who, why=person.reason)
        else:
            line = MatchRejected(coin=coin, entries=entries, who=person.who, why=person.reason)
        return Review(store.journal.log(line))


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
        lines = store.journal.lines(FramesRelabelled, MatchReviewed)
    decided: set[object] = set()
    reviews: list[Review] = []
    for line in reversed(lines):
        parts = _parts(line)
        reviews.append(Review(line, counts=not parts <= decided))
        decided |= parts
    return Reviews(tuple(each for each in reversed(reviews) if coin is None or _is_about(each.line, coin)))


def _parts(line: PersonLine) -> set[object]:
    """What a decision is about: frames, or pairs of a coin and an entry."""
    match line:
        case FramesRelabelled():
            return set(line.frames)
        case MatchReviewed():
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


def _known_coins(store: Store, entries: Sequence[Entry]) -> set[str]:
    """Coins that a good frame or an entry shows."""
    frames = Labels.read(store).apply(store.frames.find())
    return {frame.coin_id for frame in frames} | {entry.coin_id for entry in entries}


def _suggest(name: str, known: Collection[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"Did you mean {near[0]}? " if near else ""


def _named(entries: Sequence[Entry], name: str) -> list[Entry]:
    found = [entry for entry in entries if entry.id == name] or [entry for entry in entries if entry.coin_id == name]
    if not found:
        names = {name for entry in entries for name in (entry.id, entry.coin_id)}
        hint = _suggest(name, names) or "`rig catalogue list --sale NAME` lists them."
        raise LabError(f"there is no entry {printable(name)!r} in the catalogue. {hint}".strip())
    return found
