"""How long the shots of a scan take and what they fill on the disk, before anything moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

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
    poses = poses_of(tray, shots)
    coins = len({shot.coin for shot in shots})
    moving_s = station.estimate_s(
        loads=coins,
        flips=2 * coins if "reverse" in plan.sides else 0,  # and back: coins lie obverse up
        turns_deg=[abs(after.turntable_deg - before.turntable_deg) for before, after in pairwise(poses)],
        lights=len(shots),
    )
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
