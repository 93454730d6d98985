"""What goes wrong with a store, and what a person can do about it."""

from __future__ import annotations

import errno


class StoreError(Exception):
    """The store cannot be read or written, or does not hold what was asked for."""


_FREE_SPACE = "free some space (`rig store gc --dry-run` lists what the store can spare)"
_REMEDIES = {
    errno.ENOSPC: f"The disk is full: {_FREE_SPACE}",
    errno.EDQUOT: f"The disk quota is used up: {_FREE_SPACE}",
    errno.EIO: "The disk or its cable failed: repair or replace it, run `rig store verify`",
    errno.EROFS: "Its file system is mounted read-only: mount it writable, or repair the disk that made it so",
    errno.EACCES: "Check its owner and permissions",
    errno.EPERM: "Check its owner and permissions",
}


def remedy(error: OSError) -> str:
    """What a person can do about a file that cannot be written."""
    what = _REMEDIES.get(error.errno or 0, "Check that the disk is there and the folder has not been moved")
    return f"{what}; then run the same command again."
