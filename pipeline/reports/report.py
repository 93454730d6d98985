"""The report of a scan: one HTML file with its pictures, that opens offline, made from the store alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.files import write_whole
from capture.store import Store
from capture.store.files import StoreError
from capture.store.records import Candidate, Entry, Frame, Session
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reports.images import Thumbnails, cut, inline, place_in, resized, turned
from pipeline.reports.pages import device_line, minute, page_template, plan_line
from pipeline.reports.results import CoinResult, caption, coin_results, diameter_mm
from rig.sides import SIDES

PICTURE_PX = 340
THUMBNAIL_PX = 64
SHOWN = 3  # candidates with pictures


@dataclass(frozen=True)
class _Picture:
    data: str
    caption: str
    bad: bool = False


def write_report_of(lab: Lab, session_id: str | None, tray: str | None) -> Path:
    """Write the report of a session; without an id, of the newest scan (of `tray`).

    Raises
    ------
    LabError
        If nothing was scanned yet.
    """
    with Store.open(lab.store, writing=False) as store:
        if session_id is not None:
            return write_report(lab, store, store.session(session_id))
        scans = store.sessions("scan", tray)
        if not scans:
            which = f"tray {tray} was never" if tray else "nothing was ever"
            raise LabError(f"{which} scanned in {lab.folder}. Scan first: `rig scan --tray {tray or 3}`.")
        return write_report(lab, store, scans[-1])


def write_report(lab: Lab, store: Store, session: Session) -> Path:
    """Write the report of a scan and return its path."""
    entries = {entry.id: entry for entry in store.catalogue.entries()}
    thumbnails = Thumbnails(lab, store)
    results = coin_results(store, session)
    with ThreadPoolExecutor() as pool:
        coins = list(pool.map(lambda result: _coin(store, session, result, entries, thumbnails), results))
    page = page_template("report.html").render(
        tray=session.name,
        session=session.id,
        started_at=minute(session.started_at),
        finished_at=minute(session.finished_at) if session.finished_at else None,
        coins=coins,
        provenance=_provenance(session, results),
    )
    return write_whole(report_path(lab, session), page)


def report_path(lab: Lab, session: Session) -> Path:
    """Where the report of a scan lies."""
    return lab.reports / f"tray-{session.name}-{session.id}.html"


def turns_deg(candidates: Sequence[Candidate], entries: dict[str, Entry]) -> dict[str | None, float]:
    """Side to the turn of the coin at which its best candidate looks most alike."""
    if not candidates:
        return {}
    evidence = candidates[0].evidence
    return {
        entries[entry_id].side: turn_deg
        for entry_id, turn_deg in zip(evidence.get("entries", ()), evidence.get("turns_deg", ()), strict=True)
        if entry_id in entries
    }


def best_frames(frames: Sequence[Frame]) -> list[Frame]:
    """The sharpest good frame of each side."""
    good = [frame for frame in frames if frame.quarantine_reason is None]
    sides = ([frame for frame in good if frame.side == side] for side in SIDES)
    return [max(of_side, key=lambda frame: float(frame.quality.get("sharpness", 0.0))) for of_side in sides if of_side]


def _coin(
    store: Store, session: Session, result: CoinResult, entries: dict[str, Entry], thumbnails: Thumbnails
) -> dict[str, Any]:
    frames = store.frames(session.id, result.coin, good=None)
    settled = {frame.shot_id for frame in frames if frame.quarantine_reason is None}
    turns = turns_deg(result.candidates, entries)
    pictures, sheet = [], []
    for frame in best_frames(frames):
        try:
            image = store.image(frame.calibrated_sha256 or frame.sha256)
        except StoreError:
            continue  # `rig store verify` finds it; a report is no reason to stop
        # Laid as its best candidate lies, so that the eye can compare.
        upright = turned(
            resized(cut(image, place_in(frame, image)), PICTURE_PX),
            turns.get(frame.side, 0.0) - (frame.turntable_read_deg or 0.0),
        )
        pictures.append(_Picture(inline(upright, 86), f"{frame.side}, {frame.light}"))
    for frame in frames:
        thumbnail = thumbnails.frame(frame)
        said = caption(frame) + (f", take {frame.attempt}" if frame.attempt > 1 else "")
        reason = "its file is damaged: run `rig store verify`" if thumbnail is None else frame.quarantine_reason
        data = inline(resized(thumbnail, THUMBNAIL_PX), 70) if thumbnail is not None else ""
        sheet.append(_Picture(data, f"{said}{': ' + reason if reason else ''}", bool(reason)))
    return {
        "slot": result.slot,
        "coin": result.coin,
        "frames": result.frames,
        "retakes": result.retakes,
        "verdict": result.verdict,
        "verdict_class": (result.verdict or "bad").split()[0],
        "diameter_mm": diameter_mm(frames),
        "pictures": pictures,
        "candidates": [_candidate(store, each, entries, rank) for rank, each in enumerate(result.candidates)],
        "quarantined": [
            {"caption": caption(frame), "reason": frame.quarantine_reason}
            for frame in frames
            if frame.shot_id not in settled
        ],
        "sheet": sheet,
    }


def _candidate(store: Store, candidate: Candidate, entries: dict[str, Entry], rank: int) -> dict[str, Any]:
    pictures = []
    for entry_id in candidate.evidence.get("entries", []) if rank < SHOWN else []:
        if entry_id in entries:  # one that was taken out of the catalogue since has no picture to show
            entry = entries[entry_id]
            pictures.append(_Picture(inline(resized(entry.cut(store.image(entry.sha256)), PICTURE_PX), 86), entry_id))
    return {
        "coin": candidate.coin,
        "probability": candidate.probability,
        "score": candidate.score,
        "pictures": pictures,
    }


def _provenance(session: Session, results: Sequence[CoinResult]) -> list[tuple[str, str]]:
    return [
        ("Plan", plan_line(session.frozen_plan())),
        ("Calibration", session.calibration_id or "none"),
        ("Devices", device_line(session)),
        ("Software", session.software),
        ("Model", ", ".join(sorted({result.model for result in results if result.model})) or "none"),
    ]
