"""WLED on an ESP32 with a ring of LEDs, as far as its serial port shows.

Written after WLED's source (github.com/wled/WLED: wled_serial.cpp, json.cpp): a ``{`` begins a JSON object, which is
read until it is complete or 100 ms pass without a byte; a wrong one is dropped without a word; an answer comes only
to ``"v":true``.
"""

from __future__ import annotations

import json
from typing import Any

from rig.twin.emulator import Emulator, Firmware
from rig.twin.world import World

BOOT_S = 1.0
READ_S = 0.1
MOST_SEGMENTS = 32
VERSION = "0.15.0"


class WledEmulator(Emulator):
    """The controller. `leds` is how many hang on it."""

    def __init__(self, world: World, leds: int = 60) -> None:
        super().__init__(world.clock)
        self.world = world
        self.led_count = leds
        self._power_up()

    def _power_up(self) -> None:
        """WLED comes up glowing orange at half power."""
        self._received = bytearray()
        self.brightness, self.last_brightness = 128, 128
        self.transition = 7
        self.segments: list[dict[str, Any]] = []
        self._set_segment({"start": 0, "stop": self.led_count, "col": [[255, 160, 0]]}, 0)
        self._burn()

    def reset(self) -> None:
        """DTR: the ESP32 boots."""
        self._power_up()
        super().reset()

    def received(self, data: bytes) -> None:
        """Buffer."""
        self._received += data

    def main(self) -> Firmware:
        """Boot, then take commands."""
        yield from self.wait(BOOT_S)
        self._received.clear()
        self.say("ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\nAda\r\n")
        while True:
            if not self._received:
                yield None
                continue
            if self._received[:1] == b"v":
                self.say(f"WLED {VERSION}\r\n")
            if self._received[:1] != b"{":
                del self._received[:1]
                continue
            yield from self._json()

    def _json(self) -> Firmware:
        """deserializeJson(): to the end of the object, or until 100 ms pass without a byte."""
        heard = len(self._received)
        until_s = self.clock.now() + READ_S
        while True:
            end = _object_end(self._received)
            if end is not None:
                text = bytes(self._received[:end])
                del self._received[:end]
                break
            if len(self._received) > heard:
                heard, until_s = len(self._received), self.clock.now() + READ_S
            if self.clock.now() >= until_s:
                self._received.clear()
                return
            yield until_s
        try:
            root = json.loads(text)
        except (ValueError, RecursionError):
            return
        if self._set_state(root):
            self.say(json.dumps({"state": self._state(), "info": self._info()}, separators=(",", ":")) + "\r\n")

    def _set_state(self, root: dict[str, Any]) -> bool:
        """deserializeState(); whether an answer is wanted."""
        brightness = _byte(root.get("bri"), self.brightness)
        on = root.get("on", brightness > 0)
        if brightness:
            self.last_brightness = brightness
        self.brightness = self.last_brightness if on is True else 0 if on is False else brightness
        if isinstance(root.get("transition"), int):
            self.transition = root["transition"]
        segments = root.get("seg", [])
        for number, segment in enumerate(segments if isinstance(segments, list) else [segments]):
            if isinstance(segment, dict):
                self._set_segment(segment, number)
        self._burn()
        return root.get("v") is True

    def _set_segment(self, wanted: dict[str, Any], number: int) -> None:
        """deserializeSegment(): a segment without extent is deleted, an unknown one is appended."""
        number = _int(wanted.get("id"), number)
        stop = _int(wanted.get("stop"), -1)
        if not 0 <= number < MOST_SEGMENTS:
            return
        if number >= len(self.segments):
            if stop <= 0:
                return
            number = len(self.segments)
            self.segments.append(
                {"start": 0, "stop": self.led_count, "on": True, "bri": 255, "cct": 127, "col": [255, 160, 0], "fx": 0}
            )
        segment = self.segments[number]
        segment["start"] = _int(wanted.get("start"), segment["start"])
        segment["stop"] = min(segment["stop"] if stop < 0 else stop, self.led_count)
        if segment["stop"] <= segment["start"]:
            del self.segments[number]
            return
        segment["on"] = wanted["on"] if isinstance(wanted.get("on"), bool) else segment["on"]
        segment["bri"] = _byte(wanted.get("bri"), segment["bri"]) or segment["bri"]
        segment["fx"] = _int(wanted.get("fx"), segment["fx"])
        cct = _int(wanted.get("cct"), segment["cct"])
        segment["cct"] = (min(max(cct, 1900), 10091) - 1900) >> 5 if cct > 255 else cct
        match wanted.get("col"):
            case [[int(red), int(green), int(blue), *_], *_]:
                segment["col"] = [red & 255, green & 255, blue & 255]

    def _burn(self) -> None:
        """Let the LEDs show it."""
        leds = [(0.0, 0)] * self.led_count
        for segment in self.segments:
            level = self.brightness / 255 * segment["bri"] / 255 * max(segment["col"]) / 255 if segment["on"] else 0.0
            for led in range(segment["start"], segment["stop"]):
                leds[led] = (level, 1900 + 32 * segment["cct"]) if level else (0.0, 0)
        self.world.leds = leds

    def _state(self) -> dict[str, Any]:
        """serializeState()."""
        return {
            "on": self.brightness > 0,
            "bri": self.last_brightness,
            "transition": self.transition,
            "ps": -1,
            "pl": -1,
            "mainseg": 0,
            "seg": [
                {
                    "id": number,
                    "start": segment["start"],
                    "stop": segment["stop"],
                    "len": segment["stop"] - segment["start"],
                    "on": segment["on"],
                    "bri": segment["bri"],
                    "cct": segment["cct"],
                    "col": [segment["col"], [0, 0, 0], [0, 0, 0]],
                    "fx": segment["fx"],
                    "sel": True,
                }
                for number, segment in enumerate(self.segments)
            ],
        }

    def _info(self) -> dict[str, Any]:
        """serializeInfo()."""
        return {
            "ver": VERSION,
            "vid": 2412100,
            "leds": {"count": self.led_count, "maxseg": MOST_SEGMENTS, "rgbw": False, "cct": True},
            "name": "lightbox",
            "arch": "esp32",
            "brand": "WLED",
            "product": "FOSS",
        }


def _object_end(data: bytearray) -> int | None:
    """Where the JSON object that begins here ends; None while it is incomplete."""
    depth, quoted, escaped = 0, False, False
    for place, byte in enumerate(data):
        if quoted:
            quoted = escaped or byte != ord('"')
            escaped = byte == ord("\\") and not escaped
        elif byte == ord('"'):
            quoted = True
        elif byte in b"{[":
            depth += 1
        elif byte in b"}]":
            depth -= 1
            if depth == 0:
                return place + 1
    return None


def _int(value: object, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else default


def _byte(value: object, default: int) -> int:
    return min(max(_int(value, default), 0), 255)
