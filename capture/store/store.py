"""The store: pictures as content-addressed files, and one SQLite index of what they are.

Order of every write: bytes fsynced and renamed, then the record, then the row. A reader asks rows, so nothing half done
is ever seen; what a killed process left is put right or set aside when the store is next opened for writing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from capture.store import reconcile as leftovers
from capture.store import verify
from capture.store.catalogue import Catalogue
from capture.store.database import Database
from capture.store.files import Files, StoreError, remedy
from capture.store.frames import FrameRows
from capture.store.journal import Journal
from capture.store.journal_lines import StoreRepaired
from capture.store.sessions import SessionRows
from capture.store.transaction import keeping, on_its_way
from capture.store.writers import Presence


class Store(SessionRows, FrameRows):
    """A lab's store. Open it with `Store.open`; usable from several threads, and a context manager.

    Attributes
    ----------
    folder
        Where it is.
    catalogue
        Entries, models, embeddings and rankings: see `capture.store.catalogue.Catalogue`.
    journal
        What was done and what happened, in order: see `capture.store.journal.Journal`.
    swept
        What opening it found unfinished and put right, one sentence each; empty after a clean close.
    """

    def __init__(self, folder: Path, writing: bool, alone: bool) -> None:
        self.folder = folder
        self.files = Files(folder)
        self.swept: list[str] = []
        self._presence: Presence | None = None
        if writing:
            self._enter(alone)
        else:
            self.database = Database(folder / "index.sqlite", writing=False)
        self.catalogue = Catalogue(self.files, self.database)
        self.journal = Journal(self.files, self.database)
        for line in self.swept:
            self.journal.log(StoreRepaired(what=line))

    @classmethod
    def open(cls, folder: Path, writing: bool = True, alone: bool = False) -> Store:
        """Open the store in `folder`, making it if need be. One of an earlier version is brought up to date.

        Parameters
        ----------
        folder
            The lab's ``store`` folder.
        writing
            False to look on while another process writes; nothing is made, changed or put right then.
        alone
            Keep every other writer out until it is closed.

        Raises
        ------
        StoreError
            If it cannot be opened; if `alone`, also while another process writes.
        """
        if not writing and Database(folder / "index.sqlite", writing=False).is_behind():
            cls(folder, True, False).close()
        return cls(folder, writing, alone)

    def close(self) -> None:
        """Close the index. Safe to call twice."""
        self.database.close()
        if self._presence is not None:
            self._presence.leave(self.files.is_in_order)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def add_coin(self, coin: str, type_: str | None = None, diameter_mm: float | None = None) -> None:
        """Make a coin known, or fill in what is known of it."""
        with on_its_way(self.files), keeping(self.files, self.database) as kept:
            kept.coin(coin, type_, diameter_mm)

    def coin_types(self) -> dict[str, str | None]:
        """Every coin of the store and its type."""
        return {row["id"]: row["type"] for row in self.database.read("SELECT id, type FROM coin ORDER BY id")}

    def add_calibration(self, calibration_id: str, created_at: str, folder: str) -> None:
        """Make a calibration known, so that frames can name it. Doing so twice changes nothing."""
        row = {"id": calibration_id, "created_at": created_at, "folder": folder}
        with on_its_way(self.files), keeping(self.files, self.database) as kept:
            if not kept.connection.execute("SELECT 1 FROM calibration WHERE id = ?", (calibration_id,)).fetchone():
                kept.insert("calibration", row)
                kept.record("calibration", calibration_id, {"row": row})

    def verify(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[verify.Problem]:
        """Re-hash and decode every file, compare every record with its row, and look for orphans. Changes nothing."""
        return verify.verify(self.files, self.database, progress)

    def _enter(self, alone: bool) -> None:
        try:
            self.files.create()
            self._presence = presence = Presence(self.folder)
        except OSError as error:
            raise StoreError(f"{self.folder} cannot be written: {error.strerror}. {remedy(error)}") from error
        try:
            if alone:
                presence.enter_alone()
            is_only = alone or presence.enter()
            is_new = not (self.folder / "index.sqlite").exists()
            self.database = Database(self.folder / "index.sqlite")
            if is_only and (is_new or presence.somebody_died() or leftovers.lacks_records(self.database)):
                self.swept = leftovers.sweep(self.files, self.database)
            presence.settle(is_only, alone)
        except OSError as error:
            presence.leave(False)
            raise StoreError(f"{self.folder} cannot be written: {error.strerror}. {remedy(error)}") from error
        except BaseException:
            presence.leave(False)  # or nobody else could open it either
            raise
