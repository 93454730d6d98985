"""Deleting frames for good: only what a person names, and never without a trace of who did it and why.

A tombstone, fsynced before anything goes, says what went. It outlives frame, index and picture: where it is found, the
deletion is finished, and a record or backup of the frame that turns up again is not taken for a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from capture.store.journal_lines import FramesDeleted
from capture.store.kinds import frame_name
from capture.store.records import Deletion, Frame, now
from capture.store.store import Store
from capture.store.tombstones import finish_deletions
from capture.store.transaction import keeping, on_its_way


@dataclass(frozen=True)
class Doomed:
    """What a deletion takes away: frames, their pictures' bytes on disk, and sessions and coins concerned."""

    frames: tuple[Frame, ...]
    bytes: int

    @property
    def coins(self) -> list[str]:
        """Whose frames go."""
        return sorted({frame.coin_id for frame in self.frames})

    @property
    def sessions(self) -> list[str]:
        """Out of which sessions they go."""
        return sorted({frame.session_id for frame in self.frames})


def doomed(store: Store, frames: Sequence[Frame]) -> Doomed:
    """What deleting these frames takes away."""
    pictures = {sha256 for frame in frames for sha256 in (frame.sha256, frame.calibrated_sha256) if sha256}
    paths = [store.path(sha256) for sha256 in pictures]
    return Doomed(tuple(frames), sum(path.stat().st_size for path in paths if path.exists()))


def delete_frames(store: Store, frames: Sequence[Frame], who: str, why: str) -> None:
    """Delete frames and their pictures for good. The store must have been opened alone.

    Raises
    ------
    StoreError
        If something cannot be written. What a tombstone was written for is then deleted at the next opening.
    """
    at = now()
    with on_its_way(store.files), keeping(store.files, store.database) as kept:
        for frame in frames:
            deletion = Deletion(
                frame_id=frame.id,
                session_id=frame.session_id,
                shot_id=frame.shot_id,
                coin_id=frame.coin_id,
                side=frame.side,
                sha256=frame.sha256,
                calibrated_sha256=frame.calibrated_sha256,
                number=frame.number,
                who=who,
                why=why,
                at=at,
            )
            kept.insert("deletion", deletion.columns())
            kept.record("deletion", frame_name(deletion), {"row": asdict(deletion)})
    by_session: dict[str, list[str]] = {}
    for frame in frames:
        by_session.setdefault(frame.session_id, []).append(frame.id)
    for session_id, ids in by_session.items():
        store.journal.log(FramesDeleted(frames=tuple(ids), who=who, why=why), session_id)
    try:
        finish_deletions(store.files, store.database)
    except BaseException:
        store.files.is_in_order = False
        raise
