"""A terminal of the system that a command has for its own, as one in a window or behind an ssh connection."""

from __future__ import annotations

import functools
import os
import pty
import select
import sys
import threading
from collections.abc import Callable


class Terminal:
    """A pseudo-terminal; `before` gives it to a `tests.processes.Command`.

    Attributes
    ----------
    shown
        All that was written to it so far.
    """

    def __init__(self) -> None:
        self.shown = b""
        self._window, self._near = pty.openpty()
        self._is_closed = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()

    @property
    def before(self) -> Callable[[], object]:
        """Makes it the controlling terminal of the process that it is called in."""
        return functools.partial(_take, os.ttyname(self._near))

    def type(self, text: str) -> None:
        """Type on its keyboard."""
        os.write(self._window, text.encode())

    def close(self) -> None:
        """Close its window, or lose the connection: the system hangs up on whoever is there."""
        self._is_closed.set()
        self._thread.join()
        os.close(self._window)
        os.close(self._near)

    def _show(self) -> None:
        while not self._is_closed.is_set():
            if select.select([self._window], [], [], 0.02)[0]:
                self.shown += os.read(self._window, 65536)


def _take(name: str) -> None:
    os.setsid()
    terminal = os.open(name, os.O_RDWR)  # of a session without one: it becomes the controlling terminal
    for number in (0, 1, 2):
        os.dup2(terminal, number)
    os.close(terminal)
    sys.stdin = open(0, closefd=False)  # noqa: SIM115 - that of a forked process leads nowhere
