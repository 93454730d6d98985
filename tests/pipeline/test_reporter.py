"""A job's voice: plain lines where nothing can be redrawn, bars that leave nothing behind where it can."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline import reporter as module
from pipeline.errors import UsageError
from pipeline.reporter import TerminalReporter


def written(terminal: bool, **console: object) -> tuple[TerminalReporter, io.StringIO]:
    out = io.StringIO()
    return TerminalReporter(Console(file=out, force_terminal=terminal, width=60, **console)), out  # type: ignore[arg-type]


def test_piped_output_is_plain_lines_with_the_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLAIN_EVERY_S", 0.0)
    reporter, out = written(False)
    with reporter.progress("Embedding the catalogue") as step:
        for done in range(3):
            step(done, 2)
    first, second, last = out.getvalue().splitlines()
    assert first == "Embedding the catalogue: 0 of 2"
    assert second.startswith("Embedding the catalogue: 1 of 2, about ") and second.endswith(" left")
    assert last == "Embedding the catalogue: 2 of 2"
    assert not reporter.is_live


def test_a_dumb_terminal_gets_plain_lines_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    reporter, out = written(True)
    with reporter.progress("Copying images") as step:
        step(0, 9)
    assert out.getvalue() == "Copying images: 0 of 9\n"


def test_a_message_is_one_line_whatever_the_width_and_the_brackets() -> None:
    reporter, out = written(False)
    reporter.report("[3] " + "word " * 30)
    reporter.warn("[red]")
    assert out.getvalue().splitlines() == ["[3] " + "word " * 30, "warning: [red]"]


def test_on_a_terminal_no_word_is_cut_and_a_path_stays_whole() -> None:
    reporter, out = written(True)
    reporter.report("word " * 30 + "/a/path/that/is/longer" * 5)
    *lines, path = out.getvalue().splitlines()
    assert [line.split() for line in lines] == [["word"] * 12, ["word"] * 12, ["word"] * 6]
    assert path == "/a/path/that/is/longer" * 5


def test_a_bar_that_is_left_early_gives_the_cursor_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    reporter, out = written(True)
    with pytest.raises(ValueError), reporter.progress("One") as one, reporter.progress("Two") as two:
        one(0, 4)
        two(1, 4)
        raise ValueError
    assert out.getvalue().count("\x1b[?25l") == out.getvalue().count("\x1b[?25h") == 1


def test_nobody_is_asked_where_nobody_can_answer() -> None:
    reporter, _ = written(False)
    with pytest.raises(UsageError, match="somebody has to sit here for this: Turn the coin"):
        reporter.ask("Turn the coin.")
    with pytest.raises(UsageError, match="give --yes"):
        reporter.confirm("Delete them?", "nobody can confirm it: give --yes.")
