"""What a technician sees while a tray is scanned."""

from __future__ import annotations

import io
import threading

import pytest
from rich.console import Console

from capture.plan import Tray
from capture.store.journal_lines import CoinSkipped
from pipeline import reporter
from pipeline.scanning.display import ScanDisplay

MESSAGES = 40


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
