"""What deserves a look beside matches: frames in quarantine, uncertain cuts of plates, lots that may be one coin."""

from __future__ import annotations

from capture.store import Store
from capture.store.catalogue import CatalogueState
from capture.store.journal_lines import QuarantineSeen
from capture.store.records import Entry
from pipeline.collection.catalogue_pages import waiting_cuts
from pipeline.collection.decisions import Decisions
from pipeline.collection.kept_links import newest_links, probable_pairs, propose_duplicates, read_links
from pipeline.lab import Lab
from pipeline.serve.queue_item import QueueItem


class OtherWork:
    """This work of a lab; what is costly to find is found again only when what it rests on was changed."""

    def __init__(self, lab: Lab, store: Store) -> None:
        self._lab = lab
        self._store = store
        self._seen_at = 0
        self._seen: dict[tuple[str | None, str], int] = {}
        self._cuts_at: CatalogueState | None = None
        self._cuts: list[QueueItem] = []
        self._pairs_at: tuple[int, CatalogueState] | None = None
        self._pairs: tuple[tuple[str, str, float], ...] = ()
        self._entries: dict[str, Entry] = {}
        self._decisions: Decisions | None = None
        self._duplicates: list[QueueItem] = []

    def items(self, decisions: Decisions) -> list[QueueItem]:
        """All of it, as it is now."""
        state = self._store.catalogue.state()
        return [*self._find_quarantined(), *self._find_cuts(state), *self._find_duplicates(state, decisions)]

    def _find_quarantined(self) -> list[QueueItem]:
        for line in self._store.journal.lines(QuarantineSeen, after=self._seen_at):
            self._seen[(line.session_id, line.coin)] = line.until if line.is_seen else 0
            self._seen_at = line.number
        return [
            QueueItem(each.session_id, each.coin, "quarantined", kind="quarantined")
            for each in self._store.frames.quarantined_coins()
            if self._seen.get((each.session_id, each.coin), 0) < each.number
        ]

    def _find_cuts(self, state: CatalogueState) -> list[QueueItem]:
        if state != self._cuts_at:
            cuts = waiting_cuts(self._store)
            self._cuts = [QueueItem(cut.sale, cut.coin, "cut", kind="cut") for cut in cuts]
            self._cuts_at = state
        return self._cuts

    def _find_duplicates(self, state: CatalogueState, decisions: Decisions) -> list[QueueItem]:
        path = newest_links(self._lab)
        if path is None:
            return []
        at = path.stat().st_mtime_ns, state
        if at == self._pairs_at and decisions is self._decisions:
            return self._duplicates
        if at != self._pairs_at:
            self._pairs, self._pairs_at = probable_pairs(read_links(path)), at
            names = {name for one, other, _ in self._pairs for name in (one, other)}
            self._entries = {entry.id: entry for entry in self._store.catalogue.of_coins(names)}
        self._decisions = decisions
        self._duplicates = [
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
        return self._duplicates
