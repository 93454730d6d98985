"""The collection: coins, frames, entries, sales and sessions searched, and a page for each coin and each session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from capture.store import Store, StoreError
from capture.store.journal_lines import MatchReviewed, MatchUndone
from capture.store.labels import Labels
from capture.store.records import Candidate, Frame
from capture.store.search import Found
from pipeline.collection.decisions import Decisions, decision_of
from pipeline.collection.reviews import reviews_of
from pipeline.errors import LabError
from pipeline.reports.cards import SHOWN
from pipeline.reports.pages import cite, device_line, plan_line
from pipeline.reports.report import choose_best_frames
from pipeline.reports.results import caption, coin_results, diameter_mm
from pipeline.serve.pages import MAX_TEXT, Page

PAGE_ROWS = 50
KINDS = ("coins", "frames", "entries", "sales", "sessions")
FILTERS = {"coins": ("lab", "catalogue"), "frames": ("good", "quarantined")}


@dataclass(frozen=True)
class Part:
    """A part of what was found: where it begins, and where the parts before and after it do; None without one."""

    found: Found[Any]
    before: int | None
    after: int | None

    @classmethod
    def of(cls, found: Found[Any]) -> Part:
        """With the places of its neighbours."""
        after = found.start + PAGE_ROWS
        before = max(0, found.start - PAGE_ROWS) if found.start else None
        return cls(found, before, after if after < found.total else None)


def collection_routes(page: Page) -> APIRouter:
    """Routes of the collection."""
    routes, opened = APIRouter(), page.opened

    @routes.get("/collection")
    def search(
        request: Request, what: str = "coins", q: str = "", only: str = "", within: str = "", start: int = 0
    ) -> Response:
        """What a text is part of, a page at a time."""
        kind = what if what in KINDS else "coins"
        chosen = only if only in FILTERS.get(kind, ()) else ""
        asked = {"what": kind, "q": q[:MAX_TEXT], "only": chosen, "within": within}
        found = _search(opened.store, **asked, start=start) if opened.has_store else Found((), 0, 0)
        return page.html(
            request,
            "collection.html",
            asked=asked,
            part=Part.of(found),
            kinds=KINDS,
            filters=FILTERS.get(kind, ()),
            page_rows=PAGE_ROWS,
        )

    @routes.get("/coin")
    def coin(request: Request, name: str) -> Response:
        """Everything that is known of a coin."""
        return page.html(request, "coin.html", **_view_coin(opened.store, name))

    @routes.get("/session")
    def session(request: Request, id: str) -> Response:
        """A scan or an import: its coins, and its frames in quarantine."""
        store = opened.store
        try:
            found = store.sessions.get(id)
        except StoreError as error:
            return page.error(request, str(error), 404)
        is_scan = found.kind == "scan"
        return page.html(
            request,
            "session.html",
            session=found,
            results=coin_results(store, found) if is_scan else (),
            plan=plan_line(found.frozen_plan()) if is_scan else None,
            devices=device_line(found),
            coins=sorted({frame.coin_id for frame in store.frames.find(id, good=None)}) if not is_scan else (),
            quarantined=store.frames.find(id, good=False)[:PAGE_ROWS],
            caption=caption,
        )

    return routes


def _search(store: Store, what: str, q: str, only: str, within: str, start: int) -> Found[Any]:
    match what:
        case "frames":
            good = {"good": True, "quarantined": False}.get(only)
            return store.search.frames(q, start, PAGE_ROWS, good, within or None)
        case "entries":
            return store.search.entries(q, start, PAGE_ROWS, within or None)
        case "sales":
            return store.search.sales(q, start, PAGE_ROWS)
        case "sessions":
            return store.search.sessions(q, start, PAGE_ROWS)
        case _:
            of = {"lab": "lab", "catalogue": "catalogue"}.get(only)
            return store.search.coins(q, start, PAGE_ROWS, of)  # type: ignore[arg-type]


def _view_coin(store: Store, name: str) -> dict[str, Any]:
    frames = _frames_of(store, name)
    entries = store.catalogue.entries(name)
    known = store.coins.get(name)
    if known is None and not frames:
        raise LabError(f"there is no coin {name} in the store. Search for a part of its name.")
    decisions = Decisions.of(store.journal.lines(MatchReviewed, MatchUndone, coin=name))
    rankings = store.rankings.of_coin(name)
    sessions = {frame.session_id: store.sessions.get(frame.session_id) for frame in frames}
    good = [frame for frame in frames if frame.is_good]
    return {
        "name": name,
        "coin": known,
        "diameter": diameter_mm(frames) or (known.diameter_mm if known else None),
        "best": choose_best_frames(good) or good[:2],
        "good": good,
        "quarantined": [frame for frame in frames if not frame.is_good],
        "entries": entries,
        "cite": cite,
        "caption": caption,
        "sessions": [
            {
                "session": session,
                "frames": sum(frame.session_id == session.id and frame.is_good for frame in frames),
                "quarantined": sum(frame.session_id == session.id and not frame.is_good for frame in frames),
            }
            for session in sessions.values()
        ],
        "rankings": [
            {"ranking": each, "candidates": _candidates(store, name, each.candidates, decisions)} for each in rankings
        ],
        "reviews": reviews_of(store, name).reviews[::-1],
    }


def _frames_of(store: Store, name: str) -> list[Frame]:
    """Every frame that shows a coin, good or not, whatever its first label named."""
    labels = Labels.read(store)
    moved = [frame_id for frame_id, line in labels.corrections.items() if line.coin == name]
    found = {frame.id: frame for frame in store.frames.find(coin=name, good=None)}
    found |= {frame.id: frame for frame in (store.frames.select(moved) if moved else [])}
    return sorted((each for each in labels.apply(found.values()) if each.coin_id == name), key=lambda each: each.number)


def _candidates(store: Store, coin: str, candidates: Sequence[Candidate], decisions: Decisions) -> list[dict[str, Any]]:
    shown = []
    for each in candidates[:SHOWN]:
        entry, latest = store.catalogue.get(each.entry_id), decisions.latest((coin, each.entry_id))
        shown.append(
            {
                "coin": each.coin,
                "citation": cite(entry) if entry else each.entry_id,
                "number": entry.number if entry else None,
                "probability": each.probability,
                "decision": decision_of(latest) if latest else None,
            }
        )
    return shown
