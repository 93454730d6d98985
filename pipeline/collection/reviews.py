"""`rig label`, `confirm`, `reject` and `reviews`: what a person decided. The journal keeps who, when and why.

The latest decision about a frame, or about a coin and an entry, counts; former ones stay in the journal.
"""

from __future__ import annotations

import difflib
import getpass
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from capture.store import Store
from capture.store.journal_lines import FramesRelabelled, MatchConfirmed, MatchRejected, MatchReviewed, PersonLine
from capture.store.labels import Labels
from capture.store.records import Entry
from pipeline.collection.storekeeping import Selection
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
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
        return (self.name or getpass.getuser()).strip()


@dataclass(frozen=True)
class Review:
    """A decision, as the journal has it."""

    line: PersonLine

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
        return {"at": self.line.at, "verdict": self.verdict, **self.line.detail()}


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
        if not any(each.coin_id == coin for each in in_catalogue) and not any(
            frame.coin_id == coin for frame in Labels.read(store).apply(store.frames.find())
        ):
            raise LabError(
                f"no good frame is of coin {coin}, and no entry of the catalogue. Scan or import it first, or check "
                "the spelling."
            )
        entries = tuple(each.id for each in _named(in_catalogue, entry))
        line: MatchReviewed
        if is_same:
            line = MatchConfirmed(coin=coin, entries=entries, who=person.who, why=person.why)
        else:
            line = MatchRejected(coin=coin, entries=entries, who=person.who, why=person.why)
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
        store.coins.add(coin)
        was = tuple(dict.fromkeys(f"{frame.coin_id} {frame.side or ''}".strip() for frame in frames))
        ids = tuple(frame.id for frame in frames)
        return Review(
            store.journal.log(
                FramesRelabelled(frames=ids, coin=coin, side=side, was=was, who=person.who, why=person.why)
            )
        )


def list_reviews(lab: Lab, coin: str | None) -> Reviews:
    """Every decision about a coin, or about any."""
    with Store.open(lab.store) as store:
        lines = store.journal.lines(FramesRelabelled, MatchReviewed)
    return Reviews(tuple(Review(line) for line in lines if coin is None or line.coin == coin))


def _named(entries: Sequence[Entry], name: str) -> list[Entry]:
    found = [entry for entry in entries if entry.id == name] or [entry for entry in entries if entry.coin_id == name]
    if not found:
        near = difflib.get_close_matches(name, [entry.id for entry in entries], 1, 0.6)
        hint = f"Did you mean {near[0]!r}?" if near else "`rig catalogue list --sale NAME` lists them."
        raise LabError(f"there is no entry {name!r} in the catalogue. {hint}")
    return found
