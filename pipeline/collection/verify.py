"""`rig store verify`: does the store still hold what was put into it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from capture.store import Store
from capture.store.verify import Problem
from pipeline.lab import Lab


@dataclass(frozen=True)
class Verified:
    """How many frames and catalogue entries were checked, and what is wrong with them."""

    frames: int
    entries: int
    problems: tuple[Problem, ...]


def verify_store(lab: Lab, progress: Callable[[int, int], None]) -> Verified:
    """Re-hash and decode everything; changes nothing."""
    with Store.open(lab.store, writing=False) as store:
        frames, entries = (store.database.read(f"SELECT count(*) FROM {table}")[0][0] for table in ("frame", "entry"))
        return Verified(frames, entries, tuple(store.verify(progress)))
