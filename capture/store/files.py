"""Bytes on disk: content-addressed files, and records that let the index be rebuilt without it.

::

    store/
        index.sqlite
        files/ab/cdef....jxl            named by the SHA-256 of their content, read-only
        records/frame/<session>/<frame>.json
        records/session/<session>.json  and so on: one JSON file for each row that cannot be made again
        records/journal/000000.jsonl    the journal, a line each
        tmp/                            what is being written
        leftovers/                      what was left unfinished, set aside and never read
        writers/, *.lock                who is writing just now

A file appears under its name whole or not at all: it is written in ``tmp``, fsynced, renamed, and its folder fsynced.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

FILE_MODE = 0o444


class StoreError(Exception):
    """The store cannot be read or written, or does not hold what was asked for."""


@dataclass(frozen=True)
class StoredFile:
    """A file of the store: SHA-256 (64 hexadecimal digits), suffix told from the content, and size in bytes."""

    sha256: str
    suffix: str
    size: int


def canonical_json(content: Any) -> str:
    """Return the one spelling of `content` that ids, rows and records share."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class Files:
    """The files and records of a store's folder.

    Attributes
    ----------
    is_in_order
        False once something could not be written: what was written beside it may be left without a row.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.is_in_order = True
        self.temporary = folder / "tmp"

    def create(self) -> None:
        """Make the folders that are missing."""
        for name in ("files", "records", "tmp"):
            make_folder(self.folder / name)

    def path(self, sha256: str, suffix: str) -> Path:
        """Where the file with this content lies."""
        return self.folder / "files" / sha256[:2] / (sha256[2:] + suffix)

    def record_path(self, kind: str, name: str) -> Path:
        """Where a record lies. A slash in `name` makes folders; coins are the lab's to name, so theirs does not."""
        if kind == "coin":
            name = quote(name, safe=" ")
        return self.folder / "records" / kind / f"{name}.json"

    def keep(self, *contents: bytes) -> list[StoredFile]:
        """Write contents durably; return what they are stored as.

        Content that is already there is not written again, but read back and checked.

        Raises
        ------
        StoreError
            If they cannot be written, or the copy already there is damaged.
        """
        kept = []
        folders = set()
        for data in contents:
            file = StoredFile(hashlib.sha256(data).hexdigest(), _suffix(data), len(data))
            path = self.path(file.sha256, file.suffix)
            if path.exists():
                if hash_file(path) != file.sha256:
                    raise StoreError(f"{path} is damaged: its content is no longer what it is named after. {_DAMAGED}")
            else:
                self._write(path, data)
                folders.add(path.parent)
            kept.append(file)
        self._sync(folders)
        return kept

    def keep_records(self, kind: str, records: dict[str, dict[str, Any]]) -> None:
        """Write records durably, by name, each with the SHA-256 of its content.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        folders = set()
        for name, content in records.items():
            path = self.record_path(kind, name)
            checksum = hashlib.sha256(canonical_json(content).encode()).hexdigest()
            self._write(path, canonical_json({"content": content, "sha256": checksum}).encode())
            folders.add(path.parent)
        self._sync(folders)

    def read_record(self, path: Path) -> dict[str, Any]:
        """Return a record's content.

        Raises
        ------
        StoreError
            If it cannot be read, or is not as it was written.
        """
        try:
            data = path.read_bytes()
            record = json.loads(data)
            content: dict[str, Any] = record["content"]
            text = canonical_json(content)
            whole = canonical_json({"content": content, "sha256": hashlib.sha256(text.encode()).hexdigest()})
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path} cannot be read ({error}). {_DAMAGED}") from error
        if whole.encode() != data:
            raise StoreError(f"{path} is damaged: its content is no longer what was written. {_DAMAGED}")
        return content

    def read(self, sha256: str, suffix: str) -> bytes:
        """Return a file's content, checked against its name.

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        path = self.path(sha256, suffix)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}. Run `rig store verify`.") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise StoreError(f"{path} is damaged: its content is no longer what it is named after. {_DAMAGED}")
        return data

    def all_files(self) -> Iterator[tuple[str, Path]]:
        """Every file on disk: what its name says its SHA-256 is, and its path."""
        for path in sorted((self.folder / "files").glob("*/*")):
            yield path.parent.name + path.name.split(".")[0], path

    def all_records(self, kind: str) -> Iterator[tuple[str, Path]]:
        """Every record of one kind: its name and its path."""
        folder = self.folder / "records" / kind
        for path in sorted(folder.rglob("*.json")):
            name = str(path.relative_to(folder))[: -len(".json")]
            yield unquote(name) if kind == "coin" else name, path

    def set_aside(self, path: Path) -> Path:
        """Move something unfinished out of every reader's sight, into ``leftovers``."""
        target = self.folder / "leftovers" / path.relative_to(self.folder)
        make_folder(target.parent)
        if target.exists():
            target = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        path.replace(target)
        sync_folder(path.parent)
        return target

    def remove(self, path: Path) -> None:
        """Delete a file for good; one that is gone already is left so.

        Raises
        ------
        StoreError
            If it cannot be deleted.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self.is_in_order = False
            raise StoreError(f"{path} cannot be deleted: {error.strerror}. {remedy(error)}") from error
        if path.parent.is_dir():
            self._sync([path.parent])

    def _sync(self, folders: Iterable[Path]) -> None:
        for folder in folders:
            try:
                sync_folder(folder)
            except OSError as error:
                self.is_in_order = False
                raise StoreError(f"{folder} cannot be written: {error.strerror}. {remedy(error)}") from error

    def _write(self, path: Path, data: bytes) -> None:
        temporary = self.temporary / secrets.token_hex(8)
        try:
            make_folder(path.parent)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
            with os.fdopen(descriptor, "wb", buffering=0) as stream:
                remaining = memoryview(data)
                while remaining:
                    remaining = remaining[stream.write(remaining) :]
                os.fsync(descriptor)
            temporary.rename(path)
        except OSError as error:
            self.is_in_order = False
            with suppress(OSError):  # on a file system that failed, that fails too
                temporary.unlink(missing_ok=True)
            raise StoreError(
                f"{path} cannot be written: {error.strerror}. Nothing stored before is lost. {remedy(error)}"
            ) from error


_SIGNATURES = (
    (b"\xff\x0a", ".jxl"),
    (b"\x00\x00\x00\x0cJXL ", ".jxl"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"RIFF", ".webp"),
    (b"BM", ".bmp"),
)
_DAMAGED = "Restore it from a backup; `rig store verify` lists every damaged file."


_REMEDIES = {
    errno.ENOSPC: "The disk is full: free some space (`rig store gc --dry-run` says what the store could spare)",
    errno.EDQUOT: "The disk quota is used up: free some space (`rig store gc --dry-run` says what could go)",
    errno.EIO: "The disk or its cable failed: mend or replace it, run `rig store verify`",
    errno.EROFS: "Its file system is mounted read-only: mount it writable, or mend the disk that made it so",
    errno.EACCES: "Check its owner and permissions",
    errno.EPERM: "Check its owner and permissions",
}


def remedy(error: OSError) -> str:
    """What a person can do about a file that cannot be written."""
    what = _REMEDIES.get(error.errno or 0, "See that the disk is there and the folder is as it was left")
    return f"{what}; then give the same command again."


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _suffix(data: bytes) -> str:
    # told from the content, so that the same bytes cannot be stored twice under two names
    for signature, suffix in _SIGNATURES:
        if data.startswith(signature):
            return suffix
    return ".bin"


def make_folder(folder: Path) -> None:
    """Make a folder, and those it lies in, durably; one that is there is left alone."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make durable which names a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
