"""The collection: coins, frames, entries, sales and sessions searched, and a page for each coin and each session."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from capture.store import Store, StoreError
from capture.store.search import Found
from pipeline.reports.pages import device_line, plan_line
from pipeline.reports.scan_results import caption, coin_results
from pipeline.serve.coin_view import view_coin
from pipeline.serve.pages import MAX_TEXT, Page
from rig.sides import SHOT_SIDES

PAGE_ROWS = 50
KINDS = ("coins", "frames", "entries", "sales", "sessions")
FILTERS = {
    "coins": ("lab", "catalogue", "match", "possible", "not in catalogue", "not identified"),
    "frames": ("good", "quarantined", *SHOT_SIDES),
    "entries": ("removed",),
    "sessions": ("scan", "import", "unfinished"),
}


@dataclass(frozen=True)
class ShownPart:
    """A part of what was found: where it begins, and where the parts before and after it do; None without one."""

    found: Found[Any]
    before: int | None
    after: int | None

    @classmethod
    def of(cls, found: Found[Any]) -> ShownPart:
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
            part=ShownPart.of(found),
            kinds=KINDS,
            filters=FILTERS.get(kind, ()),
        )

    @routes.get("/coin")
    def coin(request: Request, name: str) -> Response:
        """Everything that is known of a coin."""
        return page.html(request, "coin.html", **view_coin(opened.store, name))

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
    search = store.search
    match what:
        case "frames":
            good = {"good": True, "quarantined": False}.get(only)
            side = only if only in SHOT_SIDES else None
            return search.frames(q, start, PAGE_ROWS, good, within or None, side)
        case "entries":
            found = search.entries(q, start, PAGE_ROWS, within or None, removed=only == "removed")
            stated = store.catalogue.named([entry.id for entry in found.items])  # with what their sales say of them
            return replace(found, items=tuple(stated[entry.id] for entry in found.items))
        case "sales":
            return search.sales(q, start, PAGE_ROWS)
        case "sessions":
            return search.sessions(q, start, PAGE_ROWS, only or None)  # type: ignore[arg-type]
        case _:
            if only in ("lab", "catalogue"):
                return search.coins(q, start, PAGE_ROWS, only)  # type: ignore[arg-type]
            if only == "not identified":
                return search.coins(q, start, PAGE_ROWS, "lab", verdict="")
            return search.coins(q, start, PAGE_ROWS, verdict=only or None)
