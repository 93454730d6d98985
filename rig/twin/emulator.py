"""What every emulated controller is made of: bytes in, bytes out, and a firmware that runs on the twin's clock.

The firmware's main loop is a generator. It yields the moment (s, of the clock) it wants to be woken at, or None to be
woken by input, so that a reset is simply a new generator, and time passes only where the real firmware would let it
pass. Input wakes it early.
"""

from __future__ import annotations

from collections.abc import Generator

from rig.clock import Clock

Firmware = Generator[float | None, None, None]


class Emulator:
    """A controller on the far end of a serial line. Subclasses write `main` and `interrupt`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._output = bytearray()
        self._main: Firmware | None = None
        self._wake_s: float | None = None

    def main(self) -> Firmware:
        """The firmware from power-up on."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """Bytes have arrived; called before `main` is woken."""
        raise NotImplementedError

    def reset(self) -> None:
        """Power-up, or DTR: start the firmware again."""
        self._output.clear()
        self._run(self.main())

    def resume(self) -> None:
        """The port opens without a reset: the firmware has been running all the time."""
        if self._main is None:
            self.reset()

    def feed(self, data: bytes) -> None:
        """Bytes from the computer."""
        self._advance()
        if data:
            self.received(data)
            self._wake_s = self.clock.now()
            self._advance()

    def poll(self) -> bytes:
        """Bytes for the computer, as far as they have been sent by now."""
        self._advance()
        sent = bytes(self._output)
        self._output.clear()
        return sent

    def next_s(self) -> float | None:
        """When the firmware will next do something by itself (s, of the clock); None when it waits for input."""
        return self._wake_s if self._main is not None else None

    def wait(self, seconds: float) -> Firmware:
        """Do nothing else for so long, as firmware does in a busy loop."""
        until_s = self.clock.now() + seconds
        while self.clock.now() < until_s:
            yield until_s

    def say(self, text: str) -> None:
        """Put text on the line."""
        self._output += text.encode("ascii")

    def _run(self, firmware: Firmware) -> None:
        self._main = firmware
        self._wake_s = self.clock.now()

    def _advance(self) -> None:
        while self._main is not None and self._wake_s is not None and self._wake_s <= self.clock.now():
            running = self._main
            wake_s = next(running)
            if self._main is running:  # else the firmware restarted itself on the way
                self._wake_s = wake_s
