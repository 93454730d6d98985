"""What goes wrong at a durable step of a process, beside its being killed: disk, index and clock."""

from __future__ import annotations

import ctypes
import datetime as calendar
import errno
import itertools
import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from tests.kills.steps import Step

# How SQLite writes on Linux, and nothing else in these processes does: pwrite64, fdatasync, ftruncate.
INDEX_CALLS = {"x86_64": (18, 75, 77), "aarch64": (68, 83, 46)}
SECCOMP = {"x86_64": 317, "aarch64": 277}
HOUR_S = 3600


@dataclass(frozen=True)
class Fault:
    """What goes wrong, and when.

    Attributes
    ----------
    what
        ``"files"``: steps fail with ``error``; ``"index"``: every write to the index does, from the ``first`` on;
        ``"clock"``: at the ``first`` it is set back an hour.
    error
        Name of an errno.
    kinds
        Steps whose kind begins with one of these count.
    first, last
        Which of those fail, from 1.
    """

    what: str
    error: str
    kinds: tuple[str, ...]
    first: int
    last: int = 1_000_000


def strike(fault: Fault) -> Callable[[Step], None]:
    """Something to call at every step, which lets the fault strike when it is its turn."""
    numbers = itertools.count(1)

    def on_step(step: Step) -> None:
        if not step.kind.startswith(fault.kinds):
            return
        number = next(numbers)  # atomic: several threads write
        if fault.what == "files" and fault.first <= number <= fault.last:
            error = getattr(errno, fault.error)
            raise OSError(error, os.strerror(error), step.path)
        if number == fault.first:
            if fault.what == "index":
                refuse_index_writes(getattr(errno, fault.error))
            if fault.what == "clock":
                step_back()

    return on_step


def refuse_index_writes(error: int) -> None:
    """Let every write to the index fail from here on, in all threads, as the kernel would."""
    machine = platform.machine()
    calls = INDEX_CALLS[machine]
    program = [(0x20, 0, 0, 0)]  # load the number of the call
    program += [(0x15, len(calls) - number, 0, call) for number, call in enumerate(calls)]
    program += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | error)]  # allow; fail with this error

    class Instruction(ctypes.Structure):
        _fields_ = (("code", ctypes.c_ushort), ("jt", ctypes.c_ubyte), ("jf", ctypes.c_ubyte), ("k", ctypes.c_uint))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(Instruction)))

    filled = (Instruction * len(program))(*[Instruction(*each) for each in program])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    everywhere = 1  # SECCOMP_FILTER_FLAG_TSYNC: in the threads that run already, too
    if libc.syscall(SECCOMP[machine], 1, everywhere, ctypes.byref(Program(len(program), filled))):
        raise OSError(ctypes.get_errno(), "seccomp")


def step_back() -> None:
    """Set the clock back an hour, for all that this process asks of it."""
    true_time, true_datetime = time.time, calendar.datetime

    class Late(true_datetime):  # type: ignore[misc, valid-type]
        @classmethod
        def now(cls, tz: calendar.tzinfo | None = None) -> calendar.datetime:
            return true_datetime.now(tz) - calendar.timedelta(seconds=HOUR_S)

    time.time = lambda: true_time() - HOUR_S
    for name, module in list(sys.modules.items()):
        is_ours = name.split(".")[0] in ("rig", "calibration", "capture", "pipeline")
        if is_ours and getattr(module, "datetime", None) is true_datetime:
            module.datetime = Late  # type: ignore[attr-defined]
