"""What lies on the plate: nothing, two coins, the coin that should, or another one.

A coin that was scanned before is compared with its earlier frames, before anything is written under its name: its
diameter, and whichever side is up (`capture.engine.recognise`). One that never was cannot be: it is taken for what the
tray file says.

Two coins that came up together are told by their outline, and by what stands out beside the one that was outlined.
Measured on the twin (640 x 480, one light or the mean of three, half over one another as in a doubled slot): of 640
pairs 3 passed for one coin, of 640 single coins 3, all out of photographs and far from round, for two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

import cv2
import numpy as np

from calibration.image import Image
from calibration.outline import Outline, find_coins, share_beside
from capture.engine.recognise import SAME_SIDE, Portrait, agreement, mean_of, portrait
from capture.plan import Plan
from capture.store import Store
from capture.store.records import Frame
from rig.errors import NoAnswerError
from rig.sides import SIDES, Side
from rig.station import Station

LIGHTS = 3  # pictures of one portrait: under as many lights, evenly out of those there are
TURN_DEG = 30.0  # the plate's, where the light may have to come from elsewhere
SAME_DIAMETER = 0.05  # share that two measurements of one coin may differ by
LIKELY_DIAMETER = 0.08  # the same, where one is of single frames, each lit from one side
RECORDED_DIAMETER = 0.15  # the same, where one was written down by somebody, of whatever measure of an uneven flan
ONE_COIN = 0.8  # share of its circle that a coin fills: 0.92 at the median on the twin, two overlapping ones 0.72
LIT = 6.0  # grey level that the brightest 1 % reaches; 24 and more on the twin's bare plate, 3 without light
BESIDE = 0.04  # share of its area that may stand out beside it: 0.003 for one coin on the twin, else 0.06 and more
SECOND_COIN = 0.35  # radius over the largest one's from which on another thing counts as a coin

Setting = tuple[str, int, float]
Look = Callable[[str, int, float], Image]
"""Takes a picture of the plate: light, exposure (us), gain."""


@dataclass(frozen=True)
class Sight:
    """What was seen on the plate.

    Attributes
    ----------
    coins
        0, 1, or 2 for more than one.
    diameter_mm
        Of the one coin; None without a calibration.
    side
        The side of the expected coin that is up, where it agrees with earlier frames.
    compared
        Sides of the expected coin of which there are earlier frames.
    other_size
        A sentence where the diameter speaks against the expected coin.
    portraits
        The one coin's, for `Arrivals.looks_like`.
    """

    coins: int
    diameter_mm: float | None = None
    side: Side | None = None
    compared: tuple[Side, ...] = ()
    other_size: str | None = None
    portraits: tuple[Portrait, ...] = ()


@dataclass(frozen=True)
class _Earlier:
    """A coin side as it was photographed earlier at one angle of the plate."""

    frames: tuple[Frame, ...]
    portrait: Portrait

    @property
    def diameter_mm(self) -> float | None:
        return _diameter_mm(self.portrait, self.frames[0].mm_per_pixel)


class Arrivals:
    """Looks at what lies on the plate.

    Parameters
    ----------
    station, look
        The rig: who turns the plate, and who takes pictures of it.
    store
        Where earlier frames are.
    plan
        How a coin is lit that has none.
    mm_per_pixel
        Scale of the camera; None if it was not calibrated.
    """

    def __init__(self, station: Station, store: Store, plan: Plan, look: Look, mm_per_pixel: float | None) -> None:
        self._station = station
        self._store = store
        self._plan = plan
        self._look = look
        self._mm_per_pixel = mm_per_pixel
        self._earlier: dict[tuple[str, str], _Earlier] = {}

    def plate_is_free(self) -> bool:
        """Whether nothing lies on the plate.

        Raises
        ------
        NoAnswerError
            If none of the plan's lights lights it.
        """
        for light in self._plan.lights:
            picture = self._look(light, self._plan.exposure_us, self._plan.gain)
            if find_coins(picture):
                return False
            if _is_lit(picture):
                return True
        raise _dark()

    def examine(self, coin: str, *, compare: bool = True) -> Sight:
        """Look whether what lies on the plate is a coin, one, and the one it should be.

        Parameters
        ----------
        compare
            False to count only.
        """
        earlier = {side: known for side in SIDES if compare and (known := self._earlier_of(coin, side))}
        settings = self._settings(list(earlier.values()))
        if earlier:  # a coin that nobody touched is seen best as it was seen last
            self._station.rotate_to(next(iter(earlier.values())).frames[0].turntable_deg or 0.0)
        views = self._views(settings)
        mean = mean_of(list(views.values()))
        outlines = find_coins(mean)
        if not outlines:
            if not _is_lit(mean):
                raise _dark()
            return Sight(0)
        largest = outlines[0]
        if any(each.radius_px >= SECOND_COIN * largest.radius_px for each in outlines[1:]):
            return Sight(2)
        if share_beside(mean, largest) >= BESIDE:
            return Sight(2)
        seen = [portrait(mean, largest)]
        diameter_mm = _diameter_mm(seen[0], self._mm_per_pixel)
        other_size = self._other_size(coin, diameter_mm, seen[0], earlier.values()) if compare else None
        side = self._turn_until(earlier, views, seen) if earlier and other_size is None else None
        if compare and side is None and _share_of_circle(largest) < ONE_COIN:
            return Sight(2, diameter_mm)
        return Sight(1, diameter_mm, side, tuple(earlier), other_size, tuple(seen))

    def looks_like(self, sight: Sight, likely: Iterable[str]) -> str | None:
        """The coin that agrees with what was seen: a likely one, else any that was ever scanned; None if none does."""
        for coin in dict.fromkeys([*likely, *self._store.frames.scanned_coins()]):
            for side in SIDES:
                frames = self._frames(coin, side)
                if not frames or not _may_be(sight, frames):
                    continue
                known = self._earlier_of(coin, side)
                if known and max(agreement(known.portrait, each) for each in sight.portraits) >= SAME_SIDE:
                    return coin
        return None

    def _turn_until(
        self, earlier: dict[Side, _Earlier], views: dict[Setting, Image], seen: list[Portrait]
    ) -> Side | None:
        """The side that agrees, at whatever angle of the plate it does; what else is seen on the way is added."""
        start_deg = next(iter(earlier.values())).frames[0].turntable_deg or 0.0
        turns = round(360.0 / TURN_DEG)
        for turn in range(1, turns + 1):
            for side, known in earlier.items():
                now = _portrait([views[setting] for setting in self._lit_as(known)])
                if now is not None and agreement(known.portrait, now) >= SAME_SIDE:
                    return side
            if turn < turns:
                self._station.rotate_to((start_deg + turn * TURN_DEG) % 360.0)
                views = self._views(list(views))
                now = _portrait(list(views.values()))
                if now is not None:
                    seen.append(now)
        return None

    def _views(self, settings: Sequence[Setting]) -> dict[Setting, Image]:
        return {setting: self._look(*setting) for setting in settings}

    def _lit_as(self, known: _Earlier) -> list[Setting]:
        """How a coin has to be lit to be compared: a run that was cut short may have left but one light of a side."""
        return [
            (str(frame.light), int(frame.exposure_us or self._plan.exposure_us), float(frame.gain or 1.0))
            for frame in known.frames
        ]

    def _settings(self, earlier: Sequence[_Earlier]) -> list[Setting]:
        """How to light the coin: as it was earlier, else as the plan will."""
        if earlier:
            return list(dict.fromkeys(setting for known in earlier for setting in self._lit_as(known)))
        lights = _evenly([light for light in self._station.light_names if light in self._plan.lights])
        return [(light, self._plan.exposure_us, self._plan.gain) for light in lights]

    def _earlier_of(self, coin: str, side: Side) -> _Earlier | None:
        if (coin, side) not in self._earlier:
            frames = self._frames(coin, side)
            if not frames:
                return None
            known = _portrait([self._store.image(frame.sha256) for frame in frames])
            if known is None:
                return None
            self._earlier[coin, side] = _Earlier(frames, known)
        return self._earlier[coin, side]

    def _frames(self, coin: str, side: Side) -> tuple[Frame, ...]:
        """Good frames of a coin side at one angle of the plate: of many lights rather than few, new rather than old."""
        lights = self._station.light_names
        groups: dict[tuple[str, str, float], dict[str, Frame]] = {}
        for frame in self._store.frames.find(None, coin, side):
            if frame.shot_id is not None and frame.light in lights and not frame.tilt_deg:
                key = (frame.session_id, frame.placement, frame.turntable_deg or 0.0)
                groups.setdefault(key, {})[str(frame.light)] = frame
        best: dict[str, Frame] = {}
        for group in groups.values():  # oldest first
            if min(len(group), LIGHTS) >= min(len(best), LIGHTS):
                best = group
        return tuple(best[light] for light in _evenly([light for light in lights if light in best]))

    def _other_size(
        self, coin: str, diameter_mm: float | None, seen: Portrait, earlier: Iterable[_Earlier]
    ) -> str | None:
        """How the diameter speaks against the coin; None if it does not."""
        for known in earlier:
            if diameter_mm is not None and known.diameter_mm is not None:
                if _differ(diameter_mm, known.diameter_mm) > SAME_DIAMETER:
                    return f"It measures {diameter_mm:.1f} mm, and that coin measured {known.diameter_mm:.1f} mm."
            elif diameter_mm is known.diameter_mm and _differ(seen.radius_px, known.portrait.radius_px) > SAME_DIAMETER:
                return "It is of another size than earlier pictures show that coin."
        record = self._store.coins.get(coin)
        recorded_mm = record.diameter_mm if record else None
        if diameter_mm is not None and recorded_mm and _differ(diameter_mm, recorded_mm) > RECORDED_DIAMETER:
            return f"It measures {diameter_mm:.1f} mm, and that coin is recorded with {recorded_mm:.1f} mm."
        return None


def _portrait(pictures: Sequence[Image]) -> Portrait | None:
    """The portrait of the coin that pictures show; None if they show none."""
    mean = mean_of(pictures)
    outlines = find_coins(mean)
    return portrait(mean, outlines[0]) if outlines else None


def _may_be(sight: Sight, frames: Sequence[Frame]) -> bool:
    """Whether the diameter that frames were checked with, still unread, allows for the coin that was seen."""
    radii = [frame.quality["radius_px"] for frame in frames if "radius_px" in frame.quality]
    if not radii or not sight.portraits:
        return bool(sight.portraits)
    if sight.diameter_mm is None or frames[0].mm_per_pixel is None:
        return True
    return _differ(sight.diameter_mm, 2.0 * median(radii) * frames[0].mm_per_pixel) <= LIKELY_DIAMETER


def _is_lit(picture: Image) -> bool:
    return float(np.percentile(cv2.cvtColor(picture[::4, ::4], cv2.COLOR_RGB2GRAY), 99)) >= LIT


def _dark() -> NoAnswerError:
    return NoAnswerError(
        "lightbox",
        "it says that its lamps burn, and the camera sees none of their light.",
        "Look whether they burn, and whether the lens is free.",
    )


def _diameter_mm(seen: Portrait, mm_per_pixel: float | None) -> float | None:
    return 2.0 * seen.radius_px * mm_per_pixel if mm_per_pixel is not None else None


def _differ(one: float, other: float) -> float:
    return abs(one - other) / max(other, 1e-6)


def _evenly(lights: Sequence[str]) -> list[str]:
    if len(lights) <= LIGHTS:
        return list(lights)
    return [lights[number * len(lights) // LIGHTS] for number in range(LIGHTS)]


def _share_of_circle(outline: Outline) -> float:
    """Area over that of the smallest circle around it."""
    points = cv2.findNonZero(outline.mask.view(np.uint8))
    _, radius_px = cv2.minEnclosingCircle(cv2.convexHull(points))
    return float((outline.radius_px / max(radius_px, 1e-6)) ** 2)
