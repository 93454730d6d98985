"""Records as they were read: coins of a sale, what is stated of each, and its images."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from capture.names import NameProblem, clean_name, printable
from capture.store.lot_details import FIELDS, LotDetails
from pipeline.collection.sources.values import ValueProblem, is_nothing, read_details
from rig.sides import Side

_OBVERSE = ("o", "obv", "obverse", "av", "avers", "vs", "vorderseite", "droit", "dritto")
_REVERSE = ("r", "rev", "reverse", "rv", "revers", "rs", "rückseite", "rovescio")
SIDES: dict[str, Side] = {**dict.fromkeys(_OBVERSE, "obverse"), **dict.fromkeys(_REVERSE, "reverse")}


@dataclass(frozen=True)
class SourceImage:
    """An image of a coin: a path relative to the source, or an address; ``side`` is None if it shows both."""

    name: str
    side: Side | None = None


@dataclass(frozen=True)
class SourceLot:
    """A coin of a sale, as a source has it.

    Attributes
    ----------
    where
        Where in the source, such as "line 7".
    states
        Fields that the source speaks of, whether it says something or leaves them empty.
    """

    where: str
    sale: str | None
    coin: str
    details: LotDetails
    states: frozenset[str]
    images: tuple[SourceImage, ...]


@dataclass
class SourceLots:
    """What a source holds.

    Attributes
    ----------
    wrong
        Why parts of it cannot be used, a sentence each, naming where.
    notes
        What else is to be known: columns that were not used, letters that were guessed.
    """

    lots: list[SourceLot] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, where: str, values: Mapping[str, str], states: Iterable[str], more: Any = ()) -> None:
        """Add what is stated at a place, by field, with ``more`` images; if it cannot be used, why."""
        try:
            self.lots.append(_read_lot(where, values, frozenset(states) & set(FIELDS), tuple(more)))
        except ValueProblem as problem:
            self.wrong.append(printable(f"{where}: {problem}"))

    def join(self) -> None:
        """Put together what is stated of one coin at several places, such as a line for each side."""
        joined: dict[tuple[str | None, str], SourceLot] = {}
        for lot in self.lots:
            former = joined.setdefault((lot.sale, lot.coin), lot)
            if former is lot:
                continue
            stated, before = lot.details.known(), former.details.known()
            contradiction = next((name for name in stated if stated[name] != before.get(name, stated[name])), None)
            twice = {each.side for each in lot.images} & {each.side for each in former.images} - {None}
            if contradiction:
                name = contradiction.replace("_", " ")
                self.wrong.append(
                    f"{lot.where}: {name} {stated[contradiction]!r} of {lot.coin} contradicts "
                    f"{before[contradiction]!r} at {former.where}."
                )
            elif twice and any(each not in former.images for each in lot.images):
                self.wrong.append(f"{lot.where}: {lot.coin} has another image of this side at {former.where}.")
            else:
                images = (*former.images, *(each for each in lot.images if each not in former.images))
                details = LotDetails(**{**stated, **before})
                joined[lot.sale, lot.coin] = replace(
                    former, details=details, images=images, states=former.states | lot.states
                )
        self.lots = list(joined.values())


def plain_coin(name: str) -> str:
    """A coin's or lot's name as it is compared: ``Lot 0231``, ``lot231`` and ``231`` are the same."""
    words = re.sub(r"[\W_]+", " ", name.casefold()).strip()
    number = re.fullmatch(r"(?:lot|los|nr|no)?\s*0*(\d+)", words)
    return number[1] if number else words


def _read_lot(
    where: str, values: Mapping[str, str], states: frozenset[str], more: tuple[SourceImage, ...]
) -> SourceLot:
    given = {name: text for name, text in values.items() if not is_nothing(text)}
    if "lot" in given:
        given["lot"] = re.sub(r"^(\d+)[.,]0+$", r"\1", given["lot"].strip())  # a number that a spreadsheet made
    details = read_details({name: text for name, text in given.items() if name in FIELDS})
    side = None
    if "side" in given:
        side = SIDES.get(given["side"].strip().lower())
        if side is None:
            raise ValueProblem(f"side {given['side']!r} is neither obverse nor reverse.")
    images = [*more]
    if "image" in given:
        images.append(SourceImage(given["image"], side))
    for each in ("obverse", "reverse"):
        if each in given:
            images.append(SourceImage(given[each], SIDES[each]))
    name = given.get("coin") or (f"lot {details.lot}" if details.lot else "") or (images and _stem(images[0].name))
    if not name:
        raise ValueProblem("it names neither a lot, a coin nor an image.")
    try:
        sale = clean_name(given["sale"]) if "sale" in given else None
        return SourceLot(where, sale, clean_name(name), details, states, tuple(images))
    except NameProblem as problem:
        raise ValueProblem(f"the name {name!r} {problem}") from problem


def _stem(name: str) -> str:
    last = re.split(r"[/\\]", name.split("?")[0].rstrip("/"))[-1]
    return re.sub(r"[_-](obv|rev|obverse|reverse)$", "", last.rsplit(".", 1)[0], flags=re.IGNORECASE)
