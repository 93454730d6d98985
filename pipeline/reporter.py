"""How a job speaks while it works: it reports, warns, asks, and shows how far it is. Results are rendered elsewhere.

A job takes a `Reporter` and knows no terminal. `TerminalReporter` writes to standard error, so that results on standard
output stay alone: with bars and colour on a terminal, as plain lines into a pipe, a file or a dumb terminal.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from capture.names import printable
from pipeline.errors import UsageError
from pipeline.sentences import print_sentences
from pipeline.wording import duration, literal

log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # without a log file, what is printed is not printed a second time

PLAIN_EVERY_S = 10.0  # between two plain lines on the same work
REFRESHES_PER_S = 4

Progress = Callable[[int, int], None]
"""Called with how many steps are done, and of how many; the first time with 0, before the first step."""


class Reporter(Protocol):
    """What a job needs to speak with whoever started it. Safe to call from any thread."""

    @property
    def is_live(self) -> bool:
        """Whether `live` shows anything: somebody sees a terminal that can redraw."""

    def report(self, message: str) -> None:
        """Print what happens."""

    def warn(self, message: str) -> None:
        """Print what needs attention, though the job continues."""

    def ask(self, request: str) -> None:
        """Ask for something to be done, and return when it is.

        Raises
        ------
        UsageError
            If nobody sits at the keyboard.
        """

    def confirm(self, question: str, unattended: str) -> bool:
        """Ask a question that is answered by yes or no.

        Parameters
        ----------
        unattended
            What to do instead where nobody can answer.

        Raises
        ------
        UsageError
            If nobody sits at the keyboard; with the words of `unattended`.
        """

    def progress(self, what: str) -> AbstractContextManager[Progress]:
        """Show how far some work is, with the time left, from its first step until the block is left."""

    def step(self, what: str) -> AbstractContextManager[None]:
        """Show that something is being done of which nobody knows how long it takes, until the block is left."""

    def live(
        self, render: Callable[[], RenderableType], per_s: float = REFRESHES_PER_S
    ) -> AbstractContextManager[Callable[[], None]]:
        """Show something that is drawn again, so often, until the block is left; only where `is_live`.

        The block is given a function that draws it at once; with ``per_s=0`` it is drawn by that alone.
        """


class TerminalReporter:
    """Speaks to a terminal, or in plain lines; everything also goes to the log.

    Parameters
    ----------
    console
        Where to; standard error unless another is given.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._lock = threading.RLock()
        self._bars: Bars | None = None

    @property
    def is_live(self) -> bool:
        """Whether the terminal can redraw."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def report(self, message: str) -> None:
        """See `Reporter`."""
        log.info("%s", message)
        self._print(literal(message))

    def warn(self, message: str) -> None:
        """See `Reporter`."""
        log.warning("%s", message)
        self._print(f"[yellow]warning:[/yellow] {literal(message)}")

    def ask(self, request: str) -> None:
        """See `Reporter`."""
        if not sys.stdin.isatty():
            raise UsageError(f"somebody has to sit here for this: {request} Run it in a terminal.")
        log.info("Asked: %s", request)
        with self._paused():
            self._console.input(f"{literal(request)} Then press Enter. ")

    def confirm(self, question: str, unattended: str) -> bool:
        """See `Reporter`."""
        if not sys.stdin.isatty():
            raise UsageError(unattended)
        with self._paused():
            answer = self._console.input(f"{printable(question)} [y/N]: ", markup=False)
        log.info("Asked: %s Answer: %s", question, answer)
        return answer.strip().lower() in ("y", "yes")

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """See `Reporter`."""
        if not self.is_live:
            yield LineProgress(what, lambda line: self._print(literal(line)))
            return
        task: TaskID | None = None

        def show(done: int, total: int) -> None:
            nonlocal task
            with self._lock:
                bars = self._bars or self._begin_bars()
                if task is None:
                    task = bars.add_task(literal(what), total=total)
                bars.update(task, completed=done, total=total)

        try:
            yield show
        finally:
            with self._lock:
                if self._bars is not None and task is not None:
                    self._bars.remove_task(task)
                    if not self._bars.task_ids:
                        self._bars.stop()
                        self._bars = None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """See `Reporter`."""
        log.info("%s", what)
        if not self.is_live:
            self._print(literal(f"{what}."))
            yield
            return
        with self._console.status(literal(f"{what} ...")):
            yield

    @contextmanager
    def live(
        self, render: Callable[[], RenderableType], per_s: float = REFRESHES_PER_S
    ) -> Iterator[Callable[[], None]]:
        """See `Reporter`."""
        if not self.is_live:
            yield _do_nothing
            return
        with Live(
            get_renderable=render,
            console=self._console,
            auto_refresh=per_s > 0,
            refresh_per_second=per_s or REFRESHES_PER_S,
            transient=True,
        ) as shown:
            yield shown.refresh

    def _print(self, markup: str) -> None:
        print_sentences(self._console, markup)

    def _begin_bars(self) -> Bars:
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
            console=self._console,
            transient=True,
        )
        self._bars.start()
        return self._bars

    @contextmanager
    def _paused(self) -> Iterator[None]:
        """No bar is redrawn over a question."""
        with self._lock:
            bars = self._bars
        if bars is not None:
            bars.stop()
        try:
            yield
        finally:
            if bars is not None:
                bars.start()


class SilentReporter:
    """Prints nothing and answers every question by yes.

    Attributes
    ----------
    messages
        What was reported, warned of and asked, in order.
    """

    is_live = False

    def __init__(self) -> None:
        self.messages: list[str] = []

    def report(self, message: str) -> None:
        """Keep the message."""
        self.messages.append(message)

    def warn(self, message: str) -> None:
        """Keep the message."""
        self.messages.append(message)

    def ask(self, request: str) -> None:
        """Keep the request: it counts as done."""
        self.messages.append(request)

    def confirm(self, question: str, unattended: str) -> bool:
        """Keep the question, and answer yes."""
        self.messages.append(question)
        return True

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """Show nothing."""
        yield lambda done, total: None

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show nothing."""
        yield

    @contextmanager
    def live(
        self, render: Callable[[], RenderableType], per_s: float = REFRESHES_PER_S
    ) -> Iterator[Callable[[], None]]:
        """Show nothing."""
        yield _do_nothing


def _do_nothing() -> None:
    pass


class LineProgress:
    """Reports a line at the first step, then now and then, and at the last one."""

    def __init__(self, what: str, emit: Callable[[str], None]) -> None:
        self._what = what
        self._emit = emit
        self._first: tuple[float, int] | None = None
        self._last_s = 0.0

    def __call__(self, done: int, total: int) -> None:
        now_s = time.monotonic()
        if self._first is None:
            self._first = now_s, done
        elif now_s < self._last_s + PLAIN_EVERY_S and done < total:
            return
        self._last_s = now_s
        began_s, before = self._first
        if before < done < total:
            left_s = (now_s - began_s) / (done - before) * (total - done)
            self._emit(f"{self._what}: {done} of {total}, about {duration(left_s)} left")
        else:
            self._emit(f"{self._what}: {done} of {total}")
