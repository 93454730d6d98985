"""What WLED makes of its strip: segments, which LEDs they light, and what the power limiter leaves of it.

Written after wled/WLED v0.15.0 (faadb67), wled00: json.cpp (deserializeSegment), FX_fcn.cpp (Segment::setUp,
setPixelColor, purgeSegments), bus_manager.cpp (estimateCurrentAndLimitBri, BusManager::show), const.h, FX.h.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

MOST_SEGMENTS = 32  # FX.h: MAX_NUM_SEGMENTS on an ESP32
LED_MA, ESP_MA = 55, 120  # const.h: LED_MILLIAMPS_DEFAULT; bus_manager.cpp: MA_FOR_ESP
RGB, WHITE, CCT = 1, 2, 4  # light capabilities, as in `seglc` and `lc`
NATIVE_K = 6500  # what LEDs without adjustable white burn with


@dataclass
class Segment:
    """A run of LEDs. One that has no extent is inactive, keeps its number, and is not reported."""

    start: int
    stop: int
    grouping: int = 1
    spacing: int = 0
    offset: int = 0
    on: bool = True
    frozen: bool = False
    opacity: int = 255
    cct: int = 127
    mode: int = 0
    reverse: bool = False
    mirror: bool = False
    selected: bool = True
    colour: list[int] = field(default_factory=lambda: [255, 170, 0, 0])  # FX.h: DEFAULT_COLOR

    @property
    def is_active(self) -> bool:
        """Whether it has an extent."""
        return self.stop > self.start

    def leds(self) -> list[int]:
        """The LEDs that it paints: grouping, spacing, mirror and offset leave some of them out."""
        length = self.stop - self.start
        group = self.grouping + self.spacing
        virtual = math.ceil(length / group)
        virtual = (virtual + 1) // 2 if self.mirror else virtual
        painted = []
        for number in range(virtual):
            first = number * group
            if self.reverse:
                first = (length - 1) // 2 - first if self.mirror else length - 1 - first
            for step in range(self.grouping):
                place = self.start + first + (-step if self.reverse else step)
                if not self.start <= place < self.stop:
                    continue
                places = [place] + [self.stop - place + self.start - 1] * self.mirror
                painted += [self.start + (each - self.start + self.offset) % length for each in places]
        return painted


class Strip:
    """The LEDs, and the segments that they are laid out in.

    Parameters
    ----------
    leds
        How many.
    limit_ma
        What the power limiter allows (mA); 0 switches it off. WLED comes with 850.
    capabilities
        Which lights its LEDs have: `RGB`, `WHITE`, `CCT`.
    most_segments
        As the build allows.
    """

    def __init__(self, leds: int, limit_ma: int, capabilities: int, most_segments: int) -> None:
        self.count = leds
        self.limit_ma = limit_ma
        self.capabilities = capabilities
        self.most_segments = most_segments
        self.segments = [Segment(0, leds)]
        self.used_ma = 0
        self._shown: list[tuple[float, int]] = [(0.0, 0)] * leds

    def set_segment(self, wanted: dict[str, Any], number: int) -> bool:
        """deserializeSegment(): one without extent becomes inactive, an unknown one is appended at the end."""
        number = as_byte(wanted.get("id"), number)
        stop = as_int(wanted.get("stop"), -1)
        if number >= self.most_segments:
            return False
        if number >= len(self.segments):
            if stop <= 0:
                return False
            self.segments.append(Segment(0, self.count))
            number = len(self.segments) - 1
        segment = self.segments[number]
        start = as_int(wanted.get("start"), segment.start)
        if stop < 0:
            length = as_int(wanted.get("len"), 0)
            stop = start + length if length > 0 else segment.stop
        self._set_up(segment, wanted, start, stop)
        if not segment.is_active:
            return True
        brightness = as_byte(wanted.get("bri"), -1)
        if brightness >= 0:
            segment.opacity = brightness or segment.opacity
            segment.on = bool(brightness)
        segment.on = as_bool(wanted.get("on"), segment.on)
        segment.frozen = as_bool(wanted.get("frz"), segment.frozen)
        segment.cct = as_byte(wanted.get("cct"), segment.cct)
        segment.selected = as_bool(wanted.get("sel"), segment.selected)
        segment.reverse = as_bool(wanted.get("rev"), segment.reverse)
        segment.mirror = as_bool(wanted.get("mi"), segment.mirror)
        segment.mode = as_byte(wanted.get("fx"), segment.mode)
        if not self.capabilities & (RGB | WHITE):
            segment.colour = [255] * 4
        elif isinstance(colours := wanted.get("col"), list) and colours and isinstance(colours[0], list) and colours[0]:
            channels = [as_byte(channel, 0) for channel in colours[0][:4]]
            segment.colour = channels + [0] * (4 - len(channels))
        return True

    def purge(self, deleted: int) -> None:
        """After many were deleted at once, the numbers of those that are left close up."""
        if len(self.segments) > 3 and deleted >= len(self.segments) // 2:
            self.segments = self.segments[:1] + [segment for segment in self.segments[1:] if segment.is_active]

    def show(self, brightness: int) -> list[tuple[float, int]]:
        """Let the LEDs burn: level and colour temperature of each."""
        levels = [0.0] * self.count
        kelvin = [0] * self.count
        kept: set[int] = set()
        for segment in filter(lambda each: each.is_active, self.segments):
            if segment.frozen:
                kept.update(range(segment.start, segment.stop))
                continue
            for led in segment.leds():
                levels[led] = segment.opacity / 255 * max(segment.colour) / 255 if segment.on else 0.0
                kelvin[led] = 1900 + 32 * segment.cct if self.capabilities & CCT else NATIVE_K
        shown_ma = sum(levels) * LED_MA  # white: every channel of it
        allowed = self._limit(shown_ma, brightness)
        self._shown = [
            self._shown[led] if led in kept else (level * allowed / 255, kelvin[led] if level * allowed else 0)
            for led, level in enumerate(levels)
        ]
        return self._shown

    def _limit(self, shown_ma: float, brightness: int) -> int:
        """estimateCurrentAndLimitBri(): the brightness that is left, so that the supply is not asked for too much."""
        wanted_ma = shown_ma * brightness / 255
        if not self.limit_ma:
            self.used_ma = 0
            return brightness
        budget_ma = max(0, self.limit_ma - ESP_MA - self.count)  # each LED takes about 1 mA in standby
        allowed = brightness
        if wanted_ma > budget_ma:
            scale = budget_ma / wanted_ma
            wanted_ma = math.ceil(wanted_ma * scale)
            allowed = brightness * min(int(scale * 255), 255) // 256 + 1
        self.used_ma = int(wanted_ma) + ESP_MA if wanted_ma else 0
        return allowed

    def _set_up(self, segment: Segment, wanted: dict[str, Any], start: int, stop: int) -> None:
        """Segment::setUp(). What it no longer covers goes dark."""
        grouping, spacing = as_byte(wanted.get("grp"), segment.grouping), as_byte(wanted.get("spc"), segment.spacing)
        offset = as_int(wanted.get("of"), segment.offset)
        length = max(1, stop - start)
        offset = abs(offset) % length if offset >= 0 else length - abs(offset) % length
        before = (segment.start, segment.stop, segment.grouping, segment.spacing, segment.offset)
        if before == (start, stop, grouping or segment.grouping, spacing, offset):
            return
        for led in range(segment.start, segment.stop):
            self._shown[led] = (0.0, 0)
        segment.grouping, segment.spacing = (grouping, spacing) if grouping else (1, 0)
        segment.offset = min(offset, length - 1)
        if stop <= start or start >= self.count:
            segment.stop = 0
            return
        segment.start, segment.stop = start, min(stop, self.count)


def as_int(value: object, default: int) -> int:
    """``elem[key] | default`` of ArduinoJson, for a number."""
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def as_byte(value: object, default: int) -> int:
    """The same for a byte: one that does not fit is none."""
    number = as_int(value, default)
    return number if 0 <= number <= 255 else default


def as_bool(value: object, default: bool) -> bool:
    """getBoolVal(): a text that begins with ``t`` switches over."""
    if isinstance(value, str) and value.startswith("t"):
        return not default
    return value if isinstance(value, bool) else default
