"""pyserial URL handler for ``twin://turntable``, ``twin://arm`` and ``twin://lightbox``: ports of the current world.

Opening the port raises DTR, which resets the controller as on an Arduino, unless DTR was held since; an unplugged
device fails as a real port does.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # see `_signals_held_back`
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import serial

from rig.twin import world as twin_world

HELD_BACK = (_signal.SIGINT, _signal.SIGTERM, _signal.SIGHUP)


class Serial(serial.SerialBase):
    """A port with an emulated controller on its far end. No thread: reading pumps the emulator."""

    def open(self) -> None:
        """Find the device in the current world and reset it."""
        if self.is_open:
            raise serial.SerialException("Port is already open.")
        name = str(self.portstr).split("://", 1)[-1].strip("/")
        try:
            self._world = twin_world.current()
        except LookupError as error:
            raise serial.SerialException(str(error)) from error
        if name not in self._world.emulators or self._world.is_unplugged(name):
            raise serial.SerialException(f"[Errno 2] could not open port {self.portstr}: no such device in the twin")
        self._name = name
        self._emulator = self._world.emulators[name]
        self._received = bytearray()
        with _signals_held_back(), self._world.lock:
            if self._world.dtr_is_held(name):
                self._emulator.resume()
            else:
                self._emulator.reset()
        self.is_open = True

    def hold_dtr(self) -> None:
        """Keep DTR up from now on, even when the port closes: opening it again will not reset the device."""
        self._world.hold_dtr(self._name)

    def close(self) -> None:
        """Let go of the port; the device carries on with what it does."""
        self.is_open = False

    @property
    def in_waiting(self) -> int:
        """Bytes that can be read at once."""
        self._check()
        if not self._received:
            with _signals_held_back():
                self._pump()
        return len(self._received)

    def read(self, size: int = 1) -> bytes:
        """Read up to `size` bytes, letting hardware time pass until they come or the (wall-clock) timeout is over."""
        deadline = None if self.timeout is None else time.monotonic() + self.timeout
        with _signals_held_back() as let_through:
            while True:
                self._pump()
                let_through()
                if len(self._received) >= size or (deadline is not None and time.monotonic() >= deadline):
                    break
                with self._world.lock:
                    wake_s = self._emulator.next_s()
                if wake_s is None:
                    if self._received:
                        break  # like a device that pauses: what is there is handed over
                    time.sleep(0.001)  # it says nothing more unasked; only another thread's write could change that
                else:
                    # In short steps, so that a stop from another thread finds the motion where it is.
                    self._world.clock.sleep(min(max(wake_s - self._world.clock.now(), 1e-6), 0.02))
        data = bytes(self._received[:size])
        del self._received[:size]
        return data

    def write(self, data: Any, /) -> int:
        """Send bytes to the device."""
        self._check()
        with _signals_held_back(), self._world.lock:
            self._emulator.feed(self._world.on_the_wire(self._name, bytes(data), "sent"))
        return len(data)

    def reset_input_buffer(self) -> None:
        """Forget what was received."""
        with _signals_held_back():
            self._pump()
        self._received.clear()

    def _pump(self) -> None:
        self._check()
        with self._world.lock:
            self._emulator.feed(self._world.on_the_wire(self._name, b"", "sent"))  # what was late
            self._received += self._world.on_the_wire(self._name, self._emulator.poll(), "answered")

    def _check(self) -> None:
        if not self.is_open:
            raise serial.PortNotOpenError()
        if self._world.is_unplugged(self._name):
            raise serial.SerialException("device reports readiness to read but returned no data (device disconnected?)")

    def _reconfigure_port(self) -> None:
        """Nothing to set on a wire that does not exist."""

    def _update_dtr_state(self) -> None:
        """DTR matters only when the port opens."""

    def _update_rts_state(self) -> None:
        """RTS is not connected."""


@contextmanager
def _signals_held_back() -> Iterator[Callable[[], None]]:
    """Ctrl-C, SIGTERM and SIGHUP wait for the end, or until the function that is given is called.

    A firmware that has its turn does not stop for a signal at the computer. Signals are held back for a whole read,
    not for each of its many turns: setting a handler takes longer than a turn, and by `signal.signal`, which makes
    enums of what it gives and takes, fifty times as long as by what is below it.
    """
    came: list[int] = []

    def hold_back(number: int, _: FrameType | None) -> None:
        came.append(number)

    former = {}
    if threading.current_thread() is threading.main_thread():
        former = {number: _signal.signal(number, hold_back) for number in HELD_BACK}

    def let_through() -> None:
        while came:
            number = came.pop(0)
            _set(number, former[number])
            try:
                signal.raise_signal(number)
            finally:
                _signal.signal(number, hold_back)

    try:
        yield let_through
    finally:
        for held, handler in former.items():
            _set(held, handler)
        for number in came:
            signal.raise_signal(number)


def _set(number: int, handler: Any) -> None:
    _signal.signal(number, handler if handler is not None else _signal.SIG_DFL)  # None: not set from Python
