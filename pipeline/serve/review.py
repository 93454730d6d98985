"""Review: the queue, a coin beside its candidates, and what a person decides about them."""

from __future__ import annotations

from collections import Counter
from typing import Any, cast, get_args

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from calibration.outline import CROP_MARGIN
from capture.store import Store
from capture.store.journal_lines import MatchReviewed, MatchUndone
from capture.store.records import Candidate, Entry, Frame, Ranking
from pipeline.collection.decisions import Decision, Decisions, decision_of
from pipeline.collection.reviews import review_match, undo_review
from pipeline.errors import UsageError
from pipeline.reports.cards import SHOWN, cite_others, entries_of
from pipeline.reports.images import PORTRAIT_MARGIN
from pipeline.reports.pages import cite
from pipeline.reports.report import comparable_frames
from pipeline.reports.results import diameter_mm
from pipeline.serve.pages import Page, person_of, read_json, text_of
from pipeline.serve.queue import ORDER, QueueItem, Reason, ReviewQueue
from pipeline.wording import minute
from rig.sides import SIDES

PAGE_ITEMS = 50
OPEN = tuple(reason for reason in ORDER if reason != "decided")


def review_routes(page: Page) -> APIRouter:
    """Routes of the review."""
    routes, queue, opened = APIRouter(), ReviewQueue(), page.opened

    def part(only: str, start: int) -> dict[str, Any]:
        items = queue.items(opened.store) if opened.has_store else []
        chosen = _choose(items, only)
        counts = Counter(item.reason for item in items)
        return {
            "only": only,
            "start": start,
            "total": len(chosen),
            "counts": {reason: counts[reason] for reason in ORDER},
            "items": [item.as_json() for item in chosen[start : start + PAGE_ITEMS]],
        }

    @routes.get("/review")
    def show(request: Request, only: str = "open", coin: str | None = None) -> Response:
        """The page of the review; its first items are in it, so that the first coin shows at once."""
        first = part(only, 0)
        if coin is not None:
            own = [item.as_json() for item in queue.items(opened.store) if item.coin == coin]
            first = {**first, "items": own, "total": len(own), "only": only, "coin": coin}
        item = first["items"][0] if first["items"] else None
        shown = view_item(page, item["session"], item["coin"]) if item else None
        return page.html(request, "review.html", queue=first, item=shown, reasons=ORDER)

    @routes.get("/review/queue")
    def more(only: str = "open", start: int = 0) -> Response:
        """A part of the queue."""
        return JSONResponse(part(only, max(0, start)))

    @routes.get("/review/item")
    def item(request: Request, session: str, coin: str) -> Response:
        """A coin beside its candidates."""
        shown = view_item(page, session, coin)
        if shown is None:
            return page.error(request, f"Coin {coin} was not identified in session {session}.", 404)
        return JSONResponse(shown)

    @routes.post("/review/decide")
    async def decide(request: Request) -> Response:
        """Record a decision, as `rig confirm` and `rig reject` do."""
        sent = await read_json(request)
        decision = text_of(sent, "decision")
        if decision not in get_args(Decision):
            raise UsageError(f"{decision!r} is no decision. Load the page again.")
        coin, entry, person = text_of(sent, "coin"), text_of(sent, "entry"), person_of(sent)
        shown = text_of(sent, "shown", default=entry)  # of the entries that the name stands for: both sides, every lot
        review = await run_in_threadpool(review_match, opened.lab, coin, entry, person, cast(Decision, decision))
        return JSONResponse({**review.as_json(), "opinions": _opinions(opened.store, coin, shown)})

    @routes.post("/review/undo")
    async def undo(request: Request) -> Response:
        """Take a decision back, as `rig undo` does."""
        sent = await read_json(request)
        number = sent.get("number")
        if not isinstance(number, int) or not 0 < number < 2**53:
            raise UsageError("'number' has to be that of a decision. Load the page again.")
        review = await run_in_threadpool(undo_review, opened.lab, number, person_of(sent))
        return JSONResponse(review.as_json())

    return routes


def view_item(page: Page, session: str, coin: str) -> dict[str, Any] | None:
    """A coin beside its candidates, as plain data; None if it was not identified in this session."""
    store = page.opened.store
    ranking = store.rankings.latest(session, coin)
    if ranking is None:
        return None
    frames = store.frames.find(session, coin)
    decisions = Decisions.of(store.journal.lines(MatchReviewed, MatchUndone, coin=coin))
    known = store.coins.get(coin)
    diameter = diameter_mm(frames) or (known.diameter_mm if known else None)
    entries = _entries(store, ranking)
    return {
        "session": session,
        "coin": coin,
        "verdict": ranking.verdict,
        "model": ranking.model_id,
        "ranked": minute(ranking.created_at),
        "tray": store.sessions.get(session).name,
        "diameter": f"{diameter:.1f} mm" if diameter else None,
        "type": known.type if known else None,
        "sides": [
            {"side": side, "frames": [_frame(page, frame) for frame in shown], "evidence": side}
            for side in SIDES
            if (shown := comparable_frames(frames, side))
        ],
        "candidates": [
            _candidate(store, coin, rank, each, entries, decisions)
            for rank, each in enumerate(ranking.candidates[:SHOWN], 1)
        ],
    }


def _choose(items: list[QueueItem], only: str) -> list[QueueItem]:
    reasons: tuple[Reason, ...] = OPEN if only == "open" else ORDER if only == "all" else (cast(Reason, only),)
    return [item for item in items if item.reason in reasons]


def _entries(store: Store, ranking: Ranking) -> dict[str, Entry]:
    names = {name for each in ranking.candidates[:SHOWN] for name in each.evidence.get("entries", ())}
    names |= {other["entry"] for each in ranking.candidates[:SHOWN] for other in each.evidence.get("also", ())}
    found = (store.catalogue.get(name) for name in names)
    return {entry.id: entry for entry in found if entry is not None and entry.removed_at is None}


def _frame(page: Page, frame: Frame) -> dict[str, Any]:
    light = page.opened.lab.rig.station.lightbox.lights.get(frame.light or "")
    azimuth = light.azimuth_deg if light is not None else None
    lamp_deg = azimuth - (frame.turntable_read_deg or 0.0) if azimuth is not None else None
    return {"id": frame.id, "light": frame.light or "", "lamp": lamp_deg}


def _candidate(
    store: Store, coin: str, rank: int, candidate: Candidate, entries: dict[str, Entry], decisions: Decisions
) -> dict[str, Any]:
    turns = dict(zip(candidate.evidence.get("entries", ()), candidate.evidence.get("turns_deg", ()), strict=False))
    registered = {each["entry"]: each for each in candidate.evidence.get("registrations", ())}
    published = entries_of(candidate, entries)
    known = store.coins.get(candidate.coin)
    best = published[0] if published else None
    return {
        "rank": rank,
        "coin": candidate.coin,
        "entry": candidate.entry_id,
        "citation": cite(best) if best else candidate.entry_id,
        "probability": round(candidate.probability, 3),
        "score": round(candidate.score, 3),
        "sale": best.catalogue if best else None,
        "type": known.type if known else None,
        "diameter": f"{known.diameter_mm:.1f} mm" if known and known.diameter_mm else None,
        "also": list(cite_others(candidate, entries)),
        "sides": [
            {
                "side": each.side,
                "number": each.number,
                "turn": turns.get(each.id, 0.0),
                "boxed": each.box is not None,
                "register": lay_on_entry(registered.get(each.id)),
            }
            for each in published
        ],
        "opinions": _as_opinions(decisions, coin, candidate.entry_id),
    }


def lay_on_entry(registration: dict[str, Any] | None) -> dict[str, Any] | None:
    """How the turned coin is laid on the entry, both as `portrait` shows them; None where too few points agree.

    ``linear`` is the matrix of the turn and scale that are left, ``shift`` follows it, in shares of the image's width.
    """
    if registration is None or registration["matrix"] is None:
        return None
    (a, b, x), (c, d, y) = registration["matrix"]
    scale = PORTRAIT_MARGIN * CROP_MARGIN  # a portrait's width over a crop's, of one coin
    shift = [((a + b) / 2 + x - 0.5) / scale, ((c + d) / 2 + y - 0.5) / scale]
    return {"linear": [a, b, c, d], "shift": shift, "points": registration["inliers"]}


def _opinions(store: Store, coin: str, entry: str) -> list[dict[str, Any]]:
    lines = store.journal.lines(MatchReviewed, MatchUndone, coin=coin)
    return _as_opinions(Decisions.of(lines), coin, entry)


def _as_opinions(decisions: Decisions, coin: str, entry: str) -> list[dict[str, Any]]:
    """What each person holds of a pair, the one that counts last."""
    return [
        {"number": line.number, "who": line.who, "decision": decision_of(line), "why": line.why, "at": minute(line.at)}
        for line in decisions.opinions.get((coin, entry), {}).values()
    ]
