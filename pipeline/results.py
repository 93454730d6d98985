"""What a scan came to, as it is shown, written and given out as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from capture.records import Candidate, Session
from capture.store import Store


@dataclass(frozen=True)
class CoinResult:
    """One coin of a scan: good frames, retakes, frames in quarantine, and what it was matched with.

    ``planned`` is how many frames the plan asks for. ``verdict`` is None when the coin was not identified.
    """

    slot: int
    coin: str
    frames: int
    planned: int
    retakes: int
    quarantined: int
    verdict: str | None
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class ScanResult:
    """A scanned tray."""

    tray: str
    session: str
    coins: tuple[CoinResult, ...]
    report: Path
    wall_s: float
    hardware_s: float
    finished: bool

    @property
    def left_over(self) -> bool:
        """Whether something is left to do, or lies in quarantine."""
        return not self.finished or any(coin.frames < coin.planned for coin in self.coins)


def coin_results(store: Store, session: Session) -> tuple[CoinResult, ...]:
    """Every coin of a session's tray, as the store has it."""
    planned: dict[str, int] = {}
    for shot in store.shots(session.id):
        planned[shot.coin] = planned.get(shot.coin, 0) + 1
    results = []
    for slot, coin in session.frozen_tray().coins.items():
        frames = store.frames(session.id, coin, good=None)
        good = [frame for frame in frames if frame.quarantine_reason is None]
        ranking = store.catalogue.ranking(session.id, coin)
        settled = {frame.shot_id for frame in good}
        results.append(
            CoinResult(
                slot=slot,
                coin=coin,
                frames=len(good),
                planned=planned.get(coin, 0),
                retakes=sum(frame.attempt > 1 for frame in frames),
                quarantined=len({frame.shot_id for frame in frames} - settled),
                verdict=ranking.verdict if ranking else None,
                candidates=ranking.candidates if ranking else (),
            )
        )
    return tuple(results)
