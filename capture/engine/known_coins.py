"""What earlier frames show of a coin, for comparing it with what lies on the plate now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from calibration.image import Image
from calibration.outline import find_coins
from capture.engine.context import ScanContext
from capture.engine.recognise import Portrait, mean_of, portrait
from capture.store.labels import Labels
from capture.store.records import Frame
from rig.sides import Side

LIGHTS = 3  # images of one portrait: under as many lights, evenly out of those there are

Setting = tuple[str, int, float]
"""Light, exposure (us) and gain of an image."""


@dataclass(frozen=True)
class KnownSide:
    """A coin side as it was photographed earlier at one angle of the plate."""

    frames: tuple[Frame, ...]
    portrait: Portrait

    @property
    def turntable_deg(self) -> float:
        """Where the plate stood."""
        return self.frames[0].turntable_deg or 0.0

    @property
    def diameter_mm(self) -> float | None:
        """The coin's; None without a calibration."""
        return diameter_mm(self.portrait, self.frames[0].mm_per_pixel)

    def settings(self, exposure_us: int) -> list[Setting]:
        """How a coin has to be lit to be compared: a run that was cut short may have left but one light of a side."""
        return [
            (str(frame.light), int(frame.exposure_us or exposure_us), float(frame.gain or 1.0)) for frame in self.frames
        ]


class KnownCoins:
    """Every coin that was scanned before, under any session; what was read of a side is kept for the run."""

    def __init__(self, context: ScanContext) -> None:
        self._store = context.store
        self._labels = Labels.read(context.store)
        self._lights = list(context.station.light_names)
        self._sides: dict[tuple[str, Side], KnownSide] = {}

    def coins(self) -> list[str]:
        """Every coin of which there is a frame."""
        return self._store.frames.scanned_coins()

    def recorded_mm(self, coin: str) -> float | None:
        """The diameter that was written down for a coin, by somebody, somehow."""
        record = self._store.coins.get(coin)
        return record.diameter_mm if record else None

    def side(self, coin: str, side: Side) -> KnownSide | None:
        """What is known of a coin side; None if it was never photographed, or its frames show no coin."""
        if (coin, side) not in self._sides:
            frames = self.frames(coin, side)
            seen = portrait_of([self._store.image(frame.sha256) for frame in frames]) if frames else None
            if seen is None:
                return None
            self._sides[coin, side] = KnownSide(frames, seen)
        return self._sides[coin, side]

    def frames(self, coin: str, side: Side) -> tuple[Frame, ...]:
        """Good frames of a coin side at one angle of the plate: of many lights rather than few, new rather than old."""
        groups: dict[tuple[str, str, float], dict[str, Frame]] = {}
        for frame in self._labels.find(self._store, coin, side):
            if frame.shot_id is not None and frame.light in self._lights and not frame.tilt_deg:
                key = (frame.session_id, frame.placement, frame.turntable_deg or 0.0)
                groups.setdefault(key, {})[str(frame.light)] = frame
        best: dict[str, Frame] = {}
        for group in groups.values():  # oldest first
            if min(len(group), LIGHTS) >= min(len(best), LIGHTS):
                best = group
        return tuple(best[light] for light in evenly([light for light in self._lights if light in best]))


def portrait_of(images: Sequence[Image]) -> Portrait | None:
    """The portrait of the coin that images of one scene show; None if they show none."""
    mean = mean_of(images)
    outlines = find_coins(mean)
    return portrait(mean, outlines[0]) if outlines else None


def diameter_mm(seen: Portrait, mm_per_pixel: float | None) -> float | None:
    """The diameter of the coin in a portrait; None without a calibration."""
    return 2.0 * seen.radius_px * mm_per_pixel if mm_per_pixel is not None else None


def checked_diameter_mm(frames: Sequence[Frame]) -> float | None:
    """The diameter that frames were checked with, without reading their images; None where it was not measured."""
    radii = [frame.quality["radius_px"] for frame in frames if "radius_px" in frame.quality]
    scale = frames[0].mm_per_pixel
    return 2.0 * median(radii) * scale if radii and scale is not None else None


def evenly(lights: Sequence[str]) -> list[str]:
    """As many lights as a portrait takes, spread over those there are."""
    if len(lights) <= LIGHTS:
        return list(lights)
    return [lights[number * len(lights) // LIGHTS] for number in range(LIGHTS)]
