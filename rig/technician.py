"""The technician as a device: asked to do something, and asked whether it is done."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Generic, TypeVar

from rig.clock import Clock
from rig.devices import Identity
from rig.errors import NoAnswerError

Ask = Callable[[str], bool]
"""Shows a request, waits, and returns whether it was done; False says that it cannot be done."""

NO = ("n", "no")


def at_keyboard(request: str) -> bool:
    """Ask on the terminal: Enter says that it is done, n that it cannot be done.

    Raises
    ------
    NoAnswerError
        If nobody can answer: the program has no terminal, as in an overnight batch.
    """
    if not sys.stdin.isatty():
        raise NoAnswerError(
            "technician",
            f"there is no terminal to ask: {request}",
            "Start the command in a terminal, or set up an arm and a lightbox in rig.yaml.",
        )
    try:
        answer = input(f"{request} [Enter when done, n if it cannot be done] ")
    except EOFError as error:
        raise NoAnswerError("technician", f"the terminal was closed: {request}", "Start the command again.") from error
    return answer.strip().lower() not in NO


Config = TypeVar("Config")


class ByHand(Generic[Config]):
    """What every device that the technician works by hand shares: nothing to connect, and nothing to let go of.

    Attributes
    ----------
    ask
        How requests reach the technician.
    """

    def __init__(self, config: Config, clock: Clock, ask: Ask = at_keyboard) -> None:
        self.config = config
        self.clock = clock
        self.ask = ask

    def connect(self) -> Identity:
        """Nothing to connect."""
        return Identity("manual", "keyboard", "a technician")

    def close(self) -> None:
        """Nothing to let go of."""

    def stop(self) -> None:
        """Hands stop by themselves."""
