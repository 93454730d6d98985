"""What a batch came to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from capture.store.journal_lines import BatchState, TrayState
from pipeline.reports.scan_results import CoinResult
from pipeline.run_status import SkippedCoin
from pipeline.scanning.identification import Unidentified


@dataclass(frozen=True)
class TrayResult:
    """What became of a tray; `session` is None where none was begun."""

    tray: str
    session: str | None
    state: TrayState
    why: str | None
    coins: tuple[CoinResult, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "tray": self.tray,
            "session": self.session,
            "state": self.state,
            "why": self.why,
            "coins": [
                {
                    "slot": coin.slot,
                    "coin": coin.coin,
                    "frames": coin.frames,
                    "planned": coin.planned,
                    "retakes": coin.retakes,
                    "quarantined": coin.quarantined,
                    "verdict": coin.verdict,
                }
                for coin in self.coins
            ],
        }


@dataclass(frozen=True)
class BatchResult:
    """What a batch came to. ``wall_s`` and ``hardware_s`` are of this run of it."""

    batch: str
    state: BatchState
    why: str | None
    trays: tuple[TrayResult, ...]
    skipped: tuple[SkippedCoin, ...]
    unidentified: tuple[Unidentified, ...]
    report: Path | None
    log: str | None
    wall_s: float
    hardware_s: float
    is_twin: bool

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "batch": self.batch,
            "state": self.state,
            "why": self.why,
            "trays": [tray.as_json() for tray in self.trays],
            "skipped": [each.model_dump() for each in self.skipped],
            "unidentified": [{"tray": each.tray, "coin": each.coin, "why": each.why} for each in self.unidentified],
            "report": str(self.report) if self.report else None,
            "log": self.log,
            "wall_s": round(self.wall_s, 2),
            "hardware_s": round(self.hardware_s, 2),
        }

    def summary(self) -> str:
        """The same in a few lines of text."""
        lines = [f"{self.state}. {self.why or ''}".strip()]
        lines += [f"Tray {tray.tray}: {tray.state}. {tray.why or ''}".strip() for tray in self.trays]
        lines += [f"Tray {each.tray}, {each.coin}: not identified. {each.why}" for each in self.unidentified]
        return "\n".join([*lines, f"Report: {self.report}" if self.report else "There is no report."])
