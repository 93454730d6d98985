"""The bench: what the running scan or batch does, its frames as they arrive, and a stop. No device is opened here."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from capture.store.journal_lines import DeviceFailed, DeviceLine
from pipeline.bench.handwork import STEPS_DEG, STEPS_MM
from pipeline.errors import UsageError
from pipeline.reports.scan_results import caption
from pipeline.scanning.status import ask_to_stop, find_status
from pipeline.serve.live import live_facts
from pipeline.serve.opened import OpenedLab
from pipeline.serve.pages import Page, read_json
from pipeline.wording import duration_range, moment

FRAMES, FAULTS = 12, 5  # the newest that are shown
KEPT_S = 0.8  # that a state is given out again, however many look


def bench_routes(page: Page) -> APIRouter:
    """Routes of the bench."""
    routes, opened, lab = APIRouter(), page.opened, page.opened.lab
    state = _Kept(lambda: view_bench(opened))

    def read_state() -> dict[str, Any]:
        return {**state.get(), "session": page.hands.view()}

    @routes.get("/bench")
    def show(request: Request) -> Response:
        """The page of the bench."""
        return page.html(request, "bench.html", state=read_state(), steps_mm=STEPS_MM, steps_deg=STEPS_DEG)

    @routes.get("/bench/state")
    def watch(request: Request) -> Response:
        """The state of the bench now."""
        return page.data(request, read_state())

    @routes.post("/bench/stop")
    async def stop(request: Request) -> Response:
        """Ask the running scan or batch to stop, as SIGTERM does."""
        pid = (await read_json(request)).get("pid")
        if not isinstance(pid, int):
            raise UsageError("'pid' has to be that of the running scan. Load the page again.")
        await run_in_threadpool(ask_to_stop, lab, pid)
        return JSONResponse({"pid": pid})

    return routes


class _Kept:
    """What is worked out at most about once a second, for everybody who asks."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._made_s = -KEPT_S
        self._value: dict[str, Any] = {}

    def get(self) -> dict[str, Any]:
        with self._lock:
            if time.monotonic() - self._made_s >= KEPT_S:
                self._value, self._made_s = self._make(), time.monotonic()
            return self._value


def view_bench(opened: OpenedLab) -> dict[str, Any]:
    """What runs, or what the last run came to, as plain data in words."""
    seen = find_status(opened.lab)
    status = seen.status
    shown: dict[str, Any] = {
        "state": seen.state,
        "holder": seen.holder,
        "alarm": seen.alarm,
        "coin_out": seen.coin_out,
        "unfinished": [each.model_dump(mode="json") for each in seen.unfinished],
        "job": None,
        "frames": [],
        "faults": [],
        "live": live_facts(opened.lab) if seen.holder is not None else None,
    }
    if status is None:
        return shown
    shown["job"] = {
        "pid": status.pid,
        "command": status.command,
        "since": f"{moment(status.since):%H:%M}",
        "tray": status.tray,
        "slot": status.slot,
        "coin": status.coin,
        "side": status.side,
        "shots_done": status.shots_done,
        "shots": status.shots,
        "frames": status.frames,
        "retakes": status.retakes,
        "quarantined": status.quarantined,
        "left": duration_range(*status.time_left_range_s) if status.time_left_range_s is not None else None,
        "end": f"{moment(status.expected_end):%H:%M}" if status.expected_end else None,
        "message": status.message,
        "stopping": status.stopping,
        "trays": [each.model_dump() for each in status.trays],
        "skipped": [each.model_dump() for each in status.skipped],
        "ended": {**status.ended.model_dump(exclude={"report"}), "at": f"{moment(status.ended.at):%H:%M}"}
        if status.ended
        else None,
    }
    if status.session is not None and opened.has_store:
        shown |= _view_session(opened, status.session)
    return shown


def _view_session(opened: OpenedLab, session: str) -> dict[str, Any]:
    store = opened.store
    faults = store.journal.lines(DeviceLine, session_id=session)[-FAULTS:]
    return {
        "frames": [
            {
                "id": frame.id,
                "coin": frame.coin_id,
                "caption": caption(frame),
                "problem": frame.quarantine_reason,
            }
            for frame in store.frames.newest(session, FRAMES)
        ],
        "faults": [
            {
                "at": f"{moment(line.at):%H:%M:%S}",
                "device": line.device,
                "problem": line.problem,
                "remedy": line.remedy if isinstance(line, DeviceFailed) else None,
            }
            for line in reversed(faults)
        ],
    }
