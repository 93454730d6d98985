"""`rig catalogue add` of scanned pages, and `rig catalogue check` of cuts that are doubtful.

The page is kept as it is, and every entry is a box on it. A page, or two that face each other, is added in one
transaction: interrupted, the same command continues with the next one. Doubtful cuts are kept and not matched against
until a person has accepted them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from calibration.durable_files import hash_bytes, hash_file
from capture.names import NameProblem, clean_name, printable
from capture.store import Store
from capture.store.lot_details import LotDetails
from capture.store.lots import NewLot
from capture.store.records import Entry, NewEntry
from pipeline.collection.entries import page_of
from pipeline.collection.sources.page_coins import CutCoin, CutSide, ReadPage, cut_coins, read_page
from pipeline.collection.sources.pages import PAGE_SUFFIXES, read_pages
from pipeline.errors import LabError, UsageError
from pipeline.lab import Lab
from pipeline.people import name_of_user
from pipeline.reporter import Reporter
from pipeline.reports.cuts import CutView, write_cuts_page
from rig.sides import Side

_DATE = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


@dataclass(frozen=True)
class AddedPages:
    """What `add_pages` did.

    Attributes
    ----------
    pages, known, empty
        How many were added, were there already, and show no coin.
    coins, entries
        Coins that can be matched against, and their images.
    waiting
        Coins that wait for a person.
    numbered
        Coins whose number was read on their page.
    refused
        Why pages could not be read, a sentence each.
    """

    sale: str
    pages: int
    known: int
    empty: int
    coins: int
    entries: int
    waiting: int
    numbered: int
    refused: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return dict(vars(self))


@dataclass(frozen=True)
class Cut:
    """A coin that was cut out of a page and waits for a person: why, and its entries."""

    coin: str
    sale: str
    doubt: str
    entries: tuple[Entry, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        boxes = [{"entry": entry.id, "side": entry.side, "box": entry.box} for entry in self.entries]
        return {"coin": self.coin, "sale": self.sale, "doubt": self.doubt, "entries": boxes}


@dataclass(frozen=True)
class CheckedCuts:
    """What waits, or what was decided, and the page that shows what waits."""

    waiting: tuple[Cut, ...]
    accepted: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()
    page: Path | None = None

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {
            "waiting": [cut.as_json() for cut in self.waiting],
            "accepted": self.accepted,
            "rejected": self.rejected,
            "page": str(self.page) if self.page else None,
        }


def holds_pages(source: Path) -> bool:
    """Whether a file is scanned pages: a PDF or a TIFF."""
    return source.suffix.lower() in PAGE_SUFFIXES and not source.is_dir()


def add_pages(
    lab: Lab, source: Path, sale: str | None, reporter: Reporter, *, by_reference: bool = False
) -> AddedPages:
    """Cut the coins out of every page and add them, obverse and reverse of each.

    Parameters
    ----------
    by_reference
        Leave pages that are files of their own where they are, and link to them.

    Raises
    ------
    UsageError
        If the sale's name cannot be used.
    LabError
        If the source cannot be read.
    """
    try:
        name = clean_name(sale if sale is not None else source.stem)
    except NameProblem as problem:
        raise UsageError(f"the name of the sale {problem} Give one with --sale NAME.") from problem
    sha256 = hash_file(source) if source.is_file() else None
    counts = dict.fromkeys(("pages", "known", "empty", "coins", "entries", "waiting", "numbered"), 0)
    refused: list[str] = []
    with Store.open(lab.store) as store, reporter.progress("Cutting coins out of pages") as progress:
        there = [*store.catalogue.entries(sale=name), *store.catalogue.entries(sale=name, removed=True)]
        known = {entry.sha256 for entry in there}
        sources = {entry.source for entry in there}
        taken = {entry.coin_id for entry in there}

        def new_pages() -> Iterator[ReadPage]:
            total = 0
            for done, (total, page) in enumerate(read_pages(source)):
                progress(done, total)
                if isinstance(page, str):
                    refused.append(printable(page))
                elif (page_sha256 := hash_bytes(page.data)) in known:
                    counts["known"] += 1
                    if page.path is not None:
                        store.catalogue.find_again({page_sha256: page.path}, by_reference=by_reference)
                elif page.name in sources:
                    refused.append(
                        f"{page.name} of the sale {name} is another page than the one that was added before. Name "
                        "another sale (--sale), or remove this one first."
                    )
                else:
                    read = read_page(page if by_reference else replace(page, path=None))
                    counts["pages" if read.images else "empty"] += 1
                    if read.images:
                        yield read
            progress(total, total)

        for coins in cut_coins(new_pages()):
            _add_coins(store, name, coins, sha256, taken, counts)
    return AddedPages(name, refused=tuple(refused), **counts)


def _add_coins(
    store: Store, sale: str, coins: Sequence[CutCoin], sha256: str | None, taken: set[str], counts: dict[str, int]
) -> None:
    """Add the coins of a page, or of two that face each other, all at once."""
    dated = _DATE.search(sale)
    entries: list[NewEntry] = []
    lots: list[NewLot] = []
    for order, cut in enumerate(coins, 1):
        number, doubts = cut.number, [*cut.doubts]
        if number is not None and f"{sale}, lot {number}" in taken:
            doubts.append(f"its number {number} is on another page too")
            number = None
        pages = dict.fromkeys(str(side.page.number) for side in (cut.obverse, cut.reverse) if side is not None)
        page = "-".join(pages)
        coin = f"{sale}, page {page}, coin {order}" if number is None else f"{sale}, lot {number}"
        if coin in taken:  # pages that are added later are counted from 1 again; no two have a file's name in common
            coin = f"{sale}, {cut.obverse.page.name}, coin {order}"
        taken.add(coin)
        details = LotDetails(
            date=dated[0] if dated else None,
            lot=None if number is None else str(number),
            page=page,
            doubt="; ".join(doubts) or None,
        )
        lots.append(NewLot(coin, sale, details, cut.obverse.page.name, sha256))
        entries += _entries_of(coin, sale, cut, is_waiting=bool(doubts))
        counts["waiting" if doubts else "coins"] += 1
        counts["numbered"] += number is not None
    store.catalogue.add_entries(entries, lots=lots)
    counts["entries"] += sum(not entry.is_waiting for entry in entries)


def _entries_of(coin: str, sale: str, cut: CutCoin, *, is_waiting: bool) -> list[NewEntry]:
    def entry(cut_side: CutSide, side: Side | None) -> NewEntry:
        page = cut_side.page
        return NewEntry(
            coin, page.data, page.name, sale, side, box=cut_side.box, is_waiting=is_waiting, reference=page.path
        )

    if cut.reverse is None:
        return [entry(cut.obverse, None)]
    return [entry(cut.obverse, "obverse"), entry(cut.reverse, "reverse")]


def check_cuts(lab: Lab, accept: Sequence[str], reject: Sequence[str], *, accept_all: bool) -> CheckedCuts:
    """Decide about cuts that wait, and list those that still do, with a page that shows them.

    Raises
    ------
    LabError
        If one that is named does not wait; nothing is decided then.
    """
    writing = bool(accept or reject or accept_all)
    with Store.open(lab.store, writing=writing) as store:
        cuts = {cut.coin: cut for cut in waiting_cuts(store)}
        unknown = [coin for coin in (*accept, *reject) if coin not in cuts]
        if unknown:
            raise LabError(f"not waiting: {', '.join(unknown)}. Nothing was decided. `rig catalogue check` lists them.")
        if both := set(accept) & set(reject):
            raise UsageError(f"both accepted and rejected: {', '.join(sorted(both))}. Nothing was decided.")
        accepted = [coin for coin in cuts if coin in accept or (accept_all and coin not in reject)]
        for coin in (*accepted, *reject):
            _decide(store, cuts.pop(coin), name_of_user(), is_accepted=coin in accepted)
        page = _write_page(lab, store, list(cuts.values())) if cuts else None
    return CheckedCuts(tuple(cuts.values()), tuple(accepted), tuple(reject), page)


def decide_cut(lab: Lab, coin: str, who: str, *, is_accepted: bool) -> None:
    """Decide about one cut that waits.

    Raises
    ------
    LabError
        If it does not wait.
    """
    with Store.open(lab.store) as store:
        cut = next(iter(waiting_cuts(store, coin)), None)
        if cut is None:
            raise LabError(f"{printable(coin)} does not wait: somebody has decided about it. Load the page again.")
        _decide(store, cut, who, is_accepted=is_accepted)


def waiting_cuts(store: Store, coin: str | None = None) -> list[Cut]:
    """Coins cut out of pages that wait for a person, in the order they were added; or the one of this name."""
    cuts: dict[tuple[str, str], list[Entry]] = {}
    for entry in store.catalogue.entries(coin, removed=True):
        if entry.is_waiting:
            cuts.setdefault((entry.coin_id, entry.catalogue), []).append(entry)
    return [
        Cut(coin, sale, entries[0].lot.doubt or "", tuple(entries))
        for (coin, sale), entries in cuts.items()
        if entries[0].lot
    ]


def _decide(store: Store, cut: Cut, who: str, *, is_accepted: bool) -> None:
    lot = cut.entries[0].lot or LotDetails()
    source = f"{'accepted' if is_accepted else 'rejected'} by {who}"
    decided = NewLot(cut.coin, cut.sale, replace(lot, doubt=None), source)
    store.catalogue.restore_entries(cut.entries if is_accepted else (), [decided])


def _write_page(lab: Lab, store: Store, cuts: Sequence[Cut]) -> Path:
    views = [
        CutView(cut.coin, cut.doubt, tuple(entry.cut(page_of(store, entry)) for entry in cut.entries)) for cut in cuts
    ]
    return write_cuts_page(lab, views)
