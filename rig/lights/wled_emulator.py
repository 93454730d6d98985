"""WLED on an ESP32 with a ring of LEDs, as far as its serial port shows.

Written after wled/WLED v0.15.0 (faadb67), wled00: wled_serial.cpp, json.cpp, led.cpp, udp.cpp, playlist.cpp, wled.cpp,
wled.h; v16.0.1 (29b389d) differs in none of it but more fields. Nothing of it was run.

- A ``{`` begins a JSON object, read as ArduinoJson reads it; where it is wrong, what follows is taken for commands of
  one character, some of which are answered.
- An answer comes only to ``"v":true``. It is 2 kB long, and nothing else is done while it is sent.
- What comes while it starts is kept, and answered when it is up: late.
"""

from __future__ import annotations

import json
from typing import Any

from rig.lights.wled_strip import CCT, MOST_SEGMENTS, RGB, WHITE, Strip, as_bool, as_byte, as_int
from rig.twin.arduino_json import read_json
from rig.twin.emulator import Emulator, Firmware
from rig.twin.world import World

ROM_S, BOOT_S = 0.3, 1.0  # the boot loader, then setup()
READ_S = 0.1  # Serial.setTimeout(100)
BAUD = 115200
RX_BYTES = 256  # that the port keeps while nobody reads it
VERSION, BUILD = "0.15.0", 2412100
TICK_S = 0.1  # handleNightlight()
PACKET_S = 0.025  # how soon the next packet of a stream comes
BAUD_RATES = range(0xB0, 0xB8)  # bytes that change the baud rate
# What is always the same here, and makes an answer 2 kB long.
REST_OF_SEGMENT: dict[str, Any] = json.loads(
    """{"set":0,"sx":128,"ix":128,"pal":0,"c1":128,"c2":128,"c3":16,"o1":false,"o2":false,"o3":false,"si":0,"m12":0}"""
)
REST_OF_INFO: dict[str, Any] = json.loads(
    """{"str":false,"name":"WLED","udpport":21324,"simplifiedui":false,"liveseg":-1,"lip":"","ws":0,"fxcount":187,
    "palcount":71,"cpalcount":0,"maps":[{"id":0}],"wifi":{"bssid":"00:00:00:00:00:00","rssi":0,"signal":0,"channel":1,
    "ap":true},"fs":{"u":16,"t":983,"pmt":0},"ndc":0,"arch":"esp32","core":"v3.3.6-16-gcc5440f6a2","clock":240,"flash":4,
    "lwip":0,"freeheap":169000,"uptime":8,"time":"1970-1-1, 00:00:08","u":{"AudioReactive":["off"]},"opt":79,
    "brand":"WLED","product":"FOSS","mac":"c0ffee000000","ip":""}"""
)


class WledEmulator(Emulator):
    """The controller.

    Parameters
    ----------
    leds
        How many LEDs hang on it.
    limit_ma
        What its power limiter allows (mA), 0 if it was switched off. It comes with 850 (ABL_MILLIAMPS_DEFAULT).
    capabilities
        Which lights the LEDs have.
    most_segments
        As the build allows.

    Attributes
    ----------
    stream
        What sends live data to it over the network, as ``"E1.31"``; empty if nothing does.
    playlist
        Number of the playlist that runs; -1 if none does.
    ledmap
        Number of the map that renumbers its LEDs; any but 0 turns their order round here (FX_fcn.cpp, deserializeMap;
        loaded by the main loop after the answer, wled.cpp).
    matrix
        Width and height, if it is set up as one (json.cpp, serializeInfo).
    """

    def __init__(
        self,
        world: World,
        leds: int = 60,
        *,
        limit_ma: int = 0,
        capabilities: int = RGB | CCT,
        most_segments: int = MOST_SEGMENTS,
    ) -> None:
        super().__init__(world.clock)
        self.world = world
        self._made_of = (leds, limit_ma, capabilities, most_segments)
        self.stream = ""
        self.matrix: tuple[int, int] | None = None
        self._power_up()

    def _power_up(self) -> None:
        """WLED comes up glowing orange at half power."""
        self._received = bytearray()
        self._reads, self._deaf = False, False
        self.strip = Strip(*self._made_of)
        self.brightness, self.last_brightness = 128, 128  # wled.h: briS
        self.transition = 7
        self.playlist = -1
        self.ledmap = 0
        self._live_again_s = 0.0
        self._override = 0
        self._night = {"on": False, "dur": 60, "mode": 1, "tbri": 0}
        self._night_from: tuple[float, int] | None = None
        self._burn()

    def reset(self) -> None:
        """DTR: the ESP32 boots."""
        self._power_up()
        super().reset()

    def received(self, data: bytes) -> None:
        """Buffer; what does not fit while nobody reads is lost."""
        if not self._deaf:
            self._received += data if self._reads else data[: max(0, RX_BYTES - len(self._received))]

    def main(self) -> Firmware:
        """Boot, then take commands."""
        yield from self.wait(ROM_S)
        self._received.clear()
        self.say("ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),boot:0x13\r\n")
        yield from self.wait(BOOT_S - ROM_S)
        self.say("Ada\r\n")
        self._reads = True
        while True:
            self._fade()
            self._burn()
            if not self._received:
                yield self.clock.now() + TICK_S if self._night["on"] or self.stream else None
                continue
            if self._received[:1] == b"{":
                yield from self._json()
            else:
                yield from self._character(self._received[0])
            del self._received[:1]  # "discard the byte": the one that was looked at, or the one behind a JSON object

    def _character(self, byte: int) -> Firmware:
        """A command of one character; any other is skipped."""
        if byte == ord("v"):
            self.say(f"WLED {BUILD}\r\n")
        elif byte == ord("l"):
            colours = [round(level * 255) * 0x010101 for level, _ in self.world.leds]
            yield from self._send(json.dumps(colours, separators=(",", ":")))
        elif byte in BAUD_RATES[1:]:
            self._deaf = True  # it listens at another rate from now on
            self._received.clear()

    def _json(self) -> Firmware:
        """deserializeJson(): to the end of the object, to where it is wrong, or until 100 ms pass without a byte."""
        heard = len(self._received)
        until_s = self.clock.now() + READ_S
        while (reading := read_json(bytes(self._received))).end == "more":
            if len(self._received) > heard:
                heard, until_s = len(self._received), self.clock.now() + READ_S
            if self.clock.now() >= until_s:
                break
            yield until_s
        del self._received[: reading.taken]
        if reading.end == "whole" and self._set_state(reading.value):
            state, info = self._state(), self._info()
            yield from self._send(json.dumps({"state": state, "info": info}, separators=(",", ":"), ensure_ascii=False))

    def _send(self, text: str) -> Firmware:
        """Serial.println(): it waits until all has left."""
        data = text.encode() + b"\r\n"
        self._reads = False
        yield from self.wait(len(data) * 10 / BAUD)
        self._reads = True
        self._output += data

    # What it is asked for

    def _set_state(self, root: dict[str, Any]) -> bool:
        """deserializeState(); whether an answer is wanted."""
        was_on = self.brightness > 0
        self.brightness = as_byte(root.get("bri"), self.brightness)
        if as_bool(root.get("on"), self.brightness > 0) != (self.brightness > 0):
            self._toggle()
        if self.brightness and not was_on:
            for segment in self.strip.segments:
                segment.frozen = False
        self.transition = as_int(root.get("transition"), self.transition)
        self._set_night(root.get("nl"))
        self._override = as_byte(root.get("lor"), self._override)
        if "live" in root and root["live"] is not True:  # exitRealtime(): until the next packet comes
            self._live_again_s = self.clock.now() + PACKET_S
        segments = root.get("seg")
        deleted = 0
        for number, segment in enumerate(segments if isinstance(segments, list) else [segments]):
            if not isinstance(segment, dict):
                continue
            deleted += self.strip.set_segment(segment, number) and segment.get("stop") == 0
            if "fx" in segment:
                self.playlist = -1
        self.strip.purge(deleted)
        self.ledmap = as_int(root.get("ledmap"), self.ledmap)
        if self.brightness:
            self.last_brightness = self.brightness
        return root.get("v") is True

    def _toggle(self) -> None:
        if self.brightness:
            self.last_brightness = self.brightness
        self.brightness = 0 if self.brightness else self.last_brightness

    def _set_night(self, wanted: object) -> None:
        """The night light: it fades to another brightness."""
        if not isinstance(wanted, dict):
            return
        was_on = self._night["on"]
        self._night["on"] = as_bool(wanted.get("on"), bool(was_on))
        for key in ("dur", "mode", "tbri"):
            self._night[key] = as_byte(wanted.get(key), int(self._night[key]))
        if self._night["on"] and not was_on:
            self._night_from = (self.clock.now(), self.brightness)

    def _fade(self) -> None:
        """handleNightlight()."""
        if not self._night["on"] or self._night_from is None:
            return
        since_s, brightness = self._night_from
        done = min(1.0, (self.clock.now() - since_s) / max(1, 60 * int(self._night["dur"])))
        self.brightness = round(brightness + (int(self._night["tbri"]) - brightness) * done)
        self.last_brightness = self.brightness or self.last_brightness
        self._night["on"] = done < 1

    def _burn(self) -> None:
        """Let the LEDs show it; live data comes before everything that was asked for."""
        leds = self.strip.show(self.brightness)
        leds = leds[::-1] if self.ledmap else leds
        self.world.leds = [(0.1, 6500)] * len(leds) if self._is_live() and not self._override else leds

    def _is_live(self) -> bool:
        return bool(self.stream) and self.clock.now() >= self._live_again_s

    # What it answers

    def _state(self) -> dict[str, Any]:
        """serializeState()."""
        return {
            "on": self.brightness > 0,
            "bri": self.last_brightness,
            "transition": self.transition,
            "ps": -1,
            "pl": self.playlist,
            "ledmap": self.ledmap,
            "nl": {**self._night, "rem": -1},
            "udpn": {"send": False, "recv": True, "sgrp": 1, "rgrp": 1},
            "lor": self._override,
            "mainseg": 0,
            "seg": [self._segment(number) for number, each in enumerate(self.strip.segments) if each.is_active],
        }

    def _segment(self, number: int) -> dict[str, Any]:
        """serializeSegment()."""
        segment = self.strip.segments[number]
        channels = 4 if self.strip.capabilities & WHITE else 3
        return {
            "id": number,
            "start": segment.start,
            "stop": segment.stop,
            "len": segment.stop - segment.start,
            "grp": segment.grouping,
            "spc": segment.spacing,
            "of": segment.offset,
            "on": segment.on,
            "frz": segment.frozen,
            "bri": segment.opacity or 255,
            "cct": segment.cct,
            "col": [segment.colour[:channels], [0] * channels, [0] * channels],
            "fx": segment.mode,
            "sel": segment.selected,
            "rev": segment.reverse,
            "mi": segment.mirror,
        } | REST_OF_SEGMENT

    def _info(self) -> dict[str, Any]:
        """serializeInfo()."""
        lit = self.strip.capabilities
        return {
            "ver": VERSION,
            "vid": BUILD,
            "cn": "Kōsen",
            "release": "ESP32",
            "leds": {
                "count": self.strip.count,
                "pwr": self.strip.used_ma,
                "fps": 42,
                "maxpwr": self.strip.limit_ma if self.strip.used_ma else 0,
                "maxseg": self.strip.most_segments,
                "bootps": 0,
                "seglc": [lit for each in self.strip.segments if each.is_active],
                "lc": lit,
                "rgbw": bool(lit & WHITE),
                "wv": bool(lit & WHITE),
                "cct": bool(lit & CCT),
            }
            | ({"matrix": {"w": self.matrix[0], "h": self.matrix[1]}} if self.matrix else {}),
            "live": self._is_live(),
            "lm": self.stream if self._is_live() else "",
        } | REST_OF_INFO
