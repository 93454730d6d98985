"""Everything that is known of a coin, for its page and its sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from capture.names import printable
from capture.store import Store
from capture.store.labels import Labels
from capture.store.records import Candidate, Entry, Frame, Ranking
from pipeline.collection.decisions import Decisions, decision_of
from pipeline.collection.reviews import reviews_of
from pipeline.errors import LabError
from pipeline.reports.cards import SHOWN
from pipeline.reports.pages import cite
from pipeline.reports.report import choose_best_frames
from pipeline.reports.scan_results import caption
from pipeline.serve.record_rows import own_measures, sales_rows


def view_coin(store: Store, name: str) -> dict[str, Any]:
    """Everything that is known of a coin.

    Raises
    ------
    LabError
        If there is no such coin.
    """
    frames = frames_of(store, name)
    entries = store.catalogue.entries(name)
    known = store.coins.get(name)
    if known is None and not frames:
        raise LabError(f"there is no coin {printable(name)} in the store. Search for a part of its name.")
    own = own_measures(store, name, frames, entries, known)
    decisions = Decisions.read(store, name)
    rankings = store.rankings.of_coin(name)
    named = [each.entry_id for ranking in rankings for each in ranking.candidates[:SHOWN]]
    first = [each for ranking in rankings[:1] for each in ranking.candidates[:1]]
    ranked = store.catalogue.named([*named, *(name for each in first for name in each.evidence.get("entries", ()))])
    sessions = {frame.session_id: store.sessions.get(frame.session_id) for frame in frames}
    good = [frame for frame in frames if frame.is_good]
    return {
        "name": name,
        "coin": known,
        "measures": [measure.as_json() for measure in own.values()],
        "sales": sales_rows(store, [name]),
        "best": choose_best_frames(good) or good[:2],
        "turns": _turns(rankings[0], ranked) if rankings else {},
        "good": good,
        "quarantined": [frame for frame in frames if not frame.is_good],
        "entries": entries,
        "cite": cite,
        "caption": caption,
        "sessions": [
            {
                "session": session,
                "frames": sum(frame.session_id == session.id and frame.is_good for frame in frames),
                "quarantined": sum(frame.session_id == session.id and not frame.is_good for frame in frames),
            }
            for session in sessions.values()
        ],
        "rankings": [
            {"ranking": each, "candidates": _candidates(name, each.candidates, ranked, decisions)} for each in rankings
        ],
        "reviews": reviews_of(store, name).reviews[::-1],
    }


def frames_of(store: Store, name: str) -> list[Frame]:
    """Every frame that shows a coin, good or not, whatever its first label named."""
    labels = Labels.read(store)
    moved = [frame_id for frame_id, line in labels.corrections.items() if line.coin == name]
    found = {frame.id: frame for frame in store.frames.find(coin=name, good=None)}
    found |= {frame.id: frame for frame in (store.frames.select(moved) if moved else [])}
    return sorted((each for each in labels.apply(found.values()) if each.coin_id == name), key=lambda each: each.number)


def _turns(ranking: Ranking, entries: Mapping[str, Entry]) -> dict[str | None, float]:
    """By which angle the coin is turned to stand as its first candidate does, each side; as the review shows it."""
    evidence = ranking.candidates[0].evidence if ranking.candidates else {}
    turned = zip(evidence.get("entries", ()), evidence.get("turns_deg", ()), strict=False)
    return {entries[name].side: turn for name, turn in turned if name in entries}


def _candidates(
    coin: str, candidates: Sequence[Candidate], entries: Mapping[str, Entry], decisions: Decisions
) -> list[dict[str, Any]]:
    shown = []
    for each in candidates[:SHOWN]:
        entry, latest = entries.get(each.entry_id), decisions.latest((coin, each.entry_id))
        shown.append(
            {
                "coin": each.coin,
                "citation": cite(entry) if entry else each.entry_id,
                "number": entry.number if entry else None,
                "probability": each.probability,
                "decision": decision_of(latest) if latest else None,
            }
        )
    return shown
