"""The lab that the page shows, and its store: opened for reading alone, and again where it was rebuilt meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path

from capture.store import Store
from pipeline.errors import LabError
from pipeline.lab import Lab


class OpenedLab:
    """A lab, and its store as a reader that nobody waits for.

    Attributes
    ----------
    lab
        As its ``rig.yaml`` was when the page was started.
    """

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._file: tuple[int, int] | None = None

    @property
    def is_there(self) -> bool:
        """Whether the lab's folder is where it was: a disk that is not mounted leaves an empty one."""
        return (self.lab.folder / "rig.yaml").is_file()

    @property
    def has_store(self) -> bool:
        """Whether anything was ever stored."""
        return self._path.is_file()

    @property
    def store(self) -> Store:
        """The store.

        Raises
        ------
        LabError
            If nothing was stored yet.
        """
        with self._lock:
            if not self.has_store:
                raise LabError(f"nothing was stored in {self.lab.folder} yet. Scan a tray or import photographs first.")
            status = self._path.stat()
            if self._store is None or self._file != (status.st_dev, status.st_ino):
                self._store = Store.open(self.lab.store, writing=False)  # the former is closed when nobody reads it
                self._file = (status.st_dev, status.st_ino)
            return self._store

    def require_store(self) -> None:
        """Called before something is written: whoever decides has seen a store, and none is begun here.

        Raises
        ------
        LabError
            If it is not there.
        """
        if not self.has_store:
            raise LabError(f"the store of {self.lab.folder} is not there any more. Nothing was written.")

    @property
    def _path(self) -> Path:
        return self.lab.store / "index.sqlite"
