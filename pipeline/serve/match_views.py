"""A coin beside what it may be in the catalogue, as plain data for the review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from calibration.outline import CROP_MARGIN
from capture.store import Store
from capture.store.records import Candidate, Entry, Frame, Ranking
from pipeline.collection.decisions import Decisions, decision_of
from pipeline.reports.cards import SHOWN, cite_others, entries_of
from pipeline.reports.images import PORTRAIT_MARGIN, lamp_deg
from pipeline.reports.pages import cite
from pipeline.reports.report import comparable_frames
from pipeline.reports.scan_results import other_names
from pipeline.serve.pages import Page
from pipeline.serve.record_rows import OwnMeasure, own_measures, record_rows, sales_rows
from pipeline.serve.relief import frames_for_relief
from pipeline.wording import minute
from rig.sides import SIDES


def view_match(page: Page, session: str, coin: str) -> dict[str, Any] | None:
    """A coin beside its candidates, as plain data; None if it was not identified in this session."""
    store = page.opened.store
    ranking = store.rankings.latest(session, coin)
    if ranking is None:
        return None
    frames = store.frames.find(session, coin)
    decisions = Decisions.read(store, coin)
    known = store.coins.get(coin)
    own = own_measures(store, coin, frames, store.catalogue.entries(coin), known)
    entries = _entries(store, ranking)
    return {
        "kind": "match",
        "session": session,
        "coin": coin,
        "verdict": ranking.verdict,
        "model": ranking.model_id,
        "ranked": minute(ranking.created_at),
        "tray": store.sessions.get(session).name,
        "diameter": own["diameter"].value if "diameter" in own else None,
        "type": known.type if known else None,
        "sides": [
            {
                "side": side,
                "frames": [_frame(page, frame) for frame in shown],
                "relief": f"/images/relief?{urlencode({'session': session, 'coin': coin, 'side': side})}"
                if frames_for_relief(page.opened.lab, shown)
                else None,
            }
            for side in SIDES
            if (shown := comparable_frames(frames, side))
        ],
        "candidates": [
            _candidate(store, coin, rank, each, entries, decisions, own)
            for rank, each in enumerate(ranking.candidates[:SHOWN], 1)
        ],
    }


def view_duplicate(page: Page, coin: str, other: str) -> dict[str, Any] | None:
    """Two names of the catalogue that may be one coin, as a match is shown; None if one of them is not there."""
    store = page.opened.store
    shown, published = ([*store.catalogue.entries(name)] for name in (coin, other))
    if not shown or not published:
        return None
    decisions = Decisions.read(store, coin)
    known = store.coins.get(coin)
    own = own_measures(store, coin, (), shown, known)
    return {
        "kind": "duplicate",
        "session": "",
        "coin": coin,
        "verdict": "duplicate",
        "ranked": cite(shown[0]),
        "tray": None,
        "diameter": own["diameter"].value if "diameter" in own else None,
        "type": known.type if known else None,
        "sides": [
            {"side": entry.side or "other", "frames": [{"image": _image(entry), "light": "", "lamp": None}]}
            for entry in _one_of_each_side(shown)
        ],
        "candidates": [
            {
                "rank": 1,
                "coin": other,
                "entry": published[0].id,
                "citation": cite(published[0]),
                "probability": None,
                "also": [],
                "sides": [_side(entry, 0.0, None) for entry in _one_of_each_side(published)],
                "record": record_rows(published, store.coins.get(other), own),
                "sales": sales_rows(store, [other, coin]),
                "opinions": _as_opinions(decisions, coin, published[0].id),
            }
        ],
    }


def _entries(store: Store, ranking: Ranking) -> dict[str, Entry]:
    names = {name for each in ranking.candidates[:SHOWN] for name in each.evidence.get("entries", ())}
    names |= {other["entry"] for each in ranking.candidates[:SHOWN] for other in each.evidence.get("also", ())}
    return {name: entry for name, entry in store.catalogue.named(names).items() if entry.removed_at is None}


def _frame(page: Page, frame: Frame) -> dict[str, Any]:
    lamp = lamp_deg(page.opened.lab, frame)
    return {"image": f"/images/frame/{frame.id}", "light": frame.light or "", "lamp": lamp}


def _candidate(
    store: Store,
    coin: str,
    rank: int,
    candidate: Candidate,
    entries: dict[str, Entry],
    decisions: Decisions,
    own: Mapping[str, OwnMeasure],
) -> dict[str, Any]:
    turns = dict(zip(candidate.evidence.get("entries", ()), candidate.evidence.get("turns_deg", ()), strict=False))
    registered = {each["entry"]: each for each in candidate.evidence.get("registrations", ())}
    published = entries_of(candidate, entries)
    return {
        "rank": rank,
        "coin": candidate.coin,
        "entry": candidate.entry_id,
        "citation": cite(published[0]) if published else candidate.entry_id,
        "probability": round(candidate.probability, 3),
        "also": list(cite_others(candidate, entries)),
        "sides": [_side(each, turns.get(each.id, 0.0), lay_on_entry(registered.get(each.id))) for each in published],
        "record": record_rows(published, store.coins.get(candidate.coin), own),
        "sales": sales_rows(store, [candidate.coin, *(each["coin"] for each in other_names(candidate))]),
        "opinions": _as_opinions(decisions, coin, candidate.entry_id),
    }


def _side(entry: Entry, turn_deg: float, register: dict[str, Any] | None) -> dict[str, Any]:
    page = f"/images/page/{entry.number}" if entry.box is not None else None
    return {"side": entry.side, "image": _image(entry), "page": page, "turn": turn_deg, "register": register}


def _image(entry: Entry) -> str:
    return f"/images/entry/{entry.number}"


def _one_of_each_side(entries: Sequence[Entry]) -> list[Entry]:
    return list({entry.side: entry for entry in reversed(entries)}.values())[::-1]


def lay_on_entry(registration: dict[str, Any] | None) -> dict[str, Any] | None:
    """How the turned coin is laid on the entry, both as `portrait` shows them; None where too few points agree.

    ``linear`` is the matrix of the turn and scale that are left, ``shift`` follows it, in shares of the image's width.
    """
    if registration is None or registration["matrix"] is None:
        return None
    (a, b, x), (c, d, y) = registration["matrix"]
    scale = PORTRAIT_MARGIN * CROP_MARGIN  # a portrait's width over a crop's, of one coin
    shift = [((a + b) / 2 + x - 0.5) / scale, ((c + d) / 2 + y - 0.5) / scale]
    return {"linear": [a, b, c, d], "shift": shift, "points": registration["inliers"]}


def opinions_about(store: Store, coin: str, entry: str) -> list[dict[str, Any]]:
    """What each person holds of a pair now."""
    return _as_opinions(Decisions.read(store, coin), coin, entry)


def opinions_of(store: Store, coin: str) -> dict[str, list[dict[str, Any]]]:
    """What each person holds of a coin and each entry that somebody decided about."""
    decisions = Decisions.read(store, coin)
    return {entry: _as_opinions(decisions, coin, entry) for of, entry in decisions.opinions if of == coin}


def _as_opinions(decisions: Decisions, coin: str, entry: str) -> list[dict[str, Any]]:
    """What each person holds of a pair, the one that counts last."""
    return [
        {"number": line.number, "who": line.who, "decision": decision_of(line), "why": line.why, "at": minute(line.at)}
        for line in decisions.opinions.get((coin, entry), {}).values()
    ]
