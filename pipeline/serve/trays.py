"""Trays: drawn as they lie, and their accession numbers typed, scanned or moved."""

from __future__ import annotations

import threading
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from capture.names import printable
from pipeline.collection.tray_files import (
    OnTwoTraysError,
    TrayFile,
    WantedTray,
    coins_on_two,
    places_of,
    read_tray_file,
    read_tray_files,
    write_tray_files,
)
from pipeline.collection.tray_tables import read_tray_table
from pipeline.errors import UsageError
from pipeline.scanning.status import find_status
from pipeline.serve.pages import MAX_NAME, Page, flag_of, read_json, text_of


def tray_routes(page: Page) -> APIRouter:
    """Routes of the trays."""
    routes, lab, writing = APIRouter(), page.opened.lab, threading.Lock()
    grid = lab.rig.station.bench.tray

    @routes.get("/trays")
    def show(request: Request) -> Response:
        """Every tray, and the numbers that are on two."""
        files = read_tray_files(lab)
        twice = {coin: places for coin, places in places_of(files).items() if len(places) > 1}
        return page.html(request, "trays.html", files=files, twice=twice, slots=grid.count)

    @routes.get("/tray")
    def edit(request: Request, name: str, new: bool = False) -> Response:
        """A tray, drawn as it lies; or a new one."""
        file = TrayFile(name.strip()[:MAX_NAME], {}, None, "") if new else read_tray_file(lab, name)
        others = places_of(each for each in read_tray_files(lab) if each.name != file.name)
        slots = max([grid.count, *file.slots])
        elsewhere = {coin: {"tray": places[0].tray, "slot": places[0].slot} for coin, places in others.items()}
        return page.html(
            request,
            "tray.html",
            file=file,
            columns=grid.columns,
            slots=[(slot, file.slots.get(slot) or "") for slot in range(1, slots + 1)],
            elsewhere=elsewhere,
            is_scanned=_is_scanned(page, file.name),
        )

    def write(wanted: list[WantedTray], may_be_elsewhere: bool) -> list[TrayFile]:
        with writing:
            return write_tray_files(lab, wanted, may_be_elsewhere=may_be_elsewhere)

    async def answer(request: Request, sent: dict[str, Any], wanted: list[WantedTray]) -> Response:
        may_be_elsewhere = "may_be_elsewhere" in sent and flag_of(sent, "may_be_elsewhere")
        try:
            files = await run_in_threadpool(write, wanted, may_be_elsewhere)
        except OnTwoTraysError as error:
            return page.error(request, str(error), 409)
        written = [
            {"name": file.name, "digest": file.digest, "coins": sum(map(bool, file.slots.values()))} for file in files
        ]
        return JSONResponse(written[0] if "name" in sent else {"trays": written})

    @routes.post("/tray")
    async def save(request: Request) -> Response:
        """Write a tray file; refused with 409 where a coin is on another tray, unless it is sent that it may be."""
        sent = await read_json(request)
        return await answer(request, sent, [_wanted(sent)])

    @routes.post("/trays")
    async def save_many(request: Request) -> Response:
        """Write several, as `save` does, or none of them."""
        sent = await read_json(request)
        trays = sent.get("trays")
        if not isinstance(trays, list) or not trays or not all(isinstance(each, dict) for each in trays):
            raise UsageError("'trays' has to be a list of trays. Load the page again.")
        return await answer(request, sent, [_wanted(each) for each in trays])

    @routes.post("/trays/read")
    async def read(request: Request, name: str = "") -> Response:
        """What a table that was sent says of trays; nothing is written."""
        if request.headers.get("content-type") != "application/octet-stream":
            raise UsageError("send the file itself, as application/octet-stream.")
        shown = printable(name.strip())[:MAX_NAME] or "the table"
        table = await run_in_threadpool(read_tray_table, await request.body(), shown, grid.count)
        files = {file.name: file for file in await run_in_threadpool(read_tray_files, lab)}
        trays = []
        for tray, slots in table.trays.items():
            file = files.get(tray or "")
            now = sum(map(bool, file.slots.values())) if file else 0
            is_replaced = file is not None and (now > 0 or file.problem is not None)
            digest = file.digest if file else ""
            trays.append({"tray": tray, "slots": slots, "digest": digest, "coins": now, "is_replaced": is_replaced})
        named = [(tray, slots) for tray, slots in table.trays.items() if tray is not None]
        doubles = await run_in_threadpool(coins_on_two, lab, named)
        twice = [{"coin": coin, "places": [vars(place) for place in places]} for coin, places in doubles.items()]
        warnings = {"may_lack_zeros": table.may_lack_zeros, "has_comma": table.has_comma}
        return JSONResponse({"trays": trays, "twice": twice, **warnings})

    return routes


def _wanted(sent: dict[str, Any]) -> WantedTray:
    return WantedTray(text_of(sent, "name"), _slots(sent), text_of(sent, "digest"))


def _slots(sent: dict[str, Any]) -> dict[int, str | None]:
    slots = sent.get("slots")
    if not isinstance(slots, dict) or len(slots) > 10_000:
        raise UsageError("'slots' has to give the coin of each slot. Load the page again.")
    found: dict[int, str | None] = {}
    for slot, coin in slots.items():
        if not (slot.isascii() and slot.isdigit() and len(slot) < 6) or not isinstance(coin, str) or len(coin) > 500:
            raise UsageError("'slots' has to give the coin of each slot by its number. Load the page again.")
        found[int(slot)] = coin.strip() or None
    return found


def _is_scanned(page: Page, name: str) -> bool:
    """Whether the running scan or batch is to scan this tray: it keeps the contents that it began with."""
    seen = find_status(page.opened.lab)
    return seen.state == "running" and seen.status is not None and name in {tray.tray for tray in seen.status.trays}
