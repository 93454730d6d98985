"""How long the shots of a scan take and what they fill on the disk, before anything moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from capture.engine.order import RigSetting, by_side_up, changes, order_shots, setting_of
from capture.engine.transport import AS_FOUND
from capture.plan import Plan, Shot, Tray
from pipeline.lab import Lab
from pipeline.scanning.disk import ShotSize
from rig.sides import ShotSide
from rig.station import Station

FOCUS_S = 0.3  # until a lens has moved a step
IMAGES_OF_A_CHECK = 4  # the plate before a coin is laid on it, and the coin under three lights


@dataclass(frozen=True)
class CoinPose:
    """A pose in which one side of a coin, or its edge, is photographed, and the lights."""

    slot: int
    coin: str
    side: ShotSide
    tilt_deg: float
    turntable_deg: float
    lights: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """What a scan takes: time at the bench (s), and bytes on disk, by stored frames of the same size or guessed.

    ``parts_s`` is where the time goes: coins carried, turned over and checked, the plate turned, the camera tilted,
    lights changed, images exposed.
    """

    parts_s: Mapping[str, float]
    disk_bytes: int
    disk_is_measured: bool

    @property
    def time_s(self) -> float:
        """All of it."""
        return sum(self.parts_s.values())


def estimate_scan(station: Station, tray: Tray, plan: Plan, shots: Sequence[Shot], size: ShotSize) -> Estimate:
    """Estimate the shots of a plan that are still to be taken; the station need not be connected."""
    coins = len({shot.coin for shot in shots})
    flips = 2 * coins if "reverse" in plan.sides else 0  # and back: coins lie obverse up
    turns: list[float] = []
    tilts: list[float] = []
    lights = 0
    here = RigSetting(0.0)
    of_coins = [list(of_coin) for _, of_coin in groupby(shots, lambda shot: shot.coin)]
    for _, same in chain.from_iterable(by_side_up(of_coin, AS_FOUND) for of_coin in of_coins):
        ordered = order_shots(same, station, here)
        made = changes(ordered, replace(here, turntable_deg=here.turntable_deg or 0.0))
        tilted_deg = ordered[-1].tilt_deg
        errand_deg = station.tilt_for_errand(tilted_deg)
        turns += made.turns_deg
        tilts += (*made.tilts_deg, errand_deg - tilted_deg)
        lights += made.lights
        here = replace(setting_of(ordered[-1]), tilt_deg=errand_deg, light=None)
    checking_s = IMAGES_OF_A_CHECK * (station.estimate_s(lights=1) + plan.exposure_us / 1e6)
    parts_s = {
        "carrying coins": station.estimate_s(loads=coins),
        "turning coins over": station.estimate_s(flips=flips),
        "checking coins": coins * checking_s,
        "turning the plate": station.estimate_s(turns_deg=turns),
        "tilting the camera": station.estimate_s(tilts_deg=tilts),
        "changing lights": station.estimate_s(lights=lights),
        "exposing": sum(shot.time_us / 1e6 + len(shot.focus_mm) * FOCUS_S for shot in shots),
    }
    images = sum(1 + (shot.images if shot.images > 1 else 0) for shot in shots)  # what is merged is kept too
    return Estimate(parts_s, round(images * size.bytes), size.is_measured)


def sum_parts(estimates: Iterable[Estimate]) -> dict[str, float]:
    """Where the time of several scans goes (s)."""
    total: dict[str, float] = {}
    for estimate in estimates:
        for part, seconds in estimate.parts_s.items():
            total[part] = total.get(part, 0.0) + seconds
    return total


def poses_of(tray: Tray, shots: Sequence[Shot]) -> tuple[CoinPose, ...]:
    """The poses that shots go through, in order."""
    slots = {coin: slot for slot, coin in tray.coins.items()}
    return tuple(
        CoinPose(slots[coin], coin, side, tilt_deg, turntable_deg, tuple(shot.light for shot in same))
        for (coin, side, tilt_deg, turntable_deg), same in groupby(
            shots, lambda shot: (shot.coin, shot.side, shot.tilt_deg, shot.turntable_deg)
        )
    )


def wall_s(lab: Lab, bench_s: float, *, realtime: bool) -> float:
    """How long so many seconds at the bench take: less where a twin runs faster than life."""
    return bench_s if lab.rig.twin is None or realtime else bench_s / lab.rig.twin.speed
