"""What a command does to a lab's disk, and what it has acknowledged by then, as the kernel saw it (strace)."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import calibration.bundle
import pipeline.bench.calibrate
import pipeline.learning.compare
from capture.store.journal import Journal
from capture.store.transaction import Storage
from tests import processes

STRACE = shutil.which("strace")
UNMODELLED = ("truncate", "fallocate", "sendfile", "copy_file_range", "symlink", "symlinkat")  # `Disk` refuses them
CALLS = (
    "open,openat,creat,close,dup,dup2,dup3,fcntl,lseek,write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat,mkdir,mkdirat,rmdir,"
) + ",".join(UNMODELLED)
RELATIVE = ("openat", "renameat", "renameat2", "linkat", "unlinkat", "mkdirat")  # to folders that are open
ON_DESCRIPTORS = (
    *("write", "pwrite64", "writev", "pwritev", "lseek", "ftruncate", "fsync", "fdatasync"),
    *("close", "dup", "dup2", "dup3", "fcntl"),
)
LONGEST = 100_000_000  # of what is written at once: nothing is cut off
ANY_TRACER = 0x59616D61, ctypes.c_ulong(-1)  # PR_SET_PTRACER, PR_SET_PTRACER_ANY

_LINE = re.compile(r"(\d+) +(.*)", re.S)
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(?:<([^>]*)>)?", re.S)
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_DESCRIPTOR = re.compile(r"(AT_FDCWD|\d+)<([^>]*)>")


@dataclass(frozen=True)
class Call:
    """A system call that succeeded.

    Attributes
    ----------
    name
        Such as ``"rename"``; ``"acknowledged"`` where the program acknowledged something: then `note` is what.
    began
        How many calls had ended when it began.
    paths
        Absolute paths it is given.
    descriptor
        File it is done to, -1 where it is given paths.
    """

    name: str
    began: int
    paths: tuple[str, ...] = ()
    descriptor: int = -1
    result: int = 0
    data: bytes = b""
    numbers: tuple[int, ...] = ()
    flags: str = ""
    note: Any = None


def record(lab: Path, *args: object) -> list[Call]:
    """Run `rig` with these arguments in a lab; it has to succeed. Every call, in the order in which they ended."""
    notes, calls = lab.with_name(f"{lab.name}.acknowledged"), lab.with_name(f"{lab.name}.calls")
    ran = processes.run(*args, "--lab", lab, before=partial(_be_traced, notes, calls))
    assert ran.code == 0, ran.err
    try:
        return list(_parse(calls, notes))
    finally:
        calls.unlink()


def _be_traced(notes: Path, calls: Path) -> None:
    """In the new process: be watched from here on, and note whatever is acknowledged."""
    ctypes.CDLL(None).prctl(ANY_TRACER[0], ANY_TRACER[1], 0, 0, 0)
    command = [STRACE, "-f", "-y", "-xx", "-s", LONGEST, "-e", f"trace={CALLS}", "-o", calls, "-p", os.getpid()]
    messages = calls.with_suffix(".strace")
    with messages.open("w") as stream:
        tracer = subprocess.Popen(list(map(str, command)), stderr=stream, start_new_session=True)
    while "attached" not in messages.read_text():
        assert tracer.poll() is None, messages.read_text()
        time.sleep(0.005)
    _acknowledge(os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND))


def _acknowledge(descriptor: int) -> None:
    def note(what: object) -> None:
        os.write(descriptor, json.dumps(what).encode())

    def noted(function: Callable[..., Any], what: Callable[..., object]) -> Callable[..., Any]:
        def call(*args: Any, **how: Any) -> Any:
            result = function(*args, **how)
            note(what(result, *args))
            return result

        return call

    transaction = Storage.transaction

    @contextmanager
    def noted_transaction(self: Storage, *contents: bytes) -> Iterator[Any]:
        with transaction(self, *contents) as begun:
            yield begun
        note({"records": {kind: list(records) for kind, records in begun.records.items()}})

    Storage.transaction = noted_transaction  # type: ignore[method-assign]
    Journal.log = noted(Journal.log, lambda line, *_: {"line": line.number})  # type: ignore[method-assign]
    save = noted(calibration.bundle.save, lambda folder, *_: {"calibration": folder.name})
    pipeline.bench.calibrate.save = save  # type: ignore[attr-defined]
    put = noted(pipeline.learning.compare.put_in_use, lambda _, lab, name, id_: {"model": name})
    pipeline.learning.compare.put_in_use = put


def _parse(calls: Path, notes: Path) -> Iterator[Call]:
    waiting: dict[str, tuple[int, str]] = {}
    ended = 0
    with calls.open() as stream:
        for line in stream:
            thread, text = _LINE.match(line).groups()  # type: ignore[union-attr]
            text = text.rstrip("\n")
            began = ended
            if text.endswith("<unfinished ...>"):
                waiting[thread] = ended, text.removesuffix("<unfinished ...>")
                continue
            if text.startswith("<..."):
                began, first = waiting.pop(thread)
                text = first + text[text.index("resumed>") + len("resumed>") :]
            found = _CALL.match(text)
            if found is None or int(found[3]) < 0:
                continue
            call = _as_call(found, began)
            if str(notes) in call.paths and call.name == "write":
                call = Call("acknowledged", began, note=json.loads(call.data))
            yield call
            ended += 1


def _as_call(found: re.Match[str], began: int) -> Call:
    name, arguments, result = found[1], found[2], int(found[3])
    strings = [bytes.fromhex(each.replace("\\x", "")) for each in _STRING.findall(arguments)]
    outside = _STRING.sub('""', arguments)
    folders = [(number, _plain(path)) for number, path in _DESCRIPTOR.findall(outside)]
    if name in ON_DESCRIPTORS:
        numbers = tuple(int(each) for each in re.findall(r", (\d+)(?=,|$)", outside))
        descriptor, path = folders[0] if folders else ("-1", "")
        data = b"".join(strings)[:result] if "write" in name else b""
        return Call(name, began, (path,), int(descriptor), result, data, numbers, outside)
    if name in UNMODELLED:
        given = [path for _, path in folders] + [os.fsdecode(each) for each in strings]
        return Call(name, began, tuple(given), result=result)
    at = iter([path for _, path in folders])
    paths = tuple(str(Path(next(at, "/") if name in RELATIVE else "/", os.fsdecode(each))) for each in strings)
    return Call(name, began, paths, -1, result, flags=outside)


def _plain(path: str) -> str:
    return bytes.fromhex(path.replace("\\x", "")).decode() if path.startswith("\\x") else path
