"""The durable steps of a process, from inside: reported one by one, so that it can be killed or failed at any of them.

A step is whatever would be seen on disk after a power cut: a file opened for writing, a rename, a removal, a folder
made, an fsync, a statement that changes the index. What Python does to files is heard by an audit hook, which it calls
before the thing is done and which nothing in the process can avoid; fsync and the index are watched where they are
called.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
VERBS = {
    "os.rename": "rename",
    "os.remove": "remove",
    "os.mkdir": "make",
    "os.rmdir": "remove",
    "os.link": "link",
    "os.truncate": "truncate",
    "os.chmod": "chmod",
}
STATEMENTS = ("BEGIN", "COMMIT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "REPLACE", "VACUUM")


@dataclass(frozen=True)
class Step:
    """One step, the ``number``-th of its ``kind`` in this process, from 1; ``path`` is what it is done to."""

    number: int
    kind: str
    path: str


def watch(folder: Path, on_step: Callable[[Step], None]) -> None:
    """Report every durable step under `folder`, from the thread that is about to take it, until the process ends.

    What `on_step` raises is what the step fails with; where the index is changed, SQLite ignores it.
    """
    root = str(folder)
    kinds: dict[str, itertools.count[int]] = {}

    def report(verb: str, path: str) -> None:
        if path == root or path.startswith(root + os.sep):
            kind = f"{verb} {_place(path[len(root) + 1 :])}"
            number = next(kinds.setdefault(kind, itertools.count(1)))  # atomic: several threads write
            on_step(Step(number, kind, path))

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if isinstance(path, str | os.PathLike) and flags & WRITING:
                report("open", os.fspath(path))
        elif event in VERBS:
            path = args[1] if event in ("os.rename", "os.link") else args[0]
            if isinstance(path, str | os.PathLike) and not (event == "os.mkdir" and Path(path).is_dir()):
                report(VERBS[event], os.fspath(path))

    def statement(sql: str) -> None:
        verb = sql.split(None, 1)[0].upper()
        if verb in STATEMENTS:
            report(verb, f"{root}/store/index.sqlite")

    fsync, connect = os.fsync, sqlite3.connect

    def watched_fsync(descriptor: int) -> None:
        report("fsync", str(Path(f"/proc/self/fd/{descriptor}").readlink()))
        fsync(descriptor)

    def watched_connect(*args: Any, **options: Any) -> sqlite3.Connection:
        connection = connect(*args, **options)
        connection.set_trace_callback(statement)
        return connection

    os.fsync, sqlite3.connect = watched_fsync, watched_connect
    sys.addaudithook(heard)


def die(after: bool) -> None:
    """Be killed: now, or as soon as the step that was just reported is done."""
    if not after:
        os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(_die_outside)


def _die_outside(frame: FrameType, event: str, argument: Any) -> None:
    # The hook returns first, then the step is done, then whoever asked for it does the next thing: that is too late.
    if frame.f_code.co_filename != __file__:
        os.kill(os.getpid(), signal.SIGKILL)


def _place(path: str) -> str:
    """Where in a lab, without the names that differ from file to file."""
    parts = Path(path).parts
    depth = {"store": 3 if "records" in parts else 2}.get(parts[0], 1) if parts else 0
    return "/".join(parts[:depth])
