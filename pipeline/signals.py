"""What Ctrl-C, SIGTERM and a terminal that is closed do to a command.

Outside a scan they interrupt it: every `with` block is left, and the command ends. A scan asks to stop at the first,
so that the coin goes back into its slot; a second Ctrl-C or SIGTERM interrupts it as usual. A terminal that is closed
never does: the shell and the system may both send SIGHUP for the same closing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM)
POLL_S = 0.1

_has_let_go = threading.Event()


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal, where nobody asked to stop first."""


class Stop(threading.Event):
    """Set it, and a job ends in good order.

    Attributes
    ----------
    is_hang_up
        Whether it was set because the terminal was closed.
    """

    is_hang_up = False


def interrupt_on_signals() -> None:
    """From now on, Ctrl-C, SIGTERM and a closed terminal raise `Interrupted` in the main thread.

    So they do however the process was started, but for `nohup`, which lets it outlive its terminal.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP and not let_go_of_terminal():
            return
        raise Interrupted

    for number in ENDING:
        signal.signal(number, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, interrupt)


@contextmanager
def stop_on_signals(stop: Stop, on_stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Within the block the first signal sets `stop`; a second Ctrl-C or SIGTERM does what it did before the block.

    Parameters
    ----------
    on_stop
        Called once when `stop` is set, from a thread of its own: a signal may come in the middle of printing.
    """
    if threading.current_thread() is not threading.main_thread():  # no signal arrives elsewhere
        yield
        return
    former = {number: signal.getsignal(number) for number in (*ENDING, signal.SIGHUP)}
    is_over = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        if number == signal.SIGHUP:
            let_go_of_terminal()
            stop.is_hang_up = stop.is_hang_up or not stop.is_set()
        elif stop.is_set() and callable(handler := former[signal.Signals(number)]):
            handler(number, frame)
        stop.set()

    def report() -> None:
        while not is_over.is_set():
            if stop.wait(POLL_S):
                on_stop()
                return

    for number in former:
        if former[number] not in (signal.SIG_IGN, _survive):
            signal.signal(number, ask)
    threading.Thread(target=report, name="stop", daemon=True).start()
    try:
        yield
    finally:
        is_over.set()
        for number, handler in former.items():
            signal.signal(number, handler)


@contextmanager
def surviving_hang_up() -> Iterator[None]:
    """Within the block a terminal that is closed is let go of: the job continues, in its log."""
    former = signal.getsignal(signal.SIGHUP)
    if former is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _survive)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, former)


def let_go_of_terminal() -> bool:
    """Lead standard input, output and error elsewhere where they are a terminal; a file or a pipe is still there.

    Returns
    -------
    bool
        False if that was done before.
    """
    if _has_let_go.is_set():
        return False
    _has_let_go.set()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed already
            if stat.S_ISCHR(os.fstat(stream.fileno()).st_mode):
                os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    return True


def _survive(number: int, frame: FrameType | None) -> None:
    let_go_of_terminal()
