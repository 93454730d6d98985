"""One serial port: framing, time limits, locking and a transcript, so that drivers only speak their protocol.

The port is any pyserial URL: ``/dev/serial/by-id/...``, ``COM3``, ``socket://host:port``, or ``twin://turntable`` for
the digital twin.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal, TypeVar

import serial

from rig.errors import AlarmError, NoAnswerError, NotConnectedError

try:
    import termios
except ImportError:  # Windows
    termios = None  # type: ignore[assignment]

if "rig.twin" not in serial.protocol_handler_packages:
    serial.protocol_handler_packages.append("rig.twin")

log = logging.getLogger(__name__)

# A device that never ends its line is talking another language (or another baud rate): its noise is cut into lines of
# this length.
LONGEST_LINE = 16384
LONGEST_QUOTE = 80
FIRMWARES = re.compile("Grbl|FluidNC|Marlin|Smoothie|RepRap|TinyG|SwiftPro|RoArm|WLED", re.IGNORECASE)
# How often a waiting reader looks whether somebody asked it to stop (s).
POLL_S = 0.05

CHECK_PORT = "Check cable and power, and that `port` in rig.yaml is right: `rig devices` lists the ports there are."
IN_USE = (
    "another program uses it",
    "Close that program (a terminal, a printer's host, another `rig`); then run the same command again.",
)
REFUSALS: dict[int, tuple[str, str]] = {
    errno.ENOENT: ("there is no such port", CHECK_PORT),
    errno.EACCES: (
        "you may not use it",
        "Run `sudo usermod -aG dialout $USER`, log out and in again; then run the same command again.",
    ),
    errno.EBUSY: IN_USE,
    errno.EAGAIN: IN_USE,
}

T = TypeVar("T", str, bytes)
PARITY = {"none": serial.PARITY_NONE, "odd": serial.PARITY_ODD, "even": serial.PARITY_EVEN}
Cut = Callable[[bytearray], bytes | None]


class SerialLink:
    """A serial port that a driver owns.

    Parameters
    ----------
    port
        pyserial URL or device path.
    baud
        Baud rate.
    device
        What the thing is called in messages: ``"turntable"``.
    hold_dtr
        Leave DTR up when the port closes, however the program ends, so that opening it again does not restart the
        controller: an arm whose program was killed keeps holding its coin.
    data_bits, parity
        How each byte is framed on the line.

    Attributes
    ----------
    device
        Name and port, as in ``"turntable on /dev/ttyUSB0"``.
    recent
        Transcript of the last lines, with time and direction. All of it goes to the log of this module, at level DEBUG.
    lock
        Held by a driver for a command and its answer, so that two threads cannot take each other's answers.
    """

    def __init__(
        self,
        port: str,
        baud: int,
        device: str,
        *,
        hold_dtr: bool = False,
        data_bits: Literal[7, 8] = 8,
        parity: Literal["none", "odd", "even"] = "none",
    ) -> None:
        self.port = port
        self.baud = baud
        self.device = f"{device} on {port}"
        self.recent: deque[str] = deque(maxlen=200)
        self.lock = threading.RLock()
        self._hold_dtr = hold_dtr
        self._frame: dict[str, Any] = {"bytesize": data_bits, "parity": PARITY[parity]}
        self._writing = threading.Lock()
        self._serial: serial.SerialBase | None = None
        self._received = bytearray()
        self._halted = False

    def open(self) -> None:
        """Open the port afresh. Boards wired like an Arduino reset when it opens (DTR).

        Raises
        ------
        NotConnectedError
            If there is no such port, or somebody else has it.
        """
        self.close()
        try:
            self._serial = serial.serial_for_url(
                self.port, baudrate=self.baud, timeout=POLL_S, write_timeout=2, exclusive=True, **self._frame
            )
            if self._hold_dtr:
                _hold_dtr(self._serial)
        except (serial.SerialException, OSError, ValueError) as error:
            why, remedy = REFUSALS.get(getattr(error, "errno", None) or 0, (str(error), CHECK_PORT))
            raise NotConnectedError(self.device, f"the port could not be opened: {why}.", remedy) from error
        self._received.clear()
        self.clear_halt()
        self._note("--", b"opened")

    def close(self) -> None:
        """Close the port; never fails."""
        port, self._serial = self._serial, None
        if port is None:
            return
        with contextlib.suppress(serial.SerialException, OSError):  # it is gone, which is all that was wanted
            port.close()
        self._note("--", b"closed")

    def send(self, data: bytes) -> None:
        """Write bytes.

        Raises
        ------
        AlarmError
            If the device was halted.
        NotConnectedError
            If the port is closed or has gone away.
        """
        with self._writing:
            self._check_halt()  # in here, so that nothing leaves after the bytes of a halt
            self._write(data)

    def halt(self, data: bytes) -> None:
        """Write the bytes that stop the device, at once and from any thread; whoever waits for an answer gets an
        `AlarmError`.

        From now on nothing is sent until `clear_halt`.
        """
        self._halted = True
        with self._writing:
            self._write(data)

    def clear_halt(self) -> None:
        """Speak to the device again after `halt`; it is about to be homed."""
        self._halted = False

    def _write(self, data: bytes) -> None:
        port = self._port()
        try:
            port.write(data)
        except (serial.SerialException, OSError) as error:
            raise self._lost(error) from error
        self._note(">>", data)

    def line(self, timeout_s: float) -> str | None:
        """Read the next line, without its end; None when none came within `timeout_s` (wall-clock seconds).

        Bytes that are not ASCII come as ``\\ufffd``, never as an exception: noise is the driver's to recognise.

        Raises
        ------
        AlarmError
            If the device is halted meanwhile.
        NotConnectedError
            If the port is closed or goes away.
        """
        raw = self.frame(_cut_line, timeout_s)
        return None if raw is None else raw.decode("ascii", "replace").strip("\r\n\0 ")

    def frame(self, cut: Cut, timeout_s: float) -> bytes | None:
        """Read the next frame of a binary protocol; None when none came within `timeout_s` (wall-clock seconds).

        `cut` takes the first whole frame, and whatever noise is before it, out of the bytes received so far and
        returns the frame, or None while there is none.

        Raises
        ------
        AlarmError
            If the device is halted meanwhile.
        NotConnectedError
            If the port is closed or goes away.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            raw = cut(self._received)
            if raw is not None:
                self._note("<<", raw)
                return raw
            port = self._port()
            self._check_halt()
            try:
                waiting: int = port.in_waiting  # type: ignore[attr-defined]
                if not waiting and time.monotonic() >= deadline:
                    return None
                self._received += port.read(max(1, waiting))
            except (
                serial.SerialException,
                OSError,
                TypeError,
            ) as error:  # TypeError: closed by another thread in mid-read
                raise self._lost(error) from error

    def wait_for(self, wanted: Callable[[str], bool], timeout_s: float, command: str) -> str:
        """Read lines until one is `wanted`; `wanted` may raise, for an alarm.

        Raises
        ------
        NoAnswerError
            If it did not come within `timeout_s` (wall-clock seconds).
        NotConnectedError
            If the port goes away.
        """
        return self._wait(self.line, wanted, timeout_s, command)

    def wait_for_frame(self, cut: Cut, wanted: Callable[[bytes], bool], timeout_s: float, command: str) -> bytes:
        """Read frames until one is `wanted`; as `wait_for`, for a binary protocol.

        Raises
        ------
        NoAnswerError
            If it did not come within `timeout_s` (wall-clock seconds).
        NotConnectedError
            If the port goes away.
        """
        return self._wait(lambda left_s: self.frame(cut, left_s), wanted, timeout_s, command)

    def heard(self) -> str:
        """What to add to an error of a device that gives no answer that is understood: who it says it is, if it does.

        The line that names a firmware, else the longest legible one, of those since the port was opened, as in
        ``"; it says 'Grbl 1.1h ...'"``; an empty text if there is none.
        """
        lines: list[str] = []
        for entry in self.recent:
            _, direction, text = entry.split(" ", 2)
            if direction == "--":
                lines.clear()
            elif direction == "<<" and r"\x" not in text:
                lines.append(text[:LONGEST_QUOTE])
        telling = max(lines, key=lambda line: (FIRMWARES.search(line) is not None, len(line)), default="")
        return f"; it says {telling!r}" if telling else ""

    def drain(self, quiet_s: float = 0.05) -> list[str]:
        """Read away whatever is still coming, until nothing came for `quiet_s`."""
        lines = []
        while (line := self.line(quiet_s)) is not None:
            lines.append(line)
        self._received.clear()
        return lines

    def _wait(
        self, read: Callable[[float], T | None], wanted: Callable[[T], bool], timeout_s: float, command: str
    ) -> T:
        deadline = time.monotonic() + timeout_s
        while (left_s := deadline - time.monotonic()) > 0:
            message = read(left_s)
            if message is not None and wanted(message):
                return message
        raise NoAnswerError(
            self.device,
            f"no answer to {command!r} within {timeout_s:g} s.",
            "Check that it is powered and that baud rate and kind in rig.yaml are right, then run the command again.",
        )

    def _check_halt(self) -> None:
        if self._halted:
            raise AlarmError(self.device, "it was stopped.", "See that nothing is in the way, then `rig home`.")

    def _port(self) -> serial.SerialBase:
        if self._serial is None:
            raise NotConnectedError(self.device, "the port is not open.", "Connect first: run the command again.")
        return self._serial

    def _lost(self, error: BaseException) -> NotConnectedError:
        self.close()
        return NotConnectedError(
            self.device,
            f"the connection was lost ({error}).",
            "Plug the cable in again, then run the same command: nothing that was stored is lost.",
        )

    def _note(self, direction: str, data: bytes) -> None:
        text = re.sub(r"[^\x20-\x7e]", lambda match: f"\\x{ord(match[0]):02x}", data.decode("latin-1").rstrip("\r\n"))
        self.recent.append(f"{time.time():.3f} {direction} {text}")
        log.debug("%s %s %s", self.device, direction, text)


def _cut_line(received: bytearray) -> bytes | None:
    """Take the first line, end included."""
    end = received.find(b"\n")
    if end < 0 and len(received) > LONGEST_LINE:
        end = LONGEST_LINE
    if end < 0:
        return None
    raw = bytes(received[: end + 1])
    del received[: end + 1]
    return raw


def _hold_dtr(port: serial.SerialBase) -> None:
    """Tell the system not to drop DTR when the port closes (``stty -hupcl``), where there is such a thing."""
    if hasattr(port, "hold_dtr"):
        port.hold_dtr()  # the twin's wire
    elif termios is not None and hasattr(port, "fd"):
        settings = termios.tcgetattr(port.fd)
        settings[2] &= ~termios.HUPCL
        termios.tcsetattr(port.fd, termios.TCSANOW, settings)
