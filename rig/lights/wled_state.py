"""What WLED reports of itself: whether it is an answer, and whether the LEDs show what was asked for."""

from __future__ import annotations

import json
from typing import Any

# How a segment is to be laid out: every LED of it, in the order that they have, steadily.
PLAIN: dict[str, Any] = {"bri": 255, "fx": 0, "frz": False, "grp": 1, "spc": 0, "of": 0, "rev": False, "mi": False}
RGB, WHITE = 1, 2  # of `lc`, the light capabilities
SPARE_MA = 2  # by rounding

Problem = tuple[str, str]  # what is wrong, and what to do

INTERFERES = "Look who changes it meanwhile: a preset, an app, a button or an automation; then run the command again."
REMEDIES = {
    "live": "Stop what sends live data to it, or switch that off in WLED (Sync settings).",
    "nl": "Switch WLED's night light (timer) off.",
    "pl": "Stop the playlist in WLED.",
    "ledmap": "Look who selects it, a preset or a playlist; remove `ledmap1.json` and the like in WLED's file editor.",
    "bri": "Look in WLED for what limits its brightness: a usermod or an automation.",
    "col": "Correct `white` in rig.yaml: its LEDs may have no RGB, or no white.",
}


def read(line: str) -> dict[str, Any] | None:
    """State and info; None if the line is anything else."""
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    return answer if isinstance(answer.get("state"), dict) and isinstance(answer.get("info"), dict) else None


def tag(answer: dict[str, Any]) -> object:
    """The number that the question gave to its answer."""
    night = answer["state"].get("nl")
    return night.get("dur") if isinstance(night, dict) else None


def numbers(state: dict[str, Any]) -> list[int]:
    """The numbers of the segments that there are."""
    return [number for segment in _segments(state) if isinstance(number := segment.get("id"), int)]


def wrong_leds(leds: dict[str, Any], count: int, white: tuple[int, ...]) -> Problem | None:
    """What of the LEDs is other than rig.yaml says."""
    if leds.get("count") != count:
        return (
            f"it has {leds.get('count')} LEDs, rig.yaml says {count}.",
            "Correct `leds` in rig.yaml, or the LED setting of WLED.",
        )
    if isinstance(matrix := leds.get("matrix"), dict):
        return (
            f"its LEDs are set up as a matrix of {matrix.get('w')} by {matrix.get('h')}, not as a ring.",
            "Switch 2D off in WLED (2D configuration).",
        )
    lights = leds.get("lc")
    if isinstance(lights, int) and any(white[:3]) and not lights & RGB:
        return "its LEDs have no colours.", "Set `white: [0, 0, 0, 255]` for the lightbox in rig.yaml."
    if isinstance(lights, int) and any(white[3:]) and not lights & WHITE:
        return "its LEDs have no white.", "Set `white: [255, 255, 255]` for the lightbox in rig.yaml."
    return None


def difference(answer: dict[str, Any], wanted: dict[str, Any]) -> Problem | None:
    """What the LEDs do other than was asked for, and what to do; None if nothing."""
    state, info = answer["state"], answer["info"]
    if info.get("live") is True:
        sender = " ".join(str(info[key]) for key in ("lm", "lip") if info.get(key))
        return f"it shows live data ({sender or 'from somebody'}), not the light asked for.", REMEDIES["live"]
    if isinstance(night := state.get("nl"), dict) and night.get("on") is True:
        return "its night light changes the brightness.", REMEDIES["nl"]
    if not wanted["on"]:
        return None if state.get("on") is False else _other("on", state.get("on"), False)
    if isinstance(playlist := state.get("pl"), int) and playlist >= 0:
        return f"playlist {playlist} runs.", REMEDIES["pl"]
    if state.get("ledmap", 0) != 0:
        return f"LED map {state['ledmap']} renumbers its LEDs.", REMEDIES["ledmap"]
    for key in ("on", "bri"):
        if state.get(key) != wanted[key]:
            return _other(key, state.get(key), wanted[key])
    segments = _segments(state)
    if len(segments) != len(wanted["seg"]):
        return _other("number of segments", len(segments), len(wanted["seg"]))
    for number, (shown, segment) in enumerate(zip(segments, wanted["seg"], strict=True)):
        for key in segment.keys() - {"id", "col"}:
            if shown.get(key, segment[key] if key in PLAIN else None) != segment[key]:
                return _other(key, shown.get(key), segment[key], number)
        if not _same_colour(shown.get("col"), segment["col"][0]):
            return _other("col", shown.get("col"), segment["col"], number)
    return _limited(info.get("leds"))


def _limited(leds: object) -> Problem | None:
    """The power limiter, by the current that it estimates (mA): at its limit it dims."""
    if not isinstance(leds, dict):
        return None
    most_ma, now_ma, count = leds.get("maxpwr"), leds.get("pwr"), leds.get("count")
    if not isinstance(most_ma, int) or not isinstance(now_ma, int) or most_ma <= 0:
        return None
    standby_ma = count if isinstance(count, int) else 0  # 0.15 leaves it out of the sum
    if now_ma + standby_ma + SPARE_MA < most_ma:
        return None
    return (
        f"its power limiter dims the light: it allows {most_ma} mA.",
        "Raise `maximum PSU current` in WLED's LED settings to what the LEDs and their supply take, or lower "
        "`intensity` in rig.yaml.",
    )


def _other(key: str, shown: object, wanted: object, segment: int | None = None) -> Problem:
    where = f" in segment {segment}" if segment is not None else ""
    return f"it reports {key} {shown!r}{where}, and was asked for {wanted!r}.", REMEDIES.get(key, INTERFERES)


def _segments(state: dict[str, Any]) -> list[dict[str, Any]]:
    segments = state.get("seg")
    return [each for each in segments if isinstance(each, dict)] if isinstance(segments, list) else []


def _same_colour(shown: object, wanted: list[int]) -> bool:
    """Whether the primary colour is right; a strip with white LEDs reports a fourth channel."""
    if not isinstance(shown, list) or not shown or not isinstance(shown[0], list):
        return False
    return shown[0][: len(wanted)] == wanted and not any(shown[0][len(wanted) :])
