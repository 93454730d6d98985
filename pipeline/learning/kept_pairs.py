"""Pairs of coins in register whose relation is known, kept in a folder as they are made: hours are not lost to Ctrl-C.

A file holds what came of one die, one photograph or one search: all of it is left out together when what was fitted is
judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from calibration.durable_files import make_folder, replacing
from models.matching.relation import RELATIONS, Relation
from models.matching.surface import Overlay

Source = Literal["made", "photographed", "labelled"]


@dataclass(frozen=True)
class ComparedPair:
    """Two photographs of coins; ``overlay`` is None where no registration holds."""

    relation: Relation
    overlay: Overlay | None


@dataclass(frozen=True)
class Candidates:
    """The first candidates of a search, some of which were compared.

    Attributes
    ----------
    chances
        Of those that were compared, their probability by the search.
    places
        Which pair of the unit compares each.
    left
        The probability that it is none of these.
    right
        The place of the coin among them; None if it is none of them.
    """

    chances: tuple[float, ...]
    places: tuple[int, ...]
    left: float
    right: int | None


@dataclass(frozen=True)
class Unit:
    """Pairs that are left out together.

    Attributes
    ----------
    group
        Units of one group are left out together too: those of one coin.
    searches
        What their pairs were compared for: with the coin in the catalogue, and without; empty if for nothing.
    """

    source: Source
    group: str
    pairs: tuple[ComparedPair, ...]
    searches: tuple[Candidates, ...] = ()


def kept(folder: Path, name: str, make: Callable[[], Unit]) -> Unit:
    """Read a unit, or make and keep it."""
    path = folder / f"{name}.npz"
    if path.is_file():
        return _read(path)
    unit = make()
    make_folder(folder)
    _write(path, unit)
    return unit


def _write(path: Path, unit: Unit) -> None:
    overlays = [pair.overlay for pair in unit.pairs if pair.overlay is not None]
    about = {
        "source": unit.source,
        "group": unit.group,
        "relations": [pair.relation for pair in unit.pairs],
        "held": [pair.overlay is not None for pair in unit.pairs],
        "searches": [[each.chances, each.places, each.left, each.right] for each in unit.searches],
    }
    with replacing(path) as draft, draft.open("wb") as stream:
        np.savez(
            stream,
            about=np.array(json.dumps(about)),
            statistics=np.array([overlay.statistics for overlay in overlays]),
            laid=np.array([overlay.laid for overlay in overlays]),
        )


def _read(path: Path) -> Unit:
    with np.load(path) as arrays:
        about = json.loads(str(arrays["about"]))
        overlays = iter([Overlay(*each) for each in zip(arrays["statistics"], arrays["laid"], strict=True)])
    pairs = [
        ComparedPair(RELATIONS[RELATIONS.index(relation)], next(overlays) if is_held else None)
        for relation, is_held in zip(about["relations"], about["held"], strict=True)
    ]
    searches = [
        Candidates(tuple(chances), tuple(places), left, right) for chances, places, left, right in about["searches"]
    ]
    return Unit(about["source"], about["group"], tuple(pairs), tuple(searches))


def in_groups(units: Sequence[Unit], seed: int) -> list[str]:
    """Every group once, in an order drawn by the seed."""
    groups = sorted({unit.group for unit in units})
    return [groups[place] for place in np.random.default_rng(seed).permutation(len(groups))]
