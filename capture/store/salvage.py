"""Records and lines of the journal that are damaged or gone, written again from the rows of an index that is sound."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from capture.store.append_only import Lines
from capture.store.database import Database
from capture.store.errors import NewerStoreError, StoreError
from capture.store.files import Content, Files
from capture.store.journal import Journal, journal_folder
from capture.store.record_kinds import KINDS
from capture.store.transaction import Storage


class SalvagedFiles(Files):
    """The files of a store as they will be once `write` has written the records that only the index still has.

    A row is believed if the index is whole and the images that it names are there and as they were stored.

    Parameters
    ----------
    folder
        The store's.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.salvaged = {kind.name: dict[str, Content]() for kind in KINDS}
        self.lines: dict[int, Content] = {}
        try:
            with closing(Database(folder / "index.sqlite", writing=False)) as database:
                if not database.is_behind() and not database.has_problems():
                    self._salvage(Storage(self, database))
        except NewerStoreError:
            raise
        except StoreError:
            pass  # there is no index, or a damaged one: nothing in it is believed

    @property
    def names(self) -> list[str]:
        """What was salvaged, as "frame 0123" or "event 7"."""
        records = [f"{kind} {name.split('/')[-1]}" for kind, records in self.salvaged.items() for name in records]
        return records + [f"event {number}" for number in self.lines]

    def write(self) -> None:
        """Write the records, and set aside what is left of damaged ones; write the lines among those that are whole.

        Raises
        ------
        StoreError, OSError
            If they cannot be written.
        """
        for kind, records in self.salvaged.items():
            for name in records:
                if self.record_path(kind, name).exists():
                    self.set_aside(self.record_path(kind, name))
            self.keep_records(kind, records)
        Lines(journal_folder(self)).rewrite(self.lines)

    def all_records(self, kind: str) -> Iterator[tuple[str, Path]]:
        """Every record of one kind, also those that are still to be written."""
        on_disk = dict(super().all_records(kind))
        yield from sorted((on_disk | {name: self.record_path(kind, name) for name in self.salvaged[kind]}).items())

    def read_record(self, path: Path) -> Content:
        """Return a record's content; see `Files.read_record`."""
        parts = path.relative_to(self.folder / "records").parts
        for name, content in self.salvaged[parts[0]].items():
            if self.record_path(parts[0], name) == path:
                return content
        return super().read_record(path)

    def _salvage(self, storage: Storage) -> None:
        for kind in KINDS:
            found = {
                name: content
                for name, content in kind.contents(storage.read)
                if not self._is_readable(kind.name, name) and self._has_images(content)
            }
            self.salvaged[kind.name] = found
        self.lines = Journal(storage).missing_lines()

    def _is_readable(self, kind: str, name: str) -> bool:
        try:
            super().read_record(self.record_path(kind, name))
        except StoreError:
            return False
        return True

    def _has_images(self, content: Content) -> bool:
        try:
            for file in content.get("files", ()):
                self.read(file["sha256"], file["suffix"])
        except StoreError:
            return False
        return True
