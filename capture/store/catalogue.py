"""The store's catalogue: entries, which are one coin side in one lot or record, and their images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from capture.store.record_kinds import ENTRY, REMOVED, entry_content
from capture.store.records import Entry, NewEntry, now
from capture.store.transaction import Storage


class Catalogue:
    """Reached as ``store.catalogue``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add_entries(self, entries: Iterable[NewEntry]) -> list[Entry]:
        """Add images to the catalogue, in one transaction. Sources the catalogue has, or had, are passed over.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        known = {row["id"] for row in self._storage.read("SELECT id FROM entry")}
        new = [each for each in entries if _entry_id(each) not in known]
        added = []
        with self._storage.transaction(*[each.data for each in new]) as transaction:
            for each, file in zip(new, transaction.stored, strict=True):
                entry = Entry(
                    id=_entry_id(each),
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
                added.append(entry)
        return added

    def entries(self, coin: str | None = None) -> list[Entry]:
        """Entries of the catalogue that are matched against, in the order they were added."""
        of_coin, parameters = ("1", ()) if coin is None else ("coin_id = ?", (coin,))
        sql = f"SELECT * FROM entry WHERE removed_at IS NULL AND {of_coin} ORDER BY number"
        return [Entry.of(row) for row in self._storage.read(sql, parameters)]

    def count(self) -> int:
        """How many entries there are, removed ones included."""
        return int(self._storage.read("SELECT count(*) FROM entry")[0][0])

    def remove_entries(self, coin: str) -> int:
        """Take a coin's entries out of the catalogue; their images are kept. Return how many there were."""
        return self._mark_removed([entry.id for entry in self.entries(coin)], now())

    def restore_entries(self, coin: str) -> int:
        """Bring back a coin's entries that were taken out. Return how many there were."""
        sql = "SELECT id FROM entry WHERE removed_at NOT NULL AND coin_id = ?"
        return self._mark_removed([row["id"] for row in self._storage.read(sql, (coin,))], None)

    def _mark_removed(self, entry_ids: list[str], at: str | None) -> int:
        with self._storage.transaction() as transaction:
            for entry_id in entry_ids:
                transaction.add(REMOVED, entry_id, {"at": at})
        return len(entry_ids)


def _entry_id(entry: NewEntry) -> str:
    """Catalogue, image and side: what a person would cite. It names a record's file too, hence no slashes."""
    parts = [entry.catalogue, Path(entry.source).stem]
    if entry.side and not parts[1].endswith(entry.side):
        parts.append(entry.side)
    return ", ".join(parts).replace("/", "_")
