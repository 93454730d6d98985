"""What lies on the plate: nothing, two coins, the coin that should, or another one.

A coin that was scanned before is compared with its earlier frames, before anything is written under its name: its
diameter, and whichever side is up (`capture.engine.recognise`). One that never was cannot be: it is taken for what the
tray file says.

Two coins that came up together are recognised by their outline, and by what stands out beside the one that was
outlined. Measured on the twin (640 x 480, one light or the mean of three, half over one another as in a doubled slot):
of 640 pairs 3 passed for one coin, of 640 single coins 3, all out of photographs and far from round, for two.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from calibration.image import Image
from calibration.outline import Outline, find_coins, share_beside
from capture.engine.context import ScanContext
from capture.engine.expose import Exposer
from capture.engine.known_coins import (
    KnownCoins,
    KnownSide,
    Setting,
    checked_diameter_mm,
    diameter_mm,
    evenly,
    portrait_of,
)
from capture.engine.recognise import SAME_SIDE, Portrait, mean_of, portrait, similarity
from capture.store.records import Frame
from rig.errors import NoAnswerError
from rig.sides import SIDES, Side

TURN_DEG = 30.0  # the plate's, where the light may have to come from elsewhere
SAME_DIAMETER = 0.05  # share that two measurements of one coin may differ by
LIKELY_DIAMETER = 0.08  # the same, where one is of single frames, each lit from one side
RECORDED_DIAMETER = 0.15  # the same, where one was written down by somebody, of whatever measure of an uneven flan
ONE_COIN = 0.8  # share of its circle that a coin fills: 0.92 at the median on the twin, two overlapping ones 0.72
LIT = 6.0  # grey level that the brightest 1 % reaches; 24 and more on the twin's bare plate, 3 without light
BESIDE = 0.04  # share of its area that may stand out beside it: 0.003 for one coin on the twin, else 0.06 and more
SECOND_COIN = 0.35  # radius over the largest one's from which on another thing counts as a coin


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
        The one coin's, for `CoinCheck.find_lookalike`.
    """

    coins: int
    diameter_mm: float | None = None
    side: Side | None = None
    compared: tuple[Side, ...] = ()
    other_size: str | None = None
    portraits: tuple[Portrait, ...] = ()

    @property
    def mismatch(self) -> str | None:
        """Why what lies there is not the expected coin, a sentence; None if nothing says so."""
        if self.other_size is not None:
            return self.other_size
        if self.compared and self.side is None:
            return "It does not look like earlier images of that coin."
        return None


class CoinCheck:
    """Examines what lies on the plate."""

    def __init__(self, context: ScanContext, exposer: Exposer) -> None:
        self._station = context.station
        self._plan = context.plan
        self._mm_per_pixel = context.mm_per_pixel
        self._exposer = exposer
        self._known = KnownCoins(context)

    def plate_is_free(self) -> bool:
        """Whether nothing lies on the plate.

        Raises
        ------
        NoAnswerError
            If none of the plan's lights lights it.
        """
        for light in self._plan.lights:
            image = self._exposer.take_fresh(light, self._plan.exposure_us, self._plan.gain)
            if find_coins(image):
                return False
            if _is_lit(image):
                return True
        raise _dark()

    def examine(self, coin: str, *, compare: bool = True) -> Sight:
        """See whether what lies on the plate is a coin, one, and the one it should be.

        Parameters
        ----------
        compare
            False to count only.
        """
        known = {side: earlier for side in SIDES if compare and (earlier := self._known.side(coin, side))}
        if known:  # a coin that nobody touched is seen best as it was seen last
            self._station.rotate_to(_first(known).turntable_deg)
        views = self._views(self._settings(list(known.values())))
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
        measured_mm = diameter_mm(seen[0], self._mm_per_pixel)
        other_size = self._other_size(coin, measured_mm, seen[0], known.values()) if compare else None
        side = self._turn_until_known(known, views, seen) if known and other_size is None else None
        if compare and side is None and _share_of_circle(largest) < ONE_COIN:
            return Sight(2, measured_mm)
        return Sight(1, measured_mm, side, tuple(known), other_size, tuple(seen))

    def find_lookalike(self, sight: Sight, likely: Iterable[str]) -> str | None:
        """The coin that agrees with what was seen: a likely one, else any that was ever scanned; None if none does."""
        for coin in dict.fromkeys([*likely, *self._known.coins()]):
            for side in SIDES:
                frames = self._known.frames(coin, side)
                if not frames or not _may_be(sight, frames):
                    continue
                known = self._known.side(coin, side)
                if known and max(similarity(known.portrait, each) for each in sight.portraits) >= SAME_SIDE:
                    return coin
        return None

    def _turn_until_known(
        self, known: Mapping[Side, KnownSide], views: dict[Setting, Image], seen: list[Portrait]
    ) -> Side | None:
        """The side that agrees, at whatever angle of the plate it does; what else is seen on the way is added."""
        start_deg = _first(known).turntable_deg
        turns = round(360.0 / TURN_DEG)
        for turn in range(1, turns + 1):
            for side, earlier in known.items():
                now = portrait_of([views[setting] for setting in earlier.settings(self._plan.exposure_us)])
                if now is not None and similarity(earlier.portrait, now) >= SAME_SIDE:
                    return side
            if turn < turns:
                self._station.rotate_to((start_deg + turn * TURN_DEG) % 360.0)
                views = self._views(list(views))
                now = portrait_of(list(views.values()))
                if now is not None:
                    seen.append(now)
        return None

    def _views(self, settings: Sequence[Setting]) -> dict[Setting, Image]:
        return {setting: self._exposer.take_fresh(*setting) for setting in settings}

    def _settings(self, known: Sequence[KnownSide]) -> list[Setting]:
        """How to light the coin: as it was earlier, else as the plan will."""
        exposure_us = self._plan.exposure_us
        if known:
            return list(dict.fromkeys(setting for each in known for setting in each.settings(exposure_us)))
        lights = evenly([light for light in self._station.light_names if light in self._plan.lights])
        return [(light, exposure_us, self._plan.gain) for light in lights]

    def _other_size(
        self, coin: str, measured_mm: float | None, seen: Portrait, known: Iterable[KnownSide]
    ) -> str | None:
        """How the diameter speaks against the coin; None if it does not."""
        for earlier in known:
            if measured_mm is not None and earlier.diameter_mm is not None:
                if _differ(measured_mm, earlier.diameter_mm) > SAME_DIAMETER:
                    return f"It measures {measured_mm:.1f} mm, and that coin measured {earlier.diameter_mm:.1f} mm."
                continue
            is_uncalibrated = measured_mm is None and earlier.diameter_mm is None
            if is_uncalibrated and _differ(seen.radius_px, earlier.portrait.radius_px) > SAME_DIAMETER:
                return "It is of another size than earlier images show that coin."
        recorded_mm = self._known.recorded_mm(coin)
        if measured_mm is not None and recorded_mm and _differ(measured_mm, recorded_mm) > RECORDED_DIAMETER:
            return f"It measures {measured_mm:.1f} mm, and that coin is recorded with {recorded_mm:.1f} mm."
        return None


def _first(known: Mapping[Side, KnownSide]) -> KnownSide:
    return next(iter(known.values()))


def _may_be(sight: Sight, frames: Sequence[Frame]) -> bool:
    """Whether the diameter that frames were checked with, still unread, allows for the coin that was seen."""
    checked_mm = checked_diameter_mm(frames)
    if not sight.portraits or sight.diameter_mm is None or checked_mm is None:
        return bool(sight.portraits)
    return _differ(sight.diameter_mm, checked_mm) <= LIKELY_DIAMETER


def _is_lit(image: Image) -> bool:
    return float(np.percentile(cv2.cvtColor(image[::4, ::4], cv2.COLOR_RGB2GRAY), 99)) >= LIT


def _dark() -> NoAnswerError:
    return NoAnswerError(
        "lightbox",
        "it reports that its lamps burn, and the camera sees none of their light.",
        "Check that they burn, and that nothing covers the lens.",
    )


def _differ(one: float, other: float) -> float:
    return abs(one - other) / max(other, 1e-6)


def _share_of_circle(outline: Outline) -> float:
    """Area over that of the smallest circle around it."""
    contours, _ = cv2.findContours(outline.mask.view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    _, radius_px = cv2.minEnclosingCircle(cv2.convexHull(np.concatenate(contours)))
    return float((outline.radius_px / max(radius_px, 1e-6)) ** 2)
