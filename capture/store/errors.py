"""What goes wrong with a store, and what a person can do about it."""

from __future__ import annotations

import errno


class StoreError(Exception):
    """The store cannot be read or written, or does not hold what was asked for."""


class DamagedRowError(StoreError):
    """A row of the index is not as it was written."""


class NewerStoreError(StoreError):
    """A later version of this program wrote the store."""


_FREE_SPACE = "free some space (`rig store gc --dry-run` lists what the store can spare)"
_REMEDIES = {
    errno.ENOSPC: f"The disk is full: {_FREE_SPACE}",
    errno.EDQUOT: f"The disk quota is used up: {_FREE_SPACE}",
    errno.EIO: "The disk or its cable failed: repair or replace it, run `rig store verify`",
    errno.EROFS: "Its file system is mounted read-only: mount it writable, or repair the disk that made it so",
    errno.EACCES: "Check its owner and permissions",
    errno.EPERM: "Check its owner and permissions",
    errno.ENOLCK: "Its file system lends no locks, as some network shares do: keep the lab on a disk of this machine",
    errno.EMFILE: "This process may not open more files: raise the limit (`ulimit -n 4096`)",
    errno.ENFILE: "This machine may not open more files: end other programs",
}


def remedy(error: OSError, otherwise: str = "Check that the disk is there and the folder has not been moved") -> str:
    """What a person can do about a file that cannot be written; `otherwise` if nothing better is known."""
    return f"{_REMEDIES.get(error.errno or 0, otherwise)}; then run the same command again."
