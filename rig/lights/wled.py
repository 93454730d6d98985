"""Lightbox: a ring of LEDs on a WLED controller, spoken to in JSON over its serial port.

Written to the source of WLED (wled/WLED v0.15.0 faadb67 and v16.0.1 29b389d, wled00: wled_serial.cpp, json.cpp,
led.cpp, FX_fcn.cpp, bus_manager.cpp, udp.cpp):

- A wrong or cut message is dropped unanswered, and what is left of it may be taken for commands. So a light is set
  in one message and asked for in the next, and counts only once its answer shows it.
- An answer is 2 kB long and may be late, after a start above all. Each question sets the length of the night light,
  which stays off, to a number of its own: the answer with that number is its answer.
- A light is laid out as segments that together cover the whole ring, so that no LED keeps what an earlier light left in
  it. One that was deleted, here or in an app, leaves a gap in the numbers; what is no longer wanted is deleted by the
  numbers reported. Grouping, spacing, offset, reverse and mirror outlive everything: they are set every time. So does a
  map that renumbers the LEDs (``ledmap``): map 0, that of the lightbox as it was set up, is loaded where another is.
- ``bri`` reads what was asked for whatever the LEDs do. So the night light, live data, playlists and what the power
  limiter (850 mA as it comes) estimates are read as well. Not to be read over this port: `brightness factor`, limits
  per output, and whether a LED burns.
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
from rig.lights import wled_state
from rig.lights.light import SerialLightbox, SerialLightboxConfig, in_sectors
from rig.link import SerialLink
from rig.serial_device import TRIES

ASK_AGAIN_S = 0.5  # while it starts
STARTED = "Ada"  # what it prints when it listens (WLED::setup, wled.cpp)
ANSWER_BYTES = 2600
OFF = {"transition": 0, "tt": 0, "live": False, "nl": {"on": False}}
TAGS = 250  # a night light lasts 1 to 255 minutes
END = b"\0\n"  # ends whatever it is reading: its JSON reader stops at a 0, and the byte behind that is discarded


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
        self._segments: list[int] = [0]  # the numbers of those that there are
        self._map: Any = 0  # of its LEDs' numbers; another than 0 renumbers them
        self._has_cct = True
        self._tag = 0

    def estimate_s(self) -> float:
        """Time a change of light takes, most of it for the answer (s)."""
        return super().estimate_s() + ANSWER_BYTES * 10 / self.config.baud

    def _greet(self) -> str:
        """Wait until it answers, check its LEDs, and go dark."""
        # An ESP32 may or may not restart when its port opens, and may or may not print that it has started: ask until
        # it answers.
        answer = None
        deadline = time.monotonic() + self.config.boot_s
        while answer is None and time.monotonic() < deadline:
            answer = self._ask(min(ASK_AGAIN_S, self.config.answer_s), any_answer=True)
        if answer is None:
            raise NoAnswerError(
                self.link.device,
                f"no answer to '{{\"v\":true}}' within {self.config.boot_s:g} s{self.link.heard()}.",
                "Check its power, that it runs WLED 0.13 or newer, and that GPIO1 and GPIO3 carry no LEDs.",
            )
        self._check_build(answer["info"])
        self._segments = wled_state.numbers(answer["state"])
        self._map = answer["state"].get("ledmap", 0)
        self.dark()
        return f"WLED {answer['info'].get('ver', '?')}"

    def stop(self) -> None:
        """Lights off at once, from any thread, behind half a message too."""
        self.link.send(END + b'{"on":false,"tt":0}\n')

    def show(self, light: Light) -> None:
        """Light exactly this, verified by reading back.

        Raises
        ------
        NoAnswerError
            If it does not answer.
        DeviceError
            If it does not report that light after several tries, or something else decides what the LEDs do: live data,
            a playlist, the power limiter.
        """
        cct = {"cct": (light.colour_temperature_k - 1900) >> 5} if self._has_cct else {}
        segments: list[dict[str, Any]] = [
            {"id": number, "start": first, "stop": last, "on": lit, "col": [list(self.config.white)], **cct}
            | wled_state.PLAIN
            for number, (first, last, lit) in enumerate(self._runs(light))
        ]
        self._set({"on": True, "bri": max(1, round(255 * light.intensity)), "seg": segments})

    def dark(self) -> None:
        """All LEDs off, verified by reading back."""
        self._set({"on": False})

    def _runs(self, light: Light) -> list[tuple[int, int, bool]]:
        """Runs of LEDs in one state: first, last + 1, whether lit."""
        lit = in_sectors(light.sectors, self.config.leds, self.config.led0_azimuth_deg)
        edges = [0, *(n for n in range(1, len(lit)) if lit[n] != lit[n - 1]), len(lit)]
        return [(first, last, lit[first]) for first, last in itertools.pairwise(edges)]

    def _check_build(self, info: dict[str, Any]) -> None:
        """Make sure that it has the LEDs that rig.yaml describes, and can show every light there."""
        leds = info["leds"] if isinstance(info.get("leds"), dict) else {}
        self._settings = {name: str(leds[name]) for name in ("count", "lc", "maxpwr", "maxseg") if name in leds}
        self._has_cct = bool(leds.get("cct", True))
        lights = [
            Light(name, light.sectors_deg, light.intensity, light.colour_temperature_k)
            for name, light in self.config.lights.items()
        ]
        most = leds.get("maxseg")
        many = [light.name for light in lights if isinstance(most, int) and len(self._runs(light)) > most]
        problem = wled_state.wrong_leds(leds, self.config.leds, self.config.white)
        kelvin = sorted({light.colour_temperature_k for light in lights})
        if many:
            problem = (
                f"its build allows {most} segments, and light {many[0]!r} needs more.",
                "Flash a build that allows more segments, or take fewer sectors for that light in rig.yaml.",
            )
        elif not self._has_cct and len(kelvin) > 1:
            problem = (
                f"its LEDs burn with one colour temperature, and the lights in rig.yaml ask for {kelvin} K.",
                "Give all lights in rig.yaml the `colour_temperature_k` of the LEDs, or switch WLED's white balance "
                "correction on (LED settings).",
            )
        if problem:
            raise DeviceError(self.link.device, *problem)

    def _set(self, wanted: dict[str, Any]) -> None:
        with self.link.lock:
            problem: tuple[str, str] | None = None
            for _ in range(TRIES):
                message = {**OFF, **wanted}
                if self._map:
                    message["ledmap"] = 0  # it is read from flash, so only where it has to be
                if "seg" in wanted:
                    mine = [segment["id"] for segment in wanted["seg"]]
                    # A stop of 0 deletes; the last first, as those behind it may close up.
                    surplus = [number for number in reversed(self._segments) if number not in mine]
                    message["seg"] = wanted["seg"] + [{"id": number, "stop": 0} for number in surplus]
                self._send(message)
                self.clock.sleep(self.config.settle_s)
                answer = self._ask(self.config.answer_s)
                if answer is None:
                    continue
                self._segments = wled_state.numbers(answer["state"])
                self._map = answer["state"].get("ledmap", 0)
                problem = wled_state.difference(answer, wanted)
                if problem is None:
                    return
            if problem is None:
                raise NoAnswerError(self.link.device, "it does not answer.", "Check its power and cable.")
            raise DeviceError(self.link.device, *problem)

    def _send(self, message: dict[str, Any]) -> None:
        self.link.send(json.dumps(message, separators=(",", ":")).encode() + b"\n")

    def _ask(self, timeout_s: float, *, any_answer: bool = False) -> dict[str, Any] | None:
        """Ask for state and info, and return them; None when no sound answer to this question comes.

        With `any_answer`, one to an earlier question will do, and it is not waited for once it turns out that the
        controller has only now started: it never heard the question.
        """
        self._tag = self._tag % TAGS + 1
        self._send({"nl": {"dur": self._tag}, "v": True})
        found: list[dict[str, Any]] = []

        def is_answer(line: str) -> bool:
            answer = wled_state.read(line)
            if answer is not None and (any_answer or wled_state.tag(answer) == self._tag):
                found.append(answer)
            return bool(found) or (any_answer and line == STARTED)

        try:
            self.link.wait_for(is_answer, timeout_s, "state")
        except NoAnswerError:
            return None
        return found[0] if found else None
