"""The report of a scan: one HTML file, images included, that opens offline, made from the store alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calibration.files import write_atomically
from capture.store import Store, StoreError
from capture.store.records import Candidate, Entry, Frame, Session
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reports.images import Thumbnails, as_data_url, cut_out, find_place, resize, rotate
from pipeline.reports.pages import device_line, minute, page_template, plan_line
from pipeline.reports.results import CoinResult, WrittenReport, caption, coin_results, diameter_mm, other_names
from rig.sides import SIDES

IMAGE_PX = 340
THUMBNAIL_PX = 64
SHOWN = 3  # candidates with images


@dataclass(frozen=True)
class _Image:
    data: str
    caption: str
    bad: bool = False


def write_report_of(lab: Lab, session_id: str | None, tray: str | None) -> WrittenReport:
    """Write the report of a session; without an id, of the newest scan (of `tray`).

    Raises
    ------
    LabError
        If nothing was scanned yet.
    """
    with Store.open(lab.store, writing=False) as store:
        if session_id is not None:
            return WrittenReport(write_report(lab, store, store.sessions.get(session_id)))
        scans = store.sessions.find("scan", tray)
        if not scans:
            which = f"tray {tray} was never" if tray else "nothing was ever"
            raise LabError(f"{which} scanned in {lab.folder}. Scan first: `rig scan --tray {tray or 3}`.")
        return WrittenReport(write_report(lab, store, scans[-1]))


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
    return write_atomically(report_path(lab, session), page)


def report_path(lab: Lab, session: Session) -> Path:
    """Where the report of a scan lies."""
    return lab.reports / f"tray-{session.name}-{session.id}.html"


def rotations_deg(candidates: Sequence[Candidate], entries: dict[str, Entry]) -> dict[str | None, float]:
    """Of each side, the rotation of the coin at which its best candidate is most similar."""
    if not candidates:
        return {}
    evidence = candidates[0].evidence
    return {
        entries[entry_id].side: rotation_deg
        for entry_id, rotation_deg in zip(evidence.get("entries", ()), evidence.get("turns_deg", ()), strict=True)
        if entry_id in entries
    }


def choose_best_frames(frames: Sequence[Frame]) -> list[Frame]:
    """The sharpest good frame of each side."""
    good = [frame for frame in frames if frame.is_good]
    sides = ([frame for frame in good if frame.side == side] for side in SIDES)
    return [max(of_side, key=lambda frame: float(frame.quality.get("sharpness", 0.0))) for of_side in sides if of_side]


def _coin(
    store: Store, session: Session, result: CoinResult, entries: dict[str, Entry], thumbnails: Thumbnails
) -> dict[str, Any]:
    frames = store.frames.find(session.id, result.coin, good=None)
    settled = {frame.shot_id for frame in frames if frame.is_good}
    rotations = rotations_deg(result.candidates, entries)
    images, sheet = [], []
    for frame in choose_best_frames(frames):
        try:
            image = store.image(frame.calibrated_sha256 or frame.sha256)
        except StoreError:
            continue  # `rig store verify` finds it; a report is no reason to stop
        # Rotated as its best candidate is, so that the eye can compare.
        upright = rotate(
            resize(cut_out(image, find_place(frame, image)), IMAGE_PX),
            rotations.get(frame.side, 0.0) - (frame.turntable_read_deg or 0.0),
        )
        images.append(_Image(as_data_url(upright, 86), f"{frame.side}, {frame.light}"))
    for frame in frames:
        thumbnail = thumbnails.frame(frame)
        text = caption(frame) + (f", take {frame.attempt}" if frame.attempt > 1 else "")
        reason = "its file is damaged: run `rig store verify`" if thumbnail is None else frame.quarantine_reason
        data = as_data_url(resize(thumbnail, THUMBNAIL_PX), 70) if thumbnail is not None else ""
        sheet.append(_Image(data, f"{text}{': ' + reason if reason else ''}", bool(reason)))
    return {
        "slot": result.slot,
        "coin": result.coin,
        "frames": result.frames,
        "retakes": result.retakes,
        "verdict": result.verdict,
        "verdict_class": (result.verdict or "bad").split()[0],
        "diameter_mm": diameter_mm(frames),
        "images": images,
        "candidates": [_candidate(store, each, entries, rank) for rank, each in enumerate(result.candidates)],
        "quarantined": [
            {"caption": caption(frame), "reason": frame.quarantine_reason}
            for frame in frames
            if frame.shot_id not in settled
        ],
        "sheet": sheet,
    }


def _candidate(store: Store, candidate: Candidate, entries: dict[str, Entry], rank: int) -> dict[str, Any]:
    images = []
    for entry_id in candidate.evidence.get("entries", []) if rank < SHOWN else []:
        if entry_id in entries:  # one that was removed from the catalogue since has no image to show
            entry = entries[entry_id]
            images.append(_Image(as_data_url(resize(entry.cut(store.image(entry.sha256)), IMAGE_PX), 86), entry_id))
    return {
        "coin": candidate.coin,
        "probability": candidate.probability,
        "score": candidate.score,
        "also": [other["coin"] for other in other_names(candidate)],
        "images": images,
    }


def _provenance(session: Session, results: Sequence[CoinResult]) -> list[tuple[str, str]]:
    return [
        ("Plan", plan_line(session.frozen_plan())),
        ("Calibration", session.calibration_id or "none"),
        ("Devices", device_line(session)),
        ("Software", session.software),
        ("Model", ", ".join(sorted({result.model for result in results if result.model})) or "none"),
    ]
