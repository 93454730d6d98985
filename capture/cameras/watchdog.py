"""An end to waiting for camera libraries that may block for ever."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def in_time(action: Callable[[], T], limit_s: float) -> T:
    """Do something in a thread of its own and return what it returns, or raise what it raises.

    Raises
    ------
    TimeoutError
        If it has not ended in time (wall-clock). It is left to itself: nothing can end it.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def act() -> None:
        try:
            done.append(action())
        except BaseException as error:  # handed on to who waits
            failed.append(error)

    thread = threading.Thread(target=act, name="camera", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        raise TimeoutError
    if failed:
        raise failed[0]
    return done[0]
