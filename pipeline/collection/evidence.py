"""Drawing why a coin was matched: its crop and the catalogue's in register, the points that both have, and where they
agree and differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from calibration.image import Image
from capture.store import Store
from capture.store.records import Candidate, Entry
from models.embedding.embedder import Embedder
from models.explanation.cells import UsualCells
from models.explanation.explanation import explain_upright
from models.explanation.last_map import ExplanationError
from models.matching.index import CatalogueIndex
from models.matching.registration import Registration, lay_on, register_crops
from models.matching.relation import SideComparison
from models.matching.views import View, crop_at_turn, group_views
from pipeline.collection.entries import UNREADABLE, entry_crop
from pipeline.reports.evidence import Map, draw_points, overlay_pair

SIZE_PX = 448
REFERENCE_ENTRIES = 24  # of other coins: what these have too is no evidence


class EvidenceDrawer:
    """Draws the evidence for candidates of one catalogue; what other coins have in common is worked out once."""

    def __init__(self, embedder: Embedder, index: CatalogueIndex) -> None:
        self._embedder = embedder
        self._index = index
        self._usual: UsualCells | None = None
        self._is_ready = False

    def draw(self, store: Store, views: Sequence[View], candidate: Candidate) -> Iterator[tuple[str, Image]]:
        """Each side that was compared, and the drawing of it (`draw_evidence`)."""
        for entry, drawing in self._draw(store, views, candidate):
            if entry is not None and drawing is not None:
                yield entry.side or entry.id, drawing

    def draw_each(self, store: Store, views: Sequence[View], candidate: Candidate) -> Iterator[Image | None]:
        """For each entry of a candidate the drawing; None where there is nothing to draw.

        That is where the entry has left the catalogue, its image cannot be read, or the network has no such
        explanation.
        """
        for _, drawing in self._draw(store, views, candidate):
            yield drawing

    def _draw(
        self, store: Store, views: Sequence[View], candidate: Candidate
    ) -> Iterator[tuple[Entry | None, Image | None]]:
        entries = store.catalogue.live(candidate.evidence["entries"])
        groups = group_views(views)
        compared = zip(candidate.evidence["entries"], candidate.evidence["turns_deg"], strict=True)
        for number, (entry_id, turn_deg) in enumerate(compared):
            entry = entries.get(entry_id)
            group = _group_of(groups, entry, number)
            if entry is None or group is None:
                yield entry, None
                continue
            try:
                upright, second = crop_at_turn(group, turn_deg), entry_crop(store, entry)
                found = register_crops(upright, second)
                pair = (np.asarray(lay_on(upright, found), np.uint8), second)
                explained = explain_upright(self._embedder, *pair, self._usual_cells(store))
            except (*UNREADABLE, ExplanationError):
                yield entry, None
                continue
            yield entry, draw_evidence(pair, found, (explained.first, explained.second), SIZE_PX)

    def _usual_cells(self, store: Store) -> UsualCells | None:
        if not self._is_ready:
            crops, rows = [], []
            sample = self._index.sample(REFERENCE_ENTRIES)
            names = [entry.entry_id for entry in self._index.entries(sample)]
            entries = store.catalogue.live(names)
            for row, name in zip(sample, names, strict=True):
                if name not in entries:
                    continue
                try:
                    crops.append(entry_crop(store, entries[name]))
                except UNREADABLE:
                    continue
                rows.append(row)
            grids = self._index.grids(np.array(rows, np.int64)) if rows else None
            self._usual = UsualCells.of(self._embedder, crops, grids)
            self._is_ready = True
        return self._usual


def registration_as_json(registration: Registration | None) -> dict[str, Any]:
    """How a coin lies on a catalogue's image, as plain data (docs/json.md)."""
    if registration is None:
        return {"inliers": None, "matrix": None}
    if not registration.holds:
        return {"inliers": registration.inliers, "matrix": None}
    return {"inliers": registration.inliers, "matrix": np.round(registration.matrix, 5).tolist()}


def comparison_as_json(comparison: SideComparison | None) -> dict[str, Any]:
    """How a coin lies on a catalogue's image, and what the two have in common, as plain data (docs/json.md)."""
    if comparison is None:
        return registration_as_json(None)
    shares = {relation: round(share, 4) for relation, share in comparison.shares.items()}
    return {**registration_as_json(comparison.registration), "likelihoods": shares}


def draw_evidence(pair: tuple[Image, Image], registration: Registration, maps: tuple[Map, Map], size_px: int) -> Image:
    """Three rows, two coins in register in each: the points that both have, where they agree, where they differ."""
    points = registration.second if registration.holds else registration.second[:0]
    rows = [
        draw_points(pair, points, size_px),
        overlay_pair(pair, maps, size_px),
        overlay_pair(pair, maps, size_px, against=True),
    ]
    return np.ascontiguousarray(np.vstack(rows))


def _group_of(groups: list[list[View]], entry: Entry | None, number: int) -> list[View] | None:
    """The views that were compared with an entry: those of its side, else of the search in this place."""
    of_side = [group for group in groups if entry is not None and group[0].side == entry.side is not None]
    if of_side:
        return of_side[0]
    return groups[number] if number < len(groups) else None
