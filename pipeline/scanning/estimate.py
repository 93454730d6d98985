"""How long the shots of a scan take and what they fill on the disk, before anything moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from capture.engine.order import RigSetting, changes_s, order_shots, setting_of
from capture.plan import Plan, Shot, Tray
from pipeline.lab import Lab
from pipeline.scanning.disk import ShotSize
from rig.sides import Side
from rig.station import Station


@dataclass(frozen=True)
class CoinPose:
    """A pose of one coin side, and the lights it is photographed under."""

    slot: int
    coin: str
    side: Side
    tilt_deg: float
    turntable_deg: float
    lights: tuple[str, ...]


@dataclass(frozen=True)
class Estimate:
    """What a scan takes: time at the bench (s), and bytes on disk, by stored frames of the same size or guessed."""

    time_s: float
    disk_bytes: int
    disk_is_measured: bool


def estimate_scan(station: Station, tray: Tray, plan: Plan, shots: Sequence[Shot], size: ShotSize) -> Estimate:
    """Estimate the shots of a plan that are still to be taken; the station need not be connected."""
    coins = len({shot.coin for shot in shots})
    moving_s = station.estimate_s(
        loads=coins, flips=2 * coins if "reverse" in plan.sides else 0
    )  # and back: obverse up
    here = RigSetting(0.0)
    for _, same in groupby(shots, lambda shot: (shot.coin, shot.side)):
        ordered = order_shots(list(same), station, here)
        moving_s += changes_s(ordered, station, here)
        last = setting_of(ordered[-1])
        here = replace(last, tilt_deg=station.tilt_for_errand(ordered[-1].tilt_deg))
        moving_s += station.estimate_s(tilts_deg=[ordered[-1].tilt_deg - (here.tilt_deg or 0.0)])
    exposing_s = sum(shot.exposure_us for shot in shots) / 1e6
    return Estimate(moving_s + exposing_s, round(len(shots) * size.bytes), size.is_measured)


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
