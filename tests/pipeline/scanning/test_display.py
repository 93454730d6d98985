"""What a technician sees while a tray is scanned."""

from __future__ import annotations

import io
import threading
import time

import pytest
from rich.console import Console

from capture.engine.counts import FrameCounts
from capture.engine.events import CoinFinished, CoinStarted, ShotTaken
from capture.plan import Plan, Tray
from capture.store.journal_lines import CoinSkipped
from pipeline import reporter
from pipeline.scanning.display import ScanDisplay
from pipeline.scanning.time_left import TimeLeft

MESSAGES = 40


def a_shot() -> ShotTaken:
    (shot, *_) = Plan(name="short").shots(Tray(id="3", slots={1: "a"}))
    return ShotTaken(shot, attempt=1, done_shots=1, shots=40, hardware_s=0.0)


def test_messages_are_printed_while_the_terminal_is_redrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits for the other's lock only if it holds none itself: a scan once froze at the third message."""
    monkeypatch.setattr(reporter, "REFRESHES_PER_S", 200)
    terminal = io.StringIO()
    speaker = reporter.TerminalReporter(Console(file=terminal, force_terminal=True, width=120))
    skipped = CoinSkipped(slot=1, coin="2024.1.1", reason="device", why="The lightbox failed.")

    def scan() -> None:
        with ScanDisplay(speaker, Tray(id="3", slots={1: "2024.1.1"})) as display:
            for _ in range(MESSAGES):
                display.on_event(skipped)

    scanning = threading.Thread(target=scan, daemon=True)
    scanning.start()
    scanning.join(60)
    assert not scanning.is_alive()
    assert terminal.getvalue().count("The lightbox failed.") == MESSAGES


def test_the_time_left_is_not_known_before_a_coin_is_done_and_a_range_from_then_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A coin's first shots take a second each, all of it three times that: nobody would have known."""
    now_s = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    left = TimeLeft()
    left.take_in(CoinStarted(1, "a", 1, 4, 10))
    for _ in range(10):
        now_s += 1.0
        left.take_in(a_shot())
        assert left.of(30) is None
    now_s = 30.0
    left.take_in(CoinFinished(1, "a", FrameCounts(10, 0, 0)))
    first = left.of(30)
    assert first is not None and (first.low_s, first.likely_s, first.high_s) == pytest.approx((54.0, 90.0, 126.0))
    assert first.in_words() == "54 s to 2 min"
    for pace_s in (30.0, 30.0, 30.0):
        left.take_in(CoinStarted(2, "b", 2, 4, 10))
        left.take_in(a_shot())
        now_s += pace_s / 10
        left.take_in(CoinFinished(2, "b", FrameCounts(1, 0, 0)))
    later = left.of(30)
    assert later is not None and (later.low_s, later.high_s) == pytest.approx((81.0, 99.0)), "surer with each coin"
    assert TimeLeft().of(0) is None
