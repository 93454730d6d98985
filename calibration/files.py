"""Files that are seen whole or not at all and survive a power cut, their hashes, and the one spelling of JSON."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def write_atomically(path: Path, content: str | bytes, *, durable: bool = True) -> Path:
    """Write a file in the place of what is there, at once or not at all; folders that are missing are made.

    Parameters
    ----------
    content
        Text is written as UTF-8.
    durable
        False for what is written every moment and may be lost in a power cut: it is then not forced onto the disk.

    Raises
    ------
    OSError
        If it cannot be written; what was there before is untouched.
    """
    with replacing(path, durable=durable) as draft:
        draft.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@contextmanager
def replacing(path: Path, *, durable: bool = True) -> Iterator[Path]:
    """Give a path to write to; the file takes the place of `path` when the block ends, as `write_atomically` does it.

    A draft that a killed process left is written over by the next.
    """
    make_folder(path.parent)
    draft = path.with_name(f"{path.name}.unfinished")
    try:
        yield draft
        if durable:
            _sync(draft)
        draft.replace(path)
    except BaseException:
        with suppress(OSError):  # on a disk that failed, that fails too
            draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def write_synced(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file and force it onto the disk; for a caller that renames it himself."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb", buffering=0) as stream:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[stream.write(remaining) :]
        os.fsync(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those it lies in, durably; one that is there is left alone."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Force onto the disk which names a folder holds: renames and new files in it last from then on."""
    _sync(folder)


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def hash_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(content: Any) -> str:
    """Return the one spelling of `content` that ids, rows and records share: sorted keys, no spaces, ASCII."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
