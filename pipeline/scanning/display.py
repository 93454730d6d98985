"""What a technician sees while a tray is scanned: one bar with the time left, one line per coin."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from capture.engine.events import (
    CoinFinished,
    CoinFound,
    CoinStarted,
    Event,
    FrameKept,
    FrameRejected,
    Recovered,
    ScanStarted,
    ShotTaken,
    Stopping,
)
from capture.store.journal_lines import CoinSkipped

LINES = 12  # coins shown at a time: the ones at work now


@dataclass
class _Line:
    slot: int
    coin: str
    frames: int = 0
    retakes: int = 0
    now: str = "waiting"
    quality: str = ""
    match: str = ""


class ScanDisplay:
    """Listens to the runner and to identification, from any thread. Where nobody watches, it prints a line per coin."""

    def __init__(self, console: Console, tray: str, coins: Mapping[int, str]) -> None:
        self._console = console
        self._tray = tray
        self._lines = {coin: _Line(slot, coin) for slot, coin in coins.items()}
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn(f"Tray {tray}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("shots"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            console=console,
        )
        self._task = self._progress.add_task(tray, total=None)
        self._live = Live(get_renderable=self._render, console=console, refresh_per_second=4, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._live.is_started:
            self._live.stop()

    def told(self, event: Event) -> None:
        """Take an event of the runner in."""
        with self._lock:
            match event:
                case ScanStarted():
                    self._progress.update(self._task, total=event.shots, completed=event.done_shots)
                case CoinFound():
                    self._say(f"{event.coin} was found on the turntable, {event.side} up, and is taken up from there.")
                case CoinStarted():
                    self._lines[event.coin].now = "lifting"
                    self._say(
                        f"Slot {event.slot}: {event.coin}, coin {event.number} of {event.coins}, {event.shots} shots."
                    )
                case ShotTaken():
                    shot = event.shot
                    again = f", take {event.attempt}" if event.attempt > 1 else ""
                    self._lines[shot.coin].now = f"{shot.side} {shot.turntable_deg:g}° {shot.light}{again}"
                    self._progress.update(self._task, completed=event.done_shots)
                case FrameKept():
                    line = self._lines[event.frame.coin_id]
                    line.frames += 1
                    metrics = event.quality.metrics
                    line.quality = f"sharp {metrics['sharpness']:.2f}, clipped {metrics['clipped_fraction']:.1%}"
                case FrameRejected():
                    line = self._lines[event.frame.coin_id]
                    line.retakes += event.is_retaken
                    line.quality = f"[red]{escape(event.frame.quarantine_reason or '')}[/red]"
                    self._say(f"{event.frame.coin_id}: a frame failed its check ({event.frame.quarantine_reason}).")
                case CoinFinished():
                    self._lines[event.coin].now = "back in its slot"
                    self._lines[event.coin].frames = event.frames
                    self._say(
                        f"Slot {event.slot}: {event.coin} is back, {event.frames} frames, {event.retakes} retakes."
                    )
                case CoinSkipped():
                    self._lines[event.coin].now = f"skipped: {event.reason}"
                    like = f" It looks like {event.looks_like}." if event.looks_like else ""
                    self._say(
                        f"Slot {event.slot}: {event.coin} is skipped ({event.reason}). {event.why}{like}", always=True
                    )
                case Recovered():
                    self._say(
                        f"{event.problem.device}: {event.problem.problem} Connected and homed again "
                        f"(attempt {event.attempt}): the scan goes on.",
                        always=True,
                    )
                case Stopping():
                    self._say("Stopping: the coin is put back first. Please wait.", always=True)

    def identified(self, coin: str, text: str) -> None:
        """Take in what a coin was matched with (rich markup)."""
        with self._lock:
            self._lines[coin].match = text
            self._say(f"{coin}: {text}")

    def _say(self, text: str, always: bool = False) -> None:
        # A terminal shows the table instead; a log file gets the line.
        if always or not self._console.is_terminal:
            self._console.print(f"{time.strftime('%H:%M:%S')} {text}", soft_wrap=True)

    def _render(self) -> RenderableType:
        with self._lock:
            table = Table(box=None, padding=(0, 2, 0, 0))
            for column in ("Slot", "Coin", "Frames", "Retakes", "Now", "Quality", "Match"):
                table.add_column(column, justify="right" if column in ("Slot", "Frames", "Retakes") else "left")
            busy = [at for at, line in enumerate(self._lines.values()) if line.now != "waiting"]
            last = max(busy, default=0) + 3
            for line in list(self._lines.values())[max(0, last - LINES) : max(last, LINES)]:
                table.add_row(
                    str(line.slot),
                    escape(line.coin),
                    str(line.frames),
                    str(line.retakes),
                    line.now,
                    line.quality,
                    line.match,
                )
            return Group(self._progress, table)
