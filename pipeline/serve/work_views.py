"""Frames in quarantine, and cuts of plates that wait, as plain data for the review."""

from __future__ import annotations

from typing import Any

from pipeline.collection.catalogue_pages import waiting_cuts
from pipeline.reports.scan_results import caption
from pipeline.serve.pages import Page


def view_quarantined(page: Page, session: str, coin: str) -> dict[str, Any] | None:
    """A coin's frames in quarantine whose shots have no good one; None if there are none."""
    store = page.opened.store
    frames = store.frames.find(session, coin, good=None)
    settled = {frame.shot_id for frame in frames if frame.is_good and frame.shot_id is not None}
    bad = [frame for frame in frames if not frame.is_good and frame.shot_id not in settled]
    if not bad:
        return None
    found = store.sessions.get(session)
    is_scan = found.kind == "scan"
    return {
        "kind": "quarantined",
        "session": session,
        "coin": coin,
        "tray": found.name if is_scan else None,
        "good": sum(frame.is_good for frame in frames),
        "until": max(frame.number for frame in bad),
        "frames": [
            {
                "image": f"/images/frame/{frame.id}",
                "caption": caption(frame),
                "attempt": frame.attempt,
                "reason": frame.quarantine_reason,
            }
            for frame in bad
        ],
        "again": page.opened.lab.command(f"rig scan --tray {found.name} --fresh") if is_scan else None,
    }


def view_cut(page: Page, sale: str, coin: str) -> dict[str, Any] | None:
    """A coin cut out of a page that waits for a person; None if it does not."""
    cut = next((cut for cut in waiting_cuts(page.opened.store, coin) if cut.sale == sale), None)
    if cut is None:
        return None
    lot = cut.entries[0].lot
    return {
        "kind": "cut",
        "session": sale,
        "coin": coin,
        "doubt": cut.doubt,
        "printed": lot.page if lot else None,
        "sides": [
            {
                "side": entry.side or "other",
                "image": f"/images/entry/{entry.number}",
                "page": f"/images/page/{entry.number}",
            }
            for entry in cut.entries
        ],
    }
