"""What the catalogue holds: its sales, their entries, all that is known of one coin, and figures."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from capture.store import Store
from capture.store.lots import Lot
from capture.store.records import Entry
from pipeline.collection.sources.lots import plain_coin
from pipeline.errors import LabError
from pipeline.lab import Lab
from pipeline.reports.sales import chain_of_sales

_MOST_METALS = 12


@dataclass(frozen=True)
class Sale:
    """A sale or collection of the catalogue: how many coins it shows, and its entries."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def coins(self) -> int:
        """How many coins its entries show."""
        return len({entry.coin_id for entry in self.entries})


@dataclass(frozen=True)
class CatalogueList:
    """The sales of the catalogue, or the entries of one of them; ``is_removed`` where they were removed from it."""

    sales: tuple[Sale, ...]
    is_detailed: bool
    is_removed: bool = False

    def as_json(self) -> list[dict[str, Any]]:
        """As plain data (docs/json.md)."""
        if not self.is_detailed:
            return [{"sale": sale.name, "coins": sale.coins, "entries": len(sale.entries)} for sale in self.sales]
        return [_as_json(entry) for sale in self.sales for entry in sale.entries]


def list_catalogue(lab: Lab, sale: str | None, *, removed: bool = False) -> CatalogueList:
    """List the sales of the catalogue, or the entries of one; or those that were removed.

    Raises
    ------
    LabError
        If there is no such sale.
    """
    with Store.open(lab.store, writing=not (lab.store / "index.sqlite").exists()) as store:
        entries = [each for each in store.catalogue.entries(removed=removed) if not each.is_waiting]
    by_sale: dict[str, list[Entry]] = {}
    for entry in entries:
        by_sale.setdefault(entry.catalogue, []).append(entry)
    if sale is not None and sale not in by_sale:
        known = ", ".join(by_sale) or "none yet"
        raise LabError(f"there is no sale {sale} in the catalogue. There are: {known}.")
    names = [sale] if sale is not None else list(by_sale)
    return CatalogueList(
        tuple(Sale(name, tuple(by_sale[name])) for name in names), is_detailed=sale is not None, is_removed=removed
    )


@dataclass(frozen=True)
class CoinRecord:
    """A coin of a sale: its entries, and every version of what the sale says of it, the latest first."""

    coin: str
    sale: str
    entries: tuple[Entry, ...]
    versions: tuple[Lot, ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        now = self.versions[0] if self.versions else None
        return {
            "coin": self.coin,
            "sale": self.sale,
            "record": now.details.known() if now else {},
            "source": now.source if now else None,
            "source_sha256": now.source_sha256 if now else None,
            "entries": [_as_json(entry) for entry in self.entries],
            "history": [
                {"record": each.details.known(), "source": each.source, "at": each.added_at}
                for each in self.versions[1:]
            ],
        }


@dataclass(frozen=True)
class ShownCoins:
    """What was asked for: coins of sales, and where they were sold."""

    records: tuple[CoinRecord, ...]
    sales: tuple[dict[str, Any], ...]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return {"coins": [each.as_json() for each in self.records], "sales": list(self.sales)}


@dataclass(frozen=True)
class CatalogueStats:
    """Figures of the catalogue: how much there is, and of how many coins what is known.

    ``waiting`` are images that were cut out of pages, and that nobody has decided about.
    """

    sales: int
    coins: int
    entries: int
    removed: int
    waiting: int
    first_sale: str | None
    last_sale: str | None
    known: dict[str, int]
    metals: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        """As plain data (docs/json.md)."""
        return dict(vars(self))


def show_coin(lab: Lab, name: str, sale: str | None) -> ShownCoins:
    """All that is known of a coin or lot, given by its name, its lot's number or the id of one of its entries.

    Raises
    ------
    LabError
        If there is none.
    """
    with Store.open(lab.store, writing=False) as store:
        entries = store.catalogue.entries(sale=sale)
        found = [entry for entry in entries if name in (entry.coin_id, entry.id)]
        number = plain_coin(name)
        found = found or [
            entry for entry in entries if entry.lot and entry.lot.lot and plain_coin(entry.lot.lot) == number
        ]
        if not found:
            within = f" in the sale {sale}" if sale else ""
            raise LabError(f"{name} is not in the catalogue{within}. Check the spelling: `rig catalogue list`.")
        records = []
        for coin, its_sale in dict.fromkeys((entry.coin_id, entry.catalogue) for entry in found):
            own = [entry for entry in entries if (entry.coin_id, entry.catalogue) == (coin, its_sale)]
            versions = tuple(reversed(store.catalogue.lots(its_sale, coin)))
            records.append(CoinRecord(coin, its_sale, tuple(own), versions))
        sales = chain_of_sales(store.catalogue.of_coins([each.coin for each in records]))
    return ShownCoins(tuple(records), tuple(sales))


def count_catalogue(lab: Lab) -> CatalogueStats:
    """Figures of the catalogue."""
    with Store.open(lab.store, writing=not (lab.store / "index.sqlite").exists()) as store:
        entries = store.catalogue.entries()
        gone = store.catalogue.entries(removed=True)
    waiting = sum(each.is_waiting for each in gone)
    coins = {(entry.catalogue, entry.coin_id): entry.lot for entry in entries}
    details = [lot.known() for lot in coins.values() if lot is not None]
    dates = sorted(each["date"] for each in details if "date" in each)
    metals = Counter(each["metal"] for each in details if "metal" in each)
    return CatalogueStats(
        sales=len({entry.catalogue for entry in entries}),
        coins=len(coins),
        entries=len(entries),
        removed=len(gone) - waiting,
        waiting=waiting,
        first_sale=dates[0] if dates else None,
        last_sale=dates[-1] if dates else None,
        known=dict(Counter(name for each in details for name in each).most_common()),
        metals=dict(metals.most_common(_MOST_METALS)),
    )


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry.id,
        "coin": entry.coin_id,
        "side": entry.side,
        "source": entry.source,
        "box": entry.box,
        "sha256": entry.sha256,
        **({"record": entry.lot.known()} if entry.lot else {}),
    }
