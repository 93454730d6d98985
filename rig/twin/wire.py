"""The wire between computer and controllers, and what happens to a message on it."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Literal

from rig.twin.faults import Fault, Glitch, LostBytes

Way = Literal["sent", "answered"]


class Wire:
    """What arrives of what was sent, for one device.

    Delays are wall-clock seconds, as the links' timeouts are.
    """

    def __init__(self, device: str, faults: Sequence[Fault], noise: random.Random) -> None:
        self.device = device
        self._faults = faults
        self._noise = noise
        self._messages: dict[Way, int] = defaultdict(int)
        self._held: dict[Way, list[tuple[float, bytes]]] = {"sent": [], "answered": []}

    @property
    def messages(self) -> int:
        """How many were sent either way so far."""
        return sum(self._messages.values())

    def count(self, way: Way) -> int:
        """How many went one way so far."""
        return self._messages[way]

    def carry(self, data: bytes, way: Way) -> bytes:
        """Put bytes on the wire, and take off it what has arrived by now."""
        if data:
            self._messages[way] += 1
            for fault in self._faults:
                if isinstance(fault, LostBytes) and fault.device == self.device:
                    data = bytes(byte for byte in data if self._noise.random() >= fault.rate)
            now_s = time.monotonic()
            self._held[way] += [(now_s + after_s, piece) for after_s, piece in self._glitched(data, way)]
        arrived = b""
        while self._held[way] and self._held[way][0][0] <= time.monotonic():
            arrived += self._held[way].pop(0)[1]
        return arrived

    def _glitched(self, data: bytes, way: Way) -> list[tuple[float, bytes]]:
        """A message as it arrives: pieces, each with its delay (s)."""
        for fault in self._faults:
            if (
                isinstance(fault, Glitch)
                and (fault.device, fault.way) == (self.device, way)
                and fault.after_messages < self._messages[way] <= fault.after_messages + fault.messages
            ):
                return _glitch(fault, data)
        return [(0.0, data)]


def _glitch(fault: Glitch, data: bytes) -> list[tuple[float, bytes]]:
    middle = len(data) // 2
    match fault.what:
        case "lost byte":
            at = range(len(data))[max(-len(data), min(fault.at, len(data) - 1))]
            return [(0.0, data[:at] + data[at + 1 :])]
        case "duplicated":
            return [(0.0, data + data)]
        case "garbage":
            return [(0.0, fault.data.encode("latin-1") + data)]
        case "replaced":
            return [(0.0, fault.data.encode("latin-1"))]
        case "split":
            return [(0.0, data[:middle]), (fault.seconds, data[middle:])]
        case "slow":
            return [(fault.seconds, data)]
        case "silent":
            return []
