"""Made coins of one die, found by their names."""

from __future__ import annotations

from itertools import count

from rig.sides import SIDES
from rig.twin.coins.procedural import coin_die, coin_type

SEED = 77
KIND = 5


def same_dies(coins: int) -> list[str]:
    """Names of coins that share both dies."""
    names = (f"d{number}" for number in count())
    of_type = (name for name in names if coin_type(name, SEED) == KIND)
    of_dies = (name for name in of_type if all(coin_die(name, side, SEED) == 0 for side in SIDES))
    return [next(of_dies) for _ in range(coins)]
