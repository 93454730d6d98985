"""Which coin and side each frame shows, after persons corrected labels. The frames themselves never change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from capture.store.journal_lines import FramesRelabelled
from capture.store.records import Frame
from capture.store.store import Store
from rig.sides import Side


@dataclass(frozen=True)
class Labels:
    """The last correction of each frame that was corrected, by its id; and the last one of its label table."""

    corrections: Mapping[str, FramesRelabelled]
    tables: Mapping[str, FramesRelabelled]

    @classmethod
    def read(cls, store: Store) -> Labels:
        """Read every correction from the journal."""
        lines = store.journal.lines(FramesRelabelled)
        corrections = {frame_id: line for line in lines for frame_id in line.frames}
        return cls(corrections, {frame_id: line for line in lines if line.table for frame_id in line.frames})

    def apply(self, frames: Iterable[Frame]) -> list[Frame]:
        """Frames under their corrected labels."""
        return [_corrected(self.by_table(frame), self.corrections.get(frame.id)) for frame in frames]

    def by_table(self, frame: Frame) -> Frame:
        """A frame as its label table last named it, whatever a person decided since."""
        return _corrected(frame, self.tables.get(frame.id))

    def find(self, store: Store, coin: str, side: Side) -> list[Frame]:
        """Good frames that show a coin side, whatever their first labels named, in the order they were stored."""
        moved = [frame_id for frame_id, line in self.corrections.items() if line.coin == coin]
        found = {frame.id: frame for frame in store.frames.find(coin=coin)}
        found |= {frame.id: frame for frame in (store.frames.select(moved) if moved else []) if frame.is_good}
        shown = [frame for frame in self.apply(found.values()) if (frame.coin_id, frame.side) == (coin, side)]
        return sorted(shown, key=lambda frame: frame.number)


def _corrected(frame: Frame, line: FramesRelabelled | None) -> Frame:
    if line is None:
        return frame
    return replace(frame, coin_id=line.coin, side=line.side or frame.side, placement=line.placement or frame.placement)
