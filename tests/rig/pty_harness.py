"""A controller of the twin behind a pseudo-terminal of the system, as a real one is behind its serial port."""

from __future__ import annotations

import errno
import os
import select
import termios
import threading
import time
import tty
from pathlib import Path

from rig.twin.world import World


class Cable:
    """A serial cable, plugged in: `port` is its stable name, as those under ``/dev/serial/by-id`` are.

    A thread pumps bytes between terminal and controller and lets the twin's time pass. Opening the port raises DTR,
    which resets the controller, unless the line was set to keep DTR up (``stty -hupcl``) when it was last open.
    """

    def __init__(self, world: World, device: str, folder: Path) -> None:
        self.world = world
        self.device = device
        self.link = folder / f"tty-{device}"
        self.port = str(self.link)
        self._stopped = threading.Event()
        self._dtr_is_up = False
        self._far_end = -1
        self._thread: threading.Thread | None = None
        self.plug_in()

    def plug_in(self) -> None:
        """Plug the cable in (again)."""
        self._far_end, near_end = os.openpty()
        tty.setraw(near_end)
        self.link.symlink_to(os.ttyname(near_end))
        os.close(near_end)
        self._stopped.clear()
        self._thread = threading.Thread(target=self._pump, name=self.port, daemon=True)
        self._thread.start()

    def pull_out(self) -> None:
        """Pull the cable out."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
            self.link.unlink()
            os.close(self._far_end)

    def wait_until_heard(self) -> None:
        """Wait until the controller has been given every byte that was sent."""
        poll = select.poll()
        poll.register(self._far_end, select.POLLIN)
        while True:
            with self.world.lock:  # what was read is fed before the lock is let go
                if not sum(event for _, event in poll.poll(0)) & select.POLLIN:
                    return
            time.sleep(0.001)

    def _pump(self) -> None:
        emulator, clock = self.world.emulators[self.device], self.world.clock
        poll = select.poll()
        poll.register(self._far_end, select.POLLIN)
        is_open = False
        while not self._stopped.is_set():
            events = sum(event for _, event in poll.poll(0))
            if events & select.POLLHUP and not events & select.POLLIN:
                is_open = False
                with self.world.lock:
                    emulator.poll()  # nobody hears what it says, but it continues what it does
                clock.sleep(0.01)
                time.sleep(0.001)
                continue
            heard = b""
            with self.world.lock:
                if events & select.POLLIN:
                    try:
                        heard = os.read(self._far_end, 4096)
                    except OSError as error:
                        if error.errno != errno.EIO:
                            raise
                if not is_open:
                    is_open = True
                    if self._dtr_is_up:
                        emulator.resume()
                    else:
                        emulator.reset()
                self._dtr_is_up = not termios.tcgetattr(self._far_end)[2] & termios.HUPCL
                emulator.feed(self.world.on_the_wire(self.device, heard, "sent"))
                sent = self.world.on_the_wire(self.device, emulator.poll(), "answered")
                wake_s = emulator.next_s()
            if sent:
                os.write(self._far_end, sent)
            elif heard:
                continue
            elif wake_s is None:
                time.sleep(0.0005)
            else:
                clock.sleep(min(max(wake_s - clock.now(), 1e-6), 0.02))
