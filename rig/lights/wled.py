"""Lightbox: a ring of LEDs on a WLED controller, spoken to in JSON over its serial port.

Written to WLED's documentation and source (kno.wled.ge: serial, json-api; github.com/wled/WLED: wled_serial.cpp,
json.cpp). A wrong or cut message is dropped without a word, so every state is read back (``"v":true``) and compared
before it counts.

A light is laid out as segments that together cover the whole ring, so that no LED keeps what an earlier light left in
it.
"""

from __future__ import annotations

import itertools
import json
import time
from typing import Any, Literal

from pydantic import Field

from rig.clock import Clock
from rig.devices import Light
from rig.errors import DeviceError, NoAnswerError
from rig.lights.light import SerialLightbox, SerialLightboxConfig, in_sectors
from rig.link import SerialLink
from rig.serial_device import TRIES


class WledConfig(SerialLightboxConfig):
    """`lightbox:` of rig.yaml for WLED."""

    kind: Literal["wled"] = "wled"
    leds: int = Field(default=60, ge=6, le=1000)
    led0_azimuth_deg: float = Field(
        default=3.0, description="where the first LED stands; the others follow counter-clockwise"
    )
    white: tuple[int, ...] = Field(
        default=(255, 255, 255), min_length=3, max_length=4, description="RGB or RGBW for white"
    )
    settle_s: float = Field(default=0.03, ge=0, description="until the LEDs burn steadily")
    boot_s: float = Field(default=6.0, gt=0, description="longest wait for the controller to start (wall-clock)")


class WledLightbox(SerialLightbox[WledConfig]):
    """The lightbox."""

    def __init__(self, config: WledConfig, clock: Clock, link: SerialLink | None = None) -> None:
        super().__init__(config, clock, link)
        self._segments = 1

    def _greet(self) -> str:
        """Wait until it answers, check its LEDs, and go dark."""
        # An ESP32 may or may not restart when its port opens, and says nothing certain when it is up: ask until
        # it answers.
        self.link.drain()  # what it says while it starts
        answer = None
        deadline = time.monotonic() + self.config.boot_s
        while answer is None and time.monotonic() < deadline:
            answer = self._exchange({"v": True}, 0.3)
        if answer is None:
            raise NoAnswerError(
                self.link.device,
                f"no answer to '{{\"v\":true}}' within {self.config.boot_s:g} s.",
                "Check its power, that it runs WLED 0.13 or newer, and that GPIO1 and GPIO3 carry no LEDs.",
            )
        info = answer["info"]
        count = info["leds"].get("count") if isinstance(info.get("leds"), dict) else None
        if count != self.config.leds:
            raise DeviceError(
                self.link.device,
                f"it has {count} LEDs, rig.yaml says {self.config.leds}.",
                "Correct `leds` in rig.yaml, or the LED setting of WLED.",
            )
        self._segments = len(_segments(answer["state"]))
        self.dark()
        return f"WLED {info.get('ver', '?')}"

    def stop(self) -> None:
        """Lights off at once, from any thread."""
        self.link.send(b'{"on":false,"tt":0}\n')

    def show(self, light: Light) -> None:
        """Light exactly this, verified by reading back.

        Raises
        ------
        NoAnswerError
            If the lightbox does not report that state, after several tries.
        """
        runs = _runs(in_sectors(light.sectors, self.config.leds, self.config.led0_azimuth_deg))
        cct = (light.colour_temperature_k - 1900) >> 5
        segments: list[dict[str, Any]] = [
            {"id": number, "start": first, "stop": last, "on": lit, "bri": 255, "fx": 0, "cct": cct}
            | {"frz": False, "col": [list(self.config.white)]}
            for number, (first, last, lit) in enumerate(runs)
        ]
        self._set({"on": True, "bri": max(1, round(255 * light.intensity)), "seg": segments})

    def dark(self) -> None:
        """All LEDs off, verified by reading back."""
        self._set({"on": False})

    def _set(self, wanted: dict[str, Any]) -> None:
        with self.link.lock:
            segments = wanted.get("seg", [])
            # Segments the last light had and this one has not: a stop of 0 deletes them, the last first.
            surplus = [{"id": number, "stop": 0} for number in range(self._segments - 1, len(segments) - 1, -1)]
            message = {"transition": 0, "tt": 0, **wanted, "v": True}
            if segments:
                message["seg"] = segments + surplus
            for _ in range(TRIES):
                answer = self._exchange(message, self.config.answer_s)
                if answer is not None:
                    self._segments = max(len(_segments(answer["state"])), len(segments))
                    if _agrees(answer["state"], wanted):
                        self.clock.sleep(self.config.settle_s)
                        return
            raise NoAnswerError(
                self.link.device,
                "it does not report the light it was asked for." if answer else "it does not answer.",
                "Check its power and cable, and that no preset, playlist or app changes it meanwhile.",
            )

    def _exchange(self, message: dict[str, Any], timeout_s: float) -> dict[str, Any] | None:
        """Send a message and return the state and info it is answered with, None when there is no sound answer."""
        self.link.send(json.dumps(message, separators=(",", ":")).encode() + b"\n")
        found: list[dict[str, Any]] = []

        def is_answer(line: str) -> bool:
            try:
                answer = json.loads(line)
            except (ValueError, RecursionError):
                return False
            if (
                isinstance(answer, dict)
                and isinstance(answer.get("state"), dict)
                and isinstance(answer.get("info"), dict)
            ):
                found.append(answer)
            return bool(found)

        try:
            self.link.wait_for(is_answer, timeout_s, "state")
        except NoAnswerError:
            return None
        return found[0]


def _runs(lit: list[bool]) -> list[tuple[int, int, bool]]:
    """Runs of LEDs in one state: first, last + 1, whether lit."""
    edges = [0, *(n for n in range(1, len(lit)) if lit[n] != lit[n - 1]), len(lit)]
    return [(first, last, lit[first]) for first, last in itertools.pairwise(edges)]


def _agrees(state: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a state read back shows what was wanted."""
    if not wanted["on"]:
        return state.get("on") is False
    segments = _segments(state)
    if state.get("on") is not True or state.get("bri") != wanted["bri"] or len(segments) != len(wanted["seg"]):
        return False
    return all(
        isinstance(shown, dict)
        and all(shown.get(key) == segment[key] for key in ("start", "stop", "on", "bri", "fx", "cct"))
        and _same_colour(shown.get("col"), segment["col"][0])
        for shown, segment in zip(segments, wanted["seg"], strict=True)
    )


def _segments(state: dict[str, Any]) -> list[Any]:
    """The segments of a state read back."""
    segments = state.get("seg")
    return segments if isinstance(segments, list) else []


def _same_colour(shown: object, wanted: list[int]) -> bool:
    """Whether the primary colour is right; a strip with white LEDs reports a fourth channel."""
    if not isinstance(shown, list) or not shown or not isinstance(shown[0], list):
        return False
    return shown[0][: len(wanted)] == wanted and not any(shown[0][len(wanted) :])
