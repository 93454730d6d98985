"""Files that only ever grow, a line of JSON at a time, each with its checksum: the journal's form on disk.

A line counts once it ends and its checksum is right. One that a killed process left half written is passed over by
every reader, and the next line starts behind it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from calibration.durable_files import make_folder, sync_folder, write_atomically
from capture.store.errors import StoreError, remedy
from capture.store.files import Content, seal, unseal

LINES_PER_FILE = 10_000
_TAIL_BYTES = 65_536
_MOST_LINES = 1 << 62  # that SQLite can number
_lasting: set[Path] = set()  # files whose names this process has forced onto the disk
_FIELDS = {"number": int, "at": str, "kind": str, "detail": dict}


class Lines:
    """Numbered lines, `LINES_PER_FILE` to a file. One process at a time may append."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, number: int) -> Path:
        """Which file a line belongs to."""
        return self.folder / f"{number // LINES_PER_FILE:06}.jsonl"

    def append(self, lines: Sequence[tuple[int, Content]]) -> None:
        """Write lines durably, of growing numbers.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        by_path: dict[Path, list[str]] = {}
        for number, content in lines:
            by_path.setdefault(self.path(number), []).append(seal({"number": number, **content}) + "\n")
        for path, texts in by_path.items():
            _append(path, "".join(texts).encode())

    def rewrite(self, lines: Mapping[int, Content]) -> None:
        """Write lines that are damaged or gone again, in their place among those that are whole.

        Raises
        ------
        OSError
            If they cannot be written; what was there before is untouched.
        """
        whole = {content["number"]: content for content in self.read()}
        merged = {**{number: {"number": number, **content} for number, content in lines.items()}, **whole}
        for path in sorted({self.path(number) for number in lines}):
            texts = [seal(merged[number]) + "\n" for number in sorted(merged) if self.path(number) == path]
            write_atomically(path, "".join(texts))

    def read(self, after: int = 0) -> Iterator[Content]:
        """Whole lines with a number above `after`, in the order they were written."""
        for path in sorted(self.folder.glob("*.jsonl")):
            if path >= self.path(after + 1):
                for line in path.read_bytes().split(b"\n")[:-1]:  # what follows the last end of line is half a line
                    content = _content(line)
                    if content is not None and content["number"] > after:
                        yield content

    def is_written_beyond(self, number: int) -> bool:
        """Whether there is a whole line with a greater number; looks at the end of one file only."""
        path = self.path(number + 1)
        try:
            with path.open("rb") as stream:
                size = stream.seek(0, os.SEEK_END)
                stream.seek(max(size - _TAIL_BYTES, 0))
                tail = stream.read().split(b"\n")[:-1]
        except FileNotFoundError:
            return False
        contents = (_content(line) for line in reversed(tail))
        last = next((content for content in contents if content is not None), None)
        return last is not None and last["number"] > number


def _append(path: Path, data: bytes) -> None:
    try:
        make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                data = b"\n" + data  # behind half a line
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[os.write(descriptor, remaining) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if path not in _lasting:
            sync_folder(path.parent)  # also if it was there: whoever made it may have been killed before doing this
            _lasting.add(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}. {remedy(error)}") from error


def _content(line: bytes) -> Content | None:
    """What a line says; None if it is not as it was written, or is no line of the journal."""
    try:
        content = unseal(line)
    except ValueError:
        return None
    is_line = all(isinstance(content.get(name), kind) for name, kind in _FIELDS.items())
    is_line = is_line and 0 < content["number"] < _MOST_LINES
    return content if is_line and isinstance(content.get("session_id", 0), str | None) else None
