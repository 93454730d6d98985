"""The lightbox's ring of LEDs as lamps of the scene."""

from __future__ import annotations

from collections.abc import Sequence

from rig.twin.scene import Lamp

# One lamp of the scene stands for at most this much of the ring; at full power its intensity is then 1.
LAMP_SPAN_DEG = 60.0

# Level (0 to 1) and colour temperature (K) of one LED.
Led = tuple[float, int]


def lamps(leds: Sequence[Led], led0_azimuth_deg: float, elevation_deg: float) -> tuple[Lamp, ...]:
    """Neighbouring LEDs of one level and colour as one lamp, at most `LAMP_SPAN_DEG` wide.

    Parameters
    ----------
    leds
        All LEDs of the ring, counter-clockwise.
    led0_azimuth_deg
        Where the first one stands.
    elevation_deg
        How high the ring stands as seen from the plate.
    """
    if not leds:
        return ()
    count = len(leds)
    pitch_deg = 360.0 / count
    longest = max(1, round(LAMP_SPAN_DEG / pitch_deg))
    # Begin where something changes, so that a run across LED 0 stays whole.
    begin = next((n for n in range(count) if leds[n] != leds[n - 1]), 0)
    runs: list[list[int]] = []
    for n in range(begin, begin + count):
        if runs and leds[n % count] == leds[runs[-1][0] % count] and len(runs[-1]) < longest:
            runs[-1].append(n)
        else:
            runs.append([n])
    found = []
    for run in runs:
        level, colour_temperature_k = leds[run[0] % count]
        if level > 0:
            azimuth_deg = (led0_azimuth_deg + (run[0] + run[-1]) / 2 * pitch_deg) % 360.0
            found.append(
                Lamp(azimuth_deg, elevation_deg, level * len(run) * pitch_deg / LAMP_SPAN_DEG, colour_temperature_k)
            )
    return tuple(found)
