"""The page as an application: every room's routes, behind one guard."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from capture.store import StoreError
from pipeline.errors import LabError, explain
from pipeline.lab import Lab
from pipeline.serve.access import COOKIE, OPEN_PATHS, Access, guard
from pipeline.serve.bench import bench_routes
from pipeline.serve.collection import collection_routes
from pipeline.serve.driving import hand_routes
from pipeline.serve.exports import export_routes
from pipeline.serve.hands import Hands
from pipeline.serve.images import image_routes
from pipeline.serve.live import live_routes
from pipeline.serve.morning import morning_routes
from pipeline.serve.opened import OpenedLab
from pipeline.serve.pages import Page, read_form
from pipeline.serve.review import review_routes
from pipeline.serve.rounds import round_routes
from pipeline.serve.setup import setup_routes
from pipeline.serve.trays import tray_routes

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
ROOMS = (
    image_routes,
    review_routes,
    collection_routes,
    export_routes,
    bench_routes,
    live_routes,
    hand_routes,
    tray_routes,
    morning_routes,
    round_routes,
    setup_routes,
)
IS_MOUNTED = "Check that its disk is mounted and that nobody moved it. Nothing was changed."
WRONG_TOKEN_S = 1.0  # that an answer to a wrong token takes, so that nobody tries many


def make_app(lab: Lab, access: Access) -> FastAPI:
    """Make the page of a lab."""
    app = FastAPI(title="coinlab", docs_url=None, redoc_url=None, openapi_url=None)
    page = Page(OpenedLab(lab), access, Hands(lab))
    page.prepare()
    app.state.is_ending = lambda: False  # whoever runs it knows better (`pipeline.serve.server`)

    @app.middleware("http")
    async def check(request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
        async def answer_in_words(request: Request) -> Response:
            if not page.opened.is_there and not request.url.path.startswith(OPEN_PATHS):
                return page.error(request, f"{lab.folder} is not there any more. {IS_MOUNTED}", 503)
            try:
                return await answer(request)
            except OSError as error:  # a full or read-only disk is no mistake of the program
                return page.error(request, explain(error), 503)
            except Exception as error:
                log.exception("%s %s", request.method, request.url.path)
                return page.error(request, explain(error), 500)

        return await guard(access, request, answer_in_words)

    @app.exception_handler(LabError)
    async def wrong(request: Request, error: LabError) -> Response:
        return page.error(request, str(error), 400)

    @app.exception_handler(StoreError)
    async def failed(request: Request, error: StoreError) -> Response:
        return page.error(request, explain(error), 503)

    @app.exception_handler(RequestValidationError)
    async def misspelt(request: Request, error: RequestValidationError) -> Response:
        return page.error(request, "This address is not complete. Follow the links of the page.", 400)

    @app.exception_handler(HTTPException)
    async def missing(request: Request, error: HTTPException) -> Response:
        return page.error(request, "There is nothing here. Follow the links of the page.", error.status_code)

    @app.get("/")
    def start() -> Response:
        return RedirectResponse("/review", 303)

    @app.get("/login")
    def ask(request: Request) -> Response:
        return page.html(request, "login.html", is_wrong=False)

    @app.post("/login")
    async def log_in(request: Request) -> Response:
        given = (await read_form(request)).get("token", "")
        if not access.is_token(given):
            await asyncio.sleep(WRONG_TOKEN_S)
            return page.html(request, "login.html", 403, is_wrong=True)
        response = RedirectResponse("/", 303)
        response.set_cookie(
            COOKIE, access.pass_value, httponly=True, samesite="strict", secure=access.is_secure, max_age=30 * 86_400
        )
        return response

    @app.post("/logout")
    async def log_out() -> Response:
        response = RedirectResponse("/login", 303)
        response.delete_cookie(COOKIE)
        return response

    for routes in ROOMS:
        app.include_router(routes(page))
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    return app
