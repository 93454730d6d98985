"""The store's catalogue: entries, which are one coin side in one lot or record, and their images."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from calibration.durable_files import hash_bytes
from capture.store.files import shorten
from capture.store.record_kinds import ENTRY, REMOVED, entry_content
from capture.store.records import Entry, NewEntry, now
from capture.store.transaction import Storage


class Catalogue:
    """Reached as ``store.catalogue``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def add_entries(self, entries: Iterable[NewEntry], instead_of: Iterable[Entry] = ()) -> list[Entry]:
        """Add images to the catalogue, in one transaction. Bytes that a sale has, or had, are passed over.

        Parameters
        ----------
        instead_of
            Entries that these take the place of: they are removed, and kept.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        rows = [Entry.of(row) for row in self._storage.read("SELECT * FROM entry")]
        ids = {row.id for row in rows}
        replaced = [entry for entry in instead_of if entry.removed_at is None]
        corrected = {(entry.catalogue, entry.source) for entry in replaced}  # also back to what it was before
        known = {
            (row.catalogue, row.sha256, row.side, *(row.box or ()))
            for row in rows
            if (row.catalogue, row.source) not in corrected
        }
        new = [
            each
            for each in entries
            if (each.catalogue, hash_bytes(each.data), each.side, *(each.box or ())) not in known
        ]
        added = []
        with self._storage.transaction(*[each.data for each in new]) as transaction:
            for old in replaced:
                transaction.add(REMOVED, old.id, {"at": now()})
            for each, file in zip(new, transaction.stored, strict=True):
                entry = Entry(
                    id=_entry_id(each, ids),
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
                ids.add(entry.id)
                added.append(entry)
        return added

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
            ["removed_at IS " + ("NOT NULL" if removed else "NULL"), *(f"{name} = ?" for name in named)]
        )
        sql = f"SELECT * FROM entry WHERE {where} ORDER BY number"
        return [Entry.of(row) for row in self._storage.read(sql, tuple(named.values()))]

    def count(self) -> int:
        """How many entries there are, removed ones included."""
        return int(self._storage.read("SELECT count(*) FROM entry")[0][0])

    def remove_entries(self, entries: Iterable[Entry]) -> None:
        """Remove entries from the catalogue; their images are kept."""
        self._mark_removed(entries, now())

    def restore_entries(self, entries: Iterable[Entry]) -> None:
        """Bring back entries that were removed."""
        self._mark_removed(entries, None)

    def _mark_removed(self, entries: Iterable[Entry], at: str | None) -> None:
        with self._storage.transaction() as transaction:
            for entry in entries:
                transaction.add(REMOVED, entry.id, {"at": at})


def _entry_id(entry: NewEntry, taken: set[str]) -> str:
    """Catalogue, image and side: what a person would cite; with a number where that is taken.

    It names a record's file too, hence no slashes, and no more bytes than a file's name may have.
    """
    parts = [entry.catalogue, Path(entry.source).stem]
    if entry.side and not parts[1].endswith(entry.side):
        parts.append(entry.side)
    name = shorten(", ".join(parts).replace("/", "_"))
    return next(each for each in (name, *(f"{name} ({n})" for n in range(2, len(taken) + 3))) if each not in taken)
