"""What a scan came to, as it is shown, reported and given out as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from capture.store import Store
from capture.store.records import Candidate, Frame, Session
from pipeline.reports.sales import describe_sales


@dataclass(frozen=True)
class CoinResult:
    """One coin of a scan: good frames, retakes, frames in quarantine, and what it was matched with.

    ``planned`` is how many frames the plan asks for. ``verdict`` is None when the coin was not identified,
    ``model`` the id of the model that did.
    """

    slot: int
    coin: str
    frames: int
    planned: int
    retakes: int
    quarantined: int
    verdict: str | None
    candidates: tuple[Candidate, ...]
    model: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "slot": self.slot,
            "coin": self.coin,
            "frames": self.frames,
            "retakes": self.retakes,
            "quarantined": self.quarantined,
            "verdict": self.verdict,
            "candidates": [candidate_as_json(each) for each in self.candidates],
        }


@dataclass(frozen=True)
class WrittenReport:
    """Where a report was written."""

    path: Path

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"report": str(self.path)}


@dataclass(frozen=True)
class ScanResult:
    """A scanned tray.

    Attributes
    ----------
    hardware_s
        What the devices took by their own clock, which for a twin is not that of the wall.
    skipped
        A sentence for each coin that was passed over and is still to be seen to.
    unidentified
        Coins that are photographed and not identified.
    was_to_identify
        Whether they were to be.
    identify_later
        The command that identifies them.
    """

    tray: str
    session: str
    coins: tuple[CoinResult, ...]
    report: Path
    wall_s: float
    hardware_s: float
    finished: bool
    is_twin: bool
    skipped: tuple[str, ...]
    unidentified: tuple[str, ...]
    was_to_identify: bool
    identify_later: str

    @property
    def left_over(self) -> bool:
        """Whether something is left to do, or lies in quarantine."""
        is_unidentified = self.was_to_identify and bool(self.unidentified)
        is_incomplete = any(coin.frames < coin.planned for coin in self.coins)
        return not self.finished or bool(self.skipped) or is_unidentified or is_incomplete

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "tray": self.tray,
            "session": self.session,
            "finished": self.finished,
            "report": str(self.report),
            "wall_s": round(self.wall_s, 2),
            "hardware_s": round(self.hardware_s, 2),
            "coins": [coin.as_json() for coin in self.coins],
        }


def candidate_as_json(candidate: Candidate) -> dict[str, Any]:
    """A candidate as plain data (docs/json.md)."""
    also = [{**each, "probability": round(each["probability"], 4)} for each in other_names(candidate)]
    return {
        "coin": candidate.coin,
        "entry": candidate.entry_id,
        "probability": round(candidate.probability, 4),
        **({"also": also} if also else {}),
        **({"registrations": laid} if (laid := candidate.evidence.get("registrations")) else {}),
        **({"facts": facts} if (facts := candidate.evidence.get("facts")) else {}),
        **({"sales": sales} if (sales := sales_of(candidate)) else {}),
    }


def sales_of(candidate: Candidate) -> list[dict[str, Any]]:
    """Where a candidate's coin was sold, oldest first (`chain_of_sales`), as it was known when they were compared."""
    return list(candidate.evidence.get("sales", ()))


def other_names(candidate: Candidate) -> list[dict[str, Any]]:
    """Other names of a candidate's coin in the catalogue: ``coin``, ``entry`` and ``probability`` of each."""
    return list(candidate.evidence.get("also", ()))


def name_of(candidate: Candidate) -> str:
    """A candidate as a person would cite it: its lot and sale where they are recorded, else the catalogue's name."""
    own = (sale for sale in sales_of(candidate) if sale["coin"] == candidate.coin and "lot" in sale)
    return describe_sales(own) or candidate.coin


def coin_results(store: Store, session: Session, only: str | None = None) -> tuple[CoinResult, ...]:
    """Every coin of a session's tray, or only one, as the store has it."""
    planned = Counter(shot.coin for shot in store.sessions.shots(session.id))
    return tuple(
        coin_result(store, session, slot, coin, planned[coin], store.frames.find(session.id, coin, good=None))
        for slot, coin in session.frozen_tray().coins.items()
        if only in (None, coin)
    )


def coin_result(
    store: Store, session: Session, slot: int, coin: str, planned: int, frames: Sequence[Frame]
) -> CoinResult:
    """One coin of a session, of all its frames."""
    good = [frame for frame in frames if frame.is_good]
    ranking = store.rankings.latest(session.id, coin)
    settled = {frame.shot_id for frame in good}
    return CoinResult(
        slot=slot,
        coin=coin,
        frames=len(good),
        planned=planned,
        retakes=sum(frame.attempt > 1 for frame in frames),
        quarantined=len({frame.shot_id for frame in frames} - settled),
        verdict=ranking.verdict if ranking else None,
        candidates=ranking.candidates if ranking else (),
        model=ranking.model_id if ranking else None,
    )


def diameter_mm(frames: Sequence[Frame]) -> float | None:
    """A coin's diameter as its good frames from above show it, the median over them; None where none was measured."""
    measured = [
        2 * frame.quality["radius_px"] * frame.mm_per_pixel
        for frame in frames
        if frame.is_good and frame.mm_per_pixel and not frame.tilt_deg and "radius_px" in frame.quality
    ]
    return median(measured) if measured else None


def coin_diameter_mm(store: Store, coin: str, frames: Sequence[Frame]) -> float | None:
    """A coin's diameter: as it was measured by `rig measure`, else as these frames show it; None where neither was."""
    measured = store.coins.measured(coin)
    return diameter_mm(frames) if measured is None else measured.diameter_mm


def caption(frame: Frame) -> str:
    """What a frame was taken to show; of a photograph that was imported, its file."""
    if frame.shot_id is None:
        return frame.source or ""
    return f"{frame.side}, turntable {frame.turntable_deg:g}°, {frame.light}"
