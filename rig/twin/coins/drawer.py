"""The twin's drawer of coins: what lies on the plate when the world says so."""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

from rig.sides import Side
from rig.twin.coins.procedural import coin_type, procedural_side
from rig.twin.coins.surface import Surface


class DrawerError(Exception):
    """A coin or a photograph the drawer cannot use, and what to do about it."""


class Drawer(Protocol):
    """Gives the surface of any coin it holds."""

    def side_texture(self, coin: str, side: Side) -> Surface:
        """The surface of one side; raises `DrawerError` if the drawer has no such coin."""


class ProceduralDrawer:
    """Holds a coin of every name: `rig.twin.coins.procedural` makes it from the name and the seed."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._cached = lru_cache(maxsize=12)(self._make)

    def _make(self, coin: str, side: Side) -> Surface:
        return procedural_side(coin, side, self.seed)

    def side_texture(self, coin: str, side: Side) -> Surface:
        """The surface of one side of the coin of this name."""
        return self._cached(coin, side)

    def coin_type(self, coin: str) -> str:
        """Name of the coin's type, shared by the coins whose designs are the same."""
        return f"type {coin_type(coin, self.seed):02d}"
