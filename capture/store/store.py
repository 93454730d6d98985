"""The store: images as content-addressed files, and one SQLite index of what they are.

Order of every write: bytes fsynced and renamed, then the record, then the row. A reader asks rows, so nothing half done
is ever seen; what an interrupted process left is repaired or set aside when the store is next opened for writing.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from calibration.image import Image
from capture.store import verify
from capture.store.catalogue import Catalogue
from capture.store.coins import Calibrations, Coins
from capture.store.database import Database
from capture.store.embeddings import Embeddings
from capture.store.errors import StoreError, remedy
from capture.store.files import Files
from capture.store.frames import Frames
from capture.store.journal import Journal
from capture.store.journal_lines import StoreRepaired
from capture.store.locks import WriterLock
from capture.store.rankings import Rankings
from capture.store.repair import lacks_records, repair
from capture.store.search import Search
from capture.store.sessions import Sessions
from capture.store.transaction import Storage


class Store:
    """A lab's store. Open it with `Store.open`; usable from several threads, and a context manager.

    Attributes
    ----------
    folder
        Where it is.
    storage
        Its files and index: what the parts below are made of.
    sessions, frames, coins, calibrations
        What scans and imports stored.
    catalogue, embeddings, rankings
        What coins are matched with, and what came of it.
    search
        All of these, a page at a time.
    journal
        What was done and what happened, in order.
    repairs
        What opening it found unfinished and put right, one sentence each; empty after a clean close.
    """

    def __init__(self, folder: Path, writing: bool, alone: bool) -> None:
        self.folder = folder
        self.repairs: list[str] = []
        self._lock: WriterLock | None = None
        files = Files(folder)
        self.storage = self._open_for_writing(files, alone) if writing else Storage(files, _open_index(folder, False))
        self.journal = Journal(self.storage)
        self.sessions = Sessions(self.storage)
        self.frames = Frames(self.storage)
        self.coins = Coins(self.storage, self.journal)
        self.calibrations = Calibrations(self.storage)
        self.catalogue = Catalogue(self.storage)
        self.embeddings = Embeddings(self.storage)
        self.rankings = Rankings(self.storage)
        self.search = Search(self.storage)
        for line in self.repairs:
            self.journal.log(StoreRepaired(what=line))

    @classmethod
    def open(cls, folder: Path, writing: bool = True, alone: bool = False) -> Store:
        """Open the store in `folder`, making it if need be. One of an earlier version is migrated.

        Parameters
        ----------
        folder
            The lab's ``store`` folder.
        writing
            False to look on while another process writes; nothing is made, changed or repaired then.
        alone
            Keep every other writer out until it is closed.

        Raises
        ------
        StoreError
            If it cannot be opened; if `alone`, also while another process writes.
        """
        if not writing and _open_index(folder, False).is_behind():
            cls(folder, True, False).close()
        return cls(folder, writing, alone)

    def close(self) -> None:
        """Close the index. Safe to call twice."""
        self.storage.database.close()
        if self._lock is not None:
            self._lock.release(self.storage.files.is_in_order)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def image(self, sha256: str) -> Image:
        """Read a stored image, RGB (H, W, 3) uint8, checked against its hash; StoreError if missing or damaged."""
        return self.storage.image(sha256)

    def path(self, sha256: str) -> Path:
        """Where a stored image lies; StoreError if there is none."""
        return self.storage.path(sha256)

    def verify(self, progress: Callable[[int, int], None] = lambda done, total: None) -> list[verify.Problem]:
        """Re-hash and decode every file, compare every record with its row, and look for orphans. Changes nothing."""
        return verify.verify(self.storage, progress)

    def _open_for_writing(self, files: Files, alone: bool) -> Storage:
        try:
            files.create()
            self._lock = lock = WriterLock(self.folder)
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        try:
            if alone:
                lock.acquire_alone()
            is_only = alone or lock.acquire()
            is_new = not (self.folder / "index.sqlite").exists()
            storage = Storage(files, _open_index(self.folder, True))
            if is_only and (is_new or lock.found_killed_writer() or lacks_records(storage)):
                self.repairs = repair(storage)
            lock.register(is_only, alone)
            return storage
        except OSError as error:
            lock.release(False)
            raise _unwritable(self.folder, error) from error
        except BaseException:
            lock.release(False)  # or nobody else could open it either
            raise


def _open_index(folder: Path, writing: bool) -> Database:
    return Database(folder / "index.sqlite", writing)


def _unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(f"{error.filename or folder} cannot be written: {error.strerror}. {remedy(error)}")
