"""Single keys from the terminal, without Enter."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline.errors import UsageError

try:
    import termios
    import tty
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

ARROWS = {b"A": "up", b"B": "down", b"C": "right", b"D": "left"}
ESCAPE_S = 0.05  # the rest of an arrow key's sequence comes at once; Escape itself has none


def require_terminal() -> None:
    """Make sure that somebody can press keys.

    Raises
    ------
    UsageError
        If nobody sits at a terminal.
    """
    if termios is None or not sys.stdin.isatty():
        raise UsageError("this is done with single keys: run it in a terminal (Linux or macOS).")


class Keys:
    """Keys as they are pressed: letters and digits as themselves, arrows as ``left``, ``right``, ``up``, ``down``."""

    def __init__(self, terminal: int) -> None:
        self._terminal = terminal

    def __iter__(self) -> Iterator[str]:
        while key := self._byte():
            if key == b"\x1b":
                is_arrow = self._more() and self._byte() in (b"[", b"O") and self._more()
                yield ARROWS.get(self._byte(), "") if is_arrow else ""
            else:
                yield key.decode("ascii", "replace")

    def forget(self) -> None:
        """Drop what was pressed but not read, so that a motion ends when its key is let go."""
        termios.tcflush(self._terminal, termios.TCIFLUSH)

    def _more(self) -> bool:
        return bool(select.select([self._terminal], [], [], ESCAPE_S)[0])

    def _byte(self) -> bytes:
        """The next byte; nothing when the terminal was closed."""
        try:
            return os.read(self._terminal, 1)
        except OSError:
            return b""


@contextmanager
def keys() -> Iterator[Keys]:
    """Single keys for as long as the block lasts.

    Raises
    ------
    UsageError
        If nobody sits at a terminal.
    """
    require_terminal()
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    tty.setcbreak(terminal)
    try:
        yield Keys(terminal)
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
