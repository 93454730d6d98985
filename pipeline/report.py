"""The report of a scan: one HTML file with its pictures, that opens offline, made from the store alone."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from calibration.image import Image, encode_jpeg
from calibration.outline import NoCoinError, find_coin
from capture.records import Candidate, Entry, Frame, Session
from capture.store import Store
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.results import CoinResult, coin_results

PICTURE_PX = 340
THUMBNAIL_PX = 64
SHOWN = 3  # candidates with pictures
SIDES = ("obverse", "reverse")


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
    template = Environment(
        loader=PackageLoader("pipeline"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).get_template("report.html")
    entries = {entry.id: entry for entry in store.catalogue.entries()}
    with ThreadPoolExecutor() as pool:
        coins = list(pool.map(lambda result: _coin(store, session, result, entries), coin_results(store, session)))
    page = template.render(
        tray=session.name,
        session=session.id,
        started_at=_minute(session.started_at),
        finished_at=_minute(session.finished_at) if session.finished_at else None,
        coins=coins,
        provenance=_provenance(store, session),
    )
    lab.reports.mkdir(parents=True, exist_ok=True)
    path = lab.reports / f"tray-{session.name}-{session.id}.html"
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(page, "utf-8")
    unfinished.replace(path)
    return path


def _coin(store: Store, session: Session, result: CoinResult, entries: dict[str, Entry]) -> dict[str, Any]:
    frames = store.frames(session.id, result.coin, good=None)
    good = [frame for frame in frames if frame.quarantine_reason is None]
    settled = {frame.shot_id for frame in good}
    pictures, sheet, diameters_mm = [], [], []
    turns_deg = _turns_deg(result, entries)
    best = {side: max((f for f in good if f.side == side), key=_sharpness, default=None) for side in SIDES}
    for frame in frames:
        image = store.image(frame.calibrated_sha256 or frame.sha256)
        cut, diameter_px = _cut(image)
        if diameter_px and frame.mm_per_pixel and frame in good:
            diameters_mm.append(diameter_px * frame.mm_per_pixel)
        caption = f"{frame.side}, turntable {frame.turntable_deg:g}°, {frame.light}" + (
            f", take {frame.attempt}" if frame.attempt > 1 else ""
        )
        reason = frame.quarantine_reason
        sheet.append(
            _Picture(_data(cut, THUMBNAIL_PX, 70), f"{caption}{': ' + reason if reason else ''}", bool(reason))
        )
        if frame in best.values():
            # Laid as its best candidate lies, so that the eye can compare.
            upright = _turned(cut, turns_deg.get(frame.side, 0.0) - (frame.turntable_read_deg or 0.0))
            pictures.append(_Picture(_data(upright, PICTURE_PX, 86), f"{frame.side}, {frame.light}"))
    return {
        "slot": result.slot,
        "coin": result.coin,
        "frames": result.frames,
        "retakes": result.retakes,
        "verdict": result.verdict,
        "verdict_class": (result.verdict or "bad").split()[0],
        "diameter_mm": float(np.median(diameters_mm)) if diameters_mm else None,
        "pictures": pictures,
        "candidates": [_candidate(store, each, entries, rank) for rank, each in enumerate(result.candidates)],
        "quarantined": [
            {"caption": f"{f.side}, turntable {f.turntable_deg:g}°, {f.light}", "reason": f.quarantine_reason}
            for f in frames
            if f.shot_id not in settled
        ],
        "sheet": sheet,
    }


def _candidate(store: Store, candidate: Candidate, entries: dict[str, Entry], rank: int) -> dict[str, Any]:
    pictures = []
    for entry_id in candidate.evidence.get("entries", []) if rank < SHOWN else []:
        if entry_id in entries:  # one that was taken out of the catalogue since has no picture to show
            entry = entries[entry_id]
            pictures.append(_Picture(_data(entry.cut(store.image(entry.sha256)), PICTURE_PX, 86), entry_id))
    return {
        "coin": candidate.coin,
        "probability": candidate.probability,
        "score": candidate.score,
        "pictures": pictures,
    }


def _turns_deg(result: CoinResult, entries: dict[str, Entry]) -> dict[str | None, float]:
    """Side to the turn of the coin at which its best candidate looks most alike."""
    if not result.candidates:
        return {}
    evidence = result.candidates[0].evidence
    return {
        entries[entry_id].side: turn_deg
        for entry_id, turn_deg in zip(evidence["entries"], evidence["turns_deg"], strict=True)
        if entry_id in entries
    }


def _turned(image: Image, by_deg: float) -> Image:
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), by_deg, 1.0)
    return np.asarray(cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def _cut(image: Image) -> tuple[Image, float | None]:
    """The square around the coin, and the coin's diameter (px); the whole picture if no coin is found."""
    try:
        outline = find_coin(image)
    except NoCoinError:
        return image, None
    half = round(1.08 * outline.radius_px)
    x, y = (round(value) for value in outline.centre_px)
    top, left = max(0, y - half), max(0, x - half)
    return image[top : y + half, left : x + half], 2 * outline.radius_px


def _data(image: Image, size_px: int, quality: int) -> str:
    scale = size_px / max(image.shape[:2])
    size = (max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale)))
    small = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(small, quality)).decode()


def _sharpness(frame: Frame) -> float:
    return float(frame.quality.get("sharpness", 0.0))


def _minute(time: str) -> str:
    return time[:16].replace("T", " ") + " UTC"


def _provenance(store: Store, session: Session) -> list[tuple[str, str]]:
    plan = session.frozen_plan()
    lines = [
        (
            "Plan",
            f"{plan.name}: {len(plan.lights)} lights, {len(plan.turntable_deg)} turntable angles, "
            f"{len(plan.tilt_deg)} tilt, {plan.exposure_us} µs",
        ),
        ("Calibration", session.calibration_id or "none"),
        ("Devices", "; ".join(f"{d['kind']} on {d['port']} ({d['firmware']})" for d in session.devices)),
        ("Software", session.software),
    ]
    models = sorted(
        {r.model_id for c in session.frozen_tray().coins.values() if (r := store.catalogue.ranking(session.id, c))}
    )
    return [*lines, ("Model", ", ".join(models) or "none")]
