"""Where output goes: results to standard output, messages to standard error, so that they never mix.

A result is printed for a person by its renderer, or as JSON (docs/json.md) for a program.
"""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from rich.console import Console
from rich.markup import escape

from pipeline.reporter import TerminalReporter
from pipeline.sentences import print_sentences

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
reporter = TerminalReporter(errors)

VERDICT_COLOURS = {"match": "green", "possible": "yellow", "not in catalogue": "bright_black"}


class Result(Protocol):
    """What a job returns."""

    def as_json(self) -> Any:
        """As plain data, with the keys of docs/json.md."""


R = TypeVar("R", bound=Result)


def print_result(result: R, render: Callable[[R], None], *, json: bool) -> None:
    """Print what a job returned: as JSON, or by its renderer."""
    if json:
        print(json_module.dumps(result.as_json(), indent=2, ensure_ascii=False))
    else:
        render(result)


def print_line(text: str) -> None:
    """Print a result that is one sentence or line, whole at any width."""
    print_sentences(console, escape(text))


def print_failure(message: str) -> None:
    """Print why the command failed, in one paragraph."""
    print_sentences(errors, f"[red]rig:[/red] {escape(message)}")


def coloured_verdict(verdict: str | None) -> str:
    """A verdict in its colour, as markup."""
    return f"[{VERDICT_COLOURS[verdict]}]{verdict}[/]" if verdict else "not identified"
