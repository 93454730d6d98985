"""Review: the queue, what is to be decided, and what a person decides about it."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast, get_args

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from capture.names import printable
from capture.store import Store
from capture.store.journal_lines import QuarantineSeen
from pipeline.assembly import holder_of
from pipeline.collection.catalogue_pages import decide_cut
from pipeline.collection.decisions import Decision
from pipeline.collection.reviews import review_match, undo_review
from pipeline.errors import UsageError
from pipeline.lab import Lab
from pipeline.scanning.status import find_status
from pipeline.serve.match_views import opinions_about, opinions_of, view_duplicate, view_match
from pipeline.serve.pages import Page, flag_of, person_of, read_json, text_of
from pipeline.serve.queue import ReviewQueue
from pipeline.serve.queue_item import ORDER, QueueItem, Reason
from pipeline.serve.work_views import view_cut, view_quarantined
from pipeline.wording import minute

PAGE_ITEMS = 50
OPEN = tuple(reason for reason in ORDER if reason != "decided")


def review_routes(page: Page) -> APIRouter:
    """Routes of the review."""
    routes, queue, opened = APIRouter(), ReviewQueue(page.opened.lab), page.opened
    if opened.has_store:
        queue.items(opened.store)  # before the first reader asks: what comes later is read when it is there

    def view(kind: str, session: str, coin: str, candidate: str) -> dict[str, Any] | None:
        match kind:
            case "match":
                return view_match(page, session, coin)
            case "duplicate":
                return view_duplicate(page, coin, candidate)
            case "quarantined":
                return view_quarantined(page, session, coin)
            case "cut":
                return view_cut(page, session, coin)
        return None

    def part(only: str, start: int = 0, place: dict[str, str] | None = None) -> dict[str, Any]:
        items = queue.items(opened.store) if opened.has_store else []
        chosen = _choose(items, only)
        at, extra = _find_place(chosen, items, place) if place else (0, [])
        counts = Counter(item.reason for item in items)
        return {
            "only": only,
            "start": start,
            "at": at or 0,
            "extra": len(extra),  # items before the first that are not in this list
            "missing": place["coin"] if place and at is None else None,
            "total": len(chosen) + len(extra),
            "counts": {reason: counts[reason] for reason in ORDER},
            "is_running": _is_running(opened.lab),
            "items": [item.as_json() for item in [*extra, *chosen[start : start + (at or 0) + PAGE_ITEMS]]],
        }

    @routes.get("/review")
    def show(
        request: Request, only: str = "open", coin: str = "", kind: str = "", session: str = "", candidate: str = ""
    ) -> Response:
        """The page of the review, at the coin that the address names; what is shown first is in it."""
        place = {"coin": coin, "kind": kind, "session": session, "candidate": candidate} if coin else None
        first = part(only, place=place)
        item = first["items"][first["at"]] if first["items"] else None
        shown = view(item["kind"], item["session"], item["coin"], item["candidate"]) if item else None
        return page.html(request, "review.html", queue=first, item=shown, reasons=ORDER)

    @routes.get("/review/queue")
    def more(only: str = "open", start: int = 0) -> Response:
        """A part of the queue."""
        return JSONResponse(part(only, max(0, start)))

    @routes.get("/review/item")
    def item(request: Request, coin: str, session: str = "", kind: str = "match", candidate: str = "") -> Response:
        """An item of the queue."""
        shown = view(kind, session, coin, candidate)
        if shown is None:
            return page.error(request, f"{printable(coin)} needs no decision of this kind any more.", 404)
        return page.data(request, shown)

    @routes.get("/review/opinions")
    def opinions(request: Request, coin: str) -> Response:
        """What each person holds now of a coin and each entry that somebody decided about."""
        return page.data(request, {"opinions": opinions_of(opened.store, coin) if opened.has_store else {}})

    @routes.post("/review/decide")
    async def decide(request: Request) -> Response:
        """Record a decision, as `rig confirm` and `rig reject` do."""
        opened.require_store()
        sent = await read_json(request)
        decision = text_of(sent, "decision")
        if decision not in get_args(Decision):
            raise UsageError(f"{decision!r} is no decision. Load the page again.")
        coin, entry, person = text_of(sent, "coin"), text_of(sent, "entry"), person_of(sent)
        shown = text_of(sent, "shown", default=entry)  # of the entries that the name stands for: both sides, every lot
        review = await run_in_threadpool(review_match, opened.lab, coin, entry, person, cast(Decision, decision))
        held = {"opinions": opinions_about(opened.store, coin, shown)}
        return JSONResponse({**review.as_json(), **page.texts(request).sentences_in(held)})

    @routes.post("/review/undo")
    async def undo(request: Request) -> Response:
        """Take a decision back, as `rig undo` does."""
        opened.require_store()
        sent = await read_json(request)
        number = sent.get("number")
        if not isinstance(number, int) or not 0 < number < 2**53:
            raise UsageError("'number' has to be that of a decision. Load the page again.")
        review = await run_in_threadpool(undo_review, opened.lab, number, person_of(sent))
        return JSONResponse(review.as_json())

    @routes.post("/review/cut")
    async def decide_about_cut(request: Request) -> Response:
        """Accept or reject a cut of a plate, as `rig catalogue check` does."""
        opened.require_store()
        sent = await read_json(request)
        coin, is_accepted = text_of(sent, "coin"), flag_of(sent, "is_accepted")
        await run_in_threadpool(decide_cut, opened.lab, coin, person_of(sent).who, is_accepted=is_accepted)
        return JSONResponse({"coin": coin, "is_accepted": is_accepted})

    @routes.post("/review/quarantine")
    async def note_quarantine(request: Request) -> Response:
        """Record that a person has looked at a coin's frames in quarantine, or take that back."""
        opened.require_store()
        sent = await read_json(request)
        until = sent.get("until")
        if not isinstance(until, int) or not 0 < until < 2**53:
            raise UsageError("'until' has to be the number of a frame. Load the page again.")
        person = person_of(sent)
        line = QuarantineSeen(
            coin=text_of(sent, "coin"),
            until=until,
            is_seen=flag_of(sent, "is_seen"),
            who=person.who,
            why=person.reason,
        )
        logged = await run_in_threadpool(_log, opened.lab, line, text_of(sent, "session"))
        return page.data(request, {"who": logged.who, "at": minute(logged.at)})

    return routes


def _log(lab: Lab, line: QuarantineSeen, session: str) -> QuarantineSeen:
    with Store.open(lab.store) as store:
        if not store.frames.find(session, line.coin, good=False):
            raise UsageError("there is no frame of this coin in quarantine. Load the page again.")
        return store.journal.log(line, session)


def _is_running(lab: Lab) -> bool:
    return holder_of(lab) is not None and find_status(lab).state == "running"


def _choose(items: list[QueueItem], only: str) -> list[QueueItem]:
    reasons: tuple[Reason, ...] = OPEN if only == "open" else ORDER if only == "all" else (cast(Reason, only),)
    return [item for item in items if item.reason in reasons]


def _find_place(
    chosen: list[QueueItem], items: list[QueueItem], place: dict[str, str]
) -> tuple[int | None, list[QueueItem]]:
    """Where an address leads in a list; what it names before the list where that does not hold it, None without it."""

    def is_meant(item: QueueItem) -> bool:
        return all(value in ("", getattr(item, name)) for name, value in place.items())

    at = next((number for number, item in enumerate(chosen) if is_meant(item)), None)
    if at is not None:
        return at, []
    extra = next((item for item in items if is_meant(item)), None)
    return (None, []) if extra is None else (0, [extra])
