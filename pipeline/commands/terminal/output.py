"""Where output goes: results to standard output, messages to standard error, so that they never mix.

A result is printed for a person by its renderer, or as JSON (docs/json.md) for a program.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from rich.console import Console

from capture.names import printable
from pipeline.reporter import TerminalReporter
from pipeline.sentences import print_sentences
from pipeline.wording import literal

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
reporter = TerminalReporter(errors)

VERDICT_COLOURS = {"match": "green", "possible": "yellow", "same die": "cyan", "not in catalogue": "bright_black"}


class Result(Protocol):
    """What a job returns."""

    def as_json(self) -> Any:
        """As plain data, with the keys of docs/json.md."""


R = TypeVar("R", bound=Result)


def print_result(result: R, render: Callable[[R], None], *, json: bool) -> None:
    """Print what a job returned: as JSON, or by its renderer."""
    if json:
        text = json_module.dumps(result.as_json(), indent=2, ensure_ascii=False)
        print("\n".join(map(printable, text.split("\n"))))  # \u0085 is how JSON spells it, too
    else:
        render(result)


def print_line(*lines: str) -> None:
    """Print a result of one line, or of several, each whole at any width."""
    for line in lines:
        print_sentences(console, literal(line))


def print_failure(message: str) -> None:
    """Print why the command failed, in one paragraph."""
    print_sentences(errors, f"[red]rig:[/red] {literal(message)}")


def coloured_verdict(verdict: str | None) -> str:
    """A verdict in its colour, as markup."""
    return f"[{VERDICT_COLOURS[verdict]}]{verdict}[/]" if verdict else "not identified"
