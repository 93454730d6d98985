"""What deserves a look beside matches: frames in quarantine, uncertain cuts of plates, lots that may be one coin."""

from __future__ import annotations

from capture.store import Store
from capture.store.journal_lines import QuarantineSeen
from capture.store.records import Entry
from pipeline.collection.decisions import Decisions
from pipeline.collection.kept_links import newest_links, probable_pairs, propose_duplicates, read_links
from pipeline.collection.plates import waiting_cuts
from pipeline.lab import Lab
from pipeline.serve.queue_item import QueueItem


class OtherWork:
    """This work of a lab; what is costly to find is found again only when the catalogue was changed."""

    def __init__(self, lab: Lab, store: Store) -> None:
        self._lab = lab
        self._store = store
        self._cuts_at = -1
        self._cuts: list[QueueItem] = []
        self._pairs_at: tuple[int, int] | None = None
        self._pairs: list[tuple[str, str, float]] = []
        self._entries: dict[str, Entry] = {}

    def items(self, decisions: Decisions) -> list[QueueItem]:
        """All of it, as it is now."""
        return [*self._find_quarantined(), *self._find_cuts(), *self._find_duplicates(decisions)]

    def _find_quarantined(self) -> list[QueueItem]:
        seen = {
            (line.session_id, line.coin): line.until if line.is_seen else 0
            for line in self._store.journal.lines(QuarantineSeen)
        }
        return [
            QueueItem(each.session_id, each.coin, "quarantined", kind="quarantined")
            for each in self._store.frames.quarantined_coins()
            if seen.get((each.session_id, each.coin), 0) < each.number
        ]

    def _find_cuts(self) -> list[QueueItem]:
        number = self._store.catalogue.last_number()
        if number != self._cuts_at:
            cuts = waiting_cuts(self._store)
            self._cuts = [QueueItem(cut.sale, cut.coin, "cut", kind="cut") for cut in cuts]
            self._cuts_at = number
        return self._cuts

    def _find_duplicates(self, decisions: Decisions) -> list[QueueItem]:
        path = newest_links(self._lab)
        if path is None:
            return []
        at = path.stat().st_mtime_ns, self._store.catalogue.last_number()
        if at != self._pairs_at:
            self._pairs, self._pairs_at = probable_pairs(read_links(path)), at
            names = {name for one, other, _ in self._pairs for name in (one, other)}
            self._entries = {entry.id: entry for entry in self._store.catalogue.of_coins(names)}
        return [
            QueueItem(
                "",
                each.coin,
                "unsure" if each.is_unsure else "duplicate",
                candidate=each.other,
                probability=each.probability,
                kind="duplicate",
            )
            for each in propose_duplicates(self._pairs, self._entries, decisions)
        ]
