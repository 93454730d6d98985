"""What `rig catalogue add` makes of a folder: which of its images are new, known, corrected, or contradict the store.

An image is known by its bytes. A file that bears the name of an image of the same sale but shows another is a corrected
one if the folder is the one that was added before: at least as many of its other images are those stored. The same
holds for an image that was renamed. Otherwise the folder is another one that is called the same, and only a person can
tell: the image is refused, unless `replace`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from calibration.durable_files import hash_file
from capture.names import NameProblem, clean_name, printable
from capture.photographs import PhotoSide
from capture.store import Store
from capture.store.records import Entry
from rig.sides import Side

_MOST_NAMES = 3  # of images that are refused for one reason, before they are counted only

Half = str | None


@dataclass(frozen=True)
class Addition:
    """An image to add, what it is called within its sale, and the entries that it takes the place of."""

    coin: str
    side: Side | None
    photo: PhotoSide
    source: str
    replaces: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Additions:
    """What a folder comes to.

    Attributes
    ----------
    new
        Images to add.
    known
        How many are there already.
    refused
        Why others are not added, a sentence each.
    renamed
        Coins that bear the name of another sale's coin, and what they are called in the catalogue.
    left_out
        Coins of which an image is not added.
    files
        Those that are there already, by the SHA-256 of their content.
    """

    new: tuple[Addition, ...]
    known: int
    refused: tuple[str, ...]
    renamed: dict[str, str]
    left_out: frozenset[str] = frozenset()
    files: dict[str, Path] = field(default_factory=dict)


def plan_additions(store: Store, sale: str, photos: Sequence[Addition], *, replace: bool) -> Additions:
    """Compare the images of a folder or a table with what the catalogue has of the sale."""
    refused: list[str] = []
    left_out: set[str] = set()
    named: list[Addition] = []
    plan = _Plan(store, sale)
    paths: dict[str, set[Path]] = {}
    for each in photos:
        paths.setdefault(each.coin, set()).add(each.photo.path)
    for each in photos:
        path = each.photo.path
        try:
            plan.hash(path)
            named.append(dataclasses.replace(each, coin=plan.name(clean_name(each.coin), paths[each.coin])))
        except NameProblem as problem:
            refused.append(f"{printable(str(path))}: the coin's name {problem}")
            left_out.add(each.coin)
        except OSError as error:
            refused.append(f"{printable(str(path))} cannot be read: {error.strerror}.")
            left_out.add(each.coin)
    known = 0
    files: dict[str, Path] = {}
    new: list[Addition] = []
    clashes: list[Addition] = []
    singles, doubles = plan.find_doubles(named)
    for addition in singles:
        if plan.is_known(addition):
            known += 1
            files[plan.hash(addition.photo.path)] = addition.photo.path
        elif replaces := plan.find_replaced(addition):
            clashes.append(dataclasses.replace(addition, replaces=replaces))
        else:
            new.append(addition)
    if clashes and not replace and known < len(clashes):
        refused.append(_clash(sale, clashes))
        left_out |= {each.coin for each in clashes}
        clashes = []
    messages = (*dict.fromkeys(refused), *doubles.values())
    return Additions(
        (*new, *clashes), known, messages, plan.renamed, frozenset(left_out | {each.coin for each in doubles}), files
    )


class _Plan:
    """What the catalogue has of a sale, by bytes and by name."""

    def __init__(self, store: Store, sale: str) -> None:
        of_sale = [*store.catalogue.entries(sale=sale, removed=True), *store.catalogue.entries(sale=sale)]
        self._by_bytes = {(entry.sha256, _part(entry)): entry for entry in of_sale}
        self._by_name = {(entry.source, _part(entry)): entry for entry in of_sale if entry.removed_at is None}
        self._own = {entry.coin_id for entry in of_sale}
        self._of_lab = {*store.frames.coins()}  # its own names mean the same coin everywhere
        self._catalogue = store.catalogue
        self._sale = sale
        self._hashes: dict[Path, str] = {}
        self._others: dict[str, set[str]] = {}
        self.renamed: dict[str, str] = {}

    def name(self, coin: str, paths: set[Path]) -> str:
        """What the coin of some images is called: lot 1 of two sales is two coins, unless they share an image."""
        full = f"{self._sale}, {coin}"
        others = self._shown_by_others(coin)
        is_others = bool(others) and not others & {self.hash(path) for path in paths}
        if full in self._own or (is_others and coin not in self._own):
            self.renamed[coin] = full
            return full
        return coin

    def _shown_by_others(self, coin: str) -> set[str]:
        """Hashes of the images that other sales have, or had, of a coin of this name."""
        if coin in self._of_lab:
            return set()
        if coin not in self._others:
            named = (*self._catalogue.entries(coin), *self._catalogue.entries(coin, removed=True))
            self._others[coin] = {entry.sha256 for entry in named if entry.catalogue != self._sale}
        return self._others[coin]

    def find_doubles(self, additions: Sequence[Addition]) -> tuple[list[Addition], dict[Addition, str]]:
        """Of images that are there more than once, the one that is stored, or the first; and why not the others."""
        copies: dict[tuple[str, Half], list[Addition]] = {}
        for addition in additions:
            copies.setdefault(self._key(addition), []).append(addition)
        singles: list[Addition] = []
        doubles: dict[Addition, str] = {}
        for same in copies.values():
            kept = next((each for each in same if self.is_known(each)), same[0])
            singles.append(kept)
            doubles |= {
                each: f"{printable(str(each.photo.path))} is the same image as {printable(kept.photo.path.name)}: "
                "it was not added. If both names are right, they are one coin."
                for each in same
                if each is not kept and (each.coin, each.side) != (kept.coin, kept.side)
            }
        return singles, doubles

    def is_known(self, addition: Addition) -> bool:
        """Whether the very image is there under this name, or was removed and nothing took its place."""
        stored = self._by_bytes.get(self._key(addition))
        if stored is None:
            return False
        if stored.removed_at is not None:
            return self._named(addition) is None
        return (stored.coin_id, stored.side) == (addition.coin, addition.side)

    def find_replaced(self, addition: Addition) -> tuple[Entry, ...]:
        """Entries that an image contradicts: of its name, or of its bytes."""
        stored = self._by_bytes.get(self._key(addition))
        found = (stored if stored is None or stored.removed_at is None else None, self._named(addition))
        return tuple({each.id: each for each in found if each is not None}.values())

    def _named(self, addition: Addition) -> Entry | None:
        return self._by_name.get((addition.source, addition.photo.half))

    def _key(self, addition: Addition) -> tuple[str, Half]:
        return self.hash(addition.photo.path), addition.photo.half

    def hash(self, path: Path) -> str:
        """Hash an image; OSError if it cannot be read."""
        if path not in self._hashes:
            self._hashes[path] = hash_file(path)
        return self._hashes[path]


def _part(entry: Entry) -> Half:
    """Which half of its image an entry is."""
    return None if entry.box is None else "left" if entry.box[0] == 0 else "right"


def _clash(sale: str, clashes: Sequence[Addition]) -> str:
    names = [f"{printable(str(each.photo.path))} (stored: {each.replaces[0].id})" for each in clashes]
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return (
        f"the sale {sale} has another image under the same name, or the same image under another name: "
        f"{'; '.join(names[:_MOST_NAMES])}{more}. None of these was added. If they correct what is stored, add "
        "--replace; if they are of another sale, name it: --sale NAME."
    )
