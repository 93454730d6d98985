"""The live image: previews of the process that drives the rig, as one endless image (MJPEG), with aids drawn in.

Nothing is opened here: the process that holds the rig writes a preview while somebody watches (`pipeline.preview`).
Aids are drawn for everybody who asks for the same ones at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import cv2
import numpy as np
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from calibration.image import Image, encode_jpeg
from pipeline.lab import Lab
from pipeline.preview import CLIPPED, PEAKED, Preview, read_preview, watch
from pipeline.serve.pages import Page

EVERY_S = 0.1  # that the file is looked at, for each who watches
MOST_WATCHING = 16
BOUNDARY = b"frame"
PEAK_RGB, CLIPPED_RGB, GOOD_RGB, BAD_RGB = (80, 255, 80), (255, 40, 40), (0, 230, 255), (255, 170, 0)
STRIPES_PX = 8  # over-exposed areas are striped: that is seen without seeing colours
AIDS = ("peaking", "clipped", "outline")


def live_routes(page: Page) -> APIRouter:
    """Routes of the live image."""
    routes, lab = APIRouter(), page.opened.lab
    drawn, watching = _Drawn(lab), threading.BoundedSemaphore(MOST_WATCHING)

    @routes.post("/bench/watch")
    def note() -> Response:
        """Somebody watches: the page calls this every few seconds for as long as it is seen."""
        watch(lab)
        return JSONResponse({})

    @routes.get("/bench/live")
    def show(request: Request, aids: str = "") -> Response:
        """The live image, until whoever asked for it leaves."""
        wanted = tuple(aid for aid in AIDS if aid in aids.split(" "))
        if not watching.acquire(blocking=False):
            return page.error(request, "Too many browsers watch the live image. Close some of their pages.", 503)
        is_ending: Callable[[], bool] = request.app.state.is_ending

        async def parts() -> AsyncIterator[bytes]:
            try:
                seen = -1
                yield b"--" + BOUNDARY + b"\r\n"
                while not is_ending() and not await request.is_disconnected():
                    if (made := drawn.made_ns()) not in (seen, None):
                        seen = made
                        if (jpeg := await run_in_threadpool(drawn.get, made, wanted)) is not None:
                            # The boundary follows at once: browsers show a part when the next one begins.
                            head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
                            yield head + jpeg + b"\r\n--" + BOUNDARY + b"\r\n"
                    await asyncio.sleep(EVERY_S)
            finally:
                watching.release()

        return StreamingResponse(parts(), media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}")

    return routes


def live_facts(lab: Lab) -> dict[str, Any] | None:
    """What is known about the last preview, as plain data."""
    preview = read_preview(lab)
    if preview is None:
        return None
    return {**preview.facts.model_dump(mode="json", exclude={"outline"}), "has_coin": bool(preview.facts.outline)}


class _Drawn:
    """The newest preview under each choice of aids, drawn once for all."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._lock = threading.Lock()
        self._made: int | None = None
        self._images: dict[tuple[str, ...], bytes] = {}

    def made_ns(self) -> int | None:
        try:
            return self._lab.preview.stat().st_mtime_ns
        except OSError:
            return None

    def get(self, made: int | None, aids: tuple[str, ...]) -> bytes | None:
        with self._lock:
            if made != self._made:
                self._images, self._made = {}, made
            if aids not in self._images:
                preview = read_preview(self._lab)
                if preview is None:
                    return None
                self._images[aids] = draw_aids(preview, aids)
            return self._images[aids]


def draw_aids(preview: Preview, aids: tuple[str, ...]) -> bytes:
    """A preview as JPEG, with what is in focus, what is over-exposed and the coin's outline drawn in, as asked."""
    if not aids:
        return preview.jpeg
    decoded, marks = (
        cv2.imdecode(np.frombuffer(data, np.uint8), how)
        for data, how in ((preview.jpeg, cv2.IMREAD_COLOR_RGB), (preview.aids, cv2.IMREAD_GRAYSCALE))
    )
    if decoded is None or marks is None:
        return preview.jpeg
    image: Image = np.asarray(decoded, np.uint8)
    if "peaking" in aids:
        image[marks == PEAKED] = PEAK_RGB
    if "clipped" in aids:
        rows, columns = np.indices(marks.shape)
        image[(marks == CLIPPED) & ((rows + columns) // (STRIPES_PX // 2) % 2 == 0)] = CLIPPED_RGB
    if "outline" in aids and preview.facts.outline:
        colour = BAD_RGB if preview.facts.reasons else GOOD_RGB
        cv2.polylines(image, [np.array(preview.facts.outline, np.int32)], True, colour, 2, cv2.LINE_AA)
    return encode_jpeg(image, 85)
