"""A disk that forgets: of what a command did to a lab, only what was forced onto it is surely there after a power cut.

It promises what POSIX does, and no more. Written bytes last once the file is synced; names (made, renamed, removed)
last once the folder they are in is synced, a rename by the folder it leads to. Whatever else was done by then has
happened, has not happened, or was torn, each thing for itself, in any order. A rename happens whole.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.trace import UNMODELLED, Call

NEVER = 1 << 60
SECTOR = 512  # a write is torn between two of these
DERIVED = "-shm"  # SQLite makes it again
KEPT_AS_THEY_ARE = (".jxl", ".jpg", ".safetensors")  # files that no command ever writes to once they have their name


@dataclass(eq=False)
class Node:
    """A file or folder. `names` of a folder, and `original` content of a file, are as they were before the command."""

    is_folder: bool
    original: Path | None = None
    names: dict[str, Node] = field(default_factory=dict)


@dataclass(eq=False)
class Change:
    """Something done to a node, at the ``at``-th call; on the disk for good from the ``lasts_from``-th on.

    A folder is given a name (``node``, ``name``, ``target``) or loses it (``target`` None), or, as one change, another
    folder loses the former name as well; a file is written to or cut.
    """

    at: int
    node: Node
    name: str = ""
    target: Node | None = None
    former: tuple[Node, str] | None = None
    gone: Node | None = None
    offset: int = 0
    data: bytes | None = None
    lasts_from: int = NEVER


class Disk:
    """The changes that calls make to a lab.

    Parameters
    ----------
    before
        A copy of the lab as it was.
    lab
        Where it was when the calls were made.
    """

    def __init__(self, before: Path, lab: Path, calls: Iterable[Call]) -> None:
        self.root = _read(before)
        self.changes: list[Change] = []
        self.acknowledged: list[tuple[int, Any]] = []
        self._lab = str(lab)
        self._now: dict[Node, dict[str, Node]] = {}
        self._open: dict[int, list[Any]] = {}  # descriptor: node, position, whether it appends
        self.end = 0
        for number, call in enumerate(calls):
            self._do(number, call)
            self.end = number + 1

    def points(self) -> list[int]:
        """Moments when something has just been done: those that differ."""
        return sorted({change.at + 1 for change in self.changes} | {at + 1 for at, _ in self.acknowledged})

    def promises(self, point: int) -> list[Any]:
        """What was acknowledged by then."""
        return [note for at, note in self.acknowledged if at < point]

    def build(self, folder: Path, point: int, chance: random.Random) -> None:
        """Make the lab as it may be found after the power was cut at that moment."""
        share = chance.choice((0.0, 0.1, 0.5, 0.9, 1.0))  # of what is not sure
        names: dict[Node, dict[str, Node]] = {}
        written: dict[Node, list[Change]] = {}
        for change in self.changes:
            if change.at >= point:
                break
            is_sure = change.lasts_from < point
            if not is_sure and chance.random() >= share:
                continue
            if change.data is not None:
                torn = change if is_sure or chance.random() < 0.7 else _tear(change, chance)
                written.setdefault(change.node, []).append(torn)
                continue
            if change.former is not None:
                held = names.setdefault(change.former[0], dict(change.former[0].names))
                if held.get(change.former[1]) is change.target:
                    del held[change.former[1]]
            held = names.setdefault(change.node, dict(change.node.names))
            if change.target is not None:
                held[change.name] = change.target
            elif held.get(change.name) is change.gone:
                del held[change.name]
        _write(self.root, folder, names, written)

    def _do(self, number: int, call: Call) -> None:
        if call.name == "acknowledged":
            self.acknowledged.append((number, call.note))
        elif call.name in ("open", "openat", "creat"):
            self._do_open(number, call)
        elif call.name in ("mkdir", "mkdirat"):
            self._name(number, call.paths[0], Node(is_folder=True))
        elif call.name in ("unlink", "unlinkat", "rmdir"):
            self._name(number, call.paths[0], None)
        elif call.name.startswith("rename"):
            self._do_rename(number, *call.paths)
        elif call.name in ("link", "linkat"):
            node = self._find(call.paths[0])
            if node is not None:
                self._name(number, call.paths[1], node)
        elif call.name in UNMODELLED:
            assert not any(map(self._is_inside, call.paths)), (call.name, call.paths)
        elif call.name == "close":
            self._open.pop(call.descriptor, None)
        elif call.name.startswith("dup") or (call.name == "fcntl" and "F_DUPFD" in call.flags):
            self._open.pop(call.result, None)
            if call.descriptor in self._open:
                self._open[call.result] = self._open[call.descriptor]  # both move on together
        elif call.name == "fcntl":
            pass
        elif call.descriptor in self._open:
            node = self._open[call.descriptor][0]
            if call.name in ("fsync", "fdatasync"):
                self._sync(node, call.began, number)
            elif call.name == "lseek":
                self._open[call.descriptor][1] = call.result
            elif call.name == "ftruncate":
                self._add(Change(number, node, offset=call.numbers[0], data=b"", name="cut"))
            else:
                self._do_write(number, call)
        elif call.name != "lseek":  # written through a descriptor that nobody saw opened
            assert not any(map(self._is_inside, call.paths)), (call.name, call.paths)

    def _do_open(self, number: int, call: Call) -> None:
        self._open.pop(call.result, None)
        if not self._is_inside(call.paths[0]):
            return
        node = self._find(call.paths[0])
        if node is None and "O_CREAT" in call.flags:
            node = Node(is_folder=False)
            self._name(number, call.paths[0], node)
        elif node is not None and "O_TRUNC" in call.flags:
            self._add(Change(number, node, data=b"", name="cut"))
        if node is not None:
            self._open[call.result] = [node, 0, "O_APPEND" in call.flags]

    def _do_write(self, number: int, call: Call) -> None:
        opened = self._open[call.descriptor]
        node, position, appends = opened
        if call.name in ("pwrite64", "pwritev"):
            position = call.numbers[-1]
        elif appends:
            position = self._length(node)
        self._add(Change(number, node, offset=position, data=call.data))
        if call.name in ("write", "writev"):
            opened[1] = position + len(call.data)

    def _do_rename(self, number: int, source: str, target: str) -> None:
        node = self._find(source)
        if node is None:
            return
        assert self._is_inside(target), target
        place, name = self._place(source)
        del self._names(place)[name]
        self._name(number, target, node, former=(place, name))

    def _name(self, number: int, path: str, node: Node | None, former: tuple[Node, str] | None = None) -> None:
        if not self._is_inside(path):
            return
        place, name = self._place(path)
        held = self._names(place)
        gone = held.get(name)
        if node is None:
            held.pop(name, None)
        else:
            held[name] = node
        self._add(Change(number, place, name, node, former, gone))

    def _add(self, change: Change) -> None:
        self.changes.append(change)

    def _sync(self, node: Node, began: int, number: int) -> None:
        for change in self.changes:
            if change.node is node and change.at < began:
                change.lasts_from = min(change.lasts_from, number)

    def _length(self, node: Node) -> int:
        length = node.original.stat().st_size if node.original is not None else 0
        for change in self.changes:
            if change.node is node and change.data is not None:
                length = change.offset if change.name == "cut" else max(length, change.offset + len(change.data))
        return length

    def _is_inside(self, path: str) -> bool:
        return path == self._lab or path.startswith(self._lab + os.sep)

    def _names(self, node: Node) -> dict[str, Node]:
        return self._now.setdefault(node, dict(node.names))

    def _find(self, path: str) -> Node | None:
        if not self._is_inside(path):
            return None
        node: Node | None = self.root
        for part in Path(path).relative_to(self._lab).parts:
            node = self._names(node).get(part) if node is not None else None
        return node

    def _place(self, path: str) -> tuple[Node, str]:
        place = self._find(str(Path(path).parent))
        assert place is not None, path
        return place, Path(path).name


def _read(folder: Path) -> Node:
    node = Node(is_folder=True)
    for entry in os.scandir(folder):
        path = Path(entry.path)
        node.names[entry.name] = _read(path) if entry.is_dir() else Node(is_folder=False, original=path)
    return node


def _tear(change: Change, chance: random.Random) -> Change:
    data = change.data or b""
    kept = data[: SECTOR * chance.randint(0, len(data) // SECTOR)]
    return Change(change.at, change.node, change.name, offset=change.offset, data=kept)


def _write(node: Node, path: Path, names: dict[Node, dict[str, Node]], written: dict[Node, list[Change]]) -> None:
    if node.is_folder:
        path.mkdir()
        for name, inner in names.get(node, node.names).items():
            if not name.endswith(DERIVED):
                _write(inner, path / name, names, written)
    elif node not in written and node.original is not None:
        _copy(node.original, path)
    else:
        content = bytearray(node.original.read_bytes() if node.original is not None else b"")
        for change in written.get(node, ()):
            data = change.data or b""
            if change.name == "cut":
                del content[change.offset :]
            content.extend(bytes(max(0, change.offset + len(data) - len(content))))
            content[change.offset : change.offset + len(data)] = data
        path.write_bytes(content)


def _copy(original: Path, path: Path) -> None:
    if original.suffix in KEPT_AS_THEY_ARE:
        os.link(original, path)
    else:
        shutil.copyfile(original, path)
