"""Lightbox: lamps on a DMX512 line, by way of an Enttec DMX USB Pro.

Written to Enttec's DMX USB Pro Widget API Specification 1.44:

- A message is ``7E``, label, length (2 bytes, low first), data, ``E7``. There is no checksum; what is cut or wrong is
  dropped without a word.
- Label 6 makes the widget send levels again and again, until another comes. Any other request but label 3 would end
  that, so label 3 (get parameters) is the only one used while lamps burn.
- DMX512 is a one-way street: **no lamp can be read back**, and the widget does not tell what it sends. What can be
  verified is that the widget took the message whole: it answers the label 3 after it, which it could not if a byte of
  the levels had been lost. Against the loss of a whole message they are sent twice. Whether a lamp burns only the
  camera can tell.
- The widget keeps sending when the port closes or the program dies: lights then stay as they are.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from rig.devices import Light
from rig.errors import DeviceError, NoAnswerError
from rig.lights.light import SectorsDeg, SerialLightbox, SerialLightboxConfig, in_sectors
from rig.serial_device import TRIES, retry

START, END = 0x7E, 0xE7
GET_PARAMETERS, SEND_DMX, GET_SERIAL = 3, 6, 10
NAMES = {GET_PARAMETERS: "get widget parameters", GET_SERIAL: "get widget serial number"}
LONGEST = 600
FEWEST_CHANNELS = 24
RDM_SNIFFER = 3


class DmxConfig(SerialLightboxConfig):
    """`lightbox:` of rig.yaml for an Enttec DMX USB Pro."""

    kind: Literal["dmx"] = "dmx"
    baud: int = Field(default=57600, gt=0, description="of no consequence: the widget is a USB device")
    lamps: tuple[tuple[int, ...], ...] = Field(
        default=tuple((channel,) for channel in range(1, 13)),
        min_length=1,
        description="the DMX channels of each lamp, counter-clockwise around the plate",
    )
    always: dict[int, int] = Field(default={}, description="channel to level while any lamp burns: masters, modes")
    led0_azimuth_deg: float = Field(default=15.0, description="where the first lamp stands")
    colour_temperature_k: int = Field(default=5000, ge=1900, le=10091, description="of the lamps, which is fixed")
    settle_s: float = Field(default=0.1, ge=0, description="until the lamps burn steadily: two DMX frames and more")
    answer_s: float = Field(default=1.0, gt=0, description="longest wait for an answer (wall-clock)")

    @model_validator(mode="after")
    def _fits(self) -> DmxConfig:
        used = [channel for lamp in self.lamps for channel in lamp] + list(self.always)
        if not all(1 <= channel <= 512 for channel in used):
            raise ValueError("lightbox: DMX channels go from 1 to 512; correct `lamps` or `always`")
        if len(set(used)) < len(used):
            raise ValueError("lightbox: a DMX channel is used twice; correct `lamps` or `always`")
        if not all(0 <= level <= 255 for level in self.always.values()):
            raise ValueError("lightbox: DMX levels go from 0 to 255; correct `always`")
        for name, light in self.lights.items():
            if light.colour_temperature_k != self.colour_temperature_k:
                raise ValueError(
                    f"lightbox: light {name!r} wants {light.colour_temperature_k} K, the lamps are fixed at "
                    f"{self.colour_temperature_k} K; correct one of the two `colour_temperature_k`"
                )
            if not any(burning(self, light.sectors_deg)):
                raise ValueError(
                    f"lightbox: no lamp stands in the sectors of light {name!r}; correct its `sectors_deg`"
                )
        return self


class DmxLightbox(SerialLightbox[DmxConfig]):
    """The lightbox."""

    def _greet(self) -> str:
        """Ask the widget who it is, and go dark."""
        version = self._ask(GET_PARAMETERS, bytes(2), 5)
        if version[1] == RDM_SNIFFER:
            raise DeviceError(
                self.link.device, "it carries the RDM sniffer firmware, which sends nothing.", "Load firmware 1 or 2."
            )
        serial = self._ask(GET_SERIAL, b"", 4)
        self.dark()
        number = "".join(f"{byte:02x}" for byte in reversed(serial[:4]))
        return f"DMX USB Pro {version[1]}.{version[0]}, serial {number}"

    def stop(self) -> None:
        """Lights off at once, from any thread."""
        self.link.send(message(SEND_DMX, self._levels([])))

    def show(self, light: Light) -> None:
        """Light exactly this, verified as far as the widget goes.

        Raises
        ------
        DeviceError
            If no lamp stands in its sectors.
        NoAnswerError
            If the widget does not answer, after several tries.
        """
        burns = burning(self.config, light.sectors)
        if not any(burns):
            raise DeviceError(
                self.link.device, f"no lamp stands in the sectors of light {light.name!r}.", "Correct it in rig.yaml."
            )
        level = max(1, round(255 * light.intensity))
        self._set(self._levels([level if burns_here else 0 for burns_here in burns]))

    def dark(self) -> None:
        """All lamps off, verified as far as the widget goes."""
        self._set(self._levels([]))

    def _levels(self, lamps: list[int]) -> bytes:
        """Start code and a level for every channel."""
        channels = dict(self.config.always) if any(lamps) else {}
        channels |= {channel: level for lamp, level in zip(self.config.lamps, lamps, strict=False) for channel in lamp}
        used = [channel for lamp in self.config.lamps for channel in lamp] + list(self.config.always)
        count = max(FEWEST_CHANNELS, *used)
        return bytes((0, *(channels.get(channel, 0) for channel in range(1, count + 1))))

    def _set(self, levels: bytes) -> None:
        """Send levels until they were taken twice."""
        with self.link.lock:
            problem: NoAnswerError | None = None
            taken = 0
            for _ in range(1 + TRIES):
                self.link.send(message(SEND_DMX, levels))
                try:
                    self._exchange(GET_PARAMETERS, bytes(2), 5)
                except NoAnswerError as error:
                    problem = error
                    self._resynchronise()
                    continue
                taken += 1
                if taken == 2:
                    self.clock.sleep(self.config.settle_s)
                    return
            assert problem is not None
            raise problem

    def _ask(self, label: int, data: bytes, at_least: int) -> bytes:
        return retry(lambda: self._exchange(label, data, at_least), self._resynchronise)

    def _resynchronise(self) -> None:
        """Fill up whatever half message the widget may have, so that it drops it."""
        self.link.send(bytes(LONGEST + 1))
        self.link.drain()

    def _exchange(self, label: int, data: bytes, at_least: int) -> bytes:
        """Send a request and return the data of its answer, `at_least` so many bytes."""
        while self.link.frame(cut_message, 0.0) is not None:
            pass  # late answers, and DMX that came in
        self.link.send(message(label, data))
        answer = self.link.wait_for_frame(
            cut_message,
            lambda frame: frame[1] == label and len(frame) - 5 >= at_least,
            self.config.answer_s,
            NAMES[label],
        )
        return answer[4:-1]


def burning(config: DmxConfig, sectors_deg: SectorsDeg) -> list[bool]:
    """Which lamps stand in the sectors."""
    return in_sectors(sectors_deg, len(config.lamps), config.led0_azimuth_deg)


def message(label: int, data: bytes) -> bytes:
    """A message as it goes over the wire."""
    return bytes((START, label, len(data) & 255, len(data) >> 8)) + data + bytes((END,))


def cut_message(received: bytearray) -> bytes | None:
    """Take the first whole message, and the noise before it, out of what was received."""
    start = 0
    unfinished = False
    while (start := received.find(START, start)) >= 0:
        if len(received) < start + 4:
            return None
        length = received[start + 2] | received[start + 3] << 8
        end = start + 5 + length
        if length <= LONGEST and len(received) < end:
            unfinished = True  # or noise that looks like a beginning: what is whole behind it counts
        elif length <= LONGEST and received[end - 1] == END:
            frame = bytes(received[start:end])
            del received[:end]
            return frame
        start += 1
    if not unfinished:
        received.clear()
    return None
