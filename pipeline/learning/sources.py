"""What a dataset is made of: good frames under their corrected labels, and catalogue images that persons confirmed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from capture.store import Store
from capture.store.labels import Labels
from capture.store.records import Entry, Frame
from models.training.splits import Part
from pipeline.collection.decisions import Decisions
from pipeline.lab import natural
from rig.sides import EDGE, Side


@dataclass(frozen=True)
class Source:
    """An image of a coin that a crop is cut from.

    Attributes
    ----------
    id
        Of the frame, or of the catalogue entry.
    placement
        Images of one placement differ in little but the light.
    box
        Where the side is in the image; None if it is all of it.
    is_scanned
        Whether the rig took it, so that it is no copy.
    """

    id: str
    sha256: str
    coin: str
    side: Side | None
    session: str
    placement: str
    light: str | None = None
    box: tuple[int, int, int, int] | None = None
    is_scanned: bool = False

    def as_row(self, part: Part, type_: str | None) -> dict[str, Any]:
        """As a manifest has it."""
        row = {
            "frame": self.id,
            "sha256": self.sha256,
            "coin": self.coin,
            "side": self.side,
            "type": type_,
            "session": self.session,
            "placement": self.placement,
            "light": self.light,
            "part": part,
        }
        return row if self.box is None else row | {"box": list(self.box)}


@dataclass(frozen=True)
class Sources:
    """Every source, in an order that depends neither on when it came nor on ids drawn then.

    ``same`` and ``different`` are pairs of coins that a person decided are one coin, or two.
    """

    sources: tuple[Source, ...]
    same: frozenset[frozenset[str]]
    different: frozenset[frozenset[str]]


def read_sources(store: Store) -> Sources:
    """Read what there is to make a dataset of."""
    frames = [frame for session in store.sessions.find() for frame in store.frames.find(session.id)]
    entries = {entry.id: entry for entry in store.catalogue.entries()}
    decisions = Decisions.read(store)
    labelled = Labels.read(store).apply(frames)
    shown = [_of_frame(frame, frame.side) for frame in labelled if frame.side != EDGE]
    found = [*shown, *_confirmed(decisions, entries, {each.coin for each in shown})]
    found.sort(key=lambda each: (natural(each.coin), each.side or "", each.placement, each.sha256, each.id))
    same, different = (_coin_pairs(pairs, entries) for pairs in (decisions.confirmed, decisions.rejected))
    return Sources(tuple(found), same, different)


def _of_frame(frame: Frame, side: Side | None) -> Source:
    return Source(
        id=frame.id,
        sha256=frame.calibrated_sha256 or frame.sha256,
        coin=frame.coin_id,
        side=side,
        session=frame.session_id,
        placement=frame.placement,
        light=frame.light,
        is_scanned=frame.shot_id is not None,
    )


def _confirmed(decisions: Decisions, entries: dict[str, Entry], coins: set[str]) -> Iterator[Source]:
    """Images of entries that a person confirmed to show one of these coins: of another occasion than any frame."""
    for coin, entry_id in sorted(decisions.confirmed):
        entry = entries.get(entry_id)
        if entry is not None and coin in coins:
            box = tuple(entry.box) if entry.box else None
            sale = f"catalogue {entry.catalogue}"
            yield Source(entry.id, entry.sha256, coin, entry.side, sale, sale, box=box)  # type: ignore[arg-type]


def _coin_pairs(pairs: frozenset[tuple[str, str]], entries: dict[str, Entry]) -> frozenset[frozenset[str]]:
    found = ({coin, entries[entry_id].coin_id} for coin, entry_id in pairs if entry_id in entries)
    return frozenset(frozenset(pair) for pair in found if len(pair) == 2)
