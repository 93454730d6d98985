"""Files that are seen whole or not at all and survive a power cut, their hashes, and the one spelling of JSON."""

from __future__ import annotations

import difflib
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_lasting: set[Path] = set()  # folders that this process knows to survive a power cut


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


def install_folder(draft: Path, folder: Path) -> Path:
    """Let a folder that is complete take its place, durably; one that is there is replaced.

    Parameters
    ----------
    draft
        Beside `folder`, on the same file system.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    make_folder(draft.parent)
    for path in [*draft.rglob("*"), draft]:
        _sync(path)
    if folder.is_dir() and any(folder.iterdir()):
        former = folder.with_name(f"{folder.name}.old")
        shutil.rmtree(former, ignore_errors=True)
        folder.rename(former)
        draft.rename(folder)
        sync_folder(folder.parent)  # before the former is deleted, or a power cut could leave neither
        shutil.rmtree(former)
    else:
        draft.rename(folder)
        sync_folder(folder.parent)
    return folder


def write_synced(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file and force it onto the disk, but not yet its name (`sync_folder`)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb", buffering=0) as stream:
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[stream.write(remaining) :]
        os.fsync(descriptor)


def make_folder(folder: Path) -> Path:
    """Make a folder, and those it lies in, durably; one that is there is left as it is.

    Raises
    ------
    OSError
        If it cannot be made.
    """
    if folder in _lasting and folder.is_dir():
        return folder
    if folder.is_dir():
        with suppress(PermissionError):  # the folder it lies in is somebody else's, who made both
            sync_folder(folder.parent)  # whoever made it may have been killed, or not have come so far yet
    else:
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)
    _lasting.add(folder)
    return folder


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


def parse_json(text: str | bytes) -> Any:
    """Parse JSON that somebody else may have written.

    Raises
    ------
    ValueError
        If it is none, or is nested so deeply that nobody can have meant it.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def read_file(path: Path, most_bytes: int) -> bytes:
    """Read a file that may be anything: a FIFO would never end, a device not either.

    Raises
    ------
    OSError
        If it cannot be read, is no file, or is larger than `most_bytes`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # a FIFO may have no writer
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "it is no file but a folder, a pipe or a device", str(path))
        if status.st_size > most_bytes:
            raise OSError(errno.EFBIG, f"it is larger than {most_bytes / 1e6:,.0f} MB", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as stream:
            return stream.read()
    finally:
        os.close(descriptor)


def near_path(path: Path) -> Path | None:
    """What may be meant by a path that leads to nothing: the same letters in other cases, or a slip.

    A folder on the way is looked for in the same manner.
    """
    parent = path.parent if path.parent.is_dir() else None
    if parent is None:
        parent = near_path(path.parent) if path.parent != path else None
    if parent is None:
        return None
    if (parent / path.name).exists():
        return parent / path.name
    try:
        names = sorted(each.name for each in parent.iterdir())
    except OSError:
        return None
    same = [name for name in names if name.casefold() == path.name.casefold()]
    near = same or difflib.get_close_matches(path.name, names, 1, 0.8)
    return parent / near[0] if near else None


def read_limit(variable: str, default: float) -> float:
    """What may be read at most: the default, unless an environment variable sets another limit (docs/lab.md)."""
    try:
        return float(os.environ.get(variable) or default)
    except ValueError:
        return default


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
