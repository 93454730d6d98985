"""What a technician sees while a tray is scanned: one bar with the time left, one line per coin."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from rich.console import Group, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from capture.engine.camera_arm import CAMERA_ARM
from capture.engine.events import (
    CameraDrifts,
    CoinFinished,
    CoinFound,
    CoinStarted,
    Event,
    FrameKept,
    FrameRejected,
    Recovered,
    ScanStarted,
    ShotTaken,
)
from capture.plan import Tray
from capture.store.journal_lines import CoinSkipped
from pipeline.fitted_table import Column, FittedTable
from pipeline.reporter import Reporter
from pipeline.scanning.time_left import TimeLeft
from pipeline.wording import count, literal

log = logging.getLogger(__name__)

LINES = 12  # coins shown at a time: the ones at work now
MEASURING = "time left: known when a coin is done"
COLUMNS = (
    Column("Slot", is_number=True),
    Column("Coin"),
    Column("Frames", is_number=True),
    Column("Retakes", is_number=True, rank=2),
    Column("Now"),
    Column("Quality", rank=3),
    Column("Match", rank=1),
)


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
    """Shows what the engine and identification report, from any thread.

    A terminal shows a table, which is redrawn; where nobody watches, a line is printed for each coin. The log gets
    these lines either way.
    """

    def __init__(self, reporter: Reporter, tray: Tray) -> None:
        self._reporter = reporter
        self._lines = {coin: _Line(slot, coin) for slot, coin in tray.coins.items()}
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn(f"Tray {tray.id}"),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("shots"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        self._task = self._progress.add_task(tray.id, total=None, left=MEASURING)
        self._time_left = TimeLeft()
        self._shots_left = 0
        self._live = ExitStack()

    def __enter__(self) -> Self:
        self._live.enter_context(self._reporter.live(self._render))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._live.close()

    def on_event(self, event: Event) -> None:
        """Take in what happened."""
        with (
            self._lock
        ):  # and let go of it before anything is printed: whoever redraws holds the terminal and waits here
            text = self._take_in(event)
        match event:
            case CoinSkipped() | Recovered() | CameraDrifts():
                self._reporter.warn(text)
            case _ if text:
                self._mention(text)

    def on_identified(self, coin: str, text: str) -> None:
        """Take in what a coin was matched with."""
        with self._lock:
            self._lines[coin].match = literal(text)
        self._mention(f"{coin}: {text}")

    def _take_in(self, event: Event) -> str:
        """Note an event in the table, and return it as a sentence; empty for one that happens all the time."""
        self._time_left.take_in(event)
        match event:
            case ScanStarted():
                self._show_shots(event.done_shots, event.shots)
            case CoinFound():
                return f"{event.coin} was found on the turntable, {event.side} up: continuing with it."
            case CoinStarted():
                self._lines[event.coin].now = "lifting"
                return (
                    f"Slot {event.slot}: {event.coin}, coin {event.number} of {event.coins}, "
                    f"{count(event.shots, 'shot')}{self._left()}."
                )
            case ShotTaken():
                shot = event.shot
                again = f", take {event.attempt}" if event.attempt > 1 else ""
                self._lines[shot.coin].now = f"{shot.side} {shot.turntable_deg:g}° {shot.light}{again}"
                self._show_shots(event.done_shots, event.shots)
            case FrameKept():
                line, metrics = self._lines[event.frame.coin_id], event.quality.metrics
                line.frames += 1
                line.quality = f"sharp {metrics['sharpness']:.2f}, clipped {metrics['clipped_fraction']:.1%}"
            case FrameRejected():
                frame, line = event.frame, self._lines[event.frame.coin_id]
                line.retakes += event.is_retaken
                line.quality = f"[red]{literal(frame.quarantine_reason or '')}[/red]"
                return f"{frame.coin_id}: a frame failed its check ({frame.quarantine_reason})."
            case CoinFinished():
                line, frames = self._lines[event.coin], event.frames
                line.now, line.frames = "back in its slot", frames.good
                return (
                    f"Slot {event.slot}: {event.coin} is back, {count(frames.good, 'frame')}, "
                    f"{count(frames.retakes, 'retake')}{self._left()}."
                )
            case CoinSkipped():
                self._lines[event.coin].now = f"skipped: {event.reason}"
                like = f" It looks like {event.looks_like}." if event.looks_like else ""
                return f"Slot {event.slot}: {event.coin} is skipped ({event.reason}). {event.why}{like}"
            case CameraDrifts():
                return f"{CAMERA_ARM}: {event.problem} {event.remedy}"
            case Recovered():
                return (
                    f"{event.problem.device}: {event.problem.problem} Connected and homed again "
                    f"(attempt {event.attempt}): the scan continues."
                )
        return ""

    def _show_shots(self, done: int, total: int) -> None:
        self._shots_left = total - done
        left = self._time_left.of(self._shots_left)
        shown = MEASURING if left is None else f"{left.in_words()} left"
        self._progress.update(self._task, total=total, completed=done, left=shown)

    def _left(self) -> str:
        """How long the rest should take, by the coins so far; nothing as long as that is not known, or at the end."""
        left = self._time_left.of(self._shots_left)
        return f", {left.in_words()} left" if left is not None and self._shots_left else ""

    def _mention(self, text: str) -> None:
        """Report what a terminal shows in its table."""
        if self._reporter.is_live:
            log.info("%s", text)
        else:
            self._reporter.report(text)

    def _render(self) -> RenderableType:
        with self._lock:
            busy = [at for at, line in enumerate(self._lines.values()) if line.now != "waiting"]
            last = max(busy, default=0) + 3
            rows = [
                (
                    str(line.slot),
                    literal(line.coin),
                    str(line.frames),
                    str(line.retakes),
                    line.now,
                    line.quality,
                    line.match,
                )
                for line in list(self._lines.values())[max(0, last - LINES) : max(last, LINES)]
            ]
            return Group(self._progress, FittedTable(COLUMNS, rows))
