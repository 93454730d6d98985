"""Images for the page: coins cut out, upright, of one size; small ones from the thumbnails, large ones kept in memory.

A request names a frame or an entry by its id or number, never a path. One image is decoded at a time, so that a
scan beside has the other core.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Annotated, cast

import cv2
import numpy as np
from fastapi import APIRouter
from fastapi import Path as PathParameter
from starlette.requests import Request
from starlette.responses import Response

from calibration.image import Image, ImageError, encode_jpeg, encode_png
from capture.store import StoreError
from pipeline.reports.evidence import find_evidence
from pipeline.reports.images import THUMBNAIL_PX, Thumbnails, entry_portrait, frame_portrait, resize
from pipeline.reports.report import comparable_frames
from pipeline.serve.pages import Page
from pipeline.serve.relief import draw_relief
from rig.sides import Side

SIZES_PX = (THUMBNAIL_PX, 640, 1600)
BOX_RGB = (214, 39, 40)
Number = Annotated[int, PathParameter(ge=1, le=2**53)]
KEPT_BYTES = 128_000_000
KEPT_S = 86_400  # an image of a frame or an entry never changes


class ImageCache:
    """Encoded images that were made lately, up to `KEPT_BYTES`; one is made at a time."""

    def __init__(self) -> None:
        self._images: OrderedDict[tuple[object, ...], bytes] = OrderedDict()
        self._size = 0
        self._lock, self._making = threading.Lock(), threading.Lock()

    def get(self, key: tuple[object, ...], make: Callable[[], bytes]) -> bytes:
        """The image of a key, made if it is not there."""
        if (kept := self._find(key)) is not None:
            return kept
        with self._making:
            if (kept := self._find(key)) is not None:
                return kept
            made = make()
        with self._lock:
            self._images[key] = made
            self._size += len(made)
            while self._size > KEPT_BYTES and len(self._images) > 1:
                self._size -= len(self._images.popitem(last=False)[1])
        return made

    def _find(self, key: tuple[object, ...]) -> bytes | None:
        with self._lock:
            if key in self._images:
                self._images.move_to_end(key)
            return self._images.get(key)


def image_routes(page: Page) -> APIRouter:
    """Routes of images: of frames, of entries and the pages they are on, and of the evidence."""
    routes, cache, opened = APIRouter(), ImageCache(), page.opened

    def answer(
        request: Request,
        key: tuple[object, ...],
        make: Callable[[], bytes],
        media_type: str = "image/jpeg",
        *,
        is_lasting: bool = True,
    ) -> Response:
        try:
            data = cache.get(key, make)
        except (StoreError, ImageError) as error:
            return page.error(request, str(error), 404)
        kept = {"Cache-Control": f"private, max-age={KEPT_S}"} if is_lasting else {}
        return Response(data, media_type=media_type, headers=kept)

    @routes.get("/images/frame/{frame_id}")
    def frame(request: Request, frame_id: str, size: int = 640) -> Response:
        """A frame's coin, rotated as if the turntable had not turned: all frames of a placement lie in register."""
        store = opened.store
        found = store.frames.get(frame_id)
        if found is None or size not in SIZES_PX:
            return page.error(request, "There is no such frame.", 404)

        def make() -> bytes:
            small = Thumbnails(opened.lab, store).frame(found) if size == THUMBNAIL_PX else None
            return _as_jpeg(small if small is not None else frame_portrait(store, found, size))

        return answer(request, ("frame", frame_id, size), make)

    @routes.get("/images/entry/{number}")
    def entry(request: Request, number: Number, size: int = 640) -> Response:
        """An entry's coin side, as it is printed."""
        store = opened.store
        found = store.catalogue.numbered(number)
        if found is None or size not in SIZES_PX:
            return page.error(request, "There is no such entry.", 404)

        def make() -> bytes:
            small = Thumbnails(opened.lab, store).entry(found) if size == THUMBNAIL_PX else None
            return _as_jpeg(small if small is not None else entry_portrait(store, found, size))

        return answer(request, ("entry", number, size), make)

    @routes.get("/images/page/{number}")
    def whole(request: Request, number: Number, size: int = 1600) -> Response:
        """The whole image that an entry is a part of, with its box."""
        store = opened.store
        found = store.catalogue.numbered(number)
        if found is None or size not in SIZES_PX:
            return page.error(request, "There is no such entry.", 404)

        def make() -> bytes:
            return _as_jpeg(draw_box(store.image(found.sha256), found.box, size))

        return answer(request, ("page", number, size), make)

    @routes.get("/images/relief")
    def relief(request: Request, session: str, coin: str, side: str) -> Response:
        """A coin side's normals above its colour (`draw_relief`), for the page to light."""
        store = opened.store
        frames = comparable_frames(store.frames.find(session, coin), cast(Side, side))
        key = ("relief", *(frame.id for frame in frames))

        def make() -> bytes:
            drawn = draw_relief(opened.lab, store, frames)
            if drawn is None:
                raise ImageError("There are too few lights to relight this.")
            return encode_png(drawn)

        return answer(request, key, make, "image/png", is_lasting=False)  # later frames may add lights

    @routes.get("/images/evidence")
    def evidence(request: Request, session: str, coin: str, side: str) -> Response:
        """Both coins under the maps of where they agree."""
        drawing = find_evidence(opened.lab, session, coin, side)
        if drawing is None:
            return page.error(request, "There is no drawing of this.", 404)
        return Response(_as_jpeg(drawing), media_type="image/jpeg")  # it is drawn again now and then

    return routes


def _as_jpeg(image: Image) -> bytes:
    return encode_jpeg(image, 86)


def draw_box(image: Image, box: Sequence[int] | None, size_px: int) -> Image:
    """An image with its longer side brought to `size_px`, and a box (left, top, right, bottom) of its pixels on it."""
    small = resize(image, size_px)
    if box is None:
        return small
    scale = small.shape[1] / image.shape[1]
    left, top, right, bottom = (round(scale * each) for each in box)
    drawn = np.ascontiguousarray(small)
    return np.asarray(cv2.rectangle(drawn, (left, top), (right, bottom), BOX_RGB, max(2, size_px // 400)), np.uint8)
