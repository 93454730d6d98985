"""The report of a scan: one HTML file, images included, that opens offline, made from the store alone."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from capture.store import Store, StoreError
from capture.store.journal_lines import CoinMeasured
from capture.store.records import Candidate, Entry, Frame, Session
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reports.cards import (
    IMAGE_PX,
    Card,
    Figure,
    OwnImage,
    entries_of,
    named_entries,
    view_candidates,
    view_sides,
)
from pipeline.reports.evidence import find_evidence
from pipeline.reports.images import Thumbnails, as_data_url, frame_portrait, lamp_deg, resize
from pipeline.reports.pages import clock_direction, device_line, page_template, plan_line, write_page
from pipeline.reports.scan_results import CoinResult, WrittenReport, caption, coin_diameter_mm, coin_results
from pipeline.wording import minute
from rig.sides import SIDES, Side

THUMBNAIL_PX = 64
UPPER_LEFT_DEG = 135.0  # where catalogues are lit from


def write_report_of(lab: Lab, session_id: str | None, tray: str | None) -> WrittenReport:
    """Write the report of a scan (`find_scan`)."""
    with Store.open(lab.store, writing=False) as store:
        return WrittenReport(write_report(lab, store, find_scan(lab, store, session_id, tray)))


def find_scan(lab: Lab, store: Store, session_id: str | None, tray: str | None) -> Session:
    """The session of this id; without an id, the newest scan (of `tray`).

    Raises
    ------
    LabError
        If nothing was scanned yet, or the session is no scan.
    """
    scans = store.sessions.find("scan", tray)
    if session_id is not None:
        session = store.sessions.get(session_id)
        if session.kind != "scan":
            raise LabError(f"session {session_id} is no scan of a tray. Name one, or leave it out for the newest scan.")
        return session
    if not scans:
        which = f"tray {tray} was never" if tray else "nothing was ever"
        scan = lab.command(f"rig scan --tray {shlex.quote(tray or '3')}")
        raise LabError(f"{which} scanned in {lab.folder}. Scan first: `{scan}`.")
    return scans[-1]


def write_report(lab: Lab, store: Store, session: Session) -> Path:
    """Write the report of a scan and return its path."""
    return ScanReport(lab, session.id).write(store)


@dataclass(frozen=True)
class _Known:
    """Everything that a coin's card shows: as long as it is the same, so is the card."""

    result: CoinResult
    frames: list[Frame]
    weight_g: float | None
    measured: CoinMeasured | None
    diameter_mm: float | None
    entries: dict[str, Entry]


class ScanReport:
    """The report of a scan. A coin's card can be made before the last coin is done, which saves time at the end."""

    def __init__(self, lab: Lab, session_id: str) -> None:
        self._lab = lab
        self._session_id = session_id
        self._cards: dict[str, tuple[_Known, Card]] = {}

    def prepare(self, store: Store, coin: str) -> None:
        """Make a coin's card; it is made again when the report is written if the store has more of the coin then."""
        session = store.sessions.get(self._session_id)
        (result,) = coin_results(store, session, coin)
        self._make(store, result)

    def write(self, store: Store) -> Path:
        """Write the report and return its path."""
        session = store.sessions.get(self._session_id)
        results = coin_results(store, session)
        with ThreadPoolExecutor() as pool:
            cards = list(pool.map(partial(self._make, store), results))
        page = page_template("report.html").render(
            tray=session.name,
            session=session.id,
            started_at=minute(session.started_at),
            finished_at=minute(session.finished_at) if session.finished_at else None,
            results=list(zip(results, cards, strict=True)),
            cards=cards,
            provenance=_provenance(session, results),
        )
        return write_page(self._lab, report_path(self._lab, session).name, page)

    def _make(self, store: Store, result: CoinResult) -> Card:
        frames = store.frames.find(self._session_id, result.coin, good=None)
        known = _Known(
            result,
            frames,
            store.coins.weight_g(result.coin),
            store.coins.measured(result.coin),
            coin_diameter_mm(store, result.coin, frames),
            store.catalogue.live(named_entries(result.candidates)),
        )
        earlier, card = self._cards.get(result.coin, (None, None))
        if card is None or earlier != known:
            card = _card(self._lab, store, self._session_id, known)
            self._cards[result.coin] = known, card
        return card


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
    return [max(of_side, key=_sharpness) for side in SIDES if (of_side := comparable_frames(frames, side))]


def comparable_frames(frames: Sequence[Frame], side: Side) -> list[Frame]:
    """Good frames of a side of the placement that was identified: across placements rotations are unknown."""
    good = [frame for frame in frames if frame.is_good and frame.side == side]
    placements = Counter(frame.placement for frame in good).most_common(1)
    return [frame for frame in good if (frame.placement, placements[0][1]) == placements[0]]


def _sharpness(frame: Frame) -> float:
    return float(frame.quality.get("sharpness", 0.0))


def _card(lab: Lab, store: Store, session_id: str, known: _Known) -> Card:
    result, frames, entries, measured = known.result, known.frames, known.entries, known.measured
    diameter, weight = known.diameter_mm, known.weight_g
    thumbnails = Thumbnails(lab, store)
    settled = {frame.shot_id for frame in frames if frame.is_good}
    axis_h, thickness_mm = (None, None) if measured is None else (measured.axis_h, measured.thickness_mm)
    best = entries_of(result.candidates[0], entries) if result.candidates else []
    return Card(
        anchor=f"slot{result.slot}",
        title=result.coin,
        note=f"slot {result.slot}"
        + (f", {diameter:.1f} mm" if diameter else "")
        + (f", {thickness_mm:.1f} mm thick" if thickness_mm else "")
        + (f", {weight:g} g" if weight else "")
        + (f", die axis {axis_h:g} h" if axis_h else ""),
        verdict=result.verdict,
        sides=view_sides(store, list(_own_images(lab, store, session_id, known)), best),
        candidates=view_candidates(store, result.candidates, entries),
        warnings=tuple(
            f"{caption(frame)}: {frame.quarantine_reason}" for frame in frames if frame.shot_id not in settled
        ),
        sheet=tuple(_thumbnail(frame, thumbnails) for frame in frames),
    )


def _own_images(lab: Lab, store: Store, session_id: str, known: _Known) -> Iterator[OwnImage]:
    """A frame of each side, lit as catalogues are, rotated as the best candidate is: so that the eye can compare."""
    rotations = rotations_deg(known.result.candidates, known.entries)
    for side in SIDES:
        rotation_deg = rotations.get(side, 0.0)
        shown = [_as_shown(lab, frame, rotation_deg) for frame in comparable_frames(known.frames, side)]
        if not shown:
            continue
        chosen = min(shown, key=lambda each: (each.lamp_error_deg, -_sharpness(each.frame)))
        try:
            image = frame_portrait(store, chosen.frame, IMAGE_PX, rotation_deg)
        except StoreError:
            continue  # `rig store verify` finds it; a report is no reason to stop
        yield OwnImage(
            side=side,
            image=image,
            caption=f"this coin, {chosen.light}",
            evidence=find_evidence(lab, session_id, known.result.coin, side),
        )


@dataclass(frozen=True)
class _AsShown:
    """A frame, where its light comes from once it is rotated, and how far that is from the upper left."""

    frame: Frame
    light: str
    lamp_error_deg: float


def _as_shown(lab: Lab, frame: Frame, rotation_deg: float) -> _AsShown:
    own_deg = lamp_deg(lab, frame)
    if own_deg is None:
        return _AsShown(frame, f"light {frame.light}", 180.0)
    shown_deg = own_deg + rotation_deg
    error_deg = abs(math.remainder(shown_deg - UPPER_LEFT_DEG, 360.0))
    return _AsShown(frame, f"light from {clock_direction(shown_deg)} ({frame.light})", error_deg)


def _thumbnail(frame: Frame, thumbnails: Thumbnails) -> Figure:
    thumbnail = thumbnails.frame(frame)
    text = caption(frame) + (f", take {frame.attempt}" if frame.attempt > 1 else "")
    reason = "its file is damaged: run `rig store verify`" if thumbnail is None else frame.quarantine_reason
    data = as_data_url(resize(thumbnail, THUMBNAIL_PX), 70) if thumbnail is not None else ""
    return Figure(data, reason or "", f"{text}{': ' + reason if reason else ''}")


def _provenance(session: Session, results: Sequence[CoinResult]) -> list[tuple[str, str]]:
    return [
        ("Plan", plan_line(session.frozen_plan())),
        ("Calibration", session.calibration_id or "none"),
        ("Devices", device_line(session)),
        ("Software", session.software),
        ("Model", ", ".join(sorted({result.model for result in results if result.model})) or "none"),
    ]
