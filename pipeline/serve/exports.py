"""What a coin is taken away as: a frame as JPEG, TIFF or as stored, a PDF sheet, a bag of all its frames."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISDIR
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from calibration.image import Image, ImageError, encode_for_exchange
from capture.names import printable
from capture.store import Store, StoreError
from capture.store.export import IMAGES, ExportOptions, Format, export
from capture.store.records import Entry, Frame
from pipeline.collection.reviews import Review
from pipeline.errors import LabError, UsageError
from pipeline.reports.coin_sheet import IMAGE_MM, SheetSection, draw_coin_sheet
from pipeline.reports.images import entry_portrait, frame_portrait
from pipeline.reports.pages import cite
from pipeline.reports.report import rotations_deg
from pipeline.serve.coin_view import frames_of, view_coin
from pipeline.serve.pages import Page, read_form
from pipeline.serve.texts import Texts, language_of

MEDIA = {"jpeg": "image/jpeg", "tiff": "image/tiff", "original": "application/octet-stream"}
BAG = "coinlab-bag-"
SHEET_PX = 900
SHEET_DECISIONS = 8


def export_routes(page: Page) -> APIRouter:
    """Routes of what is saved of a coin."""
    routes, opened, packing = APIRouter(), page.opened, threading.Lock()

    @routes.get("/export/frame/{frame_id}")
    def frame(request: Request, frame_id: str, format: Format = "jpeg", which: Literal["raw", ""] = "") -> Response:
        """A frame in all its pixels, calibrated where it is."""
        store = opened.store
        found = store.frames.get(frame_id)
        if found is None:
            return page.error(request, "There is no such frame.", 404)
        sha256 = found.sha256 if which == "raw" else found.calibrated_sha256 or found.sha256
        suffix = store.path(sha256).suffix if format == "original" else f".{format}"
        try:
            data = _encode(store, found, sha256, format)
        except (StoreError, ImageError) as error:
            return page.error(request, str(error), 404)
        name = f"{found.coin_id}_{found.side or 'side'}_{found.id[:8]}{suffix}"
        return Response(data, media_type=MEDIA[format], headers=_as_download(name))

    @routes.get("/export/sheet")
    def sheet(request: Request, name: str) -> Response:
        """A coin on a sheet of paper, as PDF."""
        data = draw_sheet(opened.store, name, Texts(language_of(request)), opened.lab.folder.resolve().name)
        return Response(data, media_type="application/pdf", headers=_as_download(f"{name}.pdf"))

    @routes.post("/export/bag")
    async def bag(request: Request) -> Response:
        """All good frames of a coin as `rig store export` makes a bag, zipped."""
        sent = await read_form(request)
        format_ = sent.get("format", "original")
        if format_ not in IMAGES:
            raise UsageError(f"'format' has to be one of {', '.join(IMAGES)}. Load the page again.")
        coin = sent.get("name", "")
        if not packing.acquire(blocking=False):
            raise LabError("another bag is being packed. Try again when it is done.")
        try:
            path = await run_in_threadpool(pack_bag, opened.store, opened.lab.calibrations, coin, format_)
        finally:
            packing.release()
        return FileResponse(
            path,
            media_type="application/zip",
            headers=_as_download(f"{coin}.zip"),
            background=BackgroundTask(shutil.rmtree, path.parent, ignore_errors=True),
        )

    return routes


def pack_bag(store: Store, calibrations: Path, coin: str, format_: Format) -> Path:
    """Make the bag of a coin and zip it, in a temporary folder of its own that the caller removes.

    Raises
    ------
    LabError
        If there is no good frame of the coin.
    StoreError
        If there is too little room, or an image is damaged.
    """
    frames = [frame for frame in frames_of(store, coin) if frame.is_good]
    if not frames:
        raise LabError(f"there is no good frame of coin {printable(coin)} to export.")
    folder = Path(tempfile.mkdtemp(prefix=f"{BAG}{os.getpid()}-"))
    try:
        export(store, calibrations, folder / "bag" / _file_name(coin), frames, ExportOptions(format=format_))
        packed = folder / "bag.zip"
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:  # images do not get smaller
            for path in sorted((folder / "bag").rglob("*")):
                archive.write(path, path.relative_to(folder / "bag"))
        shutil.rmtree(folder / "bag")
        return packed
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def remove_leftovers() -> None:
    """Remove bags of pages that were killed while they packed or sent them."""
    for path in Path(tempfile.gettempdir()).glob(f"{BAG}*-*"):
        pid = path.name.removeprefix(BAG).partition("-")[0]
        with suppress(OSError):
            status = path.lstat()
            if pid.isdigit() and S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not _lives(int(pid)):
                shutil.rmtree(path, ignore_errors=True)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # somebody else's
    return True


def draw_sheet(store: Store, coin: str, t: Texts, lab: str) -> bytes:
    """The PDF of a coin.

    Raises
    ------
    LabError
        If there is no such coin.
    """
    seen = view_coin(store, coin)
    parts = [_own_part(store, seen, t)]
    for each in seen["rankings"][:1]:
        candidates = each["candidates"][:1]
        lines = [
            t(
                "sheet.candidate",
                citation=best["citation"],
                probability=t.number(best["probability"], 3),
                coin=best["coin"],
            )
            for best in candidates
        ]
        verdict = t(f"script.verdict.{each['ranking'].verdict}")
        entries = store.catalogue.entries(candidates[0]["coin"])[:2] if candidates else []
        heading = f"{t('coin.matches')}: {verdict} ({t.minute(each['ranking'].created_at)})"
        parts.append(SheetSection(heading, lines, list(_entry_images(store, entries, t))))
    if seen["reviews"]:
        parts.append(
            SheetSection(t("coin.decisions"), [_decision(each, t) for each in seen["reviews"][:SHEET_DECISIONS]])
        )
    if seen["sales"]:
        lines = [": ".join(filter(None, (sale["date"], sale["citation"]))) for sale in seen["sales"]]
        images = [] if seen["rankings"] else list(_entry_images(store, seen["entries"][:2], t))
        parts.append(SheetSection(t("coin.published"), lines, images))
    if seen["sessions"]:
        lines = [
            f"{t.minute(each['session'].started_at)}: {each['session'].id}, {each['frames']} {t('col.frames')}"
            for each in seen["sessions"]
        ]
        parts.append(SheetSection(t("coin.history"), lines))
    return draw_coin_sheet(coin, parts, f"{lab}, coinlab")


def _decision(review: Review, t: Texts) -> str:
    words = " ".join(filter(None, (t.sentence(review.sentence), review.line.why)))
    mark = "" if review.counts else f" ({t('coin.no longer')})"
    return f"{t.minute(review.line.at)}, {review.line.who}: {words}{mark}"


def _own_part(store: Store, seen: dict[str, Any], t: Texts) -> SheetSection:
    known = seen["coin"]
    facts = [known.type if known and known.type else "", *(each["value"] for each in seen["measures"])]
    latest = seen["rankings"][0]["ranking"].candidates if seen["rankings"] else ()
    turns = rotations_deg(latest, store.catalogue.named(latest[0].evidence.get("entries", ())) if latest else {})
    images = []
    for frame in seen["best"]:
        upright = frame_portrait(store, frame, SHEET_PX, turns.get(frame.side, 0.0))  # as its best candidate stands
        images.append((t(f"side.{frame.side or 'unknown'}"), upright))
    lines = [
        f"{t('script.record.' + each['name'])}: {t.sentence(each['value'])}, "
        f"{t('script.measured.' + each['origin'], **each)}"
        for each in t.sentences_in(seen["measures"])
    ]
    return SheetSection(" · ".join(filter(None, facts)), lines, images, IMAGE_MM)


def _entry_images(store: Store, entries: list[Entry], t: Texts) -> Iterator[tuple[str, Image]]:
    for entry in entries:
        try:
            image = entry_portrait(store, entry, SHEET_PX)
        except (StoreError, ImageError):
            continue  # `rig store verify` names it
        name = t(f"side.{entry.side or 'unknown'}")
        yield f"{cite(entry)}, {name}", image


def _encode(store: Store, frame: Frame, sha256: str, format_: Format) -> bytes:
    if format_ == "original":
        return store.path(sha256).read_bytes()
    return encode_for_exchange(store.image(sha256), format_, frame.mm_per_pixel)


def _as_download(name: str) -> dict[str, str]:
    """The header that saves an answer under a name; where a browser knows no letters beyond ASCII, a plain one."""
    plain = _file_name(name)
    ascii_ = re.sub(r"[^\x20-\x7e]", "_", plain)
    return {"Content-Disposition": f"attachment; filename=\"{ascii_}\"; filename*=UTF-8''{quote(plain)}"}


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.,+ -]", "_", name)[:100].strip(". ") or "coin"
