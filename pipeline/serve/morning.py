"""The morning report, live: what a batch came to, and what needs a person, to be ticked off."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from capture.store import Store
from capture.store.journal_lines import BatchBegan, NeedTicked
from pipeline.errors import UsageError
from pipeline.lab import Lab
from pipeline.reports.attention import list_needs, summarise
from pipeline.reports.morning import is_at_work, numbers_of, period_of, title_of
from pipeline.reports.night import read_night
from pipeline.reports.report import choose_best_frames
from pipeline.serve.pages import Page, flag_of, person_of, read_json, text_of
from pipeline.wording import minute


def morning_routes(page: Page) -> APIRouter:
    """Routes of the morning report."""
    routes, opened = APIRouter(), page.opened

    @routes.get("/morning")
    def show(request: Request, batch: str | None = None) -> Response:
        """A batch; without an id the newest."""
        lines = opened.store.journal.lines(BatchBegan) if opened.has_store else []
        batches = list(dict.fromkeys(line.batch for line in reversed(lines)))
        if not batches:
            return page.html(request, "morning.html", night=None)
        return page.html(
            request, "morning.html", batches=batches, **_view(opened.lab, opened.store, batch or batches[0])
        )

    @routes.post("/morning/tick")
    async def tick(request: Request) -> Response:
        """Tick something off, or take the tick back."""
        opened.require_store()
        sent = await read_json(request)
        person, is_done = person_of(sent), flag_of(sent, "is_done")
        line = NeedTicked(
            batch=text_of(sent, "batch"),
            where=text_of(sent, "where"),
            what=text_of(sent, "what"),
            is_done=is_done,
            who=person.who,
        )
        logged = await run_in_threadpool(_log, opened.lab, line)
        seen = await run_in_threadpool(_view, opened.lab, opened.store, line.batch)
        answer = {"who": logged.who, "at": minute(logged.at), "is_done": logged.is_done, "sentence": seen["sentence"]}
        return page.data(request, answer)

    return routes


def _view(lab: Lab, store: Store, batch: str) -> dict[str, Any]:
    night = read_night(lab, store, batch)
    is_running = is_at_work(lab, batch)
    needs = list_needs(night, {}, is_running=is_running)
    ticks = {(line.where, line.what): line for line in store.journal.lines(NeedTicked) if line.batch == batch}
    ticked = [tick if (tick := ticks.get((need.where, need.what))) and tick.is_done else None for need in needs]
    return {
        "night": night,
        "title": title_of(night),
        "period": period_of(night),
        "sentence": summarise(
            night, [need for need, tick in zip(needs, ticked, strict=True) if tick is None], is_running=is_running
        ),
        "numbers": numbers_of(night, store),
        "needs": [{"item": need, "ticked": tick} for need, tick in zip(needs, ticked, strict=True)],
        "best": choose_best_frames,
    }


def _log(lab: Lab, line: NeedTicked) -> NeedTicked:
    with Store.open(lab.store) as store:
        if line.batch not in {began.batch for began in store.journal.lines(BatchBegan)}:
            raise UsageError(f"there is no batch {line.batch}. Load the page again.")
        return store.journal.log(line)
