"""Enttec DMX USB Pro with dimmable lamps on its line, as far as its port shows.

Written after Enttec's DMX USB Pro Widget API Specification 1.44: what is answered, what is dropped without a word, what
ends the output.
"""

from __future__ import annotations

from rig.lights.dmx import (
    END,
    FEWEST_CHANNELS,
    GET_PARAMETERS,
    GET_SERIAL,
    LONGEST,
    SEND_DMX,
    START,
    DmxConfig,
    message,
)
from rig.twin.emulator import Emulator, Firmware
from rig.twin.world import World

FIRMWARE = (44, 1)  # low byte first: 1.44
BREAK_TIME, MARK_AFTER_BREAK, RATE = 9, 1, 40
SERIAL = bytes((0x78, 0x56, 0x34, 0x12))  # decimal digits, low byte first


class DmxEmulator(Emulator):
    """The widget, and the lamps on its channels."""

    def __init__(self, world: World, config: DmxConfig) -> None:
        super().__init__(world.clock)
        self.world = world
        self.config = config
        self._received = bytearray()
        self._levels = bytes(513)
        self._burn()

    def reset(self) -> None:
        """A USB device: opening its port does nothing to it."""
        if self._main is None:
            super().reset()

    def main(self) -> Firmware:
        """It only ever reacts."""
        while True:
            yield None

    def received(self, data: bytes) -> None:
        """Take messages; one without its end mark is dropped."""
        self._received += data
        while self._received:
            if self._received[0] != START:
                del self._received[0]
                continue
            if len(self._received) < 4:
                return
            length = self._received[2] | self._received[3] << 8
            if length > LONGEST:
                del self._received[0]
                continue
            if len(self._received) < length + 5:
                return
            label, body, last = self._received[1], bytes(self._received[4 : 4 + length]), self._received[4 + length]
            del self._received[: length + 5]
            if last == END:
                self._take(label, body)

    def _take(self, label: int, data: bytes) -> None:
        if label == GET_PARAMETERS and len(data) == 2:
            user = bytes(data[0] | data[1] << 8)
            self._output += message(label, bytes((*FIRMWARE, BREAK_TIME, MARK_AFTER_BREAK, RATE)) + user)
        elif label == SEND_DMX and FEWEST_CHANNELS < len(data) <= 513:
            if data[0] == 0:
                # Lamps hear only as many channels as are sent; the others keep what they heard last.
                self._levels = data + self._levels[len(data) :]
                self._burn()
        elif label == GET_SERIAL:
            self._output += message(label, SERIAL)

    def _burn(self) -> None:
        """Dimmers in a row multiply: a lamp burns as its least channel lets it."""
        self.world.leds = [
            (min(self._levels[channel] for channel in lamp) / 255, self.config.colour_temperature_k)
            if all(self._levels[channel] for channel in lamp)
            else (0.0, 0)
            for lamp in self.config.lamps
        ]
