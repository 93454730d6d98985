"""How coins lie, hang and fall in the twin: what the cup can get hold of, and where a coin comes to lie when let go."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from rig.bench import BenchLayout, PointMm
from rig.sides import Side

# How far the cup may be off a coin's centre and height and still get hold of it (mm): a 10 mm cup on a 20 mm coin.
CUP_REACH_MM = 7.0
CUP_HEIGHT_MM = 3.0
SLOT_RADIUS_MM = 12.0
CHUTE_RADIUS_MM = 15.0
# Scatter of a coin let go by the cup, and of one that a slot or the flip station has centred (standard deviations).
DROP_MM = 0.4
DROP_DEG = 4.0
CENTRED_MM = 0.8
DOUBLED_MM = 5.0  # how far from the middle two coins lie that share a slot

Place = Literal["slot", "plate", "cup", "flip", "table"]


class LyingCoin(BaseModel):
    """Where a coin lies. `x_mm`, `y_mm` count from the middle of its place; on plate and cup they turn with it."""

    coin: str
    place: Place
    slot: int | None = None
    side: Side = "obverse"
    x_mm: float = 0.0
    y_mm: float = 0.0
    rotation_deg: float = 0.0


def in_slot(name: str, slot: int, chance: random.Random) -> LyingCoin:
    """A coin as somebody laid it into its slot: obverse up, off centre, at any rotation."""
    x_mm, y_mm, rotation_deg = _centred(chance)
    return LyingCoin(coin=name, place="slot", slot=slot, x_mm=x_mm, y_mm=y_mm, rotation_deg=rotation_deg)


def touched(coins: Sequence[LyingCoin], bench: BenchLayout, cup_mm: PointMm, plate_deg: float) -> list[LyingCoin]:
    """The coins that the cup touches: two, where they lie half over one another."""
    found = []
    for coin in coins:
        x_mm, y_mm, z_mm = _where_mm(coin, bench, plate_deg)
        if math.dist((x_mm, y_mm), cup_mm[:2]) <= CUP_REACH_MM and abs(z_mm - cup_mm[2]) <= CUP_HEIGHT_MM:
            found.append(coin)
    return found


def share(coins: Sequence[LyingCoin], slot: int) -> None:
    """Lay the coins of one slot half over one another, if there are several."""
    there = [coin for coin in coins if coin.place == "slot" and coin.slot == slot]
    for number, coin in enumerate(there if len(there) > 1 else []):
        coin.x_mm, coin.y_mm = (2.0 * number / (len(there) - 1) - 1.0) * DOUBLED_MM, 0.0


def take(coin: LyingCoin, bench: BenchLayout, cup_mm: PointMm, plate_deg: float) -> None:
    """Hang a coin on the cup, as it lies: offset and rotation are from now on those of the arm, which swings round."""
    x_mm, y_mm, _ = _where_mm(coin, bench, plate_deg)
    swing_deg = _swing_deg(cup_mm)
    if coin.place == "plate":
        coin.rotation_deg += plate_deg
    coin.x_mm, coin.y_mm = _rotated(x_mm - cup_mm[0], y_mm - cup_mm[1], -swing_deg)
    coin.rotation_deg -= swing_deg
    coin.place, coin.slot = "cup", None


def let_go(
    coin: LyingCoin,
    coins: Sequence[LyingCoin],
    bench: BenchLayout,
    cup_mm: PointMm,
    plate_deg: float,
    chance: random.Random,
) -> None:
    """Drop a coin from the cup onto what is below: a slot, the plate, the flip station, or the table."""
    swing_deg = _swing_deg(cup_mm)
    dx_mm, dy_mm = _rotated(coin.x_mm, coin.y_mm, swing_deg)
    x_mm, y_mm = cup_mm[0] + dx_mm + chance.gauss(0, DROP_MM), cup_mm[1] + dy_mm + chance.gauss(0, DROP_MM)
    coin.rotation_deg = (coin.rotation_deg + swing_deg + chance.gauss(0, DROP_DEG)) % 360.0
    slot = _slot_under(x_mm, y_mm, bench)
    plate, chute = bench.plate_mm, bench.flip.drop_mm
    if slot is not None:
        coin.place, coin.slot = "slot", slot
        coin.x_mm, coin.y_mm, _ = _centred(chance)
        share(coins, slot)
    elif math.dist((x_mm, y_mm), plate[:2]) < bench.plate_radius_mm:
        coin.place = "plate"
        coin.x_mm, coin.y_mm = _rotated(x_mm - plate[0], y_mm - plate[1], -plate_deg)
        coin.rotation_deg = (coin.rotation_deg - plate_deg) % 360.0
    elif math.dist((x_mm, y_mm), chute[:2]) < CHUTE_RADIUS_MM:
        # It slides and turns over: nothing is known of its rotation after that.
        coin.place = "flip"
        coin.side = "reverse" if coin.side == "obverse" else "obverse"
        coin.x_mm, coin.y_mm, coin.rotation_deg = _centred(chance)
    else:
        coin.place = "table"
        coin.x_mm, coin.y_mm = x_mm, y_mm


def _where_mm(coin: LyingCoin, bench: BenchLayout, plate_deg: float) -> PointMm:
    """A coin's centre in arm coordinates, at the height of a cup that touches it."""
    x_mm, y_mm, z_mm = 0.0, 0.0, 0.0
    dx_mm, dy_mm = coin.x_mm, coin.y_mm
    if coin.place == "slot" and coin.slot is not None:
        x_mm, y_mm, z_mm = bench.tray.position_mm(coin.slot)
    elif coin.place == "flip":
        x_mm, y_mm, z_mm = bench.flip.pick_mm
    elif coin.place == "plate":
        x_mm, y_mm, z_mm = bench.plate_mm
        dx_mm, dy_mm = _rotated(dx_mm, dy_mm, plate_deg)
    return (x_mm + dx_mm, y_mm + dy_mm, z_mm)


def _slot_under(x_mm: float, y_mm: float, bench: BenchLayout) -> int | None:
    """The slot under a point."""
    for slot in range(1, bench.tray.count + 1):
        if math.dist((x_mm, y_mm), bench.tray.position_mm(slot)[:2]) < SLOT_RADIUS_MM:
            return slot
    return None


def _swing_deg(cup_mm: PointMm) -> float:
    """How far the arm has swung round its base."""
    return math.degrees(math.atan2(cup_mm[1], cup_mm[0]))


def _centred(chance: random.Random) -> tuple[float, float, float]:
    """Offset and rotation of a coin in a well."""
    return (chance.gauss(0, CENTRED_MM), chance.gauss(0, CENTRED_MM), chance.uniform(0, 360))


def _rotated(x_mm: float, y_mm: float, by_deg: float) -> tuple[float, float]:
    """A vector turned counter-clockwise."""
    cos, sin = math.cos(math.radians(by_deg)), math.sin(math.radians(by_deg))
    return (x_mm * cos - y_mm * sin, x_mm * sin + y_mm * cos)
