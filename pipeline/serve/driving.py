"""Driving the rig from the page: taking it, orders, a sign of life, a stop, and letting go of it."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pipeline.bench.orders import Order
from pipeline.errors import UsageError
from pipeline.serve.pages import Page, person_of, read_json, text_of

ANSWER_S = 2.0  # that an order's answer waits for it to be carried out


def hand_routes(page: Page) -> APIRouter:
    """Routes of whoever drives the rig from the page."""
    routes, hands = APIRouter(), page.hands

    @routes.post("/bench/take")
    async def take(request: Request) -> Response:
        """Take the rig: the answer has the word that orders carry."""
        who = person_of(await read_json(request)).who
        return JSONResponse({"control": await run_in_threadpool(hands.take, who)})

    @routes.post("/bench/alive")
    async def note(request: Request) -> Response:
        """Whoever has the rig is still there; the state of the session."""
        control = text_of(await read_json(request), "control")
        return page.data(request, hands.send(control, Order(do="alive")))

    @routes.post("/bench/order")
    async def order(request: Request) -> Response:
        """Do something with the rig, and wait a moment for it; dropped while something else is being done."""
        sent = await read_json(request)
        control = text_of(sent, "control")
        try:
            order = Order.model_validate({key: value for key, value in sent.items() if key != "control"})
        except ValidationError as error:
            raise UsageError("the order was not understood. Load the page again.") from error
        return page.data(request, await run_in_threadpool(hands.send, control, order, wait_s=ANSWER_S))

    @routes.post("/bench/halt")
    async def halt(request: Request) -> Response:
        """Stop whatever moves, at once; anybody may."""
        await read_json(request)
        hands.halt()
        return JSONResponse({})

    @routes.post("/bench/left")
    async def left(request: Request) -> Response:
        """Whoever has the rig closes the page, or loads it again."""
        hands.leave(text_of(await read_json(request), "control"))
        return JSONResponse({})

    @routes.post("/bench/release")
    async def release(request: Request) -> Response:
        """Let go of the rig: lights off, arm at rest."""
        hands.release(text_of(await read_json(request), "control"))
        return JSONResponse({})

    return routes
