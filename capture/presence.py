"""Who has the store open for writing: a killed writer is noticed by the next, a living one is left alone."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path


class Presence:
    """Marks a writer's presence in a store's folder.

    Every writer holds a shared lock for as long as it lives and leaves a file in ``writers/`` that only `leave`
    removes. Who finds nobody else holding the lock, but files, knows that a process died there.
    """

    def __init__(self, folder: Path) -> None:
        self._writers = folder / "writers"
        self._writers.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(folder / "writers.lock", os.O_RDWR | os.O_CREAT, 0o644)
        self._mark: Path | None = None

    def enter(self) -> bool:
        """Wait until no other writer is just entering; return whether there is no other writer at all."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            fcntl.flock(self._descriptor, fcntl.LOCK_SH)
            return False

    def somebody_died(self) -> bool:
        """Whether a writer went without leaving. Ask only when `enter` said there is no other."""
        return any(self._writers.iterdir())

    def settle(self, alone: bool) -> None:
        """Let other writers in, and count as one from here on."""
        if alone:
            for mark in self._writers.iterdir():
                mark.unlink()
        self._mark = self._writers / f"{os.getpid()}-{secrets.token_hex(4)}"
        self._mark.touch()
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def leave(self) -> None:
        """Go in good order. Safe to call twice."""
        if self._mark is not None:
            self._mark.unlink(missing_ok=True)
            self._mark = None
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
