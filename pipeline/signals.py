"""What Ctrl-C, SIGTERM and a terminal that is closed do to a command.

Outside a scan they interrupt it: every `with` block is left, and the command ends. A scan asks to stop at the first,
so that the coin goes back into its slot; the second interrupts it as usual.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """Ctrl-C or SIGTERM, where nobody asked to stop first."""


def interrupt_on_signals() -> None:
    """From now on, Ctrl-C and SIGTERM raise `Interrupted` in the main thread, however the process was started."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    for number in ENDING:
        signal.signal(number, interrupt)


@contextmanager
def stop_on_signals(stop: threading.Event) -> Iterator[None]:
    """Within the block the first Ctrl-C or SIGTERM sets `stop`; the second does what it did before the block."""
    if threading.current_thread() is not threading.main_thread():  # no signal arrives elsewhere
        yield
        return
    former = {number: signal.getsignal(number) for number in ENDING}

    def restore() -> None:
        for number, handler in former.items():
            signal.signal(number, handler)

    def ask(number: int, frame: FrameType | None) -> None:
        restore()
        stop.set()

    for number in ENDING:
        signal.signal(number, ask)
    try:
        yield
    finally:
        restore()


@contextmanager
def surviving_hang_up() -> Iterator[None]:
    """Within the block a terminal that is closed is let go of: the job continues, in its log."""
    former = signal.signal(signal.SIGHUP, _let_go_of_terminal)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, former)


def _let_go_of_terminal(number: int, frame: FrameType | None) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):  # a file or a pipe is still there
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
