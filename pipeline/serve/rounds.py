"""What was learnt from the reviews: every model that was to take the place of another, and whether it did."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from capture.store.journal_lines import DatasetBuilt, ModelJudged, ModelPromoted
from pipeline.collection.decisions import Decisions
from pipeline.serve.pages import Page

STARTER = "starter"  # what is in use until a model is promoted; the page needs no torch to know


def round_routes(page: Page) -> APIRouter:
    """Routes of what was learnt."""
    routes, opened = APIRouter(), page.opened

    @routes.get("/rounds")
    def show(request: Request) -> Response:
        """Every round, the newest first, and what was decided for the next one."""
        store = opened.store if opened.has_store else None
        decisions = Decisions.read(store) if store else Decisions()
        promoted = store.journal.last(ModelPromoted) if store else None
        rounds = store.journal.lines(ModelJudged) if store else []
        return page.html(
            request,
            "rounds.html",
            in_use=promoted.model if promoted else STARTER,
            confirmed=len({coin for coin, _ in decisions.confirmed}),
            rejected=len({coin for coin, _ in decisions.rejected}),
            dataset=store.journal.last(DatasetBuilt) if store else None,
            rounds=[{"line": line, "is_promoted": isinstance(line, ModelPromoted)} for line in reversed(rounds)],
        )

    return routes
