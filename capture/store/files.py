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

import json
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from calibration.durable_files import (
    canonical_json,
    hash_bytes,
    hash_file,
    make_folder,
    parse_json,
    sync_folder,
    write_synced,
)
from capture.store.errors import StoreError, remedy

FILE_MODE = 0o444
MOST_BYTES = 240  # of a record's name; file systems admit 255, of which `.json` and a number take some
_SHORTENED = re.compile(r"~[0-9a-f]{16}$")
MOVED = (
    "It was added by reference: put it back where it was, or add it again from where it is now, with or without "
    "--reference."
)
DAMAGED = "Restore it from a backup; `rig store verify` lists every damaged file."


Content = dict[str, Any]
"""What a record or a line of the journal says, as JSON has it."""


@dataclass(frozen=True)
class StoredFile:
    """A file of the store: SHA-256 (64 hexadecimal digits), suffix by the content, and size in bytes."""

    sha256: str
    suffix: str
    size: int


@dataclass(frozen=True)
class Referenced:
    """Content of a file outside of the store that is not copied: the store links to it, and checks what it finds."""

    data: bytes
    path: Path


Kept = bytes | Referenced
"""What a file of the store is made of."""


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
            name = shorten(quote(name, safe=" "))
        return self.folder / "records" / kind / f"{name}.json"

    def keep(self, *contents: Kept) -> list[StoredFile]:
        """Write contents durably, or a link to where they are; return what they are stored as.

        Content that is already there is not written again, but read back and checked. A link gives way to a copy, and
        one that leads nowhere to another.

        Raises
        ------
        StoreError
            If they cannot be written, or the copy already there is damaged.
        """
        kept = []
        folders = set()
        for content in contents:
            data, origin = (content, None) if isinstance(content, bytes) else (content.data, content.path)
            file = StoredFile(hash_bytes(data), _suffix(data), len(data))
            path = self.path(file.sha256, file.suffix)
            if origin is not None and (path.is_symlink() or not path.exists()):
                self._link(path, origin)
            elif path.exists() and not path.is_symlink():
                if hash_file(path) != file.sha256:
                    raise StoreError(f"{path} is damaged: its content is no longer what it is named after. {DAMAGED}")
            else:
                self._write(path, data)
            folders.add(path.parent)  # whoever wrote it before may have been killed, or not have come so far yet
            kept.append(file)
        self._sync(folders)
        return kept

    def keep_records(self, kind: str, records: dict[str, Content]) -> None:
        """Write records durably, by name, each with the SHA-256 of its content.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        folders = set()
        for name, content in records.items():
            path = self.record_path(kind, name)
            self._write(path, seal(content).encode())
            folders.add(path.parent)
        self._sync(folders)

    def read_record(self, path: Path) -> Content:
        """Return a record's content.

        Raises
        ------
        StoreError
            If it cannot be read, or is not as it was written.
        """
        try:
            return unseal(path.read_bytes())
        except OSError as error:
            raise StoreError(f"{path} cannot be read: {error.strerror}. {DAMAGED}") from error
        except ValueError as error:
            raise StoreError(f"{path} is damaged: its content is no longer what was written. {DAMAGED}") from error

    def read(self, sha256: str, suffix: str) -> bytes:
        """Return a file's content, checked against its name.

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        path = self.path(sha256, suffix)
        origin = referenced(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            if origin is not None:
                raise StoreError(f"{origin} cannot be read: {error.strerror}. {MOVED}") from error
            raise StoreError(f"{path} cannot be read: {error.strerror}. Run `rig store verify`.") from error
        if hash_bytes(data) != sha256:
            if origin is not None:
                raise StoreError(f"{origin} is another image than the one that was added. {MOVED}")
            raise StoreError(f"{path} is damaged: its content is no longer what it is named after. {DAMAGED}")
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
            yield self._coin_of(path, name) if kind == "coin" else name, path

    def _coin_of(self, path: Path, name: str) -> str:
        """The coin that a record is of: its file's name, or what it says itself where that was too long."""
        if not _SHORTENED.search(name):
            return unquote(name)
        try:
            coin = self.read_record(path)["row"]["id"]
        except (StoreError, KeyError, TypeError):
            return unquote(name)  # it is found damaged under this name
        return coin if isinstance(coin, str) else unquote(name)

    def set_aside(self, path: Path) -> Path:
        """Move something unfinished out of every reader's sight, into ``leftovers``."""
        target = self.folder / "leftovers" / path.relative_to(self.folder)
        make_folder(target.parent)
        if target.exists():
            target = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
        path.replace(target)
        for folder in (target.parent, path.parent):
            sync_folder(folder)
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

    def _link(self, path: Path, origin: Path) -> None:
        temporary = self.temporary / secrets.token_hex(8)
        try:
            make_folder(path.parent)
            temporary.symlink_to(origin.resolve())
            temporary.replace(path)
        except OSError as error:
            self.is_in_order = False
            raise StoreError(
                f"{path} cannot be made a link to {origin}: {error.strerror}. Add the images without --reference."
            ) from error

    def _write(self, path: Path, data: bytes) -> None:
        temporary = self.temporary / secrets.token_hex(8)
        try:
            make_folder(path.parent)
            write_synced(temporary, data, FILE_MODE)
            temporary.rename(path)
        except OSError as error:
            self.is_in_order = False
            with suppress(OSError):  # on a file system that failed, that fails too
                temporary.unlink(missing_ok=True)
            raise StoreError(
                f"{path} cannot be written: {error.strerror}. Nothing stored before is lost. {remedy(error)}"
            ) from error


def referenced(path: Path) -> Path | None:
    """The file outside of the store that one of its files stands for; None if it has the content itself."""
    return path.readlink() if path.is_symlink() else None


def shorten(name: str) -> str:
    """A name that a file can have: one of more than `MOST_BYTES` is cut, with a hash of all of it at the end."""
    if len(name.encode(errors="surrogatepass")) <= MOST_BYTES:
        return name
    kept = name.encode(errors="surrogatepass")[: MOST_BYTES - 17].decode(errors="ignore").rstrip()
    return f"{kept}~{hash_bytes(name.encode(errors='surrogatepass'))[:16]}"


def seal(content: Content) -> str:
    """Spell `content` together with its checksum."""
    return canonical_json({"content": content, "sha256": hash_bytes(canonical_json(content).encode())})


def unseal(data: bytes) -> Content:
    """Return the content that `seal` spelt.

    Raises
    ------
    ValueError
        If `data` is not as it was written.
    """
    try:
        content: Content = parse_json(data)["content"]
        is_whole = isinstance(content, dict) and seal(content).encode() == data
        if b"\\ud" in data:
            json.dumps(content, ensure_ascii=False).encode()  # half a letter is a ValueError
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("not a sealed record") from error
    if not is_whole:
        raise ValueError("not as it was sealed")
    return content


_SIGNATURES = (
    (b"\xff\x0a", ".jxl"),
    (b"\x00\x00\x00\x0cJXL ", ".jxl"),
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG", ".png"),
    (b"II*\x00", ".tif"),
    (b"MM\x00*", ".tif"),
    (b"RIFF", ".webp"),
    (b"BM", ".bmp"),
    (b"PK\x03\x04", ".zip"),
)


def _suffix(data: bytes) -> str:
    # by the content, so that the same bytes cannot be stored twice under two names
    for signature, suffix in _SIGNATURES:
        if data.startswith(signature):
            return suffix
    return ".bin"
