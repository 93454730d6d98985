"""The store's catalogue: entries, which are one coin side in one lot or record, and their images."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from calibration.durable_files import hash_bytes
from capture.store.files import Kept, Referenced, referenced, shorten
from capture.store.lots import Lot, NewLot
from capture.store.record_kinds import ENTRY, LOT, REMOVED, entry_content
from capture.store.records import Entry, NewEntry, now
from capture.store.transaction import BATCH, Storage, Transaction

_WITH_LOT = (
    "SELECT entry.*, lot.content AS lot FROM entry LEFT JOIN lot ON lot.number = (SELECT max(number) FROM lot AS each "
    "WHERE each.catalogue = entry.catalogue AND each.coin_id = entry.coin_id)"
)


@dataclass(frozen=True)
class CatalogueState:
    """What tells one state of the catalogue from another: if it is equal, nothing was added, changed or removed.

    Attributes
    ----------
    newest, newest_lot
        The highest numbers of an entry, and of what a sale says of a coin.
    removed, sum_of_removed
        How many entries are removed, and the sum of their numbers.
    """

    newest: int = 0
    newest_lot: int = 0
    removed: int = 0
    sum_of_removed: int = 0


class Catalogue:
    """Reached as ``store.catalogue``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add_entries(
        self, entries: Iterable[NewEntry], instead_of: Iterable[Entry] = (), lots: Iterable[NewLot] = ()
    ) -> list[Entry]:
        """Add images to the catalogue, in one transaction. Bytes that a sale has, or had, are passed over.

        Parameters
        ----------
        instead_of
            Entries that these take the place of: they are removed, and kept.
        lots
            What sales say of coins now; what was stated before is kept.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        replaced = [entry for entry in instead_of if entry.removed_at is None]
        corrected = {(entry.catalogue, entry.source) for entry in replaced}  # also back to what it was before
        hashed = [(each, hash_bytes(each.data)) for each in entries]
        known = {
            (row.catalogue, row.sha256, row.side, *(row.box or ()))
            for row in self._of_any("sha256", [sha256 for _, sha256 in hashed])
            if (row.catalogue, row.source) not in corrected
        }
        new = [each for each, sha256 in hashed if (each.catalogue, sha256, each.side, *(each.box or ())) not in known]
        added = []
        with self._storage.transaction(*[_kept(each) for each in new]) as transaction:
            for old in replaced:
                transaction.add(REMOVED, old.id, {"at": now()})
            for each, file in zip(new, transaction.stored, strict=True):
                entry = Entry(
                    id=_entry_id(each, transaction),
                    coin_id=each.coin,
                    side=each.side,
                    catalogue=each.catalogue,
                    sha256=file.sha256,
                    source=each.source,
                    box=list(each.box) if each.box else None,
                    added_at=now(),
                    number=transaction.number(),
                )
                transaction.add_coin(each.coin, each.type)
                transaction.add(ENTRY, entry.id, entry_content(entry, file))
                if each.is_waiting:
                    transaction.add(REMOVED, entry.id, {"at": now()})
                added.append(entry)
            for lot in lots:
                _add_lot(transaction, lot)
        return added

    def find_again(self, files: Mapping[str, Path], *, by_reference: bool) -> None:
        """Of images that are there by reference: link to where they are now, or copy them.

        Parameters
        ----------
        files
            Where they are, by the SHA-256 of their content.

        Raises
        ------
        StoreError
            If one cannot be written.
        """
        for sha256, path in files.items():
            origin = referenced(self._storage.path(sha256))
            if origin is not None and not (by_reference and origin == path.resolve()):
                data = path.read_bytes()
                if hash_bytes(data) == sha256:
                    self._storage.files.keep(Referenced(data, path) if by_reference else data)

    def lots(self, sale: str, coin: str | None = None) -> list[Lot]:
        """All versions of what a sale says of its coins, or of one, the oldest first."""
        sql = "SELECT * FROM lot WHERE catalogue = ?" + (" AND coin_id = ?" if coin is not None else "")
        parameters = (sale,) if coin is None else (sale, coin)
        return [Lot.of(row) for row in self._storage.read(f"{sql} ORDER BY number", parameters)]

    def named(self, ids: Collection[str]) -> dict[str, Entry]:
        """Entries by their ids, removed ones included; those that do not exist are left out."""
        return {entry.id: entry for entry in self._of_any("id", ids)}

    def live(self, ids: Collection[str]) -> dict[str, Entry]:
        """Of some entries, by their ids, those that are matched against."""
        return {entry.id: entry for entry in self._of_any("id", ids) if entry.removed_at is None}

    def of_coins(self, coins: Collection[str]) -> list[Entry]:
        """The entries of some coins that are matched against, in the order they were added."""
        found = [entry for entry in self._of_any("coin_id", coins) if entry.removed_at is None]
        return sorted(found, key=lambda entry: entry.number)

    def _of_any(self, column: str, values: Collection[str]) -> Iterator[Entry]:
        wanted = list(dict.fromkeys(values))
        for start in range(0, len(wanted), BATCH):
            batch = wanted[start : start + BATCH]
            marks = ", ".join("?" * len(batch))
            for row in self._storage.read(f"{_WITH_LOT} WHERE entry.{column} IN ({marks})", tuple(batch)):
                yield Entry.of(row)

    def entries(self, coin: str | None = None, sale: str | None = None, *, removed: bool = False) -> list[Entry]:
        """Entries that are matched against, or those that were removed, in the order they were added.

        Parameters
        ----------
        coin, sale
            Those of one coin, or of one sale (`Entry.catalogue`).
        """
        wanted = {"coin_id": coin, "catalogue": sale}
        named = {column: value for column, value in wanted.items() if value is not None}
        where = " AND ".join(
            ["removed_at IS " + ("NOT NULL" if removed else "NULL"), *(f"entry.{name} = ?" for name in named)]
        )
        sql = f"{_WITH_LOT} WHERE {where} ORDER BY entry.number"
        return [Entry.of(row) for row in self._storage.read(sql, tuple(named.values()))]

    def get(self, entry_id: str) -> Entry | None:
        """An entry by its id, be it removed or not; None if there is none."""
        rows = self._storage.read(f"{_WITH_LOT} WHERE entry.id = ?", (entry_id,))
        return Entry.of(rows[0]) if rows else None

    def numbered(self, number: int) -> Entry | None:
        """The entry of this number; None if there is none."""
        rows = self._storage.read(f"{_WITH_LOT} WHERE entry.number = ?", (number,))
        return Entry.of(rows[0]) if rows else None

    def count(self) -> int:
        """How many entries there are, removed ones included."""
        return int(self._storage.read("SELECT count(*) FROM entry")[0][0])

    def is_empty(self) -> bool:
        """Whether there is no entry that is matched against."""
        return not self._storage.read("SELECT 1 FROM entry WHERE removed_at IS NULL LIMIT 1")

    def state(self) -> CatalogueState:
        """What it is now, for `added_since` and `changed_since`."""
        removed, sum_of_removed = self._storage.read(
            "SELECT count(*), coalesce(sum(number), 0) FROM entry WHERE removed_at NOT NULL"
        )[0]
        (newest,) = self._storage.read("SELECT coalesce(max(number), 0) FROM entry")[0]
        (newest_lot,) = self._storage.read("SELECT coalesce(max(number), 0) FROM lot")[0]
        return CatalogueState(newest, newest_lot, removed, sum_of_removed)

    def added_since(self, state: CatalogueState) -> list[Entry]:
        """Entries that were added since and are matched against, in the order they were added."""
        sql = f"{_WITH_LOT} WHERE removed_at IS NULL AND entry.number > ? ORDER BY entry.number"
        return [Entry.of(row) for row in self._storage.read(sql, (state.newest,))]

    def changed_since(self, state: CatalogueState) -> list[Entry]:
        """Entries that are matched against and of which their sale has stated something since."""
        sql = (
            f"{_WITH_LOT} WHERE removed_at IS NULL AND (entry.catalogue, entry.coin_id) IN "
            "(SELECT catalogue, coin_id FROM lot WHERE number > ?) ORDER BY entry.number"
        )
        return [Entry.of(row) for row in self._storage.read(sql, (state.newest_lot,))]

    def images(self) -> list[tuple[str, str, str | None]]:
        """Of each entry that is matched against, in the order they were added: id, hash of the image, and its box."""
        sql = "SELECT id, sha256, box FROM entry WHERE removed_at IS NULL ORDER BY number"
        return [(row["id"], row["sha256"], row["box"]) for row in self._storage.read(sql)]

    def remove_entries(self, entries: Iterable[Entry]) -> None:
        """Remove entries from the catalogue; their images are kept."""
        self._mark_removed(entries, now())

    def restore_entries(self, entries: Iterable[Entry], lots: Iterable[NewLot] = ()) -> None:
        """Bring back entries that were removed, and store what their sale says of them now."""
        self._mark_removed(entries, None, lots)

    def _mark_removed(self, entries: Iterable[Entry], at: str | None, lots: Iterable[NewLot] = ()) -> None:
        with self._storage.transaction() as transaction:
            for entry in entries:
                transaction.add(REMOVED, entry.id, {"at": at})
            for lot in lots:
                _add_lot(transaction, lot)


def _add_lot(transaction: Transaction, new: NewLot) -> None:
    number = transaction.number()
    lot = Lot(number, new.coin, new.catalogue, new.details.known(), new.source, new.source_sha256, now())
    transaction.add(LOT, str(number), {"row": lot.as_record()})


def _kept(entry: NewEntry) -> Kept:
    return entry.data if entry.reference is None else Referenced(entry.data, entry.reference)


def _entry_id(entry: NewEntry, transaction: Transaction) -> str:
    """Catalogue, image and side: what a person would cite; with a number where that is taken.

    It names a record's file too, hence no slashes, and no more bytes than a file's name may have.
    """
    parts = [entry.catalogue, Path(entry.source).stem]
    if entry.side and not parts[1].endswith(entry.side):
        parts.append(entry.side)
    name = shorten(", ".join(parts).replace("/", "_"))
    names = chain([name], (f"{name} ({number})" for number in count(2)))
    return next(each for each in names if not transaction.exists("entry", each))
