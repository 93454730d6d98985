"""What a person did that cannot be done, what to do instead, and every other failure in the same voice."""

from __future__ import annotations

import errno
import sqlite3

from capture.store.errors import remedy

_IDENTIFYING = {"faiss", "kornia", "optuna", "safetensors", "tensorboard", "torch", "torchvision"}


class LabError(Exception):
    """Something in the lab is missing or wrong (exit 1). The message is one paragraph: what, where, what to do."""


class UsageError(LabError):
    """The command line asks for something that makes no sense (exit 2)."""


def explain(error: BaseException) -> str:
    """One paragraph for a technician: what happened and what to do. Our own errors carry it already."""
    if type(error).__module__.partition(".")[0] in {"pipeline", "capture", "models", "calibration", "rig"}:
        return str(error)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        where = error.filename or "while writing"
        return f"the disk is full ({where}). Free some space, then give the same command again."
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}. {remedy(error, 'Check that it exists and that you may use it')}"
    if isinstance(error, MemoryError):
        return (
            "there is not enough memory. End other programs, raise the limit (`ulimit -v unlimited`), or use smaller "
            "images; then run the same command again."
        )
    if isinstance(error, sqlite3.Error):
        return f"the store's index failed: {error}. Run `rig store verify`, and give the same command again."
    if isinstance(error, ModuleNotFoundError) and error.name in _IDENTIFYING:
        return (
            f"identifying needs {error.name}, which is not installed. Install it with "
            "`pip install 'coinlab[identify]'`, or scan without: `rig scan --no-identify`."
        )
    return (
        f"unexpected {type(error).__name__}: {error}. This is a mistake in the program, not yours: give the command "
        "again with --debug and send us what it prints."
    )
