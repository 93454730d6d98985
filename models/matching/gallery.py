"""The entries of a catalogue as a search knows them: what each is called, and what its sale says to filter by."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Keys = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
SIDES = {"obverse": 1, "reverse": 2}
_UNKNOWN = 0
_METALS = {
    "gold": "gold oro or aurum av au",
    "electrum": "electrum elektron el",
    "silver": "silver silber argent argento ar ag",
    "billon": "billon bi",
    "bronze": "bronze bronzo ae aes copper kupfer cuivre rame cu brass messing orichalcum aurichalcum",
    "lead": "lead blei plomb piombo pb",
}
_METAL_OF = {word: metal for metal, words in _METALS.items() for word in words.split()}

LABELS = np.dtype(
    [
        ("key", "<i8"),
        ("side", "i1"),
        ("coin", "<i8"),
        ("sale", "<i8"),
        ("metal", "<i8"),
        ("weight_g", "<f4"),
        ("first_day", "<i4"),
        ("last_day", "<i4"),
        ("text_end", "<i8"),
    ]
)
"""What an index keeps of each entry in a table: names as hashes, days as 19360318."""


_COMPARE: dict[str, Callable[..., Mask]] = {
    "in": np.isin,
    "==": np.equal,
    "!=": np.not_equal,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}


@dataclass(frozen=True)
class GalleryEntry:
    """One coin side in one lot or record.

    Attributes
    ----------
    side
        ``obverse``, ``reverse`` or None where unknown.
    type
        What the coin depicts, where known.
    content
        Tells apart images that the entry may have had: the features are of this one.
    sale, date, metal, weight_g
        What its sale says of the coin, where it says it; the date in ISO 8601, as exact as it is known.
    """

    entry_id: str
    coin: str
    side: str | None = None
    type: str | None = None
    content: str = ""
    sale: str | None = None
    date: str | None = None
    metal: str | None = None
    weight_g: float | None = None

    @property
    def key(self) -> int:
        """What names it in an index: a hash of its id and its image."""
        return hash_name(f"{self.entry_id}\0{self.content}")


@dataclass(frozen=True)
class Where:
    """Which entries may be found; all, unless something is asked.

    Attributes
    ----------
    side
        Entries of this side, and those of which none is known.
    sales, metal, weight_g, days
        Entries whose sale is one of these, and says this metal, a weight between these, and a date within these days
        (ISO 8601). What does not say it is left out.
    but_coin
        No entry of this coin.
    """

    side: str | None = None
    sales: tuple[str, ...] = ()
    metal: str | None = None
    weight_g: tuple[float, float] | None = None
    days: tuple[str, str] | None = None
    but_coin: str | None = None

    def limits(self) -> Iterator[tuple[str, str, Any]]:
        """What is asked of columns of `LABELS`: a name, one of ``in``, ``==``, ``!=``, ``>=``, ``<=``, and a value."""
        if self.side is not None:
            yield "side", "in", [SIDES.get(self.side, _UNKNOWN), _UNKNOWN]
        if self.sales:
            yield "sale", "in", [hash_name(sale) for sale in self.sales]
        if self.metal is not None:
            yield "metal", "==", hash_name(metal_name(self.metal))
        if self.weight_g is not None:
            yield "weight_g", ">=", max(0.0, self.weight_g[0] - 1e-4)
            yield "weight_g", "<=", self.weight_g[1] + 1e-4
        if self.days is not None:
            yield "first_day", ">=", 1
            yield "first_day", "<=", days_of(self.days[1])[1]
            yield "last_day", ">=", days_of(self.days[0])[0]
        if self.but_coin is not None:
            yield "coin", "!=", hash_name(self.but_coin)

    def mask(self, labels: npt.NDArray[np.void]) -> Mask | None:
        """Which of some rows of `LABELS` may be found; None for all of them."""
        conditions = [_COMPARE[how](labels[name], value) for name, how, value in self.limits()]
        return np.logical_and.reduce(conditions) if conditions else None


def label(entry: GalleryEntry) -> tuple[int | float, ...]:
    """A row of `LABELS`, but for where its text ends."""
    first, last = days_of(entry.date) if entry.date else (0, 0)
    return (
        entry.key,
        SIDES.get(entry.side or "", _UNKNOWN),
        hash_name(entry.coin),
        hash_name(entry.sale) if entry.sale is not None else 0,
        hash_name(metal_name(entry.metal)) if entry.metal else 0,
        np.nan if entry.weight_g is None else entry.weight_g,
        first,
        last,
    )


def as_text(entry: GalleryEntry) -> str:
    """An entry as JSON: `GalleryEntry` takes what it holds, in order."""
    return json.dumps(astuple(entry), ensure_ascii=False, separators=(",", ":"))


def hash_name(name: str) -> int:
    """A name as a whole number of 63 bits."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little") >> 1


def metal_name(metal: str) -> str:
    """A metal as filters compare it: `silver` for AR, Silber and the like, else the word itself, in small letters."""
    words = re.findall(r"\w+", metal.lower())
    return next((_METAL_OF[word] for word in words if word in _METAL_OF), " ".join(words))


def days_of(date: str) -> tuple[int, int]:
    """First and last day that an ISO date may mean, as 19360318; (0, 0) if it is none. `1936` is a whole year."""
    found = re.fullmatch(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", date.strip())
    if found is None:
        return 0, 0
    year, month, day = (int(part) if part else None for part in found.groups())
    return (
        (year or 0) * 10_000 + (month or 1) * 100 + (day or 1),
        (year or 0) * 10_000 + (month or 12) * 100 + (day or 31),
    )


def ids_by_coin(entries: Iterable[GalleryEntry]) -> dict[str, list[str]]:
    """The ids of each coin's entries, sorted; the coins in the order of their first entries."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(entry.coin, []).append(entry.entry_id)
    return {coin: sorted(ids) for coin, ids in found.items()}
